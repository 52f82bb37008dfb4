"""What a report is drawn from: plain records, bounded, without files or stores behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.evaluate.coverage import Reached
from moonshelf.graph.evaluate.sizes import Sizes
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.records import Document, Refusal
from moonshelf.graph.schema.history import Decision
from moonshelf.graph.summary import Summary

Why = Literal["most facts", "drawn by hash", "turned down", "without facts"]


class About(Config):
    """What graph this is, from its manifest."""

    name: str
    """Of the source, without its folders."""
    backend: str
    backend_facts: Mapping[str, str] = Field(default_factory=dict)
    moonshelf: str
    finished: float
    """Seconds since 1970."""


class Question(Config):
    """One SPARQL query that was asked, its names shortened."""

    sparql: str
    milliseconds: float
    """Wall clock; on a busy machine more than the query's own time."""
    cpu_milliseconds: float
    rows: int


class PropertyUse(Config):
    """A property and what the graph holds of it."""

    definition: PropertyDef
    documents: int
    """That state it."""
    possible: int
    """Documents of its class and the classes below."""
    statements: int = 0
    """Products and values of the store, ranges left out; a product may have several values."""
    ranges: int = 0
    """Facts that are a range, and therefore in no ``values``."""
    values: tuple[tuple[str, int], ...] = ()
    """Value -> products, most frequent first; as many as were asked for."""
    examples: tuple[str, ...] = ()
    """Words of documents that state it."""


class ClassUse(Config):
    """What the documents of a class state, those of the classes below included."""

    documents: int
    properties: Mapping[str, int] = Field(default_factory=dict)
    """Property -> documents that state it."""


class Shown(Config):
    """A document to read with what was found in it."""

    why: Why
    document: Document
    outcome: Outcome
    overruled: Mapping[int, str] = Field(default_factory=dict)
    """Facts that another document about the same product has the last word on, with the reason."""


class ClassReach(Config):
    """How much of what the texts of one class say became a fact."""

    name: str
    documents: int
    units: Reached
    segments: Reached


class Missed(Config):
    """Words that reach no fact, digits as ``#``: how often, and once as a document has them."""

    words: str
    times: int
    example: str
    document: str


class Reach(Config):
    """Text coverage of the documents that were read for it."""

    read: int
    documents: int
    classes: tuple[ClassReach, ...] = ()
    numbers: tuple[Missed, ...] = ()
    """Numbers with a unit, the most frequent first."""
    phrases: tuple[Missed, ...] = ()
    """Whole segments, the same way; of ``phrases_read`` documents."""
    phrases_read: int = 0

    def total(self, what: Literal["units", "segments"]) -> Reached:
        """Over all classes."""
        parts: list[Reached] = [getattr(one, what) for one in self.classes]
        mentions, reached = sum(p.mentions for p in parts), sum(p.reached for p in parts)
        share = round(reached / mentions, 6) if mentions else 0.0
        return Reached(mentions=mentions, reached=reached, share=share)


class Turned(Config):
    """Candidates turned down at one step."""

    step: str
    times: int
    examples: tuple[Refusal, ...] = ()


class Disagreement(Config):
    """A property with one value of which two documents about one product say different things."""

    product: str
    property: str
    values: tuple[tuple[str, str], ...]
    """(document, value)"""


class Group(Config):
    """Products that are one: (id, title)."""

    members: tuple[tuple[str, str], ...]
    size: int
    score: float
    """Of the weakest link."""


class Variants(Config):
    """Pairs of variants that differ in the same things, with one pair of them."""

    differences: tuple[str, ...]
    pairs: int
    left: tuple[str, str]
    right: tuple[str, str]


class Links(Config):
    """What was found to belong together."""

    same: int = 0
    """Links, not groups."""
    variants: int = 0
    compared: int = 0
    held_back: int = 0
    group_count: int = 0
    groups: tuple[Group, ...] = ()
    kind_count: int = 0
    kinds: tuple[Variants, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    disagreement_count: int = 0


class Story(Config):
    """How the schema came to be."""

    versions: int
    counts: tuple[tuple[str, int, int, int], ...] = ()
    """Operation, accepted, refused, pending (the last: still waiting)."""
    growth: tuple[int, ...] = ()
    """Classes and properties together, after each accepted decision."""
    decisions: int = 0
    last: tuple[Decision, ...] = ()
    """Newest first."""
    pending: tuple[Decision, ...] = ()


class Troubles(Config):
    """What did not become a fact or a document, and why."""

    turned: tuple[Turned, ...] = ()
    conflicts: tuple[tuple[str, int], ...] = ()
    """Property -> candidates that gave way to a surer one of the same text."""
    overruled: int = 0
    overruled_examples: tuple[tuple[str, str, str], ...] = ()
    """(document, property, reason)"""
    quarantined: int = 0
    quarantine: tuple[Quarantined, ...] = ()
    steps: tuple[tuple[str, int], ...] = ()
    """Step -> quarantined documents."""


class Findings(Config):
    """Everything on the page."""

    about: About
    summary: Summary
    sizes: Sizes
    facts: int
    textual: int
    """Facts with evidence in a text."""
    grounded: int
    """Those whose words were found again at their place."""
    ontology: Ontology
    classes: Mapping[str, int]
    """Class -> products whose own class it is, as the store counts them."""
    quads: int
    properties: tuple[PropertyUse, ...] = ()
    uses: Mapping[str, ClassUse] = Field(default_factory=dict)
    """By class."""
    shown: tuple[Shown, ...] = ()
    reach: Reach
    troubles: Troubles = Troubles()
    links: Links = Links()
    story: Story
    questions: tuple[Question, ...] = ()

    @property
    def slowest(self) -> Question | None:
        """The query that took longest."""
        return max(self.questions, key=lambda one: one.milliseconds, default=None)
