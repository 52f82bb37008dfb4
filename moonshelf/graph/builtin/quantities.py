"""Finds quantities in product texts: numbers with units, ranges, sizes, packs, stars, model years.

Nothing but this lexer reads numbers out of raw text, and it abstains where it cannot tell: an
undecidable "1,500", a price, digits inside a code. Offsets are those of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from moonshelf.graph.builtin.lexicon import words
from moonshelf.graph.builtin.marks import decimal_mark
from moonshelf.graph.builtin.numbers import (
    NUMERAL,
    Mark,
    code_end,
    ends_code,
    is_padded,
    number_of,
    readings,
)
from moonshelf.graph.builtin.patterns import patterns
from moonshelf.graph.builtin.quantity import Quantity, quantity_of
from moonshelf.graph.builtin.sizes import labelled_size, size_at
from moonshelf.graph.builtin.terms import Term, term_at, with_axis
from moonshelf.graph.builtin.unit_first import unit_first
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

_SMALL = {
    "foot": ("inch", 12),
    "pound": ("ounce", 16),
    "hour": ("minute", 60),
    "minute": ("second", 60),
}
_BLANK = r"[^\S\r\n]"
_MINUS = "-−–"
_SIGN = f"[{_MINUS}+]"
# The last three digits of a number whose thousands stand before a blank.
_REST = re.compile(r"\d 0\d\d(?!\d)")
_DASH = re.compile(
    rf"{_BLANK}?(?:[-‐‑–—~]|\.{{2,3}}|…){_BLANK}?(?={_SIGN}?[\d.½⅓⅔¼¾])"
    rf"|{_BLANK}(?:to|bis){_BLANK}(?={_SIGN}?[\d.])|{_BLANK}?/{_BLANK}?(?=\+[\d.])"
)
_AND = re.compile(rf"{_BLANK}(?:and|to){_BLANK}(?={_SIGN}?[\d.])")
_BETWEEN = re.compile(rf"\b(?:between|from){_BLANK}{_SIGN}?$", re.IGNORECASE)
_PLUS_MINUS = re.compile(rf"{_BLANK}?(?:±|\+{_BLANK}?/?{_BLANK}?[-−]){_BLANK}?(?=[\d.])")
_SMALL_PART = re.compile(rf"\.?{_BLANK}?[,-]?{_BLANK}?(?:and{_BLANK})?(?=[\d½⅓⅔¼¾])")
_MODES = re.compile(rf"{_BLANK}?-?{_BLANK}?in{_BLANK}?-?{_BLANK}?(?:1|one)\b", re.IGNORECASE)
_CODE = re.compile(r"[^\W_]+")
# "2023 Mo...": the word that would say what it is was cut short.
_CUT_WORD = re.compile(r"[\s-]([A-Za-z]+)(?:\.{2,}|…)")
_LOOK_BACK = 24
_SIGNED = {"temperature", "level", "sound_level"}


def quantities(text: str, mark: Mark | None = None) -> list[Quantity]:
    """Every quantity of ``text``, in order, not overlapping. Never raises, whatever the text.

    Args:
        text: one field, as it is.
        mark: what its author uses for decimals, where other texts tell; else ``text`` itself is
            asked, and an undecidable numeral is left out.
    """
    return list(_scan(text, mark or decimal_mark(text)))


def numerals(text: str) -> list[Decimal]:
    """Numbers that ``text`` can be said to state, sorted: for checking that a value stands there.

    Generous where the lexer abstains (both readings of "1,500"), strict elsewhere: there is no 5
    in "1.5".
    """
    found = set(readings(text))
    for quantity in quantities(text):
        found.update(n for n in (quantity.low, quantity.high) if n is not None)
    return sorted(found)


def amounts(text: str, unit: str) -> list[Decimal]:
    """Amounts that ``text`` can be said to state, in ``unit`` (registry name), sorted.

    Written units are converted; a number without a unit counts as if it were in ``unit``, for keys
    that name it ("Weight (kg): 5").

    Raises:
        UnitError: an unknown unit.
    """
    dimension = registry().unit(unit).dimension
    found = set(numerals(text))
    for quantity in quantities(text):
        for name in quantity.readings:
            if registry().unit(name).dimension == dimension:
                ends = (n for n in (quantity.low, quantity.high) if n is not None)
                found.update(convert(n, name, unit) for n in ends)
    return sorted(found)


def _scan(text: str, mark: Mark | None) -> Iterator[Quantity]:
    place = done = 0
    while match := NUMERAL.search(text, place):
        start = match.start()
        before = text[start - 1] if start else " "
        if ends_code(match):
            place = _word_end(text, code_end(match))
            continue
        if (before.isalnum() or before == "_") and not match["alone"]:
            if (labelled := labelled_size(text, start, mark)) is None:
                place = _word_end(text, code_end(match))
                continue
            found, place = labelled, max(match.end(), labelled[-1].end)
        else:
            found, place = _read(text, match, mark, done)
        yield from found
        done = place if found else done


def _read(
    text: str, match: re.Match[str], mark: Mark | None, done: int
) -> tuple[list[Quantity], int]:
    """Quantities that begin with this number, and where to go on. ``done``: the last one ends."""
    number = number_of(match, mark)
    rest = number.start > 1 and _REST.match(text, number.start - 2)
    if rest or number.value is None or is_padded(match):
        return [], _word_end(text, number.end)
    start, end, value = number.start, number.end, number.value
    led = _word_before(text, start)
    if led and patterns().money_before.search(text, max(0, start - 6), start):
        return [], end
    plain = _plain_count(text, start, end, value, led)
    if plain is not None:
        return [plain], plain.end
    term = term_at(text, start, mark)
    if term is None:
        return [], end
    ends = _ends(text, term, mark)
    if ends is not None and ends.undecided:
        return [], ends.last.end
    asked = unit_first(text, term, done) if led else None
    if asked is not None and not asked.readings:
        return [], term.end
    found = (
        ([asked] if asked else [])
        or size_at(text, term, mark)
        or _range(text, term, ends, mark)
        or _single(text, term, mark)
    )
    if found:
        found = [_finish(text, quantity, led) for quantity in found]
        return found, max(found[-1].end, (found[-1].group or (0, 0))[1])
    if end < len(text) and text[end].isalpha():
        return [], _word_end(text, end)
    if patterns().money_after.match(text, end):
        return [], end
    year = end - start == 4 and _is_year(text, start, end, value)
    return [Quantity(start, end, value, kind="year" if year else "bare")], end


def _word_before(text: str, start: int) -> bool:
    """Whether a word or a currency sign stands before: most numbers need not look back."""
    before = text[max(0, start - 4) : start].rstrip(" \t\u00a0:(=-.<>≤≥")
    if before[-1:].isdigit():
        return before[-2:-1].isalpha()  # SEER2
    return bool(before) and (before[-1].isalpha() or before[-1] in "₹$€£¥")


def _plain_count(text: str, start: int, end: int, value: Decimal, led: bool) -> Quantity | None:
    """Modes, stars and packs: numbers that no unit registry knows."""
    whole = value == value.to_integral_value()
    if whole and (found := _MODES.match(text, end)):
        return Quantity(start, found.end(), value, written_unit="in 1", kind="modes")
    if value <= 10 and (found := patterns().star.match(text, end)):
        return Quantity(start, found.end(), value, written_unit=found[1], kind="star")
    if (
        whole
        and led
        and (found := patterns().pack_of.search(text, max(0, start - _LOOK_BACK), start))
    ):
        return Quantity(found.start(), end, value, written_unit=found[1], kind="pack")
    if whole and (found := patterns().pack.match(text, end)):
        return Quantity(start, found.end(), value, written_unit=found[1], kind="pack")
    return None


def _single(text: str, term: Term, mark: Mark | None) -> list[Quantity]:
    """One term, its smaller part ("9 in" of "6 ft 9 in") and tolerance included."""
    if not term.readings:
        return []
    for unit in term.readings:
        small, per = _SMALL.get(unit.name, ("", 0))
        gap = _SMALL_PART.match(text, term.end) if small else None
        part = term_at(text, gap.end(), mark) if gap else None
        if part and part.number < per and any(u.name == small for u in part.readings):
            total = convert(term.number, unit.name, small) + part.number
            return [Quantity(term.start, part.end, total, None, small, part.written, (small,))]
    link = _PLUS_MINUS.match(text, term.end)
    off = term_at(text, link.end(), mark) if link else None
    if off and set(off.dimensions()) & set(term.dimensions()):
        return [replace(quantity_of(term), end=off.end, tolerance=off.number)]
    return [quantity_of(with_axis(text, term))]


def _range(text: str, term: Term, ends: _Ends | None, mark: Mark | None) -> list[Quantity]:
    """Ranges: "16-30 °C", "16 to 30", "between 16 and 30", "24 ± 2 °C" with the unit at the end."""
    if not term.readings and (link := _PLUS_MINUS.match(text, term.end)):
        off = term_at(text, link.end(), mark)
        if off and off.readings:
            whole = replace(term, readings=off.readings, written=off.written, end=off.end)
            return [replace(quantity_of(whole), tolerance=off.number)]
    if ends is None or ends.high <= ends.low:
        return []
    last = with_axis(text, ends.last)
    return [replace(quantity_of(last), start=ends.start, low=ends.low, high=ends.high)]


@dataclass(frozen=True, slots=True)
class _Ends:
    """Two linked numbers. ``undecided``: they have signs and make no range."""

    start: int
    low: Decimal
    high: Decimal
    last: Term
    undecided: bool


def _ends(text: str, term: Term, mark: Mark | None) -> _Ends | None:
    """What this term and the next are the ends of, signs included: "-20...+50 °C"."""
    link = _DASH.match(text, term.end)
    if link is None and _BETWEEN.search(text, max(0, term.start - _LOOK_BACK), term.start):
        link = _AND.match(text, term.end)
    if link is None:
        return None
    sign = text[link.end()] if text[link.end()] in f"{_MINUS}+" else ""
    last = term_at(text, link.end() + len(sign), mark)
    if last is None or not last.readings or _MODES.match(text, last.end):
        return None
    shared = tuple(u for u in last.readings if not term.readings or term.of(u.dimension) is u)
    if not shared:
        return None
    minus = _has_minus(text, term.start)
    below = minus and any(u.dimension in _SIGNED for u in shared)
    low, start = (-term.number, term.start - 1) if below else (term.number, term.start)
    high = -last.number if sign and sign in _MINUS else last.number
    # "-20 -10 °C": the dash may be the minus of the second or the link.
    doubtful = below and link[0][0].isspace() and link[0][-1] in _MINUS
    undecided = doubtful or (high <= low and bool(minus or sign))
    return _Ends(start, low, high, replace(last, readings=shared), undecided)


def _has_minus(text: str, start: int) -> bool:
    if not start or text[start - 1] not in _MINUS:
        return False
    return start < 2 or text[start - 2] in " \t(,:;/~"


def _finish(text: str, found: Quantity, led: bool) -> Quantity:
    """Sign, "±" and bounds, which stand before the number."""
    start = found.start
    before = text[start - 1] if start else ""
    if before == "±":
        return replace(found, start=start - 1, low=-found.low, high=found.low)
    signed = any(registry().unit(u).dimension in _SIGNED for u in found.readings)
    if signed and found.high is None and _has_minus(text, start):
        found = replace(found, start=start - 1, low=-found.low)
    if led and found.high is None and found.group is None:
        back = patterns().bound.search(text, max(0, start - _LOOK_BACK), start)
        if back:
            return replace(found, bound="most" if back["most"] else "least")
    return found


def _is_year(text: str, start: int, end: int, value: Decimal) -> bool:
    if not text[start:end].isdigit() or not 1950 <= value < 2050:
        return False
    if patterns().year_after.match(text, end) or patterns().year_before.search(
        text, max(0, start - _LOOK_BACK), start
    ):
        return True
    if (cut := _CUT_WORD.match(text, end)) and any(
        word.startswith(cut[1].lower()) for word in words("years", "after")
    ):
        return True
    left, right = text[max(0, start - 2) : start].strip(), text[end : end + 2].strip()
    return (not left or left[-1] in "(,|/;") and (not right or right[0] in "),|/;")


def _word_end(text: str, place: int) -> int:
    found = _CODE.match(text, place)
    return found.end() if found else place
