"""What a finder hands over: a value for a property and the words that state it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.codes import CodeHabits
from moonshelf.graph.builtin.plan import Plan
from moonshelf.graph.builtin.reading import FieldReading
from moonshelf.graph.builtin.spelled import Bounds
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Value

# How sure a finder is, by what speaks for a candidate.
KEYED, CERTAIN, SURE, LIKELY, WEAK = 0.95, 0.93, 0.88, 0.78, 0.62
# Prose says things of the product's parts, its wearer and its care.
IN_PROSE = 0.85


@dataclass(frozen=True, slots=True)
class Candidate:
    """``field[start:end]`` states ``value``; ``unit`` is as written."""

    definition: PropertyDef
    value: Value
    field: str
    start: int
    end: int
    confidence: float
    unit: str | None = None
    guarded: bool = False
    """The finder has looked at guards itself ("Non-Inverter" is a denial, and a fact)."""
    tagged: bool = False
    """It comes from labels, by way of the tagger, and not from a rule."""
    other: str = ""
    """What the text says that it is of, where no property is of that: to be refused."""


@dataclass(frozen=True)
class Corpus:
    """What finders know of the corpus, in the form they use."""

    brands: Brands
    habits: CodeHabits
    usual: Mapping[str, str]
    """First reading of a written unit -> what the corpus means by it."""


@dataclass(frozen=True)
class Page:
    """One document on its way through the finders.

    Attributes:
        readings: its fields.
        plan: the slice of its class.
        corpus: habits of the corpus.
        brand: compact spelling of its brand, if known.
        context: words and pairs of neighbors of all fields.
        types: words that name kinds of products.
        spelled: amounts between which a doubtful form of a unit counts.
    """

    readings: Sequence[FieldReading]
    plan: Plan
    corpus: Corpus
    brand: str | None
    context: frozenset[str]
    types: frozenset[str]
    spelled: Bounds
