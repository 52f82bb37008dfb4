"""TensorBoard is an extra: with it curves are written, without it the cure is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moonshelf.errors import UsageError
from moonshelf.training.tracking import TensorBoardTracker


def test_without_the_extra_the_cure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        TensorBoardTracker(tmp_path)
    assert "moonshelf[track]" in caught.value.cure


def test_curves_can_be_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="extra `track` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoardTracker(tmp_path)
    for step in (1, 2):
        tracker.write({"stage": "align", "step": step, "loss": 3.0 / step, "term": "words"})
    tracker.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert found.Tags()["scalars"] == ["align/loss"]
    assert [(e.step, e.value) for e in found.Scalars("align/loss")] == [(1, 3.0), (2, 1.5)]
