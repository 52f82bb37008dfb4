"""How far a stage has come, and what fraction of the learning rate that earns.

Progress runs from 0 to 1 on one of three budgets:

* ``steps``: step / steps. Exactly reproducible: the same seed gives the same losses anywhere.
* ``minutes``: elapsed wall clock / budget. Every run anneals to its end whatever the machine does.
* ``core_seconds``: process CPU time of all threads / budget. Fair between runs on a busy machine.

The learning rate rises linearly over the first ``warmup`` share of progress, then decays to
``floor`` of its peak. Progress, not the step, drives the rate, so the three budgets share a curve.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from moonshelf.training.settings import ScheduleConfig


@dataclass(frozen=True)
class Spent:
    """What a stage has used up: optimizer steps, wall-clock seconds, CPU seconds."""

    steps: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0


class Schedule:
    """Progress and learning-rate factor of a stage."""

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config

    def progress(self, spent: Spent) -> float:
        """0 at the start; 1 or more when the budget is spent and the stage must stop."""
        config = self.config
        if config.steps is not None:
            return spent.steps / config.steps
        if config.minutes is not None:
            return spent.seconds / (60 * config.minutes)
        assert config.core_seconds is not None
        return spent.core_seconds / config.core_seconds

    def factor(self, spent: Spent) -> float:
        """Learning rate of the coming step over its peak, in [0, 1]."""
        progress = self.progress(spent)
        if self.config.steps is not None:
            # The middle of the coming step: neither the first nor the last step has rate 0.
            progress += 0.5 / self.config.steps
        progress = min(1.0, progress)
        warmup = self.config.warmup
        if progress < warmup:
            return progress / warmup
        rest = (progress - warmup) / (1 - warmup)
        falling = {
            "linear": 1 - rest,
            "cosine": 0.5 * (1 + math.cos(math.pi * rest)),
            "constant": 1.0,
        }[self.config.decay]
        return self.config.floor + (1 - self.config.floor) * falling


class Stopwatch:
    """Seconds and CPU seconds since ``start``, on top of what an earlier process spent."""

    def __init__(self, before: Spent | None = None) -> None:
        self._before = before or Spent()
        self._seconds, self._core = time.monotonic(), time.process_time()

    def spent(self, steps: int) -> Spent:
        return Spent(
            steps=steps,
            seconds=self._before.seconds + time.monotonic() - self._seconds,
            core_seconds=self._before.core_seconds + time.process_time() - self._core,
        )
