"""A catalogue and an encoder small enough to reason about, with the methods of the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from moonshelf.catalog.product import Content, Product
from moonshelf.errors import ImageError

BAD_PICTURE = b"not a picture"


class FakeCatalog:
    """Products in memory behind the methods of moonshelf.catalog.store.Catalog."""

    def __init__(
        self, products: Iterable[Product], path: Path | str = "catalog", origin: str = "shop"
    ) -> None:
        self.products = list(products)
        self.path, self.origin = Path(path), origin

    @property
    def fingerprint(self) -> str:
        text = repr([(p.id, p.title, p.images, p.price, p.category) for p in self.products])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, row: int) -> Product:
        return self.products[row]

    def row(self, item_id: str) -> int:
        return next(row for row, p in enumerate(self.products) if p.id == item_id)

    def image(self, row: int, k: int = 0) -> bytes:
        return self.products[row].images[k]

    def content_hash(self, row: int) -> str:
        product = self.products[row]
        return hashlib.sha256(repr((product.title, product.images)).encode()).hexdigest()

    def column(self, name: str) -> pa.ChunkedArray:
        types = {
            "category": pa.list_(pa.string()),
            "attributes": pa.map_(pa.string(), pa.list_(pa.string())),
            "price": pa.float64(),
        }
        values = [getattr(p, name) for p in self.products]
        if name == "attributes":
            values = [[(k, list(v)) for k, v in value.items()] for value in values]
        if name == "category":
            values = [list(value) for value in values]
        half = len(values) // 2  # two chunks, as a large catalogue has many
        kind = types.get(name, pa.string())
        return pa.chunked_array(
            [pa.array(values[:half], kind), pa.array(values[half:], kind)], kind
        )


def seeded_vector(data: bytes, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=dim)


class FakeEncoder:
    """The normalized sum of a vector per modality, drawn from a hash of its bytes."""

    embed_batch = 16

    def __init__(self, dim: int = 32, version: str = "fake-1") -> None:
        self.dim, self.version = dim, version
        self.seen: list[Content] = []

    def embed(self, contents: Iterable[Content], batch_size: int | None = None) -> np.ndarray:
        contents = list(contents)
        vectors = np.zeros((len(contents), self.dim))
        for place, content in enumerate(contents):
            if BAD_PICTURE in content.images:
                raise ImageError("the picture is truncated", where=f"content {place}")
            if content.text is not None:
                vectors[place] += seeded_vector(content.text.encode(), self.dim)
            for image in content.images:
                assert isinstance(image, bytes)
                vectors[place] += seeded_vector(image, self.dim)
        self.seen += contents
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


COLORS = ("Red", "Blue", "Green", "Black")
TYPES = (("Apparel", "Topwear", "Shirt"), ("Apparel", "Bottomwear"), ("Shoes",))


def draw_products(count: int, seed: int = 0) -> list[Product]:
    """Products whose price, colors and category follow from their number."""
    rng = np.random.default_rng(seed)
    products = []
    for n in range(count):
        colors = tuple(rng.choice(COLORS, size=rng.integers(1, 3), replace=False).tolist())
        products.append(
            Product(
                id=f"p{n}",
                title=f"{colors[0]} thing {n} {seed}",
                images=(f"picture {n} {seed}".encode(),),
                category=TYPES[n % 3],
                attributes={"color": colors, "size": (str(n % 5),)},
                price=None if n % 7 == 0 else float(n % 100),
            )
        )
    return products
