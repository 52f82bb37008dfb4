"""The recipe for real checkpoints trains, on a tiny checkpoint of the same class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from moonshelf.catalog.product import View, product_content
from moonshelf.catalog.store import Catalog
from moonshelf.encoder import build_encoder, load_encoder
from moonshelf.training.recipe import load_recipe
from moonshelf.training.run import train
from tests.small_shop import write_small_shop


def test_the_recipe_for_real_checkpoints_trains(checkpoint: Path, tmp_path: Path) -> None:
    write_small_shop(tmp_path / "shop")
    recipe = load_recipe(
        "qwen3_vl",
        [
            f"encoder.path={checkpoint}",
            "encoder.pictures.min_pixels=256",
            "encoder.pictures.max_pixels=1024",
            "compute.device=cpu",
            "stages.align.steps=2",
            "stages.align.batch=6",
            "stages.align.mini_batch=4",
            "stages.align.validate_every=0",
            "stages.align.optimizer.adamw_lr=1e-3",
        ],
    )
    run = train(recipe, tmp_path / "shop", tmp_path / "run")
    trained = load_encoder(run)
    catalog = Catalog.open(tmp_path / "shop")
    contents = [product_content(catalog[row], View.BOTH) for row in range(4)]
    fresh = build_encoder(recipe.encoder, seed=recipe.seed).eval()
    vectors = trained.embed(contents)
    assert np.isfinite(vectors).all()
    assert np.abs(vectors - fresh.embed(contents)).max() > 1e-4
    assert trained.parameter_count() == fresh.parameter_count()
    assert next(trained.parameters()).dtype == torch.float32
