"""What test_resume runs in processes of its own: `resume_job.py CATALOG RUN RESUME [words]`."""

from __future__ import annotations

import sys

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


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True, warn_only=True)
    catalog, out, resume, *words = sys.argv[1:]
    train(small_recipe(*words), catalog, out, resume == "resume")
