"""A graph as a file for others: N-Quads, Turtle, schema.org as JSON-LD or Turtle, CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from moonshelf.errors import UsageError
from moonshelf.files import whole_file
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.schema_graph import ontology_triples
from moonshelf.graph.rdf.schema_org import export_json_ld, export_turtle
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.table import export_csv
from moonshelf.graph.rdf.turtle import prefix_lines, subject_blocks
from moonshelf.graph.rdf.vocabulary import PREFIXES

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "nq": "all of it, evidence included, sorted N-Quads: byte-identical for the same graph",
        "ttl": "ontology, products and links as Turtle, without evidence",
        "jsonld": "schema.org Products as JSON-LD",
        "schema-ttl": "schema.org Products as Turtle",
        "csv": "one row a product, one column a property",
    }
)


def export(store: GraphStore, ontology: Ontology, path: Path, format: str) -> int:
    """Writes the file whole or not at all.

    Args:
        store: the graph.
        ontology: the version that the graph was made by.
        path: the file; an existing one is replaced.
        format: one of :data:`FORMATS`.

    Returns:
        How many products were written (quads for ``nq``).

    Raises:
        UsageError: an unknown format.
        DiskFullError: no room.
    """
    writers: dict[str, Callable[[GraphStore, Ontology, Path], int]] = {
        "nq": _quads,
        "ttl": _turtle,
        "jsonld": export_json_ld,
        "schema-ttl": export_turtle,
        "csv": export_csv,
    }
    if format not in writers:
        raise UsageError(f"unknown format {format!r}", cure=f"choose among {', '.join(FORMATS)}")
    return writers[format](store, ontology, path)


def _quads(store: GraphStore, ontology: Ontology, path: Path) -> int:
    store.dump(path)
    return len(store)


def _turtle(store: GraphStore, ontology: Ontology, path: Path) -> int:
    """Product by product, so that memory does not grow with the graph."""
    prefixes = {**PREFIXES, **store.names.prefixes()}
    triple = oxigraph().Triple

    def plain(quads: Any) -> list[Any]:
        found = {triple(q.subject, q.predicate, q.object) for q in quads}
        return sorted(found, key=str)

    def graph(iri: str) -> Any:
        node = oxigraph().NamedNode(iri)
        return store.database.quads_for_pattern(None, None, None, node)

    products = sorted(store.products())
    with whole_file(path) as file:
        file.write(prefix_lines(prefixes))
        file.write(subject_blocks(ontology_triples(ontology, store.names), prefixes))
        for iri in (store.names.entities, store.names.links):
            file.write(subject_blocks(plain(graph(iri)), prefixes))
        for product in products:
            file.write(subject_blocks(plain(store.facts_of(product)), prefixes))
    return len(products)
