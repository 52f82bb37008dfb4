"""A catalogue of a few dozen colored shapes: small enough to train on inside a test."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from moonshelf.catalog.product import Event, Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter

COLORS = {
    "red": (210, 30, 30),
    "green": (30, 170, 60),
    "blue": (40, 60, 210),
    "yellow": (230, 210, 40),
    "black": (20, 20, 20),
    "pink": (240, 130, 180),
}
SHAPES = ("square", "bar", "cross", "frame")
SIZES = ("small", "large")


def picture(color: str, shape: str, size: str, rng: np.random.Generator) -> bytes:
    """A PNG of 32 x 32 pixels with a little noise, so that no two are the same bytes."""
    canvas = np.full((32, 32, 3), 245, dtype=np.int64)
    half = 6 if size == "small" else 11
    y, x = (np.arange(32) - 16 - rng.integers(-2, 3) for _ in range(2))
    inside = (abs(y)[:, None] <= half) & (abs(x)[None, :] <= half)
    inner = (abs(y)[:, None] <= half - 3) & (abs(x)[None, :] <= half - 3)
    thin = abs(x)[None, :] <= 2
    masks = {
        "square": inside,
        "bar": inside & thin,
        "cross": inside & (thin | (abs(y)[:, None] <= 2)),
        "frame": inside & ~inner,
    }
    canvas[masks[shape]] = COLORS[color]
    canvas = (canvas + rng.integers(-8, 9, canvas.shape)).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "PNG")
    return out.getvalue()


def write_small_shop(
    path: Path, products: int = 96, seed: int = 0, categories: bool = False
) -> Catalog:
    """Products in groups of two (the same look, another photo), a val and a test split, a log; on
    request the shape as category."""
    rng = np.random.default_rng(seed)
    looks = [(c, s, z) for c in COLORS for s in SHAPES for z in SIZES]
    with CatalogWriter(path) as writer:
        for number in range(products):
            group = number // 2
            color, shape, size = looks[group % len(looks)]
            split = "val" if group % 8 == 6 else "test" if group % 8 == 7 else "train"
            writer.add_product(
                Product(
                    id=f"p{number}",
                    title=f"{size} {color} {shape} no {number}",
                    images=(picture(color, shape, size, rng),),
                    description=f"a {shape} in {color}, {size}, for every day",
                    group=f"g{group}",
                    category=("shapes", shape) if categories else (),
                    split=split,
                )
            )
        for user in range(20):
            for day in range(4):
                item = f"p{rng.integers(products)}"
                writer.add_event(Event(86_400 * day, f"u{user}", item, "purchase"))
        writer.commit()
    return Catalog.open(path)
