"""A text cut at the edges of spans, so that spans that overlap can be shown one beside another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Marked(NamedTuple):
    """``text[start:end]`` says what ``key`` stands for."""

    start: int
    end: int
    key: int


class Piece(NamedTuple):
    """A stretch that lies within the same spans from its first character to its last.

    ``keys``: of the spans it lies in, the longest span first; ``ending``: of those that end here.
    """

    start: int
    end: int
    keys: tuple[int, ...]
    ending: tuple[int, ...]


def pieces(length: int, spans: Iterable[Marked]) -> list[Piece]:
    """Cuts ``range(length)`` into pieces, in order and without gaps.

    What of a span lies outside of the text is left out, a span without any character with it.
    """
    inside = [
        Marked(max(0, one.start), min(length, one.end), one.key)
        for one in spans
        if max(0, one.start) < min(length, one.end)
    ]
    inside.sort(key=lambda one: (one.start, -one.end, one.key))
    edges = sorted({0, length, *(one.start for one in inside), *(one.end for one in inside)})
    found, open_now, waiting = [], list[Marked](), 0
    for start, end in pairwise(edges):
        while waiting < len(inside) and inside[waiting].start <= start:
            open_now.append(inside[waiting])
            waiting += 1
        open_now = [one for one in open_now if one.end > start]
        found.append(_piece(start, end, open_now))
    return found


def _piece(start: int, end: int, over: Sequence[Marked]) -> Piece:
    ranked = sorted(over, key=lambda one: (one.start - one.end, one.key))
    keys = tuple(dict.fromkeys(one.key for one in ranked))
    ending = tuple(dict.fromkeys(sorted(one.key for one in over if one.end == end)))
    return Piece(start, end, keys, ending)
