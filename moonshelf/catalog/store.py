"""A catalogue on disk: opens instantly, stays on disk, gives any product by row or by id.

Products lie in uncompressed Arrow files that are memory-mapped; pictures in blob shards; id to row
is a memory-mapped hash table. Opening reads the manifest, checks that every file it names has its
size, and maps nothing but small tables; each record batch is validated when it is first touched, so
a damaged file is an error and not a crash.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from moonshelf.catalog.blobs import picture_hash
from moonshelf.catalog.generation import Generation, damaged, load_array
from moonshelf.catalog.idindex import SLOT, find, find_candidates, hash_ids
from moonshelf.catalog.manifest import MANIFEST, file_hash, named_files, origin, read_manifest
from moonshelf.catalog.product import SPLITS, Product, Query
from moonshelf.catalog.tables import EVENTS, PRODUCTS, QUERIES
from moonshelf.errors import CatalogError, DataError, UsageError

_FIELDS = PRODUCTS.names
_IMAGES, _CONTENT = _FIELDS.index("images"), _FIELDS.index("content_hash")

COLUMNS = (
    *("id", "title", "category", "attributes", "description", "group", "shop", "price", "time"),
    *("split", "image_count", "content_hash"),
)

pc: Any = pyarrow.compute  # its functions are made as it loads: no checker sees them


class Catalog:
    """The products, queries and events of one shop, read-only. Made by :meth:`open`.

    Safe to share between threads; a copy sent to another process opens the folder anew.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest
        self.fingerprint: str = manifest["fingerprint"]
        self.origin: str = origin(manifest)
        self._generations = [Generation(path, facts) for facts in manifest["generations"]]
        batches = [(g, k) for g in self._generations for k in range(len(g.batch_rows))]
        self._batch_of = batches
        self._starts = [0, *accumulate(g.batch_rows[k] for g, k in batches)]
        self._batches: dict[int, pa.RecordBatch] = {}
        self._picture_starts = [0, *accumulate(g.pictures for g in self._generations)]
        self._events: pa.Table | None = None
        current = path / manifest["current"]["folder"]
        self.index = load_array(current / "ids.npy", SLOT)
        self._splits = load_array(current / "splits.npy", np.dtype(np.uint8), manifest["products"])
        self._query_splits = load_array(
            current / "query_splits.npy", np.dtype(np.uint8), manifest["queries"]
        )

    @classmethod
    def open(cls, path: Path | str) -> Catalog:
        """The catalogue in the folder ``path``.

        Raises:
            CatalogError: no catalogue, half-written, truncated, damaged or of another version.
        """
        path = Path(path)
        before = _stamp(path)
        try:
            return cls(path, read_manifest(path))
        except CatalogError:
            if _stamp(path) == before:
                raise
            # An import finished in between and swept the tables it replaced.
            return cls(path, read_manifest(path))

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Catalog.open, (self.path,)

    def __repr__(self) -> str:
        return f"Catalog({str(self.path)!r}, {len(self):,} products)"

    def __len__(self) -> int:
        return self.manifest["products"]

    def __iter__(self) -> Iterator[Product]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> Product:
        """The product of a row, with its pictures.

        Raises:
            IndexError: no such row.
        """
        batch, k = self._locate(row)
        record: dict[str, Any] = {
            name: column[k].as_py() for name, column in zip(_FIELDS, batch.columns, strict=True)
        }
        images = tuple(self.picture(number) for number in record.pop("images"))
        del record["content_hash"]
        record["category"] = tuple(record["category"])
        record["attributes"] = MappingProxyType({a: tuple(v) for a, v in record["attributes"]})
        return Product(**record, images=images, split=self._split(int(self._splits[row])))

    def get(self, name: str) -> Product:
        """The product with this id.

        Raises:
            DataError: there is none.
        """
        return self[self.row(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) >= 0

    def row(self, name: str) -> int:
        """The row of an id; O(1).

        Raises:
            DataError: there is no such product.
        """
        row = self._find(name)
        if row < 0:
            raise self._no_such(name)
        return row

    def rows(self, names: Iterable[str]) -> np.ndarray:
        """int64 [n]: the rows of ids.

        Raises:
            DataError: names the first id that is missing.
        """
        names = list(names)
        found = self.find_rows(names)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            raise self._no_such(names[missing[0]])
        return found

    def find_rows(self, names: Iterable[str]) -> np.ndarray:
        """int64 [n]: the rows of ids, -1 where there is no such product."""
        names = list(names)
        rows = find_candidates(self.index, hash_ids(names))
        rows[rows >= len(self)] = -1
        known = np.flatnonzero(rows >= 0)
        ids = self.column("id").take(pa.array(rows[known])).to_pylist() if len(known) else []
        for k, stored in zip(known, ids, strict=True):
            if stored != names[k]:  # two ids with one hash: probe on, comparing ids
                rows[k] = self._find(names[k])
        return rows

    def column(self, name: str) -> pa.ChunkedArray:
        """One field of all products, zero-copy where it is stored: any of ``COLUMNS``.

        Raises:
            UsageError: there is no such column.
        """
        if name == "split":
            codes = pa.array(np.minimum(self._splits, len(SPLITS) - 1).astype(np.int8))
            return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, list(SPLITS))])
        if name == "image_count":
            return pc.list_value_length(self._stored("images"))
        if name not in COLUMNS:
            raise UsageError(f"there is no column {name!r}", cure=f"one of {', '.join(COLUMNS)}")
        return self._stored(name)

    def split_rows(self, split: str) -> np.ndarray:
        """int64 [n]: the rows of a split, ascending.

        Raises:
            UsageError: there is no such split.
        """
        return np.flatnonzero(self._splits == _split_code(split))

    def image(self, row: int, k: int = 0) -> bytes:
        """The encoded bytes of a product's picture ``k``.

        Raises:
            DataError: the product has no such picture.
        """
        numbers = self.image_numbers(row)
        if not 0 <= k < len(numbers):
            raise DataError(
                f"has {len(numbers)} pictures, no picture {k}",
                where=f"{self.path} row {row}",
                cure="look at the column image_count first",
            )
        return self.picture(numbers[k])

    def image_numbers(self, row: int) -> list[int]:
        """The picture numbers of a product: the same number is the same bytes."""
        batch, k = self._locate(row)
        return batch.column(_IMAGES)[k].as_py()

    def image_hashes(self, row: int) -> tuple[str, ...]:
        """The content hash of each picture of a product, as hex."""
        return tuple(self.picture_digest(number).hex() for number in self.image_numbers(row))

    def content_hash(self, row: int) -> str:
        """Hex hash of all that an encoder may see of a product: title, category, attributes,
        description and pictures (not price, time, shop, group or split)."""
        batch, k = self._locate(row)
        return batch.column(_CONTENT)[k].as_py().hex()

    @property
    def picture_count(self) -> int:
        """The number of different pictures."""
        return self._picture_starts[-1]

    def picture(self, number: int) -> bytes:
        """The encoded bytes of a picture by its number."""
        generation, place = self._picture_place(number)
        return generation.blobs.read(place)

    def picture_digest(self, number: int) -> bytes:
        generation, place = self._picture_place(number)
        return generation.blobs.digest(place)

    def picture_table(self) -> np.ndarray:
        """All different pictures: fields hash, offset, length, shard, width, height."""
        return np.concatenate([g.blobs.table for g in self._generations])

    def picture_links(self) -> tuple[np.ndarray, np.ndarray]:
        """(row, picture number) of every picture of every product: two int64 [m]."""
        counts = _numpy(self.column("image_count"))
        numbers = _numpy(pc.list_flatten(self._stored("images"))).astype(np.int64)
        return np.repeat(np.arange(len(self)), counts), numbers

    def queries(self, split: str | None = None) -> list[Query]:
        """The queries of a split, or all of them, with their pictures."""
        found, start = [], 0
        wanted = None if split is None else _split_code(split)
        for table in self._query_tables():
            codes = self._query_splits[start : start + table.num_rows]
            start += table.num_rows
            keep = np.arange(table.num_rows) if wanted is None else np.flatnonzero(codes == wanted)
            rows = table.take(pa.array(keep)).to_pylist()
            found += [self._query(row, code) for code, row in zip(codes[keep], rows, strict=True)]
        return found

    def query(self, number: int) -> Query:
        """One query by its row in the query table; reads that table anew."""
        start = 0
        for table in self._query_tables():
            if start <= number < start + table.num_rows:
                (row,) = table.slice(number - start, 1).to_pylist()
                return self._query(row, self._query_splits[number])
            start += table.num_rows
        raise IndexError(f"query {number} of a catalogue with {start} queries")

    def product_splits(self) -> np.ndarray:
        """uint8 [N]: the place in ``SPLITS`` of each product's split."""
        return np.asarray(self._splits)

    def query_splits(self) -> np.ndarray:
        """uint8 [Q]: the place in ``SPLITS`` of each query's split."""
        return np.asarray(self._query_splits)

    def query_links(self) -> tuple[np.ndarray, np.ndarray]:
        """(query, picture number) of every picture of every query: two int64 [m]."""
        tables = list(self._query_tables())
        counts = [_numpy(pc.list_value_length(table["images"])) for table in tables]
        numbers = [_numpy(pc.list_flatten(table["images"])) for table in tables]
        if not tables:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        count = np.concatenate(counts)
        return np.repeat(np.arange(len(count)), count), np.concatenate(numbers).astype(np.int64)

    def query_ids(self) -> list[str]:
        return self.query_column("id").to_pylist()

    def query_column(self, name: str) -> pa.ChunkedArray:
        """One field of all queries: id, text, positives or grades."""
        chunks = [c for table in self._query_tables() for c in table[name].chunks]
        return pa.chunked_array(chunks, type=QUERIES.field(name).type)

    def events(self) -> pa.Table:
        """The behaviour log, sorted by time: time user item kind query position price."""
        if self._events is None:
            tables = [g.table("events.arrow", EVENTS) for g in self._generations if g.events]
            table = pa.concat_tables(tables) if tables else EVENTS.empty_table()
            if len(tables) > 1:  # each is sorted by itself; equal times keep their order
                order = np.argsort(_numpy(table["time"]), kind="stable")
                table = table.take(pa.array(order))
            self._events = table
        return self._events

    def verify(self) -> None:
        """Reads everything once and compares every hash; opening only compares sizes.

        Raises:
            CatalogError: names the first file or picture that was changed.
        """
        for folder, files in named_files(self.manifest):
            for name, facts in files.items():
                file = self.path / folder / name
                if "blake2b" in facts and file_hash(file) != facts["blake2b"]:
                    raise damaged(file, "its content was changed")
        for number in range(self.picture_count):
            if picture_hash(self.picture(number)) != self.picture_digest(number):
                raise damaged(self.path, f"the bytes of picture {number} were changed")

    def _query(self, row: dict[str, Any], split: int) -> Query:
        return Query(
            id=row["id"],
            text=row["text"],
            images=tuple(self.picture(number) for number in row["images"]),
            positives=tuple(row["positives"]),
            grades=tuple(row["grades"]),
            split=self._split(int(split)),
        )

    def _find(self, name: str) -> int:
        return find(self.index, name, lambda row: row < len(self) and self._id(row) == name)

    def _id(self, row: int) -> str:
        batch, k = self._locate(row)
        return batch.column(0)[k].as_py()

    def _no_such(self, name: str) -> DataError:
        return DataError(
            f"there is no product {str(name)[:80]!r}", where=str(self.path), cure="check the id"
        )

    def _locate(self, row: int) -> tuple[pa.RecordBatch, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a catalogue with {len(self)} products")
        number = bisect_right(self._starts, row) - 1
        return self._batch(number), int(row) - self._starts[number]

    def _batch(self, number: int) -> pa.RecordBatch:
        batch = self._batches.get(number)
        if batch is None:
            generation, k = self._batch_of[number]
            batch = self._batches[number] = generation.batch(k)
        return batch

    def _stored(self, name: str) -> pa.ChunkedArray:
        chunks = [self._batch(k).column(_FIELDS.index(name)) for k in range(len(self._batch_of))]
        return pa.chunked_array(chunks, type=PRODUCTS.field(name).type)

    def _picture_place(self, number: int) -> tuple[Generation, int]:
        if not 0 <= number < self.picture_count:
            raise damaged(self.path, f"there is no picture {number}")
        k = bisect_right(self._picture_starts, number) - 1
        return self._generations[k], number - self._picture_starts[k]

    def _query_tables(self) -> Iterator[pa.Table]:
        return (g.table("queries.arrow", QUERIES) for g in self._generations if g.queries)

    def _split(self, code: int) -> str:
        if code >= len(SPLITS):
            raise damaged(self.path, f"a split has code {code}")
        return SPLITS[code]


def _split_code(split: str) -> int:
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", cure=f"one of {', '.join(SPLITS)}")
    return SPLITS.index(split)


def _numpy(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        return column.to_numpy()
    return column.to_numpy(zero_copy_only=False)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes whenever the manifest is replaced."""
    try:
        facts = (path / MANIFEST).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns
