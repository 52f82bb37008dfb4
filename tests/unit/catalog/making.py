"""Small pictures and products for the tests of the catalogue."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from moonshelf.catalog.product import Product


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def picture(seed: int, width: int = 12, height: int = 16, form: str = "JPEG") -> bytes:
    """Random pixels: different seeds give different bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), form)


def product(k: int, **changes: Any) -> Product:
    """Product ``p<k>`` with one picture of its own; ``changes`` replace its fields."""
    fields: dict[str, Any] = {
        "id": f"p{k}",
        "title": f"title {k}",
        "images": (picture(k),),
        "category": ("clothes", f"leaf {k % 3}"),
        "attributes": {"color": ("red", "blue"), "size": (str(k),)},
        "price": k + 0.5,
        "time": 1_000 + k,
    }
    return Product(**{**fields, **changes})
