"""GradCache gives the gradient of the whole batch."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from moonshelf.encoder.fast import FastEncoder
from moonshelf.objectives.contrastive import symmetric_info_nce
from moonshelf.training.gradcache import cached_backward, passes
from moonshelf.training.precision import Precision
from moonshelf.training.run import train
from tests.invariants.resume_job import small_recipe
from tests.small_shop import write_small_shop


class Tower(nn.Module):
    def __init__(self, dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(12, 24), nn.GELU(), nn.Dropout(dropout), nn.Linear(24, 8)
        ).to(dtype)
        self.log_temperature = nn.Parameter(torch.zeros((), dtype=dtype))
        self.calls: list[int] = []

    def embed(self, batch):
        self.calls.append(len(batch["x"]))
        return nn.functional.normalize(self.layers(batch["x"]), dim=-1)

    def loss(self, query, item):
        found = symmetric_info_nce(query, item, self.log_temperature.exp())
        return found.loss, float(found.loss.detach())


def data(n: int = 20, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, 12, generator=generator, dtype=dtype) for _ in range(2)]


def run(tower: Tower, size: int, temperature: float = 0.1, n: int = 20, embed=None):
    tower.zero_grad()
    with torch.no_grad():
        tower.log_temperature.fill_(math.log(temperature))
    sides = [x.split(size) for x in data(n, tower.log_temperature.dtype)]
    counts = [len(side) for side in sides]
    stream = ({"x": x} for _ in range(passes(counts)) for side in sides for x in side)
    value, vectors = cached_backward(embed or tower.embed, stream, counts, tower.loss)
    assert next(stream, None) is None
    return (
        value,
        {n: p.grad.clone() for n, p in tower.named_parameters() if p.grad is not None},
        (vectors),
    )


@pytest.mark.parametrize("temperature", [0.02, 0.07, 1.0])
@pytest.mark.parametrize("size", [1, 7, 10])
def test_cached_equals_plain_for_every_temperature(temperature, size):
    tower = Tower()
    plain_value, plain, plain_vectors = run(tower, 20, temperature)
    value, cached, vectors = run(tower, size, temperature)
    assert value == pytest.approx(plain_value, rel=1e-12)
    assert cached.keys() == plain.keys() and "log_temperature" in cached
    assert cached["log_temperature"].abs() > 1e-6
    for name in plain:
        torch.testing.assert_close(cached[name], plain[name], rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(vectors, plain_vectors, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_is_the_same_in_both_passes():
    tower = Tower(dropout=0.3).train()
    torch.manual_seed(5)
    _, cached, _ = run(tower, 5)
    after = torch.get_rng_state()
    torch.manual_seed(5)
    tower.zero_grad()
    # The same chunks in the same order, all graphs kept: what GradCache must reproduce.
    sides = [torch.cat([tower.embed({"x": x}) for x in side.split(5)]) for side in data()]
    tower.loss(*sides)[0].backward()
    assert torch.equal(after, torch.get_rng_state())
    for name, p in tower.named_parameters():
        torch.testing.assert_close(cached[name], p.grad, rtol=1e-9, atol=1e-12)


def test_random_numbers_go_on_as_if_there_were_one_pass():
    tower = Tower(dropout=0.3).train()
    plain_loss = tower.loss

    def noisy(query, item):
        torch.rand(7)
        return plain_loss(query, item)

    tower.loss = noisy  # pyright: ignore[reportAttributeAccessIssue]
    torch.manual_seed(6)
    run(tower, 5)
    after = torch.rand(3)
    torch.manual_seed(6)
    for side in data():
        for x in side.split(5):
            tower.embed({"x": x})
    torch.rand(7)
    assert torch.equal(after, torch.rand(3))


def test_number_and_size_of_encoder_calls_follow_the_mini_batch():
    tower = Tower()
    run(tower, 20)
    assert tower.calls == [20, 20]
    tower.calls.clear()
    run(tower, 5)
    assert tower.calls == [5] * 16


def test_memory_follows_the_mini_batch():
    """Bytes saved for backward at any one moment: a sixteenth of the batch, not all of it."""

    def peak(size: int) -> int:
        live, most = 0, 0

        class Kept:
            def __init__(self, tensor: torch.Tensor) -> None:
                nonlocal live, most
                self.tensor, self.bytes = tensor, tensor.nbytes
                live += self.bytes
                most = max(most, live)

            def __del__(self) -> None:
                nonlocal live
                live -= self.bytes

        tower = Tower()

        def embed(batch):
            with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
                return tower.embed(batch)

        run(tower, size, n=512, embed=embed)
        return most

    assert peak(32) < 0.15 * peak(512)


def test_autocast_weights_cached_without_graph_do_not_cut_the_second_pass():
    tower = Tower(dtype=torch.float32)
    precision = Precision(torch.bfloat16, 1.0, "test")

    def embed(batch):
        with precision.autocast(torch.device("cpu")):
            return tower.embed(batch).float()

    _, plain, _ = run(tower, 20, embed=embed)
    _, cached, _ = run(tower, 5, embed=embed)
    assert cached.keys() == plain.keys()
    for name in plain:
        assert torch.cosine_similarity(cached[name].flatten(), plain[name].flatten(), 0) > 0.98


def test_the_mini_batch_of_a_recipe_reaches_the_encoder_and_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One process, as a recipe asks for it: elsewhere the flag is read and forgotten there, or the
    learned temperature does not take part."""
    shop, seen, forward = write_small_shop(tmp_path / "shop"), [], FastEncoder.forward

    def watched(self, batch):
        if self.training:
            seen.append(int(batch["count"]))
        return forward(self, batch)

    monkeypatch.setattr(FastEncoder, "forward", watched)
    found = {}
    for size in (12, 5):
        recipe = small_recipe(
            "stages.align.batch=12",
            f"stages.align.mini_batch={size}",
            "stages.align.steps=2",
            "stages.align.log_every=1",
            "stages.align.terms.variant.share=0",
        )
        recipe = recipe.model_copy(update={"stages": {"align": recipe.stages["align"]}})
        seen.clear()
        out = train(recipe, shop, tmp_path / str(size))
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        found[size] = lines[0], list(seen)
    (plain, whole), (cached, pieces) = found.values()
    assert whole == [12, 12] * 2  # steps
    assert max(pieces) <= 5 and sum(pieces) == 12 * 2 * 2 * 2  # sides, passes, steps
    for name in ("loss", "gradient_norm", "accuracy", "temperature"):
        assert cached[name] == pytest.approx(plain[name], rel=1e-4), name


@pytest.mark.parametrize("size", [20, 7])
def test_sums_without_a_graph_take_nothing_away(size: int) -> None:
    """Those of a frozen router, in a step as a whole and in mini-batches."""
    tower = Tower()
    _, plain, _ = run(tower, size)

    def loss(query, item, total):
        found, report = tower.loss(query, item)
        return found + total.sum(), report

    tower.zero_grad()
    sides = [x.split(size) for x in data()]
    counts = [len(side) for side in sides]
    stream = ({"x": x} for _ in range(passes(counts)) for side in sides for x in side)
    cached_backward(tower.embed, stream, counts, loss, sums=lambda: torch.ones(2))
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, plain[name])
