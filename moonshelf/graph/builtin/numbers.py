"""Numerals as shops write them: 1.5, 12,5, 1,500, 1.500,25, 1,50,000, 4 3/4, 4¾, 1 500.

"1,500" is fifteen hundred in one shop and one and a half in another. It is read only where the
text says which mark its author uses for decimals; otherwise its value is None: abstaining beats
guessing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from moonshelf.graph.units.convert import plain

Mark = Literal[".", ","]
VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip
_DENOMINATORS = {2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64}
_VULGARS = "".join(VULGAR)
_SPACES = "'’\u00a0\u202f\u2009"
_SPACED = re.compile(f"[{_SPACES}]")
# Digits with marks inside; a group set apart by a thin blank has exactly three.
PLAIN = rf"(?:\d{{1,12}}(?:[.,٫٬]\d{{1,12}}|[{_SPACES}]\d{{3}}(?!\d))*|\.\d{{1,9}})"
NUMERAL = re.compile(
    rf"(?P<plain>{PLAIN})(?:(?P<mixed>[ \u00a0-]\d{{1,2}}[/⁄]\d{{1,2}}(?![\d/]))"
    rf"|(?P<over>[/⁄]\d{{1,2}}(?![\d/]))|(?P<vulgar>[ \u00a0]?[{_VULGARS}]))?"
    rf"|(?P<alone>[{_VULGARS}])"
)
_TOKEN = re.compile(rf"(?<![\d.,]){PLAIN}")
_GROUPS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_LETTERS = re.compile(r"[A-Za-z]+")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")
# What stands behind a number that is measured; a bare "36,38" may be two sizes.
_UNIT_FOLLOWS = re.compile(r"[ \u00a0]?[^\W\d_]|[ \u00a0]?[\"″”%°º'′]")
WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "single": 1, "dual": 2, "double": 2,
    "twin": 2, "pair": 2, "triple": 3, "half": Decimal("0.5"),
}  # fmt: skip


def read(raw: str, mark: Mark | None = None) -> Decimal | None:
    """The value of a plain numeral (digits and marks); None where it cannot be decided.

    Args:
        raw: e.g. ``1,500``.
        mark: the author's decimal mark, where it is known.
    """
    if raw.isdigit():
        return Decimal(int(raw))
    raw = _SPACED.sub("", raw)
    if "٫" in raw or "٬" in raw:
        # Arabic has a mark of its own for each.
        raw = raw.replace("٬", "").replace("٫", ".")
        return _decimal(raw) if raw.count(".") == 1 and "," not in raw else None
    dots, commas = raw.count("."), raw.count(",")
    if dots and commas:
        return _both(raw)
    if not dots and not commas:
        return Decimal(int(raw))
    sign: Mark = "." if dots else ","
    if dots + commas > 1:
        grouped = _GROUPS.fullmatch(raw) or _INDIAN.fullmatch(raw)
        return _decimal(raw.replace(sign, "")) if grouped else None
    whole, _, rest = raw.partition(sign)
    if len(rest) != 3 or whole in ("", "0") or len(whole) > 3 or mark == sign:
        return _decimal(f"{whole or 0}.{rest}")
    return None if mark is None else _decimal(whole + rest)


@dataclass(frozen=True, slots=True)
class Number:
    """A numeral at ``text[start:end]``; ``value`` is None where it cannot be decided."""

    start: int
    end: int
    value: Decimal | None
    fraction: bool


def number_at(text: str, place: int, mark: Mark | None = None) -> Number | None:
    """The numeral that begins at ``place``, with its fraction; None where there is none."""
    match = NUMERAL.match(text, place)
    return None if match is None else number_of(match, mark)


def number_of(match: re.Match[str], mark: Mark | None = None) -> Number:
    """A match of ``NUMERAL`` as a number: "4 3/4" is one, of "24/7" only the 24 is."""
    start = match.start()
    if match["alone"]:
        return Number(start, match.end(), _ratio(*VULGAR[match["alone"]]), True)
    number = read(match["plain"], mark)
    if match["vulgar"] and number is not None:
        return Number(start, match.end(), number + _ratio(*VULGAR[match["vulgar"][-1]]), True)
    ratio = _written_ratio(match)
    if ratio is not None and match["over"]:
        return Number(start, match.end(), ratio, True)
    if ratio is not None and number is not None:
        return Number(start, match.end(), number + ratio, True)
    fraction = number is not None and number != number.to_integral_value()
    return Number(start, match.end("plain"), number, fraction)


def _written_ratio(match: re.Match[str]) -> Decimal | None:
    """3/4 of "4 3/4" or of "3/4"; None for what is no fraction of an inch or a cup (24/7)."""
    if not (match["mixed"] or match["over"]) or not match["plain"].isdigit():
        return None
    above, below = (
        (match["mixed"] or match["plain"] + match["over"])
        .lstrip("- \u00a0")
        .replace("⁄", "/")
        .split("/")
    )
    if int(below) not in _DENOMINATORS or not 0 < int(above) < int(below):
        return None
    return _ratio(int(above), int(below))


def decimal_mark(text: str) -> Mark | None:
    """The decimal mark that ``text`` gives evidence of; None for none, or for both."""
    seen: set[Mark] = set()
    for match in _TOKEN.finditer(text):
        found = _evidence(match[0], text, match.end())
        if found:
            seen.add(found)
            if len(seen) > 1:
                return None
    return next(iter(seen), None)


def readings(text: str) -> list[Decimal]:
    """Every number that some reader could see in ``text``, sorted, without repetition.

    Numerals (also inside codes), both values of an undecidable one, fractions and their parts
    ("4/5"), number words. Never a part of a numeral: there is no 5 in "1.5".
    """
    found: set[Decimal] = set()
    for match in NUMERAL.finditer(text):
        numbers = {number_of(match, mark).value for mark in (".", ",")}
        if match["over"] or match["mixed"]:
            parts = re.split("[ \u00a0/⁄-]+", match[0])
            if _written_ratio(match) is None or match["over"]:
                numbers |= {read(part, mark) for part in parts if part for mark in (".", ",")}
        found.update(plain(number) for number in numbers if number is not None)
    for match in _LETTERS.finditer(text):
        if match[0].lower() in WORDS:
            found.add(Decimal(WORDS[match[0].lower()]))
    return sorted(found)


def _evidence(raw: str, text: str, end: int) -> Mark | None:
    dots, commas = raw.count("."), raw.count(",")
    if dots and commas:
        if _both(raw) is None:
            return None
        return "." if raw.rfind(".") > raw.rfind(",") else ","
    if _INDIAN.fullmatch(raw):
        return "."
    if dots + commas > 1 and _GROUPS.fullmatch(raw):
        return "," if dots else "."
    if dots + commas != 1:
        return None
    whole, _, rest = raw.partition("." if dots else ",")
    if len(rest) == 3 and whole not in ("", "0"):
        return None
    if dots:
        return "."
    return "," if _UNIT_FOLLOWS.match(text, end) else None


def _both(raw: str) -> Decimal | None:
    last = "." if raw.rfind(".") > raw.rfind(",") else ","
    whole, _, rest = raw.rpartition(last)
    if last in whole or not (_GROUPS.fullmatch(whole) or _INDIAN.fullmatch(whole)):
        return None
    return _decimal(re.sub("[.,]", "", whole) + "." + rest)


def _ratio(above: int, below: int) -> Decimal:
    return plain(round(Decimal(above) / Decimal(below), 6))


def _decimal(digits: str) -> Decimal:
    # int() first: digits of any script.
    whole, _, rest = digits.partition(".")
    return Decimal(
        f"{int(whole or 0)}.{''.join(str(int(d)) for d in rest)}" if rest else int(whole)
    )
