"""A catalogue in memory with the methods the evaluation reads, and embedders that know it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from moonshelf.catalog.product import Content, Product, Query, View
from moonshelf.errors import DataError


class MemoryCatalog:
    fingerprint = "memory"
    manifest: dict = {}  # noqa: RUF012

    def __init__(self, products: Sequence[Product], queries: Sequence[Query] = ()) -> None:
        self.products, self._queries = list(products), list(queries)
        self._rows = {p.id: row for row, p in enumerate(self.products)}

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, row: int) -> Product:
        return self.products[row]

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        try:
            return np.array([self._rows[i] for i in ids], np.int64)
        except KeyError as error:
            raise DataError(f"there is no product {error}") from error

    def column(self, name: str) -> pa.ChunkedArray:
        if name == "image_count":
            return pa.chunked_array([[len(p.images) for p in self.products]])
        if name == "attributes":
            kind = pa.map_(pa.string(), pa.list_(pa.string()))
            rows = [[(k, list(v)) for k, v in p.attributes.items()] for p in self.products]
            return pa.chunked_array([pa.array(rows, kind)])
        if name == "category":
            rows = [list(p.category) for p in self.products]
            return pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])
        return pa.chunked_array([pa.array([getattr(p, name) for p in self.products])])

    def split_rows(self, split: str) -> np.ndarray:
        return np.array([r for r, p in enumerate(self.products) if p.split == split], np.int64)

    def image_hashes(self, row: int) -> tuple[str, ...]:
        return tuple(hashlib.md5(image).hexdigest() for image in self.products[row].images)

    def queries(self, split: str | None = None) -> list[Query]:
        return [q for q in self._queries if split in (None, q.split)]


class Table:
    """Looks contents up: text or first picture -> vector; counts what it was asked for."""

    views = frozenset(View)

    def __init__(self, known: dict[str | bytes, Sequence[float]], name: str = "table") -> None:
        self.known, self.name, self.asked = known, name, []

    def embed(self, contents: Iterable[Content]) -> np.ndarray:
        rows = []
        for content in contents:
            self.asked.append(content)
            keys = [content.text, *content.images]
            found = [np.asarray(self.known[k], np.float32) for k in keys if k in self.known]
            vector = np.sum(found, axis=0)
            rows.append(vector / max(float(np.linalg.norm(vector)), 1e-9))
        return np.stack(rows).astype(np.float32)


class Constant:
    """The same unit vector for everything."""

    views = frozenset(View)
    name = "constant"

    def embed(self, contents: Iterable[Content]) -> np.ndarray:
        count = sum(1 for _ in contents)
        return np.full((count, 37), 37**-0.5, np.float32)


def drawn(groups: int = 60, seed: int = 0, split: str = "test", queries: int = 30) -> MemoryCatalog:
    """Groups of 2 variants that share a title; picture bytes are unique; colors as attribute."""
    random = np.random.default_rng(seed)
    colors = ("red", "green", "blue")
    products = []
    for g in range(groups):
        for v in range(2):
            color = colors[int(random.integers(3))]
            number = 2 * g + v
            products.append(
                Product(
                    id=f"p{number:04d}",
                    title=f"{color if number % 2 else 'nice'} thing {g}",
                    images=(f"picture {number}".encode(),),
                    category=("goods", f"kind {g % 4}"),
                    attributes={"color": (color,)},
                    group=f"g{g}",
                    split=split,
                )
            )
    asked = [
        Query(
            id=f"q{k}",
            text=f"find thing {k}",
            images=(f"photo {k}".encode(),),
            positives=(f"p{2 * k:04d}", f"p{2 * k + 1:04d}"),
            grades=(2.0, 1.0),
            split=split,
        )
        for k in range(queries)
    ]
    return MemoryCatalog(products, asked)
