"""The same seed takes the same steps, stopped and resumed or not (methods.md 10.4; elsewhere the
loss jumps after a resume). test_resume.py kills processes to see it; here it is told in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from moonshelf.encoder.fast import FastEncoder
from moonshelf.training.run import train
from tests.invariants.resume_job import small_recipe
from tests.small_shop import write_small_shop

STEPS = 7
LEARNED = ("stage", "step", "loss", "gradient_norm", "accuracy", "temperature", "masked_share")


class Stopped(Exception):
    pass


def stop(done: int, total: int | None = None, **facts: object) -> None:
    if total == STEPS and done >= 5:
        raise Stopped


def told(out: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """What a run has logged of every step, and its weights."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    logged = [{k: line[k] for k in LEARNED} for line in lines if "loss" in line]
    return logged, load_file(out / "encoder" / "model.safetensors")


def test_stopped_and_resumed_or_run_again_it_takes_the_same_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, losses, optimizer and random numbers: the encoder draws noise, as dropout does, so one
    number too few or too many shows in every later loss."""
    forward = FastEncoder.forward

    def noisy(self, batch):
        vectors = forward(self, batch)
        if self.training:
            vectors = vectors + 0.05 * torch.randn(vectors.shape)
        return torch.nn.functional.normalize(vectors, dim=1)

    monkeypatch.setattr(FastEncoder, "forward", noisy)
    shop = write_small_shop(tmp_path / "shop", 48)
    words = [f"steps={STEPS}", "save_every=3", "log_every=1", "batch=12", "mini_batch=6"]
    recipe = small_recipe(*(f"stages.align.{word}" for word in words))
    recipe = recipe.model_copy(update={"stages": {"align": recipe.stages["align"]}})

    first = told(train(recipe, shop, tmp_path / "first"))
    with pytest.raises(Stopped):
        train(recipe, shop, tmp_path / "cut", progress=stop)
    for again in (
        train(recipe, shop, tmp_path / "again"),
        train(recipe, shop, tmp_path / "cut", resume=True),
    ):
        logged, weights = told(again)
        assert logged == first[0] and len(logged) == STEPS
        assert all(torch.equal(weights[name], value) for name, value in first[1].items())
    other = told(train(recipe.model_copy(update={"seed": 4}), shop, tmp_path / "other"))
    assert other[0][-1]["loss"] != first[0][-1]["loss"]
