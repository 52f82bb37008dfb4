"""Stages over one loop: a recipe and a catalogue in, a run folder with an encoder out.

Names resolve on first use, so that reading a recipe does not import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "Recipe": "moonshelf.training.recipe",
    "load_recipe": "moonshelf.training.recipe",
    "train": "moonshelf.training.run",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'moonshelf.training' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
