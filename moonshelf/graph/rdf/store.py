"""The graph store: pyoxigraph on disk, two named graphs a document, atomic changes.

STORE/  store.json   format and base IRI; written first when the store is made
        data/        the database (RocksDB)
        snapshot-N/  what queries of process N read while it also writes; made of hard links
        .lock        one writer, or any number of readers

A change is the difference between what a document's graphs hold and what they should hold, applied
in one transaction together with what it does to the shared entities. A killed process leaves the
state before or after it. ``flush`` makes changes survive a power cut.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.errors import StoreError
from moonshelf.files import atomic_folder
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.rdf.dump import read_dump, write_dump
from moonshelf.graph.rdf.evidence import EvidenceGraph
from moonshelf.graph.rdf.folder import REMAKE, disk_trouble, lock, names, sweep
from moonshelf.graph.rdf.iris import DEFAULT_BASE, Names
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import escape, unescape
from moonshelf.graph.rdf.product_graph import Entry, ProductGraph
from moonshelf.graph.rdf.query import LIMIT, TIMEOUT, Answer, Queries
from moonshelf.graph.rdf.reader import GraphReader, Linked
from moonshelf.graph.rdf.transaction import apply
from moonshelf.graph.records import Fact, Refusal

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Quad


class GraphStore(GraphReader):
    """RDF of many documents. Opened by :meth:`open`, closed as a context manager or by hand.

    Example:
        >>> with GraphStore.open("graph/store") as store:
        ...     refusals = store.put("doc-1", facts, ontology, product_class="Fan")
        ...     store.query("SELECT ?p WHERE { ?p a c:Fan }").rows
    """

    def __init__(self, folder: Path, names: Names, database: Any, writable: bool) -> None:
        super().__init__(folder, names, database)
        self.writable = writable
        self._library = oxigraph()
        self._writers: tuple[Ontology, ProductGraph, EvidenceGraph] | None = None
        self._queries = Queries(folder, names, self._snapshot if writable else None)
        self._held = contextlib.ExitStack()

    # ---- open and close

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        base: str | None = None,
        read_only: bool = False,
        wait_s: float = 0.0,
    ) -> GraphStore:
        """Opens the store in ``folder``, making it where there is none (not with ``read_only``).

        Args:
            folder: of the store.
            base: of all IRIs; must be the store's own where it exists. None: its own, or
                :data:`~moonshelf.graph.rdf.iris.DEFAULT_BASE` for a new one.
            read_only: may be opened by many at a time, while nobody writes.
            wait_s: how long to wait for others that use it, in seconds.

        Raises:
            StoreError: no store there, of another format or base, in use, or damaged.
            UsageError: a base that is none, or the extra ``graph`` is not installed.
        """
        folder = Path(folder)
        library = oxigraph()
        with contextlib.ExitStack() as held:
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(folder, read_only, wait_s))
            minted = names(folder, base, read_only)
            data = folder / "data"
            try:
                if read_only:
                    database = library.Store.read_only(str(data))
                else:
                    sweep(folder)
                    database = library.Store(str(data))
            except (OSError, RuntimeError) as error:  # RocksDB tells damage by the latter
                raise StoreError(
                    f"the graph store cannot be opened: {error}",
                    where=str(folder),
                    cure=REMAKE,
                ) from error
            store = cls(folder, minted, database, not read_only)
            store._held = held.pop_all()
            return store

    @classmethod
    def restore(cls, dump: Path | str, folder: Path | str, *, base: str = DEFAULT_BASE) -> None:
        """Makes a store in ``folder`` (which must not exist) out of a dump; whole or not at all.

        Raises:
            StoreError: ``folder`` exists.
            DataError: the file is no dump of a graph store of this base.
        """
        folder = Path(folder)
        if folder.exists():
            raise StoreError("already exists", where=str(folder), cure="name another folder")
        minted = Names.under(base)
        with atomic_folder(folder) as partial, cls.open(partial, base=base) as store:
            store.database.bulk_extend(read_dump(Path(dump), minted))

    def __enter__(self) -> GraphStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends queries, makes everything durable, gives the lock back. Harmless when repeated."""
        self._queries.close()
        if self.writable and self.database is not None:
            self.flush()
        # The database closes when its last reference goes, and must before the lock does.
        self.database = None
        self._held.close()

    # ---- write

    def put(
        self,
        document_id: str,
        facts: Sequence[Fact],
        ontology: Ontology,
        *,
        product_class: str = ROOT,
        product: str = "",
        label: str = "",
        backend: str = "",
    ) -> list[Refusal]:
        """Replaces what the store holds of one document; see :meth:`put_many` and `Entry`."""
        entry = Entry(
            document=document_id,
            facts=tuple(facts),
            product_class=product_class,
            product=product,
            label=label,
            backend=backend,
        )
        return self.put_many([entry], ontology)

    def put_many(self, entries: Iterable[Entry], ontology: Ontology) -> list[Refusal]:
        """Replaces what the store holds of some documents, all in one transaction.

        Some hundred at a time are fastest; all their quads are in memory. What is unchanged is not
        written.

        Returns:
            Facts that do not fit their property and were left out, with the reason.

        Raises:
            DataError: a document twice, or a fact that belongs to another.
            StoreError: the disk, or two ids with one IRI (80 bits: not in our lifetime).
        """
        products, evidence = self._writers_of(ontology)
        wanted: dict[NamedNode, set[Quad]] = {}
        refused: list[Refusal] = []
        shared: set[Quad] = set()
        for entry in entries:
            self._refuse_collision(entry.document)
            statements, unfit = products.statements(entry)
            refused += unfit
            facts, why = self._graphs(entry.document)
            if facts in wanted:
                raise StoreError(
                    "the document comes twice in one batch",
                    where=f"document {entry.document[:80]}",
                    cure="put each document once",
                )
            wanted[facts] = set(products.facts(entry, statements))
            wanted[why] = set(evidence.quads(entry, statements))
            shared.update(products.entities(statements))
        self._replace(wanted, shared)
        return refused

    def drop(self, document_id: str) -> bool:
        """Removes one document, and entities that nothing else refers to; False if unknown."""
        return self.drop_many([document_id]) == 1

    def drop_many(self, document_ids: Iterable[str]) -> int:
        """Removes documents in one transaction; returns how many of them were there."""
        wanted: dict[NamedNode, set[Quad]] = {}
        known = 0
        for document_id in document_ids:
            known += document_id in self
            wanted.update({graph: set() for graph in self._graphs(document_id)})
        self._replace(wanted, set(), emptied=wanted)
        return known

    def put_ontology(self, ontology: Ontology) -> None:
        """Makes the ontology's triples queryable, in a graph of their own; replaces older ones."""
        graph = self._node(self.names.ontology)
        self._replace({graph: self.ontology_quads(ontology)}, set())

    def put_links(self, links: Iterable[Linked]) -> None:
        """Replaces the links between products: ``owl:sameAs``, ``schema:isVariantOf``."""
        self._replace({self._node(self.names.links): self.link_quads(links)}, set())

    def flush(self) -> None:
        """Makes all changes survive a power cut; the time of one disk write."""
        with disk_trouble(self.folder):
            self.database.flush()

    def optimize(self) -> None:
        """Sorts what many changes left in many files; reading is twice as fast after a large build.
        Seconds for a million quads."""
        with disk_trouble(self.folder):
            self.database.optimize()

    # ---- read

    def query(
        self,
        sparql: str,
        timeout_s: float = TIMEOUT,
        *,
        limit: int = LIMIT,
        bind: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answers a SPARQL query, read-only and bounded; see :meth:`Queries.run`."""
        return self._queries.run(sparql, timeout_s, limit=limit, bind=bind)

    def dump(self, path: Path | str) -> str:
        """Writes sorted N-Quads; returns their SHA-256. See :func:`write_dump`."""
        with disk_trouble(self.folder):
            return write_dump(self.database, Path(path))

    # ---- private

    def _writers_of(self, ontology: Ontology) -> tuple[ProductGraph, EvidenceGraph]:
        if self._writers is None or self._writers[0] is not ontology:
            products = ProductGraph(ontology, self.names)
            evidence = EvidenceGraph(products, self.names, ontology.version)
            self._writers = (ontology, products, evidence)
        return self._writers[1:]

    def _refuse_collision(self, document_id: str) -> None:
        subject, graph = self._node(self.names.document(document_id)), self._graphs(document_id)[1]
        for quad in self.database.quads_for_pattern(subject, self._named, None, graph):
            if quad.object.value != escape(document_id):
                raise StoreError(
                    f"{document_id[:80]!r} and {unescape(quad.object.value)[:80]!r} have one IRI",
                    where=str(self.folder),
                    cure="give one of the documents another id",
                )

    def _replace(
        self,
        wanted: Mapping[NamedNode, set[Quad]],
        shared: set[Quad],
        emptied: Iterable[NamedNode] = (),
    ) -> None:
        """Makes graphs hold what is wanted, and the shared graph what is referred to."""
        if not self.writable:
            raise StoreError(
                "opened for reading only", where=str(self.folder), cure="open it to write"
            )
        removed: list[Quad] = []
        added: list[Quad] = []
        with disk_trouble(self.folder):
            for graph, quads in wanted.items():
                there = set(self.database.quads_for_pattern(None, None, None, graph))
                removed += there - quads
                added += quads - there
            added += [quad for quad in shared if quad not in self.database]
            removed += self._orphans(removed, {quad.subject for quad in shared})
        self._queries.outdate()
        apply(self.database, removed, added, emptied)

    def _orphans(self, removed: Sequence[Quad], kept: set[Any]) -> Iterator[Quad]:
        """Quads of shared entities that only ``removed`` refers to."""
        gone = set(removed)
        pointed = {str(getattr(quad.object, "value", "")) for quad in removed}
        ours = {iri for iri in pointed if iri.startswith(self.names.entity_space)}
        lost = ours - {node.value for node in kept}
        for entity in map(self._node, sorted(lost)):
            uses = self.database.quads_for_pattern(None, None, entity, None)
            if all(use in gone for use in uses):
                yield from self.database.quads_for_pattern(entity, None, None, self._entities)

    def _snapshot(self, target: Path) -> None:
        with disk_trouble(self.folder):
            self.database.backup(str(target))
