"""What a quantity is of: the words around it, nearest and plainest first.

"Weight: 5 kg" (its key)   "24 in. wide" (its side)   "2 m hose", "battery life of 8 hours"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple

from moonshelf.graph.builtin.chains import own_runs
from moonshelf.graph.builtin.lexicon import words as lexicon_words
from moonshelf.graph.builtin.phrases import Phrase, key_words, split
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.units.registry import Unit, registry

Relation = Literal["key", "side", "after", "before"]
_NOUN_WORDS = 3
NEARLY_ALL = 0.9
NOTHING_USUAL: Mapping[str, str] = MappingProxyType({})


class Name(NamedTuple):
    """Words near a quantity that may name what it measures, and where they stand."""

    relation: Relation
    phrase: Phrase


def names_of(reading: FieldReading, words: Sequence[Word], place: int) -> Iterator[Name]:
    """Candidate names of the quantity ``words[place]``, the likeliest first.

    Args:
        reading: of the field.
        words: of one segment.
        place: of the quantity.
    """
    here = words[place]
    segment = reading.segments[here.segment] if here.segment >= 0 else None
    if segment is not None and segment.key is not None:
        key = key_words(reading.text[segment.key[0] : segment.key[1]])
        # "Size & Fit", "Wash care": a key of the whole line says little of its second number.
        for size in range(min(_NOUN_WORDS, len(key)), 0, -1):
            yield Name("key", key[-size:])
    if here.quantity is not None and here.quantity.axis and here.quantity.group is None:
        yield Name("side", (here.quantity.axis,))
    after, before = own_runs(words, place, reading.text)
    for size in (2, 1):
        if len(after) >= size:
            yield Name("after", after[:size])
    for size in (2, 1):
        if len(before) >= size:
            yield Name("before", before[-size:])


def reading_of(
    units: Sequence[str], folded_text: frozenset[str], usual: Mapping[str, str] = NOTHING_USUAL
) -> Unit:
    """The reading of an ambiguous unit that the words of the document speak for.

    Args:
        units: registry names, the commonest first.
        folded_text: words and pairs of words of the document.
        usual: what the corpus nearly always means, where the document says nothing
            (:func:`usual_readings`).
    """
    known = [registry().unit(name) for name in units]
    for unit in known[1:]:
        if any(word in folded_text for word in unit.context):
            return unit
    settled = usual.get(known[0].name)
    return next((unit for unit in known if unit.name == settled), known[0])


def usual_readings(documents: Mapping[str, int]) -> dict[str, str]:
    """First reading -> the other one that nearly all documents with a hint mean by it.

    Args:
        documents: unit (registry name) -> documents read so by their own words.
    """
    found = {}
    for unit in registry().units():
        for written in unit.synonyms if unit.context else ():
            first = registry().readings(written)[0]
            both = documents.get(first.name, 0) + documents.get(unit.name, 0)
            if first is not unit and both and documents.get(unit.name, 0) >= NEARLY_ALL * both:
                found[first.name] = unit.name
    return found


def words_and_pairs(words: Sequence[Word]) -> frozenset[str]:
    """What :func:`reading_of` looks into."""
    plain = [w.word for w in words]
    return frozenset(plain) | {f"{a} {b}" for a, b in pairwise(plain)}


@cache
def attributes() -> frozenset[Phrase]:
    return frozenset(split(name) for name in lexicon_words("heads", "attributes"))


@cache
def parts() -> frozenset[Phrase]:
    return frozenset(split(name) for name in lexicon_words("heads", "parts"))
