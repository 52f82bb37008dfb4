"""The load balance of experts is that of the whole step, however it is cut and shared out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from moonshelf.encoder.experts import told
from moonshelf.encoder.sequence import ATTRIBUTE, CATEGORY, PAD
from moonshelf.objectives.contrastive import info_nce_dense
from moonshelf.training.parallel import ALONE
from tests.invariants import balance_job as job

ROOT = Path(__file__).resolve().parents[2]


def written_out(arm: str) -> dict[str, np.ndarray]:
    """Gradients of the loss with the formula of balance.py written down over all tokens at once."""
    config, net = job.ARMS[arm], job.Net(job.ARMS[arm]).eval()
    query, item = job.sides()
    kinds = torch.cat([query["kinds"], item["kinds"]])
    x, real = torch.cat([query["x"], item["x"]]), (kinds != PAD)[..., None]
    routed = kinds != PAD
    if config.hard:
        routed = routed & (kinds != CATEGORY) & (kinds != ATTRIBUTE)
    total, figures = torch.zeros((), dtype=torch.float64), {}
    for number, layer in net.experts.items():
        probability = torch.softmax(x[routed] @ layer.router.weight.T, dim=-1)
        used = torch.zeros(layer.routed, dtype=torch.float64)
        for row in probability.detach():
            for e in row.argsort(descending=True)[: config.top_k]:
                used[e] += 1 / (len(probability) * config.top_k)
        total = total + layer.routed * (used * probability.mean(0)).sum() / 2
        figures[f"experts/{number}/entropy"] = (
            torch.distributions.Categorical(probability).entropy().mean()
        )
        with told([layer], kinds):
            x = x + layer(x)
    vectors = torch.nn.functional.normalize((x * real).sum(1), dim=-1)
    contrast = info_nce_dense(vectors[: job.ROWS], vectors[job.ROWS :], 0.2, symmetric=True)
    (contrast.loss + config.load_balance * total).backward()
    found = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    told_of = {"balance": total, **figures}
    return found | {k: np.array(float(v.detach())) for k, v in told_of.items()}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What each of two processes left."""
    folder = tmp_path_factory.mktemp("two")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "invariants" / "balance_job.py"), str(folder)]
    processes = [subprocess.Popen([*command, str(rank), "2"], env=environment) for rank in (0, 1)]
    try:
        assert [process.wait(240) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return [dict(np.load(folder / f"{rank}.npz")) for rank in (0, 1)]


@pytest.mark.parametrize("mini", job.MINI)
@pytest.mark.parametrize("arm", job.ARMS)
def test_gradients_are_those_of_the_written_form(arm: str, mini: str) -> None:
    found = job.step(ALONE, arm, mini)
    for name, value in written_out(arm).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    for number in (3, 5):
        assert found[f"experts/{number}/dropped"] == 0
        shares = [v for k, v in found.items() if k.startswith(f"experts/{number}/share/")]
        choices = {"guided": 2 + 0.18, "hard": 2, "unguided": 2}[arm]
        assert len(shares) == 6 and 0 < sum(shares) <= choices + 0.3
        assert (f"experts/{number}/a/category" in found) == (arm == "guided")


@pytest.mark.slow
@pytest.mark.parametrize("mini", job.MINI)
@pytest.mark.parametrize("arm", job.ARMS)
def test_two_processes_leave_the_gradients_of_one(
    two: list[dict[str, np.ndarray]], arm: str, mini: str
) -> None:
    alone, cut = job.step(ALONE, arm, "whole"), f"{arm}|{mini}|"
    for found in two:
        own = {k.removeprefix(cut): v for k, v in found.items() if k.startswith(cut)}
        assert own.keys() == alone.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(own[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
