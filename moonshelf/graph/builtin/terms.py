"""A term: one number with the unit and the axis beside it. Quantities are built of terms."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from moonshelf.graph.builtin.numbers import Mark, number_at
from moonshelf.graph.builtin.written_units import unit_at
from moonshelf.graph.units.registry import Unit

AXES = {
    "l": "length", "w": "width", "h": "height", "d": "depth", "t": "thickness",
    "length": "length", "long": "length", "width": "width", "wide": "width",
    "height": "height", "high": "height", "tall": "height", "depth": "depth", "deep": "depth",
    "dia": "diameter", "diameter": "diameter", "thick": "thickness", "thickness": "thickness",
}  # fmt: skip
SIDES = frozenset(AXES.values())
# "Depth 31 cm. Height 81 cm": a noun right before a number may be the side of that one.
_WORDS = (
    r"(?:length|width|height|depth|diameter|thickness)\b(?![^\S\r\n]?[:=]?[^\S\r\n]?\d)"
    r"|(?:long|wide|high|tall|deep|dia|thick)\b"
)
LINK = re.compile(r"[^\S\r\n]{0,2}\.?[^\S\r\n]{0,2}(?:[xX×*✕]|\bby\b)[^\S\r\n]{0,2}(?=[\d.½⅓⅔¼¾])"
                  r"|[^\S\r\n]{0,2}[xX×*✕][^\S\r\n]{0,2}(?=[LWHDlwhd][^\S\r\n]?\d)")  # fmt: skip
# "35.5W x 28D": the letter names a side where another side follows.
_SIDE = re.compile(r"[^\S\r\n]?([LWHDlwhd])(?![^\W_])")
_SIDE_FIRST = re.compile(r"([LWHDlwhd])[^\S\r\n]?(?=\d)")
_AXIS = re.compile(
    rf"\.?[^\S\r\n]{{0,2}}(?:-?(?:({_WORDS})|([LWHDT])(?![^\W_]|-[^\W\d_]))"
    rf"|\(({_WORDS}|[LWHDT])\))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """``text[start:end]`` is a number with its unit; ``after`` is where reading goes on, and the
    digits end at ``digits_end``."""

    start: int
    end: int
    after: int
    digits_end: int
    number: Decimal
    fraction: bool
    readings: tuple[Unit, ...] = ()
    written: str | None = None
    axis: str | None = None

    def of(self, dimension: str) -> Unit | None:
        """The reading in this dimension."""
        return next((u for u in self.readings if u.dimension == dimension), None)

    def dimensions(self) -> tuple[str, ...]:
        return tuple(u.dimension for u in self.readings)


def term_at(text: str, place: int, mark: Mark | None, sides: bool = False) -> Term | None:
    """The term that begins at ``place``; None where no decidable number stands there.

    Args:
        sides: whether the letters L, W, H, D behind the number name sides, not units.
    """
    first = _SIDE_FIRST.match(text, place) if sides else None
    number = number_at(text, first.end() if first else place, mark)
    if number is None or number.value is None:
        return None
    axis = AXES[first[1].lower()] if first else None
    end = number.end
    side = _SIDE.match(text, end)
    if side and axis is None and (sides or LINK.match(text, side.end())):
        axis, end = AXES[side[1].lower()], side.end()
    term = Term(place, end, end, number.end, number.value, number.fraction, axis=axis)
    written = unit_at(text, end, number.value, number.fraction)
    if written is None or _closes_quote(text, place, written.start, written.end):
        return term
    return replace(
        term,
        end=written.end,
        after=written.end,
        readings=written.readings,
        written=text[written.start : written.end],
    )


def with_axis(text: str, term: Term) -> Term:
    """The term with the axis named behind it (``24 in. W``, ``24" wide``), if it is a length."""
    if term.of("length") is None:
        return term
    found = _AXIS.match(text, term.end)
    if found is None:
        return term
    return replace(term, axis=AXES[(found[1] or found[2] or found[3]).lower()], after=found.end())


_QUOTES = '"“”'
_FAR = 80


def _closes_quote(text: str, place: int, start: int, end: int) -> bool:
    """Whether an inch or foot mark at the number ends a quotation that began before it."""
    mark = text[start:end]
    if mark[0] not in "\"”'’":
        return False
    quotes = _QUOTES if mark[0] in _QUOTES else "'‘’"
    for here in range(place - 1, max(-1, place - _FAR), -1):
        if text[here] in "\r\n":
            return False
        if text[here] in quotes:
            opens = here == 0 or text[here - 1] in " \t([{,;:/|"
            return opens and not text[here + 1].isspace()
    return False
