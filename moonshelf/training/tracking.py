"""What a run tells about itself while it trains: JSON Lines always, TensorBoard if asked for."""

from __future__ import annotations

import itertools
import json
import math
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from moonshelf.errors import UsageError
from moonshelf.files import full_disk_is_an_error, write_bytes_atomically


class MetricsFile:
    """``metrics.jsonl``: one JSON object a line, appended; survives ``kill -9``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        with full_disk_is_an_error(self.path):
            # NaN is no JSON; a number that is not finite is written as null.
            clean = {k: _finite(v) for k, v in line.items()}
            self._file.write(json.dumps(clean, allow_nan=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Makes what was written durable: before a state that counts on it is."""
        with full_disk_is_an_error(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a metrics file; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    found = []
    for line in lines[:-1]:
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def rewind_metrics(path: Path, order: Mapping[str, int], stage: str, step: int) -> int:
    """Drops lines of work that will be done again: those after ``step`` of ``stage``.

    Args:
        order: place of each stage in the recipe.

    Returns:
        How many lines were dropped.
    """
    lines = read_metrics(path)
    here = (order[stage], step)
    kept = [x for x in lines if (order.get(str(x.get("stage")), 0), x.get("step", 0)) <= here]
    if path.exists():
        write_bytes_atomically(path, "".join(json.dumps(x) + "\n" for x in kept).encode())
    return len(lines) - len(kept)


def summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The newest value of every number logged, by stage."""
    stages: dict[str, dict[str, Any]] = {}
    for name, group in itertools.groupby(lines, key=lambda line: str(line.get("stage"))):
        newest = stages.setdefault(name, {})
        for line in group:
            newest |= {("steps" if k == "step" else k): v for k, v in line.items() if k != "stage"}
    memory = [stage.get("memory_mib", 0.0) for stage in stages.values()]
    return {"stages": stages, "memory_mib": max(memory, default=0.0)}


class TensorBoardTracker:
    """Curves for TensorBoard under ``RUN/tensorboard``; needs the ``track`` extra."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "TensorBoard is not installed", cure="pip install 'moonshelf[track]'"
            ) from error
        self._writer = SummaryWriter(str(folder))

    def write(self, line: Mapping[str, Any]) -> None:
        stage, step = line.get("stage", "run"), int(line.get("step", 0))
        for key, value in line.items():
            if isinstance(value, int | float) and key not in ("step",):
                self._writer.add_scalar(f"{stage}/{key}", value, step)

    def close(self) -> None:
        self._writer.close()


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory this process has held: resident on a CPU, allocated on a GPU; MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
