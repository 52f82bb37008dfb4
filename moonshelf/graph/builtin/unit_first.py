"""A unit or rating that stands before its number, and what must stand behind the number then."""

from __future__ import annotations

import re

from moonshelf.graph.builtin.patterns import patterns
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.terms import Term
from moonshelf.graph.units.registry import registry

_UNIT_COLON = re.compile(r"(?<![^\W_])([^\W\d_]{2,12})\s?[:=]\s?$")
_LOOK_BACK = 24


def unit_first(text: str, term: Term, done: int) -> Quantity | None:
    """A unit or rating that stands before its number: "EER 12.5", "Ton: 1.5".

    Without readings where a unit of another kind stands behind the number: "EER 3.1 W/W" is neither
    an EER in its own unit nor a COP.

    Args:
        text: the field.
        term: the number and the unit behind it.
        done: where the quantity before ends.
    """
    back = max(done, term.start - _LOOK_BACK)
    found = patterns().unit_before.search(text, back, term.start)
    if found is None and not term.readings:
        found = _UNIT_COLON.search(text, back, term.start)
    unit = registry().find(found[1]) if found else None
    if found is None or unit is None:
        return None
    start, end = found.start(), term.digits_end
    asked = registry().readings(found[1])
    if not term.readings:
        names = tuple(u.name for u in asked)
        return Quantity(start, end, term.number, None, unit.name, found[1], names)
    both = tuple(u.name for u in term.readings if any(u.dimension == a.dimension for a in asked))
    name = both[0] if both else None
    return Quantity(start, term.end, term.number, None, name, term.written, both)
