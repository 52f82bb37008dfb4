"""Candidates of ``Key: value`` pairs and of lines under a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from moonshelf.graph.builtin.candidate import KEYED, LIKELY, Candidate, Page
from moonshelf.graph.builtin.phrases import key_words
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.segments import Segment
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.text import fold_value

LONGEST_VALUE = 80
# Not within "8 1/2 x 11" or "1,500".
_SEPARATORS = re.compile(r"\s*(?:[;|]|(?<!\d)[,/]|[,/](?!\d))\s*")
_YES = frozenset({"yes", "true", "included", "available", "y"})
_NO = frozenset({"no", "false", "none", "not available", "not included", "not supported"})
_EMPTY = frozenset({"", "-", "n/a", "na", "none", "null", "no", "not available", "not applicable"})


def find_pairs(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word]
) -> Iterator[Candidate]:
    """The value of one segment that has a key or stands under a heading."""
    key = segment.key or segment.heading
    if key is None or not words:
        return
    definition = page.plan.key(key_words(reading.text[key[0] : key[1]]))
    if definition is None:
        return
    confidence = KEYED if segment.key else LIKELY
    if definition.datatype == "string":
        yield from _texts(definition, reading, segment, confidence)
    elif definition.datatype == "integer" and segment.key:
        number = next((w.quantity for w in words if w.quantity is not None), None)
        if number is not None and number.low == number.low.to_integral_value():
            start, end = number.start, number.end
            yield Candidate(definition, int(number.low), reading.name, start, end, confidence)
    elif definition.datatype == "boolean" and segment.key:
        said = fold_value(reading.text[segment.start : segment.end])
        if said in _YES or said in _NO:
            start, end, denied = segment.key[0], segment.end, said in _NO
            yield Candidate(
                definition, not denied, reading.name, start, end, confidence, guarded=denied
            )


def _texts(
    definition: PropertyDef, reading: FieldReading, segment: Segment, confidence: float
) -> Iterator[Candidate]:
    spans = [(segment.start, segment.end)]
    if definition.many:
        spans = list(_parts(reading.text, segment.start, segment.end))
    options = {fold_value(option): option for option in definition.options}
    for start, end in spans:
        value = fold_value(reading.text[start:end])
        if value in _EMPTY or end - start > LONGEST_VALUE or end >= reading.whole:
            continue
        if options and value not in options:
            continue
        shown = options.get(value, value)
        yield Candidate(definition, shown, reading.name, start, end, confidence)


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for mark in _SEPARATORS.finditer(text, start, end):
        if begin < mark.start():
            yield begin, mark.start()
        begin = mark.end()
    if begin < end:
        yield begin, end
