"""Records in, checked catalogue out: every row good, or named with its place and its cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from moonshelf.catalog.problem import Located, Problem, Record

__all__ = ["ImportReport", "Located", "Problem", "Progress", "import_records"]

Progress = Callable[[int, int | None], None]  # (done, total or None)


@dataclass(frozen=True)
class ImportReport:
    path: Path
    products: int
    queries: int
    events: int
    pictures: int
    skipped: int
    skipped_path: Path | None
    problems: tuple[Problem, ...] = field(default=())
    moved: int = 0
    seconds: float = 0.0


def import_records(
    records: Iterable[Record | Problem | Located],
    to: Path | str,
    *,
    on_error: Literal["stop", "skip"] = "stop",
    source: dict[str, Any] | None = None,
    append: bool = False,
    replace: bool = False,
    splits: Literal["keep", "draw"] = "keep",
    on_split_leak: Literal["stop", "fix"] = "stop",
    seed: int = 0,
    total: int | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """(being written)"""
    raise NotImplementedError
