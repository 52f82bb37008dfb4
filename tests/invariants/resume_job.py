"""What tests of resuming run in processes of their own: a small recipe, a training that dies."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import torch

from moonshelf.config import load_config, with_overrides
from moonshelf.training.recipe import Recipe
from moonshelf.training.run import train

RECIPE = {
    "seed": 3,
    "encoder": {
        "kind": "fast",
        "vocabulary": 300,
        "width": 16,
        "dim": 16,
        "stem": {"width": 8, "blocks": [1, 1]},
        "pictures": {"height": 32, "width": 32},
    },
    "compute": {"precision": "fp32", "threads": 1, "device": "cpu"},
    "stages": {
        "align": {
            "steps": 60,
            "batch": 16,
            "log_every": 5,
            "save_every": 7,
            "augment": {"description": 0.3, "word_drop": 0.2, "crop": 0.2},
            "terms": {
                "title-picture": {"query": "t", "item": "i", "share": 2},
                "variant": {"source": "variant", "query": "mm", "item": "mm"},
            },
        },
        "again": {
            "steps": 20,
            "batch": 16,
            "mini_batch": 6,
            "log_every": 5,
            "save_every": 6,
            "terms": {"title-picture": {"query": "t", "item": "i"}},
        },
    },
}


def small_recipe(*words: str) -> Recipe:
    return load_config(Recipe, with_overrides(RECIPE, words))


def job(
    recipe: Recipe, catalog: Path, out: Path, resume: bool, death: tuple[int, int] = (0, 0)
) -> None:
    """Trains; ``death``: SIGKILL some milliseconds after that step of the stage of so many steps,
    in the middle of whatever it is doing."""
    step, steps = death
    killer = threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGKILL))

    def progress(done: int, total: int | None = None, **facts: object) -> None:
        if steps and total == steps and done >= step and killer.ident is None:
            killer.start()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    train(recipe, catalog, out, resume, progress=progress)
