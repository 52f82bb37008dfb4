"""Which mark an author uses for decimals, as far as the text tells."""

from __future__ import annotations

import re

from moonshelf.graph.builtin.numbers import PLAIN, Sign, read
from moonshelf.graph.builtin.patterns import patterns
from moonshelf.graph.builtin.written_units import unit_at

_TOKEN = re.compile(rf"(?<![\d.,]){PLAIN}")
# "sizes 6, 7,8": numbers of a list, and the mark between them is no decimal one.
_LISTED = re.compile(r"\d\s?,\s?$")
_LOOK_BACK = 24


def decimal_mark(text: str) -> Sign | None:
    """The decimal mark that ``text`` gives evidence of; None for none, or for both."""
    seen: set[Sign] = set()
    doubted = False
    for match in _TOKEN.finditer(text):
        found = _evidence(match)
        if found:
            seen.add(found)
            if len(seen) > 1:
                return None
        doubted = doubted or _is_like_a_decimal(match)
    mark = next(iter(seen), None)
    return None if mark == "," and doubted else mark


def _is_like_a_decimal(match: re.Match[str]) -> bool:
    """A dot between digits that is none of a version proves nothing, but speaks against a comma."""
    text, start = match.string, match.start()
    raw = match[0]
    if raw.count(".") != 1 or "," in raw or len(raw.partition(".")[2]) == 3:
        return False
    return not patterns().version.search(text, max(0, start - _LOOK_BACK), start)


def _evidence(match: re.Match[str]) -> Sign | None:
    raw = match[0]
    dots, commas = raw.count("."), raw.count(",")
    if not dots and not commas:
        return None
    if dots and commas:
        if read(raw) is None:
            return None
        return "." if raw.rfind(".") > raw.rfind(",") else ","
    if dots + commas > 1:
        # Signs between groups of digits are the other one.
        return None if read(raw) is None else "," if dots else "."
    sign: Sign = "." if dots else ","
    whole, _, rest = raw.partition(sign)
    if len(rest) == 3 and whole not in ("", "0"):
        return None
    return sign if _is_measured(match, sign, whole) else None


def _is_measured(match: re.Match[str], sign: Sign, whole: str) -> bool:
    """Whether a unit or a price shows that the sign parts a number, and not two of them ("2022,5
    Star", "sizes 6,7") or the parts of a version ("Bluetooth 5.0")."""
    text, start, end = match.string, match.start(), match.end()
    number = read(match[0], sign)
    if number is None:
        return False
    back = max(0, start - _LOOK_BACK)
    if patterns().money_before.search(text, back, start):
        return True
    starred = sign == "." and patterns().star.match(text, end)
    if not starred and unit_at(text, end, number) is None:
        return False
    year = len(whole) == 4 and 1950 <= number < 2050
    return not (
        year or _LISTED.search(text, back, start) or patterns().version.search(text, back, start)
    )
