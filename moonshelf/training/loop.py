"""The one loop of all stages: next batch ready, loss, gradient, clip, step, log, save.

    thread   plan and collate the mini-batches to come (at most two ahead)
    main     GradCache or plain backward under autocast -> clip -> optimizer -> hooks

In a group of processes every one runs this loop on its share of each step; gradients are added
before the clip, and time spent is the leader's clock and everybody's CPU seconds, so all take the
same steps and stop at the same one.

A stage says what a step is made of (:class:`Work`) and what its loss is; the loop knows neither
views nor objectives. Steps are functions of (seed, step), so a resumed run repeats what an
uninterrupted one would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moonshelf.errors import MoonshelfError
from moonshelf.progress import Progress
from moonshelf.training.ahead import Ahead, Loss, Stage, Work
from moonshelf.training.balance import balance_of
from moonshelf.training.checkpoint import LoopState
from moonshelf.training.gradcache import Batch, cached_backward
from moonshelf.training.optim import SplitOptimizer
from moonshelf.training.parallel import ALONE, Group, add_gradients, lost_is_told
from moonshelf.training.precision import Precision
from moonshelf.training.schedule import Schedule, Spent, Stopwatch
from moonshelf.training.settings import LoopConfig
from moonshelf.training.sharding import Shards, clip_gradients, is_shard
from moonshelf.training.tracking import peak_memory_mib


class TrainingError(MoonshelfError):
    """Training cannot go on: the loss or a gradient is not a number any more."""


Hook = Callable[[LoopState, Mapping[str, Any] | None, bool], None]
"""Called after each step with the state, the metrics line if one is due, and whether it is the
last step."""


def run_loop(
    stage: Stage,
    optimizer: SplitOptimizer,
    schedule: Schedule,
    config: LoopConfig,
    *,
    state: LoopState,
    precision: Precision,
    device: torch.device,
    clip: float = 1.0,
    hooks: Sequence[Hook] = (),
    progress: Progress | None = None,
    group: Group = ALONE,
    seed: int = 0,
    shards: Shards | None = None,
) -> LoopState:
    """Trains ``stage`` from ``state`` to the end of its budget and returns the last state.

    ``shards`` are the encoder's, where its weights are spread over the group; ``seed`` is of the
    random numbers drawn inside the model (dropout) in a group of processes.

    Raises:
        TrainingError: naming step and rows when loss, vectors or gradient stop being finite.
        MoonshelfError: whatever preparing a batch raised (a broken picture, say).
    """
    for module in stage.modules().values():
        module.train()
    watch = Stopwatch(state.spent if group.leads else None)
    state.spent = _spent(watch, state.step, group)
    meter = _Meter(state)
    alike = shards is not None
    with Ahead(stage, state.step, schedule.config.steps, group=group, alike=alike) as ahead:
        while schedule.progress(state.spent) < 1:
            factor = schedule.factor(state.spent)
            waited = ahead.waited
            work, batches = ahead.next_step()
            if group.size > 1:
                _seed_step(seed, state.step, group)
            report, norm = _step(
                stage, optimizer, work, batches, precision, device, clip, factor, group, shards
            )
            state.step += 1
            state.spent = _spent(watch, state.step, group)
            last = schedule.progress(state.spent) >= 1
            meter.add(work, report, norm, ahead.waited - waited)
            line = None
            if last or state.step % config.log_every == 0:
                (memory,) = group.total(peak_memory_mib(device))
                line = meter.line(stage.name, factor, memory)
            for hook in hooks:
                hook(state, line, last)
            if progress is not None and line is not None:
                _show(progress, schedule, state, line)
    return state


def _step(
    stage: Stage,
    optimizer: SplitOptimizer,
    work: Work,
    batches: Iterator[Batch],
    precision: Precision,
    device: torch.device,
    clip: float,
    factor: float,
    group: Group,
    shards: Shards | None,
) -> tuple[Mapping[str, float | Tensor], Tensor]:
    def embed(batch: Batch) -> Tensor:
        moved: Batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
        with precision.autocast(device):
            if shards is None:
                return stage.embed(moved)
            vectors = stage.embed(shards.level(moved))
        # A filled batch gives a row more than this one has.
        return vectors[: int(batch["count"])] if "count" in batch else vectors

    def loss(*given: Tensor) -> Loss:
        vectors = given[: len(work.counts)]
        scalar, report = stage.loss(work, *vectors)
        if balance is not None:
            more, told = balance.loss(given[-1])
            scalar, report = scalar + more, {**report, **told}
        if not torch.isfinite(scalar):
            raise _not_finite("the loss", work, vectors)
        return scalar, {"loss": scalar.detach(), **report}

    balance = balance_of(stage.modules())
    sums = balance.taken if balance is not None else None
    optimizer.zero_grad()
    with lost_is_told(sure=False):
        report, vectors = cached_backward(embed, batches, work.counts, loss, group, sums)
    if shards is not None:
        shards.settle()
    add_gradients([p for p in optimizer.parameters if not is_shard(p)], group)
    norm = clip_gradients(optimizer.parameters, clip, group)
    if not torch.isfinite(norm):
        raise _not_finite("the gradient", work, vectors)
    optimizer.step(factor)
    return report, norm


def _spent(watch: Stopwatch, steps: int, group: Group) -> Spent:
    """The leader's clock and the CPU seconds of all: the same numbers in every process."""
    own = watch.spent(steps)
    if group.size == 1:
        return own
    seconds, cores = group.total(own.seconds if group.leads else 0.0, own.core_seconds)
    return Spent(steps, seconds, cores)


def _seed_step(seed: int, step: int, group: Group) -> None:
    """Dropout of its own in each process; a function of the step, so that resuming repeats it."""
    sequence = np.random.SeedSequence((seed, 6, step, group.rank))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


def _not_finite(what: str, work: Work, vectors: Sequence[Tensor]) -> TrainingError:
    bad = [work.rows[k][~torch.isfinite(v).all(1).cpu().numpy()] for k, v in enumerate(vectors)]
    named = np.concatenate(bad) if bad else np.empty(0, dtype=np.int64)
    some = named if len(named) else np.concatenate(work.rows)
    kind = "rows with vectors that are not finite" if len(named) else "rows of the batch"
    listed = ", ".join(str(int(row)) for row in some[:8]) + (", ..." if len(some) > 8 else "")
    return TrainingError(
        f"{what} is not finite; {kind}: {listed}",
        where=f"step {work.step}, term {work.label}",
        cure="lower the learning rate, set compute.precision=fp32, or look at these rows",
    )


class _Meter:
    """Means since the last line; they live in ``state.sums``, so a resumed run logs the same.
    Of ``tokens``, which a stage may report, the rate is told too."""

    def __init__(self, state: LoopState) -> None:
        self._state = state
        # Rates are of this process only: what an earlier one did since its last line is unknown.
        self._samples, self._tokens, self._waited, self._since = 0, 0.0, 0.0, state.spent

    def add(
        self, work: Work, report: Mapping[str, float | Tensor], norm: Tensor, waited: float
    ) -> None:
        values = {key: float(value) for key, value in report.items()}
        values[f"loss/{work.label}"] = values["loss"]
        values["gradient_norm"] = float(norm)
        sums = self._state.sums
        for key, value in values.items():
            sums[key] = sums.get(key, 0.0) + value
            sums[f"n:{key}"] = sums.get(f"n:{key}", 0.0) + 1
        self._samples += work.pairs
        self._tokens += values.get("tokens", 0.0)
        self._waited += waited

    def line(self, stage: str, factor: float, memory: float) -> dict[str, Any]:
        state, sums = self._state, self._state.sums
        means = {k: v / sums[f"n:{k}"] for k, v in sums.items() if not k.startswith("n:")}
        seconds = max(1e-9, state.spent.seconds - self._since.seconds)
        cores = max(1e-9, state.spent.core_seconds - self._since.core_seconds)
        line: dict[str, Any] = {
            "stage": stage,
            "step": state.step,
            **means,
            "lr_factor": factor,
            "samples_per_s": self._samples / seconds,
            "samples_per_core_s": self._samples / cores,
            **({"tokens_per_s": self._tokens / seconds} if self._tokens else {}),
            "waiting": self._waited / seconds,
            "seconds": state.spent.seconds,
            "core_seconds": state.spent.core_seconds,
            "memory_mib": memory,
        }
        sums.clear()
        self._samples, self._tokens, self._waited, self._since = 0, 0.0, 0.0, state.spent
        return line


def _show(
    progress: Progress, schedule: Schedule, state: LoopState, line: Mapping[str, Any]
) -> None:
    facts = {"loss": f"{line['loss']:.3f}"}
    if "tokens_per_s" in line:
        facts["tokens"] = f"{line['tokens_per_s']:.0f}/s"
    else:
        facts["accuracy"] = f"{line['accuracy']:.2f}" if "accuracy" in line else "-"
        facts["pairs"] = f"{line['samples_per_s']:.0f}/s"
    facts["memory"] = f"{line['memory_mib']:.0f}MiB"
    if schedule.config.steps is not None:
        progress(state.step, schedule.config.steps, **facts)
    else:
        share = min(1.0, schedule.progress(state.spent))
        progress(round(100 * share), 100, step=state.step, **facts)
