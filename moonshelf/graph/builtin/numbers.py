"""Numerals as shops write them: 1.5, 12,5, 1,500, 1.500,25, 1,50,000, 4 3/4, 4¾, 1 500.

"1,500" is fifteen hundred in one shop and one and a half in another. It is read only where the
text says which mark its author uses for decimals; otherwise its value is None: abstaining beats
guessing. So with a plain blank: "12 000" is one number, but "1 500" may be two ("Note 12 128 GB").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from moonshelf.graph.builtin.patterns import patterns
from moonshelf.graph.builtin.written_units import unit_at
from moonshelf.graph.units.convert import plain

Sign = Literal[".", ","]
Mark = Literal[".", ",", "?"]
UNSURE: Mark = "?"
"""The document and the corpus use different marks: nothing is decided by either."""
VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5),
    "⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8),
    "⅞": (7, 8),
}  # fmt: skip
_DENOMINATORS = {2, 3, 4, 5, 6, 8, 10, 12, 16, 32, 64}
_VULGARS = "".join(VULGAR)
_SPACES = "'’\u00a0\u202f\u2009"
_SPACED = re.compile(f"[{_SPACES} ]")
# Digits with marks inside; a group set apart by a thin blank has exactly three.
PLAIN = rf"(?:\d+(?:[.,٫٬]\d+|[{_SPACES}]\d{{3}}(?!\d))*|\.\d+)"
NUMERAL = re.compile(
    rf"(?<!\d)(?P<plain>{PLAIN})(?:(?P<mixed>[ \u00a0-]\d{{1,2}}[/⁄]\d{{1,2}}(?![\d/]))"
    rf"|(?P<over>[/⁄]\d{{1,2}}(?![\d/]))|(?P<vulgar>[ \u00a0]?[{_VULGARS}])"
    rf"|(?P<groups>(?: \d{{3}}(?!\d))+(?:[.,]\d+)?))?"
    rf"|(?P<alone>[{_VULGARS}])"
)
# More digits are a code of goods, or no number of this world.
_LONGEST_RUN, _MOST_DIGITS = 12, 30
_RUN = re.compile(r"\d+")
_GROUPS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_LETTERS = re.compile(r"[A-Za-z]+")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")
# No number of its own begins so: "12 000".
_ZERO_LED = re.compile(r" 0")
# The number before belongs to a size or is a share: "Size 10 200 x 300 mm", "5 100% cotton".
_GOES_ON = re.compile(r"\s?[x×*/⁄%]")
_GROUPED_BEHIND = re.compile(r"\s?(?:[-‐‑–—~]|to)\s?\d{1,3} 0\d\d(?!\d)")
_GROUPED_BEFORE = re.compile(r"(?<!\d)\d{1,3} 0\d\d\s?(?:[-‐‑–—~]|to)\s?$")
_BEGINS = re.compile(r"(?:^|[:=(\[,;|\n])\s?$")
_LOOK_BACK = 24
# Letters and digits that a dash joins to the number behind them, and what they may be the end of:
# "12,000-8,000" and "18 000-12 000" have no codes.
_JOINED = re.compile(r"(?<![^\W_])([^\W_]*\d[^\W_]*)[-‐‑]$")
_DECIMALS = re.compile(r"\d[.,٫٬]$")
_THOUSANDS = re.compile(rf"\d[{_SPACES} ]$")
_ONE_LETTER = re.compile(r"[^\W\d_](?![^\W_])")
# "001" counts nothing; so many digits are a number of goods where the one behind them is smaller.
_PADDED = re.compile(r"0\d\d")
_LONG_NUMBER, _CODE_DIGITS = 5, 3
_ZEROS_FIRST = re.compile(r"0\d{2,}(?![.,٫٬]?\d)")
# "2 500 ml" may be two of them.
_PACKED = {"volume", "mass"}
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
    runs = [len(run) for run in _RUN.findall(raw)]
    if max(runs, default=0) > _LONGEST_RUN or sum(runs) > _MOST_DIGITS:
        return None
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
    return None if mark in (None, UNSURE) else _decimal(whole + rest)


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
    if match["groups"] and _is_one(match, mark):
        return _grouped(match, mark)
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


def code_end(match: re.Match[str]) -> int:
    """Where reading goes on if the match of ``NUMERAL`` begins within a word ("S21 128 GB")."""
    parted = match["groups"] and not _ZERO_LED.search(match["groups"])
    return match.end("plain") if parted else match.end()


def ends_code(match: re.Match[str]) -> bool:
    """Whether a match of ``NUMERAL`` is the end of a code that a dash joins it to.

    "365063-001 HP", "00125-50 V", "12345-50 V" (what counts down is no range) and, with one letter
    behind, "SB174Y37-1L"; but "16-30 °C", "DDR4-3200 MHz" and "PAR38-18W" are numbers.
    """
    text, start, tail = match.string, match.start(), match["plain"]
    head = _JOINED.search(text, max(0, start - _LOOK_BACK), start)
    if head is None or tail is None:
        return False
    left, before = head[1], head.start(1)
    if _DECIMALS.search(text, max(0, before - 2), before):
        return False
    if len(left) == _CODE_DIGITS and _THOUSANDS.search(text, max(0, before - 2), before):
        return False
    if not left.isdecimal():
        digits = sum(c.isdecimal() for c in left)
        return digits >= _CODE_DIGITS and _ONE_LETTER.match(text, match.end("plain")) is not None
    if _PADDED.match(left) or _PADDED.match(tail):
        return True
    number = read(tail)
    return len(left) >= _LONG_NUMBER and number is not None and number < int(left)


def is_padded(match: re.Match[str]) -> bool:
    """Whether a match of ``NUMERAL`` begins with zeros that no amount has: "001 HP"."""
    return _ZEROS_FIRST.match(match.string, match.start()) is not None


def _is_one(match: re.Match[str], mark: Mark | None) -> bool:
    """Whether digits that plain blanks part are one number, or may be."""
    begins, groups = match["plain"], match["groups"]
    if not begins.isdigit() or len(begins) > 3 or int(begins) == 0:
        return False
    if _ZERO_LED.search(groups):
        return True
    text, start = match.string, match.start()
    if _GOES_ON.match(text, match.end()):
        return False
    # Who writes decimals with a dot groups by commas: the first number ends what stands before it.
    if mark == "." and not _BEGINS.search(text, max(0, start - 2), start):
        return False
    return not patterns().pack_of.search(text, max(0, start - _LOOK_BACK), start)


def _grouped(match: re.Match[str], mark: Mark | None) -> Number:
    """Thousands set apart by plain blanks; the value is None where they may be two numbers."""
    text, start, end = match.string, match.start(), match.end()
    digits, _, decimals = match[0].replace(",", ".").partition(".")
    value = read(_SPACED.sub("", digits) + ("." + decimals if decimals else ""), ".")
    beside = _GROUPED_BEHIND.match(text, end) or _GROUPED_BEFORE.search(
        text, max(0, start - _LOOK_BACK), start
    )
    if not beside and not _ZERO_LED.search(match["groups"]):
        unit = unit_at(text, end, value or Decimal(0))
        packed = unit is None or any(u.dimension in _PACKED for u in unit.readings)
        if mark != "," or packed or len(decimals) == 3:
            value = None
    fraction = value is not None and value != value.to_integral_value()
    return Number(start, end, value, fraction)


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


def readings(text: str) -> list[Decimal]:
    """Every number that some reader could see in ``text``, sorted, without repetition.

    Numerals (also inside codes), both values of an undecidable one, fractions and their parts
    ("4/5"), number words. Never a part of a numeral: there is no 5 in "1.5".
    """
    found: set[Decimal] = set()
    for match in NUMERAL.finditer(text):
        found.update(plain(number) for number in _seen(match) if number is not None)
    for match in _LETTERS.finditer(text):
        if match[0].lower() in WORDS:
            found.add(Decimal(WORDS[match[0].lower()]))
    return sorted(found)


def _seen(match: re.Match[str]) -> set[Decimal | None]:
    """The numbers that some reader could see in one match of ``NUMERAL``."""
    marks: tuple[Mark, Mark] = (".", ",")
    if match["groups"]:
        whole = [match[0].replace(" ", "")] if _is_one(match, None) else []
        parts = [] if _ZERO_LED.search(match["groups"]) and whole else match[0].split(" ")
        return {read(one, mark) for one in (*whole, *parts) for mark in marks}
    numbers = {number_of(match, mark).value for mark in marks}
    if match["over"] or (match["mixed"] and _written_ratio(match) is None):
        parts = re.split("[ \u00a0/⁄-]+", match[0])
        numbers |= {read(part, mark) for part in parts if part for mark in marks}
    return numbers


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
