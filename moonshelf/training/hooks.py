"""What happens after a step of a run: log, validate, save; the leading process alone does these.

In this order, so that a state never runs ahead of its metrics. The others only take part in the
check, at each save, that every process still holds the same weights; and in all that needs weights
which are in shards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moonshelf.errors import DataError
from moonshelf.training.checkpoint import LoopState, moving_tensors, save_state
from moonshelf.training.loop import Hook
from moonshelf.training.optim import SplitOptimizer
from moonshelf.training.parallel import Group, check_same
from moonshelf.training.precision import Precision
from moonshelf.training.settings import LoopConfig
from moonshelf.training.sharding import Shards, is_shard
from moonshelf.training.stages.registry import RecipeStage
from moonshelf.training.tracking import MetricsFile, TensorBoardTracker

Line = Mapping[str, Any]


def run_hooks(
    stack: contextlib.ExitStack,
    out: Path,
    stage: RecipeStage,
    config: LoopConfig,
    optimizer: SplitOptimizer,
    precision: Precision,
    *,
    state: LoopState,
    digest: str,
    seed: int,
    group: Group,
    note: Callable[[str], None],
    shards: Shards | None = None,
) -> Sequence[Hook]:
    """The hooks of one stage of the run in ``out``; ``stack`` closes their files. Of ``shards`` all
    processes validate: none holds the weights alone."""
    if not group.leads:
        hooks: list[Hook] = []
        if shards is not None and config.validate_every:
            with contextlib.suppress(DataError):
                given = (stage, config, precision, seed, _unheard, shards, _unheard)
                hooks.append(_validation(*given))
        return [*hooks, _saving(out, stage, config, optimizer, state, digest, group, lambda: None)]
    metrics = MetricsFile(out / "metrics.jsonl")
    stack.callback(metrics.close)
    board = TensorBoardTracker(out / "tensorboard") if config.tensorboard else None
    if board is not None:
        stack.callback(board.close)

    def write(line: Line) -> None:
        metrics.write(line)
        if board is not None:
            board.write(line)

    def log(state: LoopState, line: Line | None, last: bool) -> None:
        if line is not None:
            write(line)

    hooks = [log]
    if config.validate_every:
        try:
            hooks.append(_validation(stage, config, precision, seed, write, shards, note))
        except DataError as error:
            # A shop without a val split trains all the same; it is told, here and in the log.
            note(f"no validation while training: {error.what}")
    return [*hooks, _saving(out, stage, config, optimizer, state, digest, group, metrics.sync)]


def _unheard(said: object) -> None:
    """What a process that does not lead has to say: it only takes part."""


def same_weights(
    stage: RecipeStage, optimizer: SplitOptimizer, group: Group, where: str, **more: int
) -> None:
    """Raises ProcessesApart unless all processes hold the same weights and optimizer state; of what
    is in shards each has its own."""
    if group.size > 1:
        held = moving_tensors(stage.modules()) | optimizer.tensors()
        alike = {name: tensor for name, tensor in held.items() if not is_shard(tensor)}
        check_same(more | alike, group, where)


def _saving(
    out: Path,
    stage: RecipeStage,
    config: LoopConfig,
    optimizer: SplitOptimizer,
    state: LoopState,
    digest: str,
    group: Group,
    sync: Callable[[], None],
) -> Hook:
    last_save = state.spent.seconds

    def save(state: LoopState, line: Line | None, last: bool) -> None:
        nonlocal last_save
        if config.save_every is not None:
            due = state.step % config.save_every == 0
        else:
            # The leader's clock, which all have: every process finds the same steps due.
            due = state.spent.seconds - last_save > 60 * config.save_minutes
        if not (due or last):
            return
        same_weights(stage, optimizer, group, f"stage {state.stage}, step {state.step}")
        state.done = last
        last_save = state.spent.seconds
        if group.leads:
            sync()
        save_state(out / "state", state, stage.modules(), optimizer, digest, group)

    return save


def _validation(
    stage: RecipeStage,
    config: LoopConfig,
    precision: Precision,
    seed: int,
    write: Callable[[Line], None],
    shards: Shards | None,
    note: Callable[[str], None],
) -> Hook:
    validator = stage.validator(seed=seed, bf16=precision.name == "bf16")
    for text in validator.notes:
        note(text)

    def validate(state: LoopState, line: Line | None, last: bool) -> None:
        if last or state.step % config.validate_every == 0:
            write({"stage": state.stage, "step": state.step, **validator()})
            if shards is not None:
                shards.fold()

    return validate
