"""Text coverage: how much of what texts say becomes a fact. Stands for recall without labels.

The mentions are those that the quantity lexer sees, the segments those of the segmenter, which the
builtin backend uses too: what both overlook is in neither count. A plain pattern (a numeral and,
behind it, a written unit of the registry) counts mentions a second time without the lexer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading, read_document
from moonshelf.graph.records import Amount, Document, Extraction, Range, TextEvidence
from moonshelf.graph.units.registry import registry

_Said = tuple[str, Decimal, Decimal | None]
"""Unit, amount, end of a range."""


class Reached(Config):
    """``reached`` of ``mentions`` became a fact: they overlap its words. A number with a unit must
    overlap a fact that holds an amount, for a model code that reads like one is none."""

    mentions: int = 0
    reached: int = 0
    share: float = 0.0


class TextCoverage(Config):
    """Over all documents; ``missed`` are examples for a person, not for a published file."""

    units: Reached
    """Numbers with a unit, as the lexer sees them; those under a guard or cut short left out. One
    that says again what another one of its document says is reached with it ("1.5 Ton ... 1.5T"):
    a fact stands on its first words only."""
    units_by_own_words: Reached
    """The same where each mention must itself overlap the words of a fact."""
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
        places, readings = _places(found.get(document.id)), read_document(document)
        for reading in readings:
            _count(reading, places.get(reading.name, _Places()), tally)
        for raw in _count_amounts(readings, places, tally):
            if len(missed) < examples:
                missed.append(f"{document.id}: {raw}")
    return TextCoverage(
        units=tally.reached("units"),
        units_by_own_words=tally.reached("own"),
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


def _count(reading: FieldReading, places: _Places, tally: _Tally) -> None:
    """Counts one field, all but its numbers with a unit."""
    for word in reading.words:
        quantity = word.quantity
        if quantity is not None and quantity.kind not in ("bare", "measure"):
            tally.add("counts", _meets(quantity.start, quantity.end, places.every))
    for match in plain_mentions().finditer(reading.text):
        tally.add("plain", _meets(*match.span(), places.amounts))
    for segment, words in reading.parts():
        reached = _meets(segment.start, segment.end, places.every)
        tally.add("segments", reached)
        if not any(word.quantity is not None for word in words):
            tally.add("features", reached)


def _count_amounts(
    readings: Sequence[FieldReading], places: Mapping[str, _Places], tally: _Tally
) -> Iterator[str]:
    """Counts the numbers with a unit of one document; yields the words of each unreached one."""
    told: set[_Said] = set()
    open_: list[tuple[str, frozenset[_Said]]] = []
    for reading in readings:
        here = places.get(reading.name, _Places())
        for quantity in (word.quantity for word in reading.words):
            if quantity is None or quantity.kind != "measure":
                continue
            span = quantity.start, quantity.end
            any_fact = _meets(*span, here.every)
            if quantity.end >= reading.whole or guarded(reading.zones, *span) is not None:
                tally.add("guarded", any_fact)
                continue
            reached = _meets(*span, here.amounts)
            tally.add("any", any_fact)
            tally.add("own", reached)
            if reached:
                tally.add("units", True)
                told |= _said(quantity)
            else:
                open_.append((reading.raw(*span), _said(quantity)))
    for raw, said in open_:
        tally.add("units", not told.isdisjoint(said))
        if told.isdisjoint(said):
            yield raw


def _said(quantity: Quantity) -> frozenset[_Said]:
    """What a quantity says, once a reading of its unit."""
    return frozenset((unit, quantity.low, quantity.high) for unit in quantity.readings)


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
