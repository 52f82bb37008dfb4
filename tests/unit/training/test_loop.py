"""The loop on a stage of two random tables: guard, order, progress, what is shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from moonshelf.errors import DataError
from moonshelf.objectives.contrastive import symmetric_info_nce
from moonshelf.training import schedule
from moonshelf.training.ahead import Ahead, Loss, Work
from moonshelf.training.checkpoint import LoopState
from moonshelf.training.loop import TrainingError, run_loop
from moonshelf.training.optim import build_optimizer
from moonshelf.training.precision import Precision
from moonshelf.training.schedule import Schedule
from moonshelf.training.settings import LoopConfig, OptimizerConfig, ScheduleConfig

CPU = torch.device("cpu")


class FakeStage:
    """Two noisy looks at the same random rows, one linear layer to bring them together."""

    name = "fake"

    def __init__(self, mini: int = 8, width: int = 16) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 8))
        self.mini, self.width = mini, width
        self.broken_at: int | None = None
        self.threads: set[str] = set()
        self.prepared: list[int] = []

    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.net}

    def work(self, step: int) -> Work:
        self.prepared.append(step)
        rows = np.random.default_rng((1, step)).permutation(64)[:8]
        sides = [
            [
                lambda side=side, part=part: self.collate(rows[part], (step, side))
                for part in np.split(np.arange(8), range(self.mini, 8, self.mini))
            ]
            for side in range(2)
        ]
        return Work(step, "pair", len(rows), [rows, rows], sides)

    def collate(self, rows: np.ndarray, key: tuple[int, int]) -> dict[str, Tensor]:
        self.threads.add(threading.current_thread().name)
        if self.broken_at == key[0]:
            raise DataError("broken picture", where=f"row {rows[0]}")
        clean = [np.random.default_rng(row).normal(size=self.width) for row in rows]
        noise = [np.random.default_rng((row, *key)).normal(size=self.width) for row in rows]
        looks = np.stack(clean) + 0.1 * np.stack(noise)
        return {"x": torch.from_numpy(looks.astype(np.float32))}

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.normalize(self.net(batch["x"]), dim=-1)

    def loss(self, work: Work, query: Tensor, item: Tensor) -> Loss:
        found = symmetric_info_nce(query, item, 0.2)
        return found.loss, {"accuracy": found.accuracy}


def run(stage: FakeStage, hooks: Any = (), progress: Any = None, **budget: Any) -> LoopState:
    named = ((f"encoder.{n}", p) for n, p in stage.net.named_parameters())
    return run_loop(
        stage,
        build_optimizer(named, OptimizerConfig()),
        Schedule(ScheduleConfig(**(budget or {"steps": 40}))),
        LoopConfig(log_every=10),
        state=LoopState("fake"),
        precision=Precision(torch.float32, None, "test"),
        device=CPU,
        hooks=hooks,
        progress=progress,
    )


def lines_of(stage: FakeStage, **budget: Any) -> list[Mapping[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    run(stage, [lambda state, line, last: lines.append(line) if line else None], **budget)
    return lines


def test_it_learns_and_reports():
    lines = lines_of(FakeStage())
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["accuracy"] > 0.9
    for key in ("loss/pair", "gradient_norm", "lr_factor", "samples_per_s", "memory_mib"):
        assert lines[0][key] >= 0


def test_same_seed_same_losses_and_mini_batches_change_nothing_else():
    losses = [line["loss"] for line in lines_of(FakeStage())]
    assert [line["loss"] for line in lines_of(FakeStage())] == losses
    cached = [line["loss"] for line in lines_of(FakeStage(mini=3))]
    assert cached == pytest.approx(losses, rel=1e-3)


def test_data_are_prepared_in_another_thread_in_order():
    stage = FakeStage()
    run(stage, steps=5)
    assert stage.threads == {"moonshelf-ahead"}
    assert stage.prepared == [0, 1, 2, 3, 4]


def test_preparation_stays_close_and_stops():
    stage = FakeStage(mini=2)
    with Ahead(stage, 0, None) as ahead:
        ahead.next_step()
        time.sleep(0.2)
        assert max(stage.prepared) == 0
    assert not any(t.name == "moonshelf-ahead" for t in threading.enumerate())


def test_errors_of_preparation_arrive_where_they_can_be_told():
    stage = FakeStage()
    stage.broken_at = 3
    with pytest.raises(DataError, match="broken picture"):
        run(stage)


def test_loss_that_is_no_number_names_step_and_rows():
    stage = FakeStage()

    def poison(state: LoopState, line: object, last: bool) -> None:
        if state.step == 3:
            with torch.no_grad():
                stage.net[0].weight.fill_(float("nan"))

    with pytest.raises(TrainingError) as caught:
        run(stage, [poison])
    assert "step 3, term pair" in caught.value.where
    row = int(stage.work(3).rows[0][0])
    assert f"not finite: {row}, " in caught.value.what


def test_gradient_that_is_no_number_is_told_before_weights_are_touched():
    stage = FakeStage()
    before = stage.net[0].weight.detach().clone()
    stage.net[2].weight.register_hook(lambda g: g * float("inf"))
    with pytest.raises(TrainingError, match="the gradient is not finite"):
        run(stage)
    assert torch.equal(before, stage.net[0].weight)


def test_a_time_budget_ends_and_anneals(monkeypatch: pytest.MonkeyPatch):
    """By a clock that goes on with the work alone."""
    factors: list[float] = []
    stage, passed = FakeStage(), [0.0]
    embed = stage.embed

    def timed(batch: Mapping[str, Tensor]) -> Tensor:
        passed[0] += 0.002
        return embed(batch)

    monkeypatch.setattr(stage, "embed", timed)
    clock = SimpleNamespace(monotonic=lambda: passed[0], process_time=time.process_time)
    monkeypatch.setattr(schedule, "time", clock)

    def see(state: LoopState, line: Mapping[str, Any] | None, last: bool) -> None:
        if line:
            factors.append(line["lr_factor"])

    state = run(stage, [see], minutes=0.5 / 60)
    assert 0.5 <= state.spent.seconds < 0.51
    assert 40 < state.step < 260 and factors[-1] < 0.2 and max(factors) > 0.5


def test_core_seconds_count_this_process():
    start = time.process_time()
    run(FakeStage(), core_seconds=0.3)
    assert 0.25 < time.process_time() - start < 2


def test_progress_says_how_far():
    calls: list[tuple[int, int | None, dict[str, object]]] = []
    run(FakeStage(), progress=lambda done, total=None, **facts: calls.append((done, total, facts)))
    assert [(done, total) for done, total, _ in calls] == [(10, 40), (20, 40), (30, 40), (40, 40)]
    assert {"loss", "accuracy", "memory"} <= calls[0][2].keys()
