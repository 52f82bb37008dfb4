"""States: whole or absent, the last two kept, damage told."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from moonshelf.errors import CheckpointError
from moonshelf.files import DiskFullError
from moonshelf.training import checkpoint
from moonshelf.training.checkpoint import LoopState, model_digest, newest_state, save_state
from moonshelf.training.optim import SplitOptimizer, build_optimizer
from moonshelf.training.schedule import Spent
from moonshelf.training.settings import OptimizerConfig


def model(width: int = 5) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, width))
    net[2].weight.requires_grad_(False)
    return net


def optimizer_of(net: nn.Module) -> SplitOptimizer:
    return build_optimizer(
        ((f"encoder.{n}", p) for n, p in net.named_parameters()), OptimizerConfig()
    )


def trained(net: nn.Module, optimizer: SplitOptimizer, steps: int = 2) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(6, 4)).square().sum().backward()
        optimizer.step(1.0)


def saved_run(folder: Path, steps: tuple[int, ...] = (5,)) -> tuple[nn.Module, SplitOptimizer]:
    net = model()
    optimizer = optimizer_of(net)
    for step in steps:
        trained(net, optimizer)
        state = LoopState("align", 1, step, spent=Spent(step, 1.5, 2.5), sums={"loss": 0.1})
        save_state(folder, state, {"encoder": net}, optimizer, "digest")
    return net, optimizer


def test_everything_comes_back(tmp_path: Path):
    net, optimizer = saved_run(tmp_path)
    after = torch.rand(3), np.random.rand(), random.random()
    found, notes = newest_state(tmp_path)
    assert found is not None and not notes
    assert (found.state.step, found.state.index, found.state.sums) == (5, 1, {"loss": 0.1})
    assert found.state.spent == Spent(5, 1.5, 2.5)
    other = model()
    fresh = optimizer_of(other)
    found.restore({"encoder": other}, fresh, "digest")
    assert torch.equal(torch.rand(3), after[0])
    assert (np.random.rand(), random.random()) == after[1:]
    torch.manual_seed(1)
    trained(net, optimizer)
    torch.manual_seed(1)
    trained(other, fresh)
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_frozen_weights_are_not_saved(tmp_path: Path):
    saved_run(tmp_path)
    found, _ = newest_state(tmp_path)
    assert found is not None
    assert "model/encoder.0.weight" in found.tensors
    assert "model/encoder.1.running_mean" in found.tensors
    assert "model/encoder.2.weight" not in found.tensors


def test_the_last_two_are_kept(tmp_path: Path):
    saved_run(tmp_path, (5, 10, 15, 10_000_000))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "01-align-0000015",
        "01-align-10000000",
    ]


@pytest.mark.parametrize("damage", ["cut tensors", "no json", "cut json", "other format"])
def test_a_damaged_state_is_passed_over_with_a_note(tmp_path: Path, damage: str):
    saved_run(tmp_path, (5, 10))
    newest = tmp_path / "01-align-0000010"
    if damage == "cut tensors":
        data = (newest / "tensors.safetensors").read_bytes()
        (newest / "tensors.safetensors").write_bytes(data[:-3])
    elif damage == "no json":
        (newest / "state.json").unlink()
    elif damage == "cut json":
        (newest / "state.json").write_text("{")
    else:
        (newest / "state.json").write_text('{"format": 99}')
    found, notes = newest_state(tmp_path)
    assert found is not None and found.state.step == 5
    assert len(notes) == 1 and "01-align-0000010" in notes[0]


def test_when_all_are_damaged_it_is_an_error_and_none_at_all_is_not(tmp_path: Path):
    assert newest_state(tmp_path / "state") == (None, [])
    saved_run(tmp_path)
    (tmp_path / "01-align-0000005" / "state.json").unlink()
    (tmp_path / ".01-align-0000006.77.partial").mkdir()
    with pytest.raises(CheckpointError, match="none of 1 saved states is whole"):
        newest_state(tmp_path)
    assert not list(tmp_path.glob(".*.partial"))


def test_a_full_disk_leaves_the_states_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    net, optimizer = saved_run(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(DiskFullError, match="free space"):
        save_state(tmp_path, LoopState("align", 1, 9), {"encoder": net}, optimizer, "digest")
    assert [p.name for p in tmp_path.iterdir()] == ["01-align-0000005"]


def test_another_model_is_refused(tmp_path: Path):
    saved_run(tmp_path)
    found, _ = newest_state(tmp_path)
    assert found is not None
    wider = model(7)
    with pytest.raises(CheckpointError, match="do not fit"):
        found.restore({"encoder": wider}, optimizer_of(wider), "digest")
    same = model()
    with pytest.raises(CheckpointError, match="is not the one this run started with"):
        found.restore({"encoder": same}, optimizer_of(same), "another")


def test_digest_sees_weights_and_tokenizer():
    probe = {"ids": torch.tensor([1, 2])}
    one = model_digest({"encoder": model()}, probe)
    assert one == model_digest({"encoder": model()}, probe)
    assert one != model_digest({"encoder": model()}, {"ids": torch.tensor([1, 3])})
    changed = model()
    with torch.no_grad():
        changed[2].bias += 1  # pyright: ignore[reportOperatorIssue]
    assert one != model_digest({"encoder": changed}, probe)
