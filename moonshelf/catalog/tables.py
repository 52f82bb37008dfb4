"""The Arrow side of a catalogue: schemas, and record batches written as the records arrive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from moonshelf.catalog.blobs import HASH_BYTES
from moonshelf.catalog.product import Product

BATCH_ROWS = 16_384
BATCH_CHARS = 64_000_000  # a batch ends early here, so that its 32-bit offsets never overflow

PRODUCTS = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("category", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.list_(pa.string()))),
        ("description", pa.string()),
        ("group", pa.string()),
        ("shop", pa.string()),
        ("price", pa.float64()),
        ("time", pa.int64()),
        ("images", pa.list_(pa.uint32())),
        ("content_hash", pa.binary(HASH_BYTES)),
    ]
)
QUERIES = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("positives", pa.list_(pa.string())),
        ("grades", pa.list_(pa.float64())),
        ("images", pa.list_(pa.uint32())),
    ]
)
EVENTS = pa.schema(
    [
        ("time", pa.int64()),
        ("user", pa.string()),
        ("item", pa.string()),
        ("kind", pa.string()),
        ("query", pa.string()),
        ("position", pa.int32()),
        ("price", pa.float64()),
    ]
)


def product_row(product: Product, images: list[int], content: bytes) -> tuple[Any, ...]:
    """A product in the order of ``PRODUCTS``; its split lies in a table of its own."""
    return (
        product.id,
        product.title,
        list(product.category),
        [(key, list(values)) for key, values in product.attributes.items()],
        product.description,
        product.group,
        product.shop,
        None if product.price is None else float(product.price),
        product.time,
        images,
        content,
    )


def content_digest(product: Product, pictures: Sequence[bytes]) -> bytes:
    """16 bytes over all that an encoder may see of a product: equal content, equal digest.
    ``pictures`` are the hashes of its pictures."""
    attributes = [[key, list(values)] for key, values in product.attributes.items()]
    texts = [product.title, list(product.category), attributes, product.description]
    seen = [*texts, [digest.hex() for digest in pictures]]
    return blake2b(json.dumps(seen).encode(), digest_size=HASH_BYTES).digest()


def text_length(product: Product) -> int:
    """About how many characters a product's row takes."""
    values = sum(len(v) for values in product.attributes.values() for v in values)
    keys = sum(map(len, product.attributes))
    path = sum(map(len, product.category))
    short = len(product.group) + len(product.shop)
    return len(product.title) + len(product.description) + short + values + keys + path


class TableWriter:
    """Rows to an uncompressed Arrow IPC file, a record batch at a time (zero-copy when mapped)."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.path, self.schema = path, schema
        self.batches: list[int] = []
        self._rows: list[tuple[Any, ...]] = []
        self._chars = 0
        self._file: Any = path.open("xb")
        self._writer = pa.ipc.new_file(self._file, schema)

    def add(self, row: tuple[Any, ...], chars: int) -> None:
        """``row`` in the order of the schema; ``chars`` is about its length in characters."""
        self._rows.append(row)
        self._chars += chars
        if len(self._rows) >= BATCH_ROWS or self._chars >= BATCH_CHARS:
            self._flush()

    def write(self, table: pa.Table) -> None:
        """Whole columns at once (rows that wait are written first)."""
        self._flush()
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            self._writer.write_batch(batch)
            self.batches.append(batch.num_rows)

    @property
    def rows(self) -> int:
        return sum(self.batches) + len(self._rows)

    def close(self) -> None:
        """Writes what waits and the footer; the file is complete after this."""
        self._flush()
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Closes the file as it is; nobody will read it."""
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(batch_of(self._rows, self.schema))
            self.batches.append(len(self._rows))
            self._rows, self._chars = [], 0


def batch_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
