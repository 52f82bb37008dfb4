"""GTINs (EAN, UPC, ISBN) in texts: numbers of a product that check themselves.

A labelled number ("EAN: 8000070035805") names the product in any text of its listing. A bare one
only does in a title, and only above eight digits: other runs of digits pass a check by chance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_LABEL = re.compile(r"(?<![^\W_])(GTIN|EAN|UPC|JAN|ISBN|bar[ -]?codes?)", re.IGNORECASE)
# Behind the label: "-13", "code", a colon; then digits with single blanks or dashes in them. The
# first form takes "EAN 8 000070 035805" for a number, the second "EAN 13 8000070035805" for a kind.
_NUMBER = r"(?P<number>\d(?:[ -]?[\dX]){7,16})(?![^\W_])"
_WORDS = r"(?:[ -]?(?:A|codes?|number|no\.?|nr\.?)(?![^\W_])){0,2}"
_FORMS = tuple(
    re.compile(rf"{kind}{_WORDS}\s{{0,3}}[:=#]?\s{{0,3}}{_NUMBER}", re.IGNORECASE)
    for kind in ("", r"[ -]?(?:8|10|12|13|14)(?!\d)")
)
_BARE = re.compile(r"(?<!\d)\d{12,14}(?!\d)")
# "replaces EAN 4006381333931" is about another product.
_OTHERS = re.compile(
    r"\b(for|fits?|fitting|compatible(?: with)?|replaces?|suits?|suitable for|instead of)\s+"
    r"(?:\S+\s+){0,2}$",
    re.IGNORECASE,
)
_LOOK_BACK = 80


def gtin(text: str) -> str:
    """``text`` as 14 digits, or "" where length or check digit are wrong (GS1 General
    Specifications 7.9: weights 3 and 1 from the right)."""
    digits = re.sub(r"[\s-]", "", text)
    if not (digits.isascii() and digits.isdigit() and len(digits) in (8, 12, 13, 14)):
        return ""
    digits = digits.zfill(14)
    total = sum(int(d) * (3 if k % 2 == 0 else 1) for k, d in enumerate(digits))
    return digits if total % 10 == 0 and int(digits) > 0 else ""


def isbn(text: str) -> str:
    """An ISBN as the GTIN that its book has, or "" (ISO 2108: ten characters, the last one checks
    with weights 10 to 1 modulo 11; thirteen are a GTIN that begins with 978 or 979)."""
    code = re.sub(r"[\s-]", "", text).upper()
    if len(code) == 13:
        return gtin(code) if code[:3] in ("978", "979") else ""
    if not re.fullmatch(r"[0-9]{9}[0-9X]", code):
        return ""
    total = sum((10 - k) * (10 if c == "X" else int(c)) for k, c in enumerate(code))
    if total % 11:
        return ""
    body = f"978{code[:9]}"
    check = -sum(int(d) * (1 if k % 2 == 0 else 3) for k, d in enumerate(body)) % 10
    return gtin(f"{body}{check}")


def labelled_gtins(text: str) -> Iterator[str]:
    """Numbers of any text that a label calls a GTIN and whose check digit is right, as GTIN-14."""
    for label in _LABEL.finditer(text):
        if _OTHERS.search(text, max(0, label.start() - _LOOK_BACK), label.start()):
            continue
        read = isbn if label[1].upper() == "ISBN" else gtin
        forms = (form.match(text, label.end()) for form in _FORMS)
        found = (_longest(match["number"], read) for match in forms if match is not None)
        if code := next(filter(None, found), ""):
            yield code


def bare_gtins(title: str) -> Iterator[str]:
    """Numbers of a title that are a GTIN-12, -13 or -14 by their check digit."""
    for match in _BARE.finditer(title):
        # Eight digits pass by chance once in ten; a date or a code of that length is common.
        if found := gtin(match.group()):
            yield found


def _longest(number: str, read: Callable[[str], str]) -> str:
    """The code that ``number`` begins with: behind a blank another number may follow."""
    parts = re.split(r"(?<=\d) (?=\d)", number)
    for end in range(len(parts), 0, -1):
        if found := read(" ".join(parts[:end])):
            return found
    return ""
