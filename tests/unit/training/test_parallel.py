"""How work is shared out among processes: pure arithmetic; the rest is in tests/invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from moonshelf.errors import UsageError
from moonshelf.training import muon
from moonshelf.training.ahead import Work, cut
from moonshelf.training.muon import Muon, deal
from moonshelf.training.parallel import Group, add_gradients


class Place(Group):
    """A group that is only asked where it is."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


class Doubled(Place):
    """Two processes that hold the same: adding doubles."""

    def add_(self, values: torch.Tensor) -> None:
        values.mul_(2)


@pytest.mark.parametrize("most", [None, 1, 3, 7, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_mini_batches_cover_the_batch_evenly(most: int | None, size: int):
    for count in range(size, 40):
        parts = cut(count, most, size)
        assert list(itertools.chain(*(range(count)[p] for p in parts))) == list(range(count))
        lengths = {p.stop - p.start for p in parts}
        assert min(lengths) >= 1 and max(lengths) <= (most or count)
        assert max(lengths) - min(lengths) <= 1
        own = [len(parts[Place(rank, size).share(len(parts))]) for rank in range(size)]
        assert max(own) - min(own) <= 1
        rows = [
            sum(p.stop - p.start for p in parts[Place(rank, size).share(len(parts))])
            for rank in range(size)
        ]
        assert max(rows) - min(rows) <= max(lengths)
    if most is None:
        assert len(cut(16, most, size)) == size


def work(*counts: int) -> Work:
    sides = [[lambda k=k: {"k": torch.tensor(k)} for k in range(n)] for n in counts]
    return Work(3, "pair", 9, [np.arange(n) for n in counts], sides)


def test_processes_take_contiguous_shares_of_every_side():
    whole = work(7, 5)
    assert whole.part_of(Place(0, 1)) is whole
    parts = [whole.part_of(Place(rank, 3)) for rank in range(3)]
    assert [part.counts for part in parts] == [[2, 1], [2, 2], [3, 2]]
    for side in range(2):
        taken = [collate()["k"].item() for part in parts for collate in part.sides[side]]
        assert taken == list(range(whole.counts[side]))
    assert all(part.rows is whole.rows and part.pairs == 9 for part in parts)
    with pytest.raises(UsageError, match="5 mini-batches are too few for 6 processes") as caught:
        whole.part_of(Place(0, 6))
    assert "step 3, term pair" in caught.value.where


def test_every_thing_is_dealt_once_and_the_loads_are_near():
    costs = [50, 7, 7, 3, 20, 20, 1, 1, 1, 30]
    for hands in (1, 2, 3, 12):
        dealt = deal(costs, hands)
        assert sorted(itertools.chain(*dealt)) == list(range(len(costs)))
        loads = [sum(costs[k] for k in hand) for hand in dealt]
        assert max(loads) <= max(max(costs), sum(costs) / hands * 4 / 3)


def test_rounds_of_any_size_take_the_same_step(monkeypatch: pytest.MonkeyPatch):
    def moved(bucket: int) -> list[nn.Parameter]:
        monkeypatch.setattr(muon, "BUCKET", bucket)
        torch.manual_seed(0)
        shapes = [(6, 4), (4, 6), (8, 4), (6, 4), (5, 5)]
        weights = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in shapes]
        optimizer = Muon(weights, lr=0.1, dtype=torch.float64)
        for _ in range(2):
            for w in weights:
                w.grad = torch.randn_like(w)
            optimizer.step()
        return weights

    whole = moved(1 << 20)
    for bucket in (1, 50):
        torch.testing.assert_close(moved(bucket), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bucket", [1, 20, 1 << 20])
def test_gradients_add_up_and_missing_ones_stay_missing(bucket: int):
    torch.manual_seed(0)
    kernel = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    parts = [nn.Parameter(t) for t in (kernel, torch.randn(5), torch.tensor(2.0), torch.randn(3))]
    parts.append(nn.Parameter(torch.randn(2, 2, dtype=torch.bfloat16)))
    before = []
    for k, p in enumerate(parts):
        p.grad = None if k == 3 else torch.randn_like(p)
        before.append(None if p.grad is None else 2 * p.grad)
    add_gradients(parts, Doubled(0, 2), bucket)
    assert parts[3].grad is None
    for p, expected in zip(parts, before, strict=True):
        if expected is not None:
            assert p.grad is not None and p.grad.dtype == p.dtype
            torch.testing.assert_close(p.grad, expected)
