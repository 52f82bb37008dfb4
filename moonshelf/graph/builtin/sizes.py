"""Sizes: "A x B x C unit" with named or unnamed sides, and "2 x 500 ml", which is a pack."""

from __future__ import annotations

import re
from dataclasses import replace

from moonshelf.graph.builtin.numbers import Mark
from moonshelf.graph.builtin.quantity import Quantity, quantity_of
from moonshelf.graph.builtin.terms import AXES, LINK, Term, term_at, with_axis

_BLANK = r"[^\S\r\n]"
_ORDER = r"([LWHD]){b}?[x×*]{b}?([LWHD])(?:{b}?[x×*]{b}?([LWHD]))?".replace("{b}", _BLANK)
_ORDER_AFTER = re.compile(rf"{_BLANK}?\(?{_ORDER}\b", re.IGNORECASE)
_ORDER_BEFORE = re.compile(rf"\b{_ORDER}[\s:)=-]{{0,4}}$", re.IGNORECASE)
_LOOK_BACK = 24
_SIDES = ("first", "second", "third", "fourth")


def size_at(text: str, first: Term, mark: Mark | None) -> list[Quantity]:
    """One quantity a side of "A x B x C unit"; "2 x 500 ml" is a pack and what is in it."""
    terms = [first]
    if first.axis is None and first.readings:
        terms = [with_axis(text, first)]
    while len(terms) < 4 and (link := LINK.match(text, terms[-1].after)):
        sides = any(t.axis and t.end == t.after for t in terms)
        term = term_at(text, link.end(), mark, sides or text[link.end()].isalpha())
        if term is None:
            break
        terms.append(term if term.axis else with_axis(text, term))
    if len(terms) < 2:
        return []
    if all(not t.readings for t in terms):
        return _unitless_size(terms)
    pack = _pack_of_measures(terms)
    if pack:
        return pack
    units = [t for t in terms if t.readings]
    dimension = next((d for d in ("length", "pixels") if units[-1].of(d)), None)
    if dimension is None or any(t.of(dimension) is None for t in units):
        return []
    return _sides(text, terms, dimension)


def _unitless_size(terms: list[Term]) -> list[Quantity]:
    group = (terms[0].start, terms[-1].end)
    return [
        Quantity(t.start, t.end, t.number, kind="bare", axis=t.axis or side, group=group)
        for t, side in zip(terms, _SIDES, strict=False)
    ]


def _sides(text: str, terms: list[Term], dimension: str) -> list[Quantity]:
    group = (terms[0].start, terms[-1].end)
    order = _order(text, group, len(terms))
    last = next(t for t in reversed(terms) if t.readings)
    found = []
    for k, term in enumerate(terms):
        measured = (
            term if term.readings else replace(term, readings=last.readings, written=last.written)
        )
        kept = tuple(u for u in measured.readings if u.dimension == dimension)
        axis = term.axis or (order[k] if order else _SIDES[k])
        found.append(replace(quantity_of(replace(measured, readings=kept, axis=axis)), group=group))
    return found


def _order(text: str, group: tuple[int, int], count: int) -> tuple[str, ...]:
    """Sides named apart from the numbers: "(L x W x H)" behind them or "LxWxH:" before."""
    found = _ORDER_AFTER.match(text, group[1]) or _ORDER_BEFORE.search(
        text, max(0, group[0] - _LOOK_BACK), group[0]
    )
    named = tuple(AXES[g.lower()] for g in found.groups() if g) if found else ()
    return named if len(named) == count and len(set(named)) == count else ()


def _pack_of_measures(terms: list[Term]) -> list[Quantity]:
    if len(terms) != 2 or any(t.axis for t in terms):
        return []
    count, measured = terms if not terms[0].readings else terms[::-1]
    sized = {"length", "pixels"} & set(measured.dimensions())
    if count.readings or count.fraction or count.number > 1000 or sized:
        return []
    pack = Quantity(count.start, count.end, count.number, kind="pack", written_unit="x")
    both = [pack, quantity_of(measured)]
    return both if count is terms[0] else both[::-1]


def labelled_size(text: str, start: int, mark: Mark | None) -> list[Quantity] | None:
    """A size like "L10 x W5 x H3 cm": the letter is its side and begins no code."""
    if text[start - 1] not in "LWHD" or (start > 1 and text[start - 2].isalnum()):
        return None
    term = term_at(text, start - 1, mark, sides=True)
    found = size_at(text, term, mark) if term else []
    return found if found and found[0].kind == "measure" else None
