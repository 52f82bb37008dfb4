"""Gradients of a step with experts, in float64: `balance_job.py FOLDER RANK SIZE`.

Every case takes a group and gives named arrays; test_balance runs them alone and in two processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from moonshelf.encoder.config import ExpertsConfig
from moonshelf.encoder.experts import GuidedExperts, told
from moonshelf.encoder.sequence import ATTRIBUTE, CATEGORY, IMAGE, PAD, TEXT
from moonshelf.objectives.contrastive import symmetric_info_nce
from moonshelf.training.ahead import cut
from moonshelf.training.balance import Balance
from moonshelf.training.gradcache import cached_backward, passes
from moonshelf.training.parallel import Group, add_gradients
from moonshelf.training.processes import met

ROWS, LENGTH, WIDTH = 13, 6, 8
ARMS = {
    "guided": ExpertsConfig(kind="guided", load_balance=0.7),
    "hard": ExpertsConfig(kind="guided", hard=True, load_balance=0.7),
    "unguided": ExpertsConfig(kind="unguided", load_balance=0.7),
}
MINI = {"whole": None, "mini-batches of 4": 4, "single rows": 1}
Batch = Mapping[str, Tensor]


class Dense(nn.Module):
    """Stands in for the feed-forward net of a decoder layer; its class takes a second to import."""

    hidden_size = WIDTH

    def __init__(self, config: int) -> None:
        super().__init__()
        self.config = config
        self.up_proj = nn.Linear(WIDTH, config, bias=False, dtype=torch.float64)
        self.down_proj = nn.Linear(config, WIDTH, bias=False, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(torch.tanh(self.up_proj(x)))


class Net(nn.Module):
    """Two layers with experts, in float64 throughout; rows of tokens to unit vectors."""

    def __init__(self, config: ExpertsConfig) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({n: GuidedExperts(Dense(6), config) for n in ("3", "5")})
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    @property
    def experts(self) -> dict[int, GuidedExperts]:
        return {int(name): layer for name, layer in self.layers.items()}  # pyright: ignore

    def forward(self, batch: Batch) -> Tensor:
        x, real = batch["x"], (batch["kinds"] != PAD)[..., None]
        with told(list(self.experts.values()), batch["kinds"]):
            for layer in self.layers.values():
                x = x + layer(x)
        return nn.functional.normalize((x * real).sum(1), dim=-1)


def sides() -> list[Batch]:
    """Two sides of ROWS rows; words of category and attributes on the first alone."""
    rng = np.random.default_rng(0)
    kinds = [(TEXT, CATEGORY, ATTRIBUTE, PAD), (TEXT, IMAGE, PAD)]
    return [
        {
            "x": torch.from_numpy(rng.normal(size=(ROWS, LENGTH, WIDTH))),
            "kinds": torch.from_numpy(rng.choice(own, (ROWS, LENGTH))),
        }
        for own in kinds
    ]


def step(group: Group, arm: str, mini: str) -> dict[str, np.ndarray]:
    """Gradients of a step, its loss and what is told of its experts."""
    net = Net(ARMS[arm]).train()
    balance = Balance(net.experts)
    parts = cut(ROWS, MINI[mini], group.size)
    own = parts[group.share(len(parts))]
    counts = [len(own)] * 2
    batches = (
        {name: value[part] for name, value in side.items()}
        for _ in range(passes(counts))
        for side in sides()
        for part in own
    )

    def loss(query: Tensor, item: Tensor, sums: Tensor) -> tuple[Tensor, dict[str, Tensor | float]]:
        more, told_of = balance.loss(sums)
        total = symmetric_info_nce(query, item, 0.2).loss + more
        return total, {"loss": total.detach(), **told_of}

    report, _ = cached_backward(net, batches, counts, loss, group, balance.taken)
    add_gradients(net.parameters(), group)
    gradients = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    return gradients | {k: np.array(float(v)) for k, v in report.items()}


if __name__ == "__main__":
    folder, rank, size = sys.argv[1:]
    torch.set_num_threads(1)
    with met(folder, int(rank), int(size), torch.device("cpu")) as those:
        found = {
            f"{arm}|{mini}|{name}": value
            for arm in ARMS
            for mini in MINI
            for name, value in step(those, arm, mini).items()
        }
    np.savez(os.path.join(folder, f"{rank}.npz"), **found)
