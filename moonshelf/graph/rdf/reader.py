"""What a graph store holds, read piece by piece: documents, products, facts, entities, ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from moonshelf.errors import DataError
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import unescape
from moonshelf.graph.rdf.schema_graph import ontology_triples
from moonshelf.graph.rdf.vocabulary import DCTERMS, OWL, RDF, SCHEMA
from moonshelf.graph.records import Range

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Quad

RELATIONS: Mapping[str, str] = {"sameAs": f"{OWL}sameAs", "isVariantOf": f"{SCHEMA}isVariantOf"}


class Linked(Protocol):
    """Two products that belong together; what ``resolve.py`` finds."""

    @property
    def left(self) -> str: ...
    @property
    def right(self) -> str: ...
    @property
    def relation(self) -> str: ...


class GraphReader:
    """Reads a pyoxigraph store by patterns, without SPARQL; the reading half of `GraphStore`.

    Quads are pyoxigraph's, typed Any: its stubs allow blank nodes and triples in every place,
    and none is ever written.
    """

    def __init__(self, folder: Path, names: Names, database: Any) -> None:
        self.folder, self.names = folder, names
        self.database: Any = database
        self._node = oxigraph().NamedNode
        self._entities = self._node(names.entities)
        self._type = self._node(f"{RDF}type")
        self._named = self._node(f"{DCTERMS}identifier")

    def __contains__(self, document_id: str) -> bool:
        _, why = self._graphs(document_id)
        return next(self.database.quads_for_pattern(None, None, None, why), None) is not None

    def __len__(self) -> int:
        """Number of quads."""
        return len(self.database)

    def documents(self) -> Iterator[str]:
        """Ids of the documents that the store holds, in no particular order."""
        kind = self._node(self.names.term("Document"))
        for quad in self.database.quads_for_pattern(None, self._type, kind, None):
            yield self._identifier(quad.subject, quad.graph_name)

    def products(self, documents: Iterable[str] | None = None) -> set[str]:
        """IRIs of the products that all, or these, documents are about."""
        about = self._node(self.names.term("about"))
        if documents is None:
            quads = self.database.quads_for_pattern(None, about, None, None)
            return {quad.object.value for quad in quads}
        return {
            quad.object.value
            for one in documents
            for quad in self.database.quads_for_pattern(None, about, None, self._graphs(one)[1])
        }

    def facts_of(self, product: str) -> Iterator[Any]:
        """What fact graphs say of a product, given by IRI."""
        for quad in self.database.quads_for_pattern(self._node(product), None, None, None):
            if quad.graph_name.value.startswith(self.names.facts_space):
                yield quad

    def entity(self, entity: str) -> Iterator[Any]:
        """What is known of a shared entity, given by IRI: its class and its label."""
        return self.database.quads_for_pattern(self._node(entity), None, None, self._entities)

    def ranges(self, facts: str, name: str) -> Iterator[Range]:
        """The ranges that a document states of a property; pairs are kept in its evidence only."""
        key = facts.removeprefix(self.names.facts_space)
        why = self._node(f"{self.names.base}evidence/{key}")
        path, predicate = self._node(self.names.property(name)), self._node(f"{RDF}predicate")
        low, high = (self._node(self.names.term(end)) for end in ("low", "high"))
        for quad in self.database.quads_for_pattern(None, predicate, path, why):
            ends = [
                Decimal(found.object.value)
                for end in (low, high)
                for found in self.database.quads_for_pattern(quad.subject, end, None, why)
            ]
            if ends:
                yield Range(low=ends[0], high=ends[1])

    def ontology_quads(self, ontology: Ontology) -> set[Quad]:
        """What the graph of the ontology should hold."""
        quad, graph = oxigraph().Quad, self._node(self.names.ontology)
        return {
            quad(one.subject, one.predicate, one.object, graph)
            for one in ontology_triples(ontology, self.names)
        }

    def link_quads(self, links: Iterable[Linked]) -> set[Quad]:
        """What the graph of links should hold."""
        quad, node = oxigraph().Quad, self._node
        return {
            quad(
                node(self.names.product(one.left)),
                node(RELATIONS[one.relation]),
                node(self.names.product(one.right)),
                node(self.names.links),
            )
            for one in links
        }

    def product_id(self, product: str) -> str:
        """The id of a product, given by IRI; DataError for one that is not there."""
        return self._identifier(self._node(product), None)

    def document_id(self, facts: str) -> str:
        """The id of the document whose fact graph this is; DataError for one that is not there."""
        key = facts.removeprefix(self.names.facts_space)
        return self._identifier(self._node(f"{self.names.base}document/{key}"), None)

    def _graphs(self, document_id: str) -> tuple[NamedNode, NamedNode]:
        names = self.names
        return self._node(names.facts(document_id)), self._node(names.evidence(document_id))

    def _identifier(self, subject: NamedNode, graph: NamedNode | None) -> str:
        found = next(self.database.quads_for_pattern(subject, self._named, None, graph), None)
        if found is None:
            raise DataError(f"nothing is known of {subject.value}", where=str(self.folder))
        return unescape(found.object.value)
