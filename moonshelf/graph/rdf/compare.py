"""Whether a store holds what it should: document by document, statement by statement.

SHACL targets the subjects of known properties, so it says nothing of a property that the ontology
lacks, of a graph that belongs to no document, nor of a fact that is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from moonshelf.config import Config
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.rdf.evidence import EvidenceGraph
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.product_graph import Entry, ProductGraph
from moonshelf.graph.rdf.reader import Linked
from moonshelf.graph.rdf.schema_graph import ENDS
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import DCTERMS, RDF, RDFS

if TYPE_CHECKING:
    from pyoxigraph import Quad


class Undeclared(Config):
    """A property or a class of products that the ontology does not have."""

    kind: Literal["property", "class"]
    name: str
    """As a query takes it."""
    times: int
    product: str
    """One of those that have it, likewise."""


class Difference(Config):
    """A graph whose statements are not those that it should hold."""

    where: str
    """Id of the document, or the graph as a query takes it where it belongs to none."""
    what: Literal["document", "graph", "unknown graph"]
    missing: int
    """Statements that should be there."""
    foreign: int
    """Statements that should not."""


def undeclared(store: GraphStore, ontology: Ontology) -> list[Undeclared]:
    """Properties and classes that products have and ``ontology`` lacks, the most frequent first."""
    names = store.names
    paths = {names.property(p.name, end) for p in ontology.properties for end in ("", *ENDS)}
    paths |= {f"{RDF}type", f"{RDFS}label", f"{DCTERMS}identifier"}
    classes = {names.product_class(kind.name) for kind in ontology.classes}
    times: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    products = f"{names.base}product/"
    for quad in store.database:
        if not str(quad.subject.value).startswith(products):
            continue
        if getattr(quad.graph_name, "value", "") == names.links:
            continue
        predicate = quad.predicate.value
        found = ("property", predicate) if predicate not in paths else None
        if predicate == f"{RDF}type" and quad.object.value not in classes:
            found = ("class", quad.object.value)
        if found is not None:
            times[found] += 1
            first[found] = min(first.get(found, quad.subject.value), quad.subject.value)
    ranked = sorted(times.items(), key=lambda one: (-one[1], one[0]))
    return [
        Undeclared(
            kind="class" if kind == "class" else "property",
            name=names.short(iri),
            times=count,
            product=names.short(first[kind, iri]),
        )
        for (kind, iri), count in ranked
    ]


def compare(
    store: GraphStore, entries: Iterable[Entry], ontology: Ontology, links: Iterable[Linked]
) -> Iterator[Difference]:
    """What ``store`` holds against what it should hold.

    Args:
        store: opened to read.
        entries: of all documents that it should hold.
        ontology: whose triples it should hold, and whose properties the entries have.
        links: between products.

    Yields:
        documents in the order of ``entries``, then graphs that belong to none.
    """
    products = ProductGraph(ontology, store.names)
    evidence = EvidenceGraph(products, store.names, ontology.version)
    shared: set[Quad] = set()
    known: set[str] = set()
    for entry in entries:
        statements, _ = products.statements(entry)
        shared.update(products.entities(statements))
        facts, why = store.names.facts(entry.document), store.names.evidence(entry.document)
        known |= {facts, why}
        wanted = {*products.facts(entry, statements), *evidence.quads(entry, statements)}
        there = {*_held(store, facts), *_held(store, why)}
        if wanted != there:
            yield _difference(entry.document, "document", wanted, there)
    own = {
        store.names.entities: shared,
        store.names.ontology: store.ontology_quads(ontology),
        store.names.links: store.link_quads(links),
    }
    for graph, wanted in own.items():
        if wanted != (there := _held(store, graph)):
            yield _difference(store.names.short(graph), "graph", wanted, there)
    known |= own.keys()
    for node in sorted(store.database.named_graphs(), key=lambda one: one.value):
        if node.value not in known and (there := _held(store, node.value)):
            yield _difference(store.names.short(node.value), "unknown graph", set(), there)
    nowhere = set(store.database.quads_for_pattern(None, None, None, oxigraph().DefaultGraph()))
    if nowhere:
        yield _difference("the default graph", "unknown graph", set(), nowhere)


def _held(store: GraphStore, graph: str) -> set[Quad]:
    node = oxigraph().NamedNode(graph)
    return set(store.database.quads_for_pattern(None, None, None, node))


def _difference(
    where: str,
    what: Literal["document", "graph", "unknown graph"],
    wanted: set[Any],
    there: set[Any],
) -> Difference:
    return Difference(
        where=where, what=what, missing=len(wanted - there), foreign=len(there - wanted)
    )
