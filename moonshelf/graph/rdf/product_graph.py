"""Facts as triples about the product: plain statements, one graph a document.

A product is typed by its class; a data property holds a literal, a range its two ends, a feature a
truth value, and an object property points at an entity that all products share. Amounts are
``xsd:decimal`` in the property's unit; the text that was read stays in the evidence.

Facts are checked once more before they are written, as both rdflib and pyoxigraph take
``"12,5"^^xsd:decimal`` without a word: one that does not fit its property becomes a
:class:`Refusal`, and the others are written all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias
from typing import Literal as OneOf

from moonshelf.errors import DataError
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import decimal_form
from moonshelf.graph.rdf.schema_graph import ENDS, has_ends
from moonshelf.graph.rdf.turtle import Terms
from moonshelf.graph.rdf.vocabulary import DCTERMS, RDF, RDFS
from moonshelf.graph.records import (
    Amount,
    Document,
    Extraction,
    Fact,
    Kind,
    Range,
    Refusal,
    Value,
)

if TYPE_CHECKING:
    from pyoxigraph import Literal, NamedNode, Quad

Step: TypeAlias = OneOf["vocabulary", "unit", "range", "option"]


@dataclass(frozen=True)
class Entry:
    """What one document says, as the store takes it."""

    document: str
    """Id of the document."""
    facts: tuple[Fact, ...] = ()
    product_class: str = ROOT
    product: str = ""
    """Id of the product; the document's own where empty."""
    label: str = ""
    """What to call the product, e.g. its title; empty for no label."""
    kind: Kind = "listing"
    backend: str = ""
    """Fingerprint of the backend that found the facts."""
    ontology_version: int | None = None
    """That the facts were extracted by; the version given beside the entry where None."""

    @classmethod
    def of(cls, document: Document, extraction: Extraction, backend: str = "") -> Entry:
        """The entry of a document and what was found in it; labeled by its title."""
        title = next((text for name, text in document.fields if name == "title"), "")
        return cls(
            document=document.id,
            facts=extraction.facts,
            product_class=extraction.product_class,
            product=document.about,
            label=title,
            kind=document.kind,
            backend=backend,
        )


class UnfitFactError(DataError):
    """A fact does not fit its property: at which step of the validation ladder, and why."""

    def __init__(self, step: Step, reason: str) -> None:
        self.step: Step = step
        super().__init__(reason)


@dataclass(frozen=True)
class Statement:
    """A fact that fits, with its terms: ``value``, or ``low`` and ``high`` where it is a range."""

    fact: Fact
    owned: PropertyDef
    value: NamedNode | Literal | None
    low: Literal | None = None
    high: Literal | None = None


class ProductGraph:
    """Writes facts by one version of the ontology."""

    def __init__(self, ontology: Ontology, names: Names) -> None:
        self._names, self._ontology = names, ontology
        self._terms = Terms()
        self._quad = oxigraph().Quad
        node = self._terms.node
        self._type, self._label = node(f"{RDF}type"), node(f"{RDFS}label")
        self._identifier = node(f"{DCTERMS}identifier")
        self._entities = node(names.entities)
        self._properties = {owned.name: owned for owned in ontology.properties}
        self._lineages = {kind.name: ontology.lineage(kind.name) for kind in ontology.classes}
        self._paths = {
            (owned.name, end): node(names.property(owned.name, end))
            for owned in ontology.properties
            for end in ("", *ENDS)
        }

    def path(self, owned: PropertyDef, end: str = "") -> NamedNode:
        return self._paths[owned.name, end]

    def class_of(self, entry: Entry) -> str:
        """The present name of the entry's class, the root where the ontology has no such class."""
        name = self._ontology.present(entry.product_class)
        return name if name in self._lineages else ROOT

    def statements(self, entry: Entry) -> tuple[list[Statement], list[Refusal]]:
        """The facts of ``entry`` that fit, and those that do not with their reasons.

        Raises:
            DataError: a fact of another document is among them.
        """
        found: list[Statement] = []
        refused: list[Refusal] = []
        if self._ontology.present(entry.product_class) not in self._lineages:
            reason = f"no class {entry.product_class!r}; the product is written as {ROOT}"
            refused.append(_refusal(entry, "vocabulary", reason, None))
        lineage = self._lineages[self.class_of(entry)]
        for fact in entry.facts:
            if fact.document != entry.document:
                raise DataError(f"a fact of document {fact.document!r}", where=entry.document)
            try:
                found.append(self._statement(fact, lineage))
            except UnfitFactError as error:
                refused.append(_refusal(entry, error.step, error.what, fact))
        return found, refused

    def facts(self, entry: Entry, statements: Sequence[Statement]) -> Iterator[Quad]:
        """The document's fact graph: the product, its class, its label, its statements."""
        quad, terms = self._quad, self._terms
        product_id = entry.product or entry.document
        product = terms.node(self._names.product(product_id))
        graph = terms.node(self._names.facts(entry.document))
        kind = terms.node(self._names.product_class(self.class_of(entry)))
        yield quad(product, self._type, kind, graph)
        yield quad(product, self._identifier, terms.text(product_id), graph)
        if entry.label:
            yield quad(product, self._label, terms.text(entry.label), graph)
        for one in statements:
            if one.value is not None:
                yield quad(product, self.path(one.owned), one.value, graph)
            if one.low is not None and one.high is not None:
                yield quad(product, self.path(one.owned, "min"), one.low, graph)
                yield quad(product, self.path(one.owned, "max"), one.high, graph)

    def entities(self, statements: Iterable[Statement]) -> Iterator[Quad]:
        """What the statements point at, for the graph that all documents share."""
        for one in statements:
            if one.owned.kind == "object" and one.value is not None:
                kind = self._terms.node(self._names.entity_class(one.owned.name))
                label = self._terms.text(str(one.fact.value))
                yield self._quad(one.value, self._type, kind, self._entities)
                yield self._quad(one.value, self._label, label, self._entities)

    def _statement(self, fact: Fact, lineage: Sequence[str]) -> Statement:
        owned = self._properties.get(self._ontology.present(fact.property))
        if owned is None:
            raise UnfitFactError("vocabulary", f"no property {fact.property!r}")
        if owned.domain not in lineage:
            raise UnfitFactError(
                "vocabulary", f"{owned.name} belongs to {owned.domain}, this is a {lineage[0]}"
            )
        value = fact.value
        try:
            if isinstance(value, Range) and has_ends(owned):
                low, high = self._number(owned, value.low), self._number(owned, value.high)
                return Statement(fact, owned, None, low, high)
            return Statement(fact, owned, self._value(owned, value))
        except UnfitFactError:
            raise
        except DataError as error:
            raise UnfitFactError("range", error.what) from error

    def _value(self, owned: PropertyDef, value: Value) -> NamedNode | Literal:
        if owned.kind == "object":
            return self._terms.node(self._names.entity(owned.name, self._text(owned, value)))
        if owned.datatype == "string":
            return self._terms.text(self._text(owned, value))
        if owned.datatype == "boolean":
            if not isinstance(value, bool):
                raise UnfitFactError("unit", f"{owned.name} holds a truth value, not {value!r}")
            return self._terms.truth(value)
        number = value.amount if isinstance(value, Amount) else value
        if isinstance(number, bool) or not isinstance(number, int | Decimal):
            raise UnfitFactError("unit", f"{owned.name} holds a number, not {value!r}")
        return self._number(owned, Decimal(number))

    def _text(self, owned: PropertyDef, value: Value) -> str:
        if not isinstance(value, str) or not value:
            raise UnfitFactError("unit", f"{owned.name} holds a text, not {value!r}")
        if owned.options and value not in owned.options:
            raise UnfitFactError("option", f"{value!r} is no option of {owned.name}")
        return value

    def _number(self, owned: PropertyDef, number: Decimal) -> Literal:
        if not number.is_finite():
            raise UnfitFactError("range", f"{number} is no number")
        low, high = owned.low, owned.high
        if (low is not None and number < low) or (high is not None and number > high):
            raise UnfitFactError("range", f"{number} is outside the bounds of {owned.name}")
        if owned.datatype == "decimal":
            return self._terms.number(number)
        decimal_form(number)  # before int(), which would write out 1E+999999
        if number != number.to_integral_value():
            raise UnfitFactError("unit", f"{owned.name} holds a whole number, not {number}")
        return self._terms.integer(int(number))


def _refusal(entry: Entry, step: Step, reason: str, fact: Fact | None) -> Refusal:
    candidate = {"product_class": entry.product_class}
    if fact is not None:
        candidate = fact.model_dump(mode="json")
    return Refusal(
        document=entry.document, step=step, reason=reason, candidate=json.dumps(candidate)
    )
