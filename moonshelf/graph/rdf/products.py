"""Products read back from the store, for exports: class, label, values by property."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.literals import unescape
from moonshelf.graph.rdf.schema_graph import ENDS
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import DCTERMS, RDF, RDFS
from moonshelf.graph.records import Range

Held: TypeAlias = str | bool | int | Decimal | Range


@dataclass(frozen=True)
class ProductView:
    """One product with all that its documents say. Values are sorted and each stands once; an
    entity is its label."""

    iri: str
    id: str
    product_class: str
    label: str
    values: tuple[tuple[PropertyDef, tuple[Held, ...]], ...]


def read_products(
    store: GraphStore, ontology: Ontology, documents: Iterable[str] | None = None
) -> Iterator[ProductView]:
    """All products by IRI, or those that ``documents`` are about."""
    reader = _Reader(store, ontology)
    for product in sorted(store.products(documents)):
        yield reader.view(product)


class _Reader:
    def __init__(self, store: GraphStore, ontology: Ontology) -> None:
        self._store, names = store, store.names
        self._depth = {
            names.product_class(kind.name): (len(ontology.lineage(kind.name)), kind.name)
            for kind in ontology.classes
        }
        self._paths = {
            names.property(owned.name, end): (owned, end)
            for owned in ontology.properties
            for end in ("", *ENDS)
        }

    def view(self, product: str) -> ProductView:
        """Where documents disagree on the class the most special one counts, then the first."""
        kinds, labels, identifiers = set(), set(), set()
        values: dict[str, tuple[PropertyDef, set[Held]]] = {}
        ranged: set[tuple[str, str]] = set()
        for quad in self._store.facts_of(product):
            predicate, value = quad.predicate.value, quad.object
            if predicate == f"{RDF}type":
                kinds.add(self._depth.get(value.value, (0, "Product")))
            elif predicate == f"{RDFS}label":
                labels.add(unescape(value.value))
            elif predicate == f"{DCTERMS}identifier":
                identifiers.add(unescape(value.value))
            elif predicate in self._paths:
                owned, end = self._paths[predicate]
                if end:
                    ranged.add((owned.name, quad.graph_name.value))
                    values.setdefault(owned.name, (owned, set()))
                else:
                    held = values.setdefault(owned.name, (owned, set()))[1]
                    held.add(self._held(value))
        for name, graph in ranged:
            values[name][1].update(self._store.ranges(graph, name))
        return ProductView(
            iri=product,
            id=min(identifiers),
            product_class=max(kinds, key=lambda one: (one[0], [-ord(c) for c in one[1]]))[1],
            label=min(labels, default=""),
            values=tuple(
                (owned, tuple(sorted(held, key=_place)))
                for _, (owned, held) in sorted(values.items())
            ),
        )

    def _held(self, value: Any) -> Held:
        datatype = getattr(value, "datatype", None)
        if datatype is None:
            labels = [
                unescape(quad.object.value)
                for quad in self._store.entity(value.value)
                if quad.predicate.value == f"{RDFS}label"
            ]
            return min(labels, default=value.value)
        kind = datatype.value.rpartition("#")[2]
        if kind == "boolean":
            return value.value == "true"
        if kind == "integer":
            return int(value.value)
        return Decimal(value.value) if kind == "decimal" else unescape(value.value)


def _place(held: Held) -> tuple[int, Decimal, str]:
    """Numbers in their order, ranges among them by the lower end, then texts."""
    if isinstance(held, Range):
        return 0, held.low, str(held.high)
    if isinstance(held, str):
        return 1, Decimal(0), held
    return 0, Decimal(held), ""
