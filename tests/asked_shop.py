"""A catalogue to ask about: colored shapes with attributes, categories and texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from tests.small_shop import COLORS, SHAPES, picture


def write_asked_shop(path: Path, products: int = 96, seed: int = 0, **changes: object) -> Catalog:
    """A sixth each in val and test; ``changes`` replace fields of the first product."""
    rng = np.random.default_rng(seed)
    with CatalogWriter(path) as writer:
        for number in range(products):
            color = list(COLORS)[int(rng.integers(len(COLORS)))]
            shape = SHAPES[int(rng.integers(len(SHAPES)))]
            fields: dict[str, object] = {
                "id": f"p{number}",
                "title": f"nice {color} {shape}",
                "images": (picture(color, shape, "large", rng),),
                "description": f"a {shape} for every day",
                "category": ("things", shape),
                "attributes": {"main_color": (color,), "shape": (shape,)},
                "split": ("val", "test")[number % 2] if number % 6 < 2 else "train",
            }
            writer.add_product(Product(**(fields | (changes if number == 2 else {}))))  # type: ignore[arg-type]
        writer.commit()
    return Catalog.open(path)
