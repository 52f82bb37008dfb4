"""Text coverage: how much of what texts say becomes a fact. Stands for recall without labels.

The mentions are those that the quantity lexer sees, the segments those of the segmenter, which the
builtin backend uses too: what both overlook is in neither count. A plain pattern (a numeral and,
behind it, a written unit of the registry) counts mentions a second time without the lexer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.reading import FieldReading, read_document
from moonshelf.graph.records import Amount, Document, Extraction, Range, TextEvidence
from moonshelf.graph.units.registry import registry


class Reached(Config):
    """``reached`` of ``mentions`` overlap the words of a fact; a number with a unit must overlap
    a fact that holds an amount, for a model code that reads like one is none."""

    mentions: int = 0
    reached: int = 0
    share: float = 0.0


class TextCoverage(Config):
    """Over all documents; ``missed`` are examples for a person, not for a published file."""

    units: Reached
    """Numbers with a unit, as the lexer sees them; those under a guard or cut short left out."""
    units_by_any_fact: Reached
    """The same mentions where any fact will do: also a model code (183V) or a feature (52 °C)."""
    guarded: int
    """Numbers with a unit that are said of something else (guards) or end in an ellipsis."""
    plain_units: Reached
    """Numbers with a unit as a plain pattern sees them, nothing left out."""
    counts: Reached
    """Stars, modes, packs, model years."""
    segments: Reached
    """All segments: list items, short lines, sentences, values of keys."""
    features: Reached
    """Segments without any number."""
    missed: tuple[str, ...] = Field(default=(), exclude=True)


def text_coverage(
    documents: Iterable[Document], found: Mapping[str, Extraction], examples: int = 20
) -> TextCoverage:
    """
    Args:
        documents: all that were given, also those without a fact.
        found: extractions by document id.
        examples: how many unreached mentions are kept, at most.
    """
    tally, missed = _Tally(), []
    for document in documents:
        places = _places(found.get(document.id))
        for reading in read_document(document):
            for raw in _count(reading, places.get(reading.name, _Places()), tally):
                if len(missed) < examples:
                    missed.append(f"{document.id}: {raw}")
    return TextCoverage(
        units=tally.reached("units"),
        units_by_any_fact=tally.reached("any"),
        guarded=tally.counts.get("guarded", [0, 0])[0],
        plain_units=tally.reached("plain"),
        counts=tally.reached("counts"),
        segments=tally.reached("segments"),
        features=tally.reached("features"),
        missed=tuple(missed),
    )


@dataclass
class _Places:
    """Where the facts of one field stand, and those of them that hold an amount."""

    every: list[tuple[int, int]] = field(default_factory=list)
    amounts: list[tuple[int, int]] = field(default_factory=list)


class _Tally:
    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}

    def add(self, name: str, reached: bool) -> None:
        both = self.counts.setdefault(name, [0, 0])
        both[0] += 1
        both[1] += reached

    def reached(self, name: str) -> Reached:
        mentions, reached = self.counts.get(name, [0, 0])
        share = round(reached / mentions, 6) if mentions else 0.0
        return Reached(mentions=mentions, reached=reached, share=share)


def _count(reading: FieldReading, places: _Places, tally: _Tally) -> Iterable[str]:
    """Counts one field; yields the words of each unreached number with a unit."""
    for word in reading.words:
        quantity = word.quantity
        if quantity is None or quantity.kind == "bare":
            continue
        any_fact = _meets(quantity.start, quantity.end, places.every)
        if quantity.kind != "measure":
            tally.add("counts", any_fact)
            continue
        cut = quantity.end >= reading.whole
        if cut or guarded(reading.zones, quantity.start, quantity.end) is not None:
            tally.add("guarded", any_fact)
            continue
        reached = _meets(quantity.start, quantity.end, places.amounts)
        tally.add("any", any_fact)
        tally.add("units", reached)
        if not reached:
            yield reading.raw(quantity.start, quantity.end)
    for match in plain_mentions().finditer(reading.text):
        tally.add("plain", _meets(*match.span(), places.amounts))
    for segment, words in reading.parts():
        reached = _meets(segment.start, segment.end, places.every)
        tally.add("segments", reached)
        if not any(word.quantity is not None for word in words):
            tally.add("features", reached)


def _places(found: Extraction | None) -> dict[str, _Places]:
    places: dict[str, _Places] = {}
    for fact in () if found is None else found.facts:
        if isinstance(fact.evidence, TextEvidence):
            span = fact.evidence.span
            here = places.setdefault(span.field, _Places())
            here.every.append((span.start, span.end))
            if isinstance(fact.value, Amount | Range):
                here.amounts.append((span.start, span.end))
    return places


def _meets(start: int, end: int, places: Sequence[tuple[int, int]]) -> bool:
    return any(a < end and start < b for a, b in places)


@cache
def plain_mentions() -> re.Pattern[str]:
    """A numeral and, at most one blank or dash behind it, a written unit that is no part of a
    longer word. Pure, so remembering it is safe."""
    written = {w for unit in registry().units() for w in (*unit.synonyms, *unit.exact)}
    units = "|".join(re.escape(w) for w in sorted(written, key=lambda w: (-len(w), w)) if w)
    return re.compile(rf"(?<![\w.,])\d+(?:[.,]\d+)?[ \u00a0-]?(?:{units})(?![^\W_])", re.IGNORECASE)
