"""SHACL validation of a store by pySHACL: core constraints, some hundred products at a time.

pySHACL works on Python objects, about 1 KB a triple, so the store is checked in batches of
products, each with the entities it points at and the class tree; labels and evidence stay out. All
that documents say of one product is checked together, as two of them may disagree; a violation
names the documents that hold the value.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from moonshelf.config import Config
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.library import extra
from moonshelf.graph.rdf.schema_graph import ENDS
from moonshelf.graph.rdf.shapes import shapes_turtle
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import RDF, RDFS, SH, XSD
from moonshelf.graph.records import Refusal
from moonshelf.progress import Progress, silent

BATCH = 1_000


class Violation(Config):
    """A value that breaks a constraint of the ontology."""

    product: str
    """Id of the product."""
    documents: tuple[str, ...]
    """Ids of the documents that state the value, in order."""
    property: str
    constraint: str
    """SHACL's name of it: Datatype, MaxCount, In, Class, MinInclusive, ..."""
    value: str = ""
    """Lexical form or IRI; empty where a number of values is wrong, not one of them."""
    message: str

    def refusals(self) -> list[Refusal]:
        """The violation as refusals, one a document."""
        reason = f"{self.property}: {self.constraint}: {self.message}"
        candidate = json.dumps(self.model_dump(include={"product", "property", "value"}))
        return [
            Refusal(document=one, step="shacl", reason=reason, candidate=candidate)
            for one in self.documents
        ]


def check(
    store: GraphStore,
    ontology: Ontology,
    *,
    documents: Iterable[str] | None = None,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Iterator[Violation]:
    """Violations of the whole store, or of the products that ``documents`` are about.

    Yields them by product IRI, property, constraint and value: the same order every time.

    Raises:
        UsageError: the extra ``graph`` is not installed.
    """
    checker = Checker(ontology, store.names)
    products = sorted(store.products(documents))
    waiting = iter(products)
    done = found = 0
    while part := list(islice(waiting, batch)):
        for violation in checker.violations(store, part):
            found += 1
            yield violation
        done += len(part)
        (progress or silent)(done, len(products), violations=found)


class Checker:
    """Holds the shapes and rdflib's form of the terms that come again and again."""

    def __init__(self, ontology: Ontology, names: Names) -> None:
        self._rdflib, self._validate = extra("rdflib"), extra("pyshacl").validate
        self._names = names
        shapes = shapes_turtle(ontology, names)
        self._shapes = self._rdflib.Graph().parse(data=shapes, format="turtle")
        self._property_of = {
            names.shape(owned.name, part): (owned.name, end)
            for owned in ontology.properties
            for end in ("", *ENDS)
            for part in (end, f"{end}-domain" if end else "domain")
        }
        self._tree = [
            (names.product_class(kind.name), names.product_class(kind.parent))
            for kind in ontology.classes
            if kind.parent is not None
        ]
        paths = {names.property(name, end) for name, end in self._property_of.values()}
        self._read = {f"{RDF}type", *paths}
        self._known: dict[Any, Any] = {}

    def violations(self, store: GraphStore, products: Sequence[str]) -> list[Violation]:
        """Violations of some products, given by IRI."""
        with _without_remarks():
            data, origin = self._graph(store, products)
            conforms, report, _ = self._validate(
                data,
                shacl_graph=self._shapes,
                inference="none",
                abort_on_first=False,
                advanced=False,
                inplace=True,
            )
        if conforms:
            return []
        node = self._rdflib.URIRef
        results = report.subjects(node(f"{RDF}type"), node(f"{SH}ValidationResult"))
        found = [self._violation(report, result, origin, store) for result in results]
        return sorted(found, key=lambda one: (one.product, one.property, one.constraint, one.value))

    def _graph(
        self, store: GraphStore, products: Sequence[str]
    ) -> tuple[Any, Mapping[tuple[Any, Any], Mapping[Any, set[str]]]]:
        """rdflib's graph, and (product, property) -> value -> the fact graphs that hold it."""
        graph = self._rdflib.Graph(bind_namespaces="none")
        below = self._rdflib.URIRef(f"{RDFS}subClassOf")
        for kind, parent in self._tree:
            graph.add((self._rdflib.URIRef(kind), below, self._rdflib.URIRef(parent)))
        origin: dict[tuple[Any, Any], dict[Any, set[str]]] = defaultdict(dict)
        entities: set[str] = set()
        for product in products:
            for quad in store.facts_of(product):
                if quad.predicate.value not in self._read:
                    continue
                subject, path = self._term(quad.subject), self._term(quad.predicate)
                value = self._term(quad.object)
                graph.add((subject, path, value))
                origin[subject, path].setdefault(value, set()).add(quad.graph_name.value)
                if quad.object.value.startswith(store.names.entity_space):
                    entities.add(quad.object.value)
        for entity in entities:
            for quad in store.entity(entity):
                if quad.predicate.value in self._read:
                    terms = (quad.subject, quad.predicate, quad.object)
                    graph.add(tuple(self._term(term) for term in terms))
        return graph, origin

    def _term(self, term: Any) -> Any:
        """rdflib's form of a pyoxigraph term; lexical forms stay as they are."""
        known = self._known.get(term)
        if known is None:
            datatype = getattr(term, "datatype", None)
            if datatype is None:
                known = self._rdflib.URIRef(term.value)
            else:
                # To rdflib "x" and "x"^^xsd:string differ, and the shapes hold the former.
                plain = datatype.value == f"{XSD}string"
                kind = None if plain else self._rdflib.URIRef(datatype.value)
                known = self._rdflib.Literal(term.value, datatype=kind, normalize=False)
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[term] = known
        return known

    def _violation(self, report: Any, result: Any, origin: Any, store: GraphStore) -> Violation:
        def of(name: str) -> Any:
            return report.value(result, self._rdflib.URIRef(f"{SH}{name}"))

        name, end = self._property_of[str(of("sourceShape"))]
        path = self._rdflib.URIRef(self._names.property(name, end))
        values = origin.get((of("focusNode"), path), {})
        value = of("value")
        # A class violation of the domain has the product itself as its value.
        one = value in values
        graphs = set().union(*([values[value]] if one else values.values()))
        constraint = str(of("sourceConstraintComponent")).removeprefix(SH)
        return Violation(
            product=store.product_id(str(of("focusNode"))),
            documents=tuple(sorted(map(store.document_id, graphs))),
            property=f"{name}-{end}" if end else name,
            constraint=constraint.removesuffix("ConstraintComponent"),
            value=str(value) if one else "",
            message=str(of("resultMessage") or ""),
        )


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """rdflib logs a traceback for every ill-typed literal; here they are what is looked for."""
    logger = logging.getLogger("rdflib.term")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
