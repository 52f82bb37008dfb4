"""Moonshelf: products and behaviour in, multimodal vectors and evidence out.

Importing the package loads nothing heavy; public names resolve on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Product": "moonshelf.catalog.product",
    "Query": "moonshelf.catalog.product",
    "Event": "moonshelf.catalog.product",
    "View": "moonshelf.catalog.product",
    "Content": "moonshelf.catalog.product",
    "Catalog": "moonshelf.catalog.store",
    "load_encoder": "moonshelf.encoder",
    "load_recipe": "moonshelf.training",
    "train": "moonshelf.training",
    "evaluate": "moonshelf.evaluation",
    "embed_catalog": "moonshelf.center",
    "Store": "moonshelf.center",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'moonshelf' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
