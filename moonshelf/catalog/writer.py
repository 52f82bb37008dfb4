"""Writes a catalogue, or a further generation of one: all of it appears, or nothing does.

Products and pictures stream to disk as they come; ids, splits and events stay in memory until
:meth:`CatalogWriter.commit`, which checks what only the whole can show (dangling references, split
hygiene), writes the tables over all rows and publishes. Old generations are never touched: they
are referred to.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from array import array
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from moonshelf.catalog.blobs import BlobWriter, picture_hash
from moonshelf.catalog.checks import check_event, check_product, check_query
from moonshelf.catalog.idindex import build_index, hash_ids, table_hashes
from moonshelf.catalog.images import Limits, check_picture
from moonshelf.catalog.landing import CURRENT_FILES, Landing
from moonshelf.catalog.log import EventLog
from moonshelf.catalog.manifest import FORMAT, KIND, file_facts
from moonshelf.catalog.problem import Problem, Record
from moonshelf.catalog.product import SPLITS, Event, Product, Query
from moonshelf.catalog.splits import UNSET, Settled, settle_splits
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.tables import EVENTS, PRODUCTS, QUERIES, TableWriter
from moonshelf.errors import DataError, UsageError
from moonshelf.files import full_disk_is_an_error

Splits = Literal["keep", "draw"]
OnLeak = Literal["stop", "fix"]
OnProblem = Callable[[Problem], None]


class CatalogWriter:
    """Use as a context manager: ``with CatalogWriter(path) as writer: ...; writer.commit()``.

    Args:
        path: the folder that will hold the catalogue.
        append: add a generation to the catalogue that is there (or start one).
        replace: write the catalogue anew; the old one stays until the commit.
        source: where the records come from; kept in the manifest.
        limits: what a picture may cost.
        verify_pictures: whether every new picture is fully decoded once.

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
        with full_disk_is_an_error(Path(path)):
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
        with full_disk_is_an_error(self.path):
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
            raise DataError(f"id {product.id!r} is there already", cure="give every product its own id")
        checked = self._checked_pictures(product.images)
        with full_disk_is_an_error(self.path):
            images = [self._blobs.add(*picture) for picture in checked]
            content = content_digest(product, [picture[0] for picture in checked])
            attributes = [(key, list(values)) for key, values in product.attributes.items()]
            self._products.add(
                (
                    *(product.id, product.title, list(product.category), attributes),
                    *(product.description, product.group, product.shop),
                    *(None if product.price is None else float(product.price), product.time),
                    *(images, content),
                ),
                len(product.title) + len(product.description) + 64 * len(attributes),
            )
        row = len(self._rows)
        self._rows[product.id] = row
        self._groups.append(product.group)
        self._splits.append(SPLITS.index(product.split))
        facts = [product.id, content.hex(), product.group, product.shop, product.price, product.time]
        self._digest.update(json.dumps(facts).encode())
        self._link(row, images)

    def add_query(self, query: Query, where: str = "") -> None:
        """Adds a query; raises as :meth:`add`. Its positives may come later."""
        check_query(query)
        if query.id in self._queries or query.id in self._old_queries:
            raise DataError(f"query id {query.id!r} is there already", cure="give each its own id")
        checked = self._checked_pictures(query.images)
        with full_disk_is_an_error(self.path):
            images = [self._blobs.add(*picture) for picture in checked]
        row = (query.id, query.text, query.positives, query.grades, images)
        self._queries[query.id] = (row, SPLITS.index(query.split), where)

    def add_event(self, event: Event, where: str = "") -> None:
        """Adds a line of the behaviour log; raises as :meth:`add`. Item and query may come later."""
        check_event(event)
        known = self._has_item(event.item) and self._has_query(event.query)
        self._events.add(event, None if known else where)
