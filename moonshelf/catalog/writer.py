"""Writes a catalogue, or a further generation of one: all of it appears, or nothing does.

Products and pictures stream to disk as they come; ids, splits and events stay in memory until
:meth:`CatalogWriter.commit`, which checks what only the whole can show (dangling references, split
hygiene), writes the tables over all rows and publishes. Old generations are never touched: they
are referred to.
"""

from __future__ import annotations

import contextlib
import json
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

import moonshelf
from moonshelf.catalog.blobs import BlobWriter, picture_hash
from moonshelf.catalog.checks import check_event, check_product, check_query
from moonshelf.catalog.generation import write_array
from moonshelf.catalog.idindex import build_index, hash_ids, table_hashes
from moonshelf.catalog.images import Limits, check_picture
from moonshelf.catalog.landing import CURRENT_FILES, Landing, writing
from moonshelf.catalog.log import EventLog
from moonshelf.catalog.manifest import extended, file_facts
from moonshelf.catalog.problem import Problem, Record
from moonshelf.catalog.product import SPLITS, Event, Product, Query
from moonshelf.catalog.splits import UNSET, Settled, settle_splits
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.tables import (
    EVENTS,
    PRODUCTS,
    QUERIES,
    TableWriter,
    content_digest,
    product_row,
    text_length,
)
from moonshelf.catalog.whole import gather_links, leak_error, namer
from moonshelf.errors import DataError, ImageError

Splits = Literal["keep", "draw"]
OnLeak = Literal["stop", "fix"]
OnProblem = Callable[[Problem], None]
_QueryRow: TypeAlias = tuple[tuple[Any, ...], int]  # its columns, and the code of its split


class CatalogWriter:
    """Use as a context manager: ``with CatalogWriter(path) as writer: ...; writer.commit()``.

    Args:
        path: the folder that will hold the catalogue.
        append: add a generation to the catalogue that is there (or start one).
        replace: write the catalogue anew; the old one stays until the commit.
        source: where the records come from; kept in the manifest.
        limits: what a picture may cost.

    Raises:
        UsageError, CatalogError: see :class:`~moonshelf.catalog.landing.Landing`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        append: bool = False,
        replace: bool = False,
        source: dict[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits, self.source = limits or Limits(), source or {}
        with writing(Path(path)):
            self._landing = Landing(Path(path), append=append, replace=replace)
        self.path, self.folder = self._landing.path, self._landing.folder
        self._open: list[Any] = []
        self.moved = 0
        try:
            self.old = Catalog.open(self.path) if self._landing.append else None
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _start(self) -> None:
        old = self.old
        known: dict[bytes, int] = {}
        if old is not None:
            known = {row["hash"].tobytes(): k for k, row in enumerate(old.picture_table())}
        with writing(self.path):
            self._blobs = BlobWriter(self.folder, known)
            self._products = TableWriter(self.folder / "products.arrow", PRODUCTS)
            self._open = [self._blobs, self._products]
        self._rows: dict[str, int] = {}
        self._groups: list[str] = []
        self._splits, self._query_splits = bytearray(), bytearray()
        self._links: tuple[array[int], array[int]] = array("q"), array("q")
        self._queries: dict[str, tuple[tuple[Any, ...], int, str]] = {}
        self._old_queries = set(old.query_ids()) if old is not None else set()
        self._events = EventLog()
        self._digest = blake2b(digest_size=16)

    def __enter__(self) -> CatalogWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves nothing behind that was not committed."""
        for file in self._open:
            with contextlib.suppress(OSError):  # a full disk says so again when it is closed
                file.abandon()
        self._open = []
        self._landing.leave()

    @property
    def products(self) -> int:
        """How many products were added."""
        return len(self._rows)

    def add(self, record: Record, where: str = "") -> None:
        """Adds any record; ``where`` is remembered for errors that only the commit can find.

        Raises:
            DataError: the record is bad; nothing of it was added, and writing may go on.
            DiskFullError: the disk is full.
        """
        if isinstance(record, Product):
            self.add_product(record)
        elif isinstance(record, Query):
            self.add_query(record, where)
        elif isinstance(record, Event):
            self.add_event(record, where)
        else:
            raise DataError(
                f"{type(record).__name__} is no record", cure="pass Product, Query or Event"
            )

    def add_product(self, product: Product) -> None:
        """Adds a product; raises as :meth:`add`."""
        check_product(product)
        if product.id in self._rows or (self.old is not None and product.id in self.old):
            raise DataError(
                f"id {product.id!r} is there already", cure="give every product its own id"
            )
        checked = self._checked_pictures(product.images)
        with writing(self.path):
            images = [self._blobs.add(*picture) for picture in checked]
            content = content_digest(product, [picture[0] for picture in checked])
            self._products.add(product_row(product, images, content), text_length(product))
        row = len(self._rows)
        self._rows[product.id] = row
        self._groups.append(product.group)
        self._splits.append(SPLITS.index(product.split))
        facts = [
            product.id,
            content.hex(),
            product.group,
            product.shop,
            product.price,
            product.time,
        ]
        self._digest.update(json.dumps(facts).encode())
        self._links[0].extend([row] * len(images))
        self._links[1].extend(images)

    def add_query(self, query: Query, where: str = "") -> None:
        """Adds a query; raises as :meth:`add`. Its positives may come later."""
        check_query(query)
        if query.id in self._queries or query.id in self._old_queries:
            raise DataError(f"query id {query.id!r} is there already", cure="give each its own id")
        checked = self._checked_pictures(query.images)
        with writing(self.path):
            images = [self._blobs.add(*picture) for picture in checked]
        row = (query.id, query.text, query.positives, query.grades, images)
        self._queries[query.id] = (row, SPLITS.index(query.split), where)

    def add_event(self, event: Event, where: str = "") -> None:
        """Adds a line of the log; raises as :meth:`add`. Its item and query may come later."""
        check_event(event)
        known = self._has_item(event.item) and self._has_query(event.query)
        self._events.add(event, None if known else where)

    def commit(
        self,
        *,
        splits: Splits = "keep",
        on_split_leak: OnLeak = "stop",
        seed: int = 0,
        on_problem: OnProblem | None = None,
        before_publishing: Callable[[], None] | None = None,
    ) -> Catalog:
        """Checks the whole, publishes it, and opens it.

        Args:
            splits: ``keep`` what the records say, or ``draw`` 80/10/10 for the new ones.
            on_split_leak: ``stop``, or ``fix``: move what hangs together to train.
            seed: of the draw.
            on_problem: told of queries and events that refer to unknown items, which are then
                left out; without it the first of them is raised.
            before_publishing: called when all checks have passed, to close what the caller writes
                into ``folder``.

        Raises:
            DataError: nothing was added, a reference dangles, or a group or picture crosses splits.
            DiskFullError: the disk is full; the old catalogue is as it was.
        """
        if not (self._rows or (self.old is not None and (self._queries or self._events.count))):
            raise DataError(
                "there is no good product to write", where=str(self.path), cure="look at the source"
            )
        with writing(self.path):
            queries = self._settle_queries(on_problem)
            events = self._settle_events(on_problem)
            settled = self._settle_splits(queries, splits, on_split_leak, seed)
            self.moved = settled.moved
            if before_publishing is not None:
                before_publishing()
            manifest = self._write(queries, events, settled.splits)
            self._landing.publish(manifest)
        self._landing.leave()
        return Catalog.open(self.path)

    def _checked_pictures(self, images: Sequence[bytes]) -> list[tuple[bytes, bytes, int, int]]:
        """(hash, bytes, width, height) of each; a picture that is known was decoded before."""
        checked = []
        for k, data in enumerate(images):
            digest = picture_hash(data)
            width = height = 0
            if digest not in self._blobs.numbers:
                try:
                    width, height = check_picture(data, self.limits)
                except ImageError as error:
                    raise error if len(images) == 1 else _at_picture(error, k) from error
            checked.append((digest, data, width, height))
        return checked

    def _has_item(self, name: str) -> bool:
        return name in self._rows or (self.old is not None and name in self.old)

    def _has_query(self, name: str) -> bool:
        return not name or name in self._queries or name in self._old_queries

    def _settle_queries(self, on_problem: OnProblem | None) -> list[_QueryRow]:
        """The queries all of whose positives are products."""
        for name, (row, _, where) in list(self._queries.items()):
            missing = [item for item in row[2] if not self._has_item(item)]
            if missing:
                error = _dangling("positive", missing[0], where or f"query {name!r}")
                _tell(error, on_problem)
                del self._queries[name]
        return [(row, split) for row, split, _ in self._queries.values()]

    def _settle_events(self, on_problem: OnProblem | None) -> pa.Table:
        """The log sorted by time, with only events whose item and query exist."""

        def accept(event: Event, where: str, number: int) -> bool:
            for what, name, known in (
                ("item", event.item, self._has_item(event.item)),
                ("query", event.query, self._has_query(event.query)),
            ):
                if not known:
                    _tell(_dangling(what, name, where or f"event {number + 1}"), on_problem)
                    return False
            return True

        return self._events.settle(accept)

    def _settle_splits(
        self, queries: list[_QueryRow], splits: Splits, on_split_leak: OnLeak, seed: int
    ) -> Settled:
        old = self.old
        links = gather_links(
            old,
            (np.array(self._links[0], np.int64), np.array(self._links[1], np.int64)),
            self._groups,
            [row[4] for row, _ in queries],
            len(self._blobs.numbers),
        )
        products = np.frombuffer(bytes(self._splits), np.uint8)
        asked = np.array([split for _, split in queries], np.uint8)
        if splits == "draw":
            products, asked = np.full_like(products, UNSET), np.full_like(asked, UNSET)
        parts = [products, asked]
        if old is not None:
            parts = [old.product_splits(), products, old.query_splits(), asked]
        before = np.concatenate(parts)
        settled = settle_splits(before, links.record, links.key, links.products, seed=seed)
        if len(settled.crossing) and on_split_leak == "stop":
            name = namer(old, list(self._rows), [row[0] for row, _ in queries])
            raise leak_error(links, settled.crossing, before, name, str(self.path))
        return settled

    def _write(
        self, queries: list[_QueryRow], events: pa.Table, splits: np.ndarray
    ) -> dict[str, Any]:
        """Writes what is left and returns the manifest of the whole."""
        table = TableWriter(self.folder / "queries.arrow", QUERIES)
        log = TableWriter(self.folder / "events.arrow", EVENTS)
        self._open += [table, log]
        for row, _ in queries:
            table.add(row, len(row[1]) + sum(map(len, row[2])))
        log.write(events)
        counts = {
            "products": self._products.rows,
            "queries": table.rows,
            "events": events.num_rows,
            "pictures": len(pictures := self._blobs.table()),
        }
        for file in self._open:
            file.close()
        self._open = []
        write_array(self.folder / "pictures.npy", pictures)
        products = counts["products"] + (len(self.old) if self.old is not None else 0)
        write_array(self.folder / "splits.npy", splits[:products])
        write_array(self.folder / "query_splits.npy", splits[products:])
        hashes = hash_ids(self._rows)
        if self.old is not None:
            hashes = np.concatenate([table_hashes(self.old.index, len(self.old)), hashes])
        write_array(self.folder / "ids.npy", build_index(hashes))
        return self._manifest(counts, splits)

    def _manifest(self, counts: dict[str, int], splits: np.ndarray) -> dict[str, Any]:
        files = {
            file.name: file_facts(file, hashed=file.suffix != ".blob")
            for file in sorted(self.folder.iterdir())
        }
        current = {name: files.pop(name) for name in CURRENT_FILES}
        generation = {
            "folder": self._landing.name,
            "moonshelf": moonshelf.__version__,
            "source": self.source,
            "batches": self._products.batches,
            "files": files,
            **counts,
        }
        for name in ("queries.arrow", "events.arrow"):
            self._digest.update(files[name]["blake2b"].encode())
        self._digest.update(splits.tobytes())
        before = self.old.manifest if self.old is not None else None
        return extended(before, generation, current, self._digest, self._landing.origin)


def _at_picture(error: ImageError, k: int) -> ImageError:
    return ImageError(f"picture {k + 1}: {error.what}", where=error.where, cure=error.cure)


def _dangling(what: str, name: str, where: str) -> DataError:
    return DataError(
        f"the {what} {name[:80]!r} is not in the catalogue", where=where, cure="import it too"
    )


def _tell(error: DataError, on_problem: OnProblem | None) -> None:
    if on_problem is None:
        raise error
    on_problem(Problem(error.where, error))
