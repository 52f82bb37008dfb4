"""What a quantity is of: the words around it, nearest and plainest first.

"Weight: 5 kg" (its key)   "24 in. wide" (its side)   "2 m hose", "battery life of 8 hours"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple

from moonshelf.graph.builtin.lexicon import words as lexicon_words
from moonshelf.graph.builtin.phrases import key_words, split
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.titles import stops
from moonshelf.graph.units.registry import Unit, registry

Phrase = tuple[str, ...]
Relation = Literal["key", "side", "after", "before"]
# What may stand between a number and its noun.
_AFTER_GAP = re.compile(r"\.?[^\S\r\n]{0,2}[-–(]?[^\S\r\n]?")
_BEFORE_GAP = re.compile(
    r"[^\S\r\n]{0,2}(?:[:=(–-]|of|is|:\s*up to|up to)?[^\S\r\n]{0,2}", re.IGNORECASE
)
_LINKS = ("of", "is", "up", "to", "upto", "approx", "about", "around")
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
    after = _run(words, place, 1, reading.text)
    before = _run(words, place, -1, reading.text)
    for size in (2, 1):
        if len(after) >= size:
            yield Name("after", after[:size])
    for size in (2, 1):
        if len(before) >= size:
            yield Name("before", before[-size:])


def _run(words: Sequence[Word], place: int, step: int, text: str) -> Phrase:
    """Up to two plain words beside ``words[place]``."""
    found: list[str] = []
    k = place + step
    last = words[place]
    while 0 <= k < len(words) and len(found) < 2:
        word = words[k]
        first, second = (last, word) if step > 0 else (word, last)
        gap = _AFTER_GAP if step > 0 else _BEFORE_GAP
        if word.quantity is not None or not gap.fullmatch(text, first.end, second.start):
            break
        if step < 0 and not found and word.word in _LINKS:
            last, k = word, k + step
            continue
        if word.word in stops():
            break
        found.append(word.word)
        last, k = word, k + step
    return tuple(found if step > 0 else found[::-1])


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
