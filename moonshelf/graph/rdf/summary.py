"""What a store holds, counted: documents, products by class, statements by property, top values.

Counts are narrow queries: they name every class and every property of the ontology, so they walk
the index of the product statements and never see the evidence, which is nine tenths of a store.
``GROUP BY ?p`` over everything costs ten times as much. Where a report is drawn again and again,
keep the summary (it is plain data) beside the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from moonshelf.config import Config
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.literals import unescape
from moonshelf.graph.rdf.schema_graph import ENDS
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import RDFS


class Summary(Config):
    """Counts over one state of a store.

    Two documents that state the same value of the same product are one statement of the product
    and two of the documents; ``statements`` counts the former.
    """

    documents: int
    products: int
    entities: int
    quads: int
    classes: tuple[tuple[str, int], ...]
    """Products by class, most frequent first; a product of a subclass counts there only."""
    statements: tuple[tuple[str, int], ...]
    """Product statements by property, most frequent first; both ends of a range count as one."""


def summarize(store: GraphStore, ontology: Ontology) -> Summary:
    """Counts everything; see `Summary`."""
    names = store.names
    classes = {kind.name: names.product_class(kind.name) for kind in ontology.classes}
    paths = {
        (owned.name, end): names.property(owned.name, end)
        for owned in ontology.properties
        for end in ("", ENDS[0])
    }
    documents = _count(store, f"?d a <{names.term('Document')}>", "?d")
    products = _count(store, f"?d <{names.term('about')}> ?p", "?p")
    # Where every product has one document, no statement stands twice.
    distinct = documents != products
    by_class = counts(store, "?s a ?x", list(classes.values()), distinct)
    by_path = counts(store, "?s ?x ?o", list(paths.values()), distinct)
    statements: Counter[str] = Counter()
    for (name, _), iri in paths.items():
        statements[name] += by_path.get(iri, 0)
    return Summary(
        documents=documents,
        products=products,
        entities=_count(store, f"?e <{RDFS}label> ?l", "?e", names.entities),
        quads=len(store),
        classes=_ranked({name: by_class.get(iri, 0) for name, iri in classes.items()}),
        statements=_ranked(statements),
    )


def top_values(store: GraphStore, owned: PropertyDef, most: int = 10) -> list[tuple[str, int]]:
    """The most frequent values of a property, each with its number of products."""
    path = store.names.property(owned.name)
    told = f"GRAPH <{store.names.entities}> {{ ?o <{RDFS}label> ?v }}"
    value = told if owned.kind == "object" else "BIND(STR(?o) AS ?v)"
    rows = store.database.query(
        f"SELECT ?v (COUNT(DISTINCT ?s) AS ?n) WHERE {{ GRAPH ?g {{ ?s <{path}> ?o }} {value} }} "
        f"GROUP BY ?v ORDER BY DESC(?n) ?v LIMIT {int(most)}"
    )
    return [(unescape(row["v"].value), int(row["n"].value)) for row in rows]


def counts(
    store: GraphStore, pattern: str, iris: Sequence[str], distinct: bool = True
) -> dict[str, int]:
    """Statements of a pattern (of ``?s``, ``?x``, ``?o``) for each value of ``?x`` among ``iris``.

    ``distinct`` counts a statement of several documents once, in twice the time.
    """
    values = " ".join(f"<{iri}>" for iri in iris)
    inner = f"VALUES ?x {{ {values} }} GRAPH ?g {{ {pattern} }}"
    if distinct:
        inner = f"SELECT DISTINCT ?x ?s ?o WHERE {{ {inner} }}"
    rows: Any = store.database.query(f"SELECT ?x (COUNT(*) AS ?n) WHERE {{ {inner} }} GROUP BY ?x")
    return {row["x"].value: int(row["n"].value) for row in rows}


def _count(store: GraphStore, pattern: str, what: str, graph: str = "") -> int:
    within = f"GRAPH <{graph}>" if graph else "GRAPH ?g"
    rows: Any = store.database.query(
        f"SELECT (COUNT(DISTINCT {what}) AS ?n) WHERE {{ {within} {{ {pattern} }} }}"
    )
    return int(next(iter(rows))["n"].value)


def _ranked(counts: dict[str, int] | Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
