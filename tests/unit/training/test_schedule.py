"""Progress on three budgets, and the learning rate it earns."""

from __future__ import annotations

import pytest

from moonshelf.config import load_config
from moonshelf.errors import UsageError
from moonshelf.training.schedule import Schedule, Spent, Stopwatch
from moonshelf.training.settings import ScheduleConfig


def test_steps_rise_then_fall_to_nothing():
    schedule = Schedule(ScheduleConfig(steps=100, warmup=0.1))
    factors = [schedule.factor(Spent(steps=k)) for k in range(100)]
    assert 0 < factors[0] < 0.1
    assert max(factors) == pytest.approx(1, abs=0.01)
    peak = factors.index(max(factors))
    assert 8 <= peak <= 11
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert 0 < factors[-1] < 0.01


@pytest.mark.parametrize("decay, middle", [("linear", 0.5), ("cosine", 0.5), ("constant", 1.0)])
def test_shapes_and_floor(decay, middle):
    schedule = Schedule(ScheduleConfig(minutes=1, warmup=0, decay=decay, floor=0.2))
    assert schedule.factor(Spent(seconds=30)) == pytest.approx(0.2 + 0.8 * middle)
    end = 1.0 if decay == "constant" else 0.2
    assert schedule.factor(Spent(seconds=60)) == pytest.approx(end)
    assert schedule.factor(Spent(seconds=90)) == pytest.approx(end)


def test_each_budget_reads_its_own_clock():
    spent = Spent(steps=1, seconds=30, core_seconds=60)
    assert Schedule(ScheduleConfig(steps=4)).progress(spent) == 0.25
    assert Schedule(ScheduleConfig(minutes=1)).progress(spent) == 0.5
    assert Schedule(ScheduleConfig(core_seconds=80)).progress(spent) == 0.75


@pytest.mark.parametrize("budget", [{}, {"steps": 3, "minutes": 1.0}])
def test_exactly_one_budget(budget):
    with pytest.raises(UsageError, match="exactly one budget"):
        load_config(ScheduleConfig, budget)


def test_stopwatch_goes_on_from_before():
    spent = Stopwatch(Spent(seconds=100, core_seconds=50)).spent(7)
    assert spent.steps == 7
    assert 100 <= spent.seconds < 101 and 50 <= spent.core_seconds < 51
