"""One document as the rules see it: segments, quantities, zones, and words in segments.

Study and extraction read documents in this same way, so what was learned is what is found.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from moonshelf.graph.builtin.guards import Zone, zones
from moonshelf.graph.builtin.marks import decimal_mark
from moonshelf.graph.builtin.numbers import UNSURE, Mark
from moonshelf.graph.builtin.quantities import quantities
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.segments import LONGEST_TITLE, Segment, cut_at, segments
from moonshelf.graph.records import Document
from moonshelf.graph.text import fold_value

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]{1,2}(?![^\W_]))?|&(?=\s)")
_MASKS = {"star": "#star", "modes": "#in1", "pack": "#pack", "year": "#year", "bare": "#"}


class Word(NamedTuple):
    """A word, or a quantity in the place of its words.

    Attributes:
        word: folded; a quantity is masked: ``#ton``, ``#star``, ``#`` for a bare number.
        segment: index of its segment; -1 in what belongs to none (keys, marks).
    """

    word: str
    start: int
    end: int
    segment: int
    quantity: Quantity | None = None


@dataclass(frozen=True, slots=True)
class FieldReading:
    """One field. ``whole``: what ends behind it was cut short by an ellipsis."""

    name: str
    text: str
    title: bool
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    zones: tuple[Zone, ...]
    whole: int

    def parts(self) -> Iterator[tuple[Segment, tuple[Word, ...]]]:
        """Each segment with its words."""
        begin = 0
        for k, segment in enumerate(self.segments):
            while begin < len(self.words) and self.words[begin].segment < k:
                begin += 1
            end = begin
            while end < len(self.words) and self.words[end].segment == k:
                end += 1
            yield segment, self.words[begin:end]
            begin = end

    def raw(self, start: int, end: int) -> str:
        return self.text[start:end]


def read_document(
    document: Document, mark: Mark | None = None, headings: frozenset[str] = frozenset()
) -> tuple[FieldReading, ...]:
    """Reads every field. Never raises, whatever the texts hold.

    Args:
        document: the document.
        mark: decimal mark of the corpus, for documents that do not show their own; where they show
            another, neither is trusted.
        headings: folded lines that head the lines below them.
    """
    for _, text in document.fields:
        if own := decimal_mark(text):
            mark = own if mark in (None, own) else UNSURE
            break
    return tuple(
        read_field(name, text, is_title(document, k), mark, headings)
        for k, (name, text) in enumerate(document.fields)
    )


def is_title(document: Document, place: int) -> bool:
    """Whether a field is a title: called so, or a short first line."""
    name, text = document.fields[place]
    if name == "title":
        return True
    return (
        place == 0
        and document.kind == "listing"
        and len(text) <= LONGEST_TITLE
        and ("\n" not in text.strip())
    )


def read_field(
    name: str, text: str, title: bool, mark: Mark | None, headings: frozenset[str] = frozenset()
) -> FieldReading:
    """One field; see :func:`read_document`."""
    found = tuple(segments(text, title))
    if headings and not title:
        found = tuple(_headed(text, found, headings))
    cut = cut_at(text) if title else None
    return FieldReading(
        name=name,
        text=text,
        title=title,
        segments=found,
        words=tuple(_words(text, found, quantities(text, mark))),
        zones=zones(text, found),
        whole=len(text) + 1 if cut is None else cut,
    )


def line_key(text: str) -> str:
    """What lines are compared by, as headings: folded words."""
    return " ".join(folded(word) for word in _WORD.findall(text[:80]))


def _headed(text: str, found: Sequence[Segment], headings: frozenset[str]) -> Iterator[Segment]:
    heading: tuple[int, int] | None = None
    for segment in found:
        if segment.kind == "line" and line_key(text[segment.start : segment.end]) in headings:
            heading = (segment.start, segment.end)
            yield replace(segment, kind="heading")
        elif segment.kind == "line" and heading is not None:
            yield replace(segment, heading=heading)
        else:
            yield segment


def _words(text: str, found: Sequence[Segment], numbers: Sequence[Quantity]) -> Iterator[Word]:
    starts = [segment.start for segment in found]
    place = 0
    for quantity in numbers:
        yield from _plain(text, place, quantity.start, found, starts)
        k = _segment(quantity.start, found, starts)
        # "EER: 12.5": the unit is the key, its number the value.
        k = _segment(quantity.end - 1, found, starts) if k < 0 else k
        yield Word(mask(quantity), quantity.start, quantity.end, k, quantity)
        place = max(place, quantity.end)
    yield from _plain(text, place, len(text), found, starts)


def _plain(
    text: str, begin: int, end: int, found: Sequence[Segment], starts: Sequence[int]
) -> Iterator[Word]:
    for match in _WORD.finditer(text, begin, end):
        word = folded(match[0]) if match[0] != "&" else "and"
        if word:
            start = match.start()
            yield Word(word, start, match.end(), _segment(start, found, starts))


def _segment(place: int, found: Sequence[Segment], starts: Sequence[int]) -> int:
    k = bisect_right(starts, place) - 1
    return k if k >= 0 and place < found[k].end else -1


def mask(quantity: Quantity) -> str:
    """What stands for a quantity in a template."""
    if quantity.kind != "measure":
        return _MASKS[quantity.kind]
    return f"#{quantity.unit}"


def folded(word: str) -> str:
    """A word, folded; plain ones without a detour."""
    return word.lower() if word.isascii() else _fold(word)


@lru_cache(maxsize=65536)
def _fold(word: str) -> str:
    """Pure, so remembering it is safe."""
    return fold_value(word).replace(" ", "")
