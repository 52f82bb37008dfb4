"""What every verb shows: notes and progress on stderr, results on stdout, JSON for machines.

Used by the verbs only. Nothing heavy is imported here; ``rich`` comes in when a bar is drawn.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moonshelf.progress import Progress

PLAIN_EVERY_S = 5.0
MAX_CELL = 60


class Whole(str):
    """A cell of a table that is never cut short: an address that a person copies."""


class Console:
    """Where a verb prints. With ``as_json`` only :meth:`result` reaches stdout.

    Example:
        >>> console = Console.of(args)
        >>> with console.progress("embedding") as progress:
        ...     progress(10, 100, rate="410/s")
        >>> console.table([("a", 1)], ("name", "count"))
        >>> console.result({"name": "a", "count": 1})
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @classmethod
    def of(cls, args: argparse.Namespace) -> Console:
        return cls(as_json=bool(getattr(args, "json", False)))

    def note(self, text: str) -> None:
        """One line on stderr: what is going on, warnings, counts of what was left out."""
        print(clean(text), file=sys.stderr, flush=True)

    def say(self, text: str = "") -> None:
        """Human text on stdout; nothing with ``--json``."""
        if not self.as_json:
            print("\n".join(clean(line) for line in text.split("\n")))

    def table(self, rows: Sequence[Sequence[Any]], columns: Sequence[str], title: str = "") -> None:
        """A table on stdout, numbers to the right; nothing with ``--json``."""
        if not self.as_json:
            print(format_table(rows, columns, title))

    def result(self, value: Mapping[str, Any]) -> None:
        """The machine-readable result, on stdout, only with ``--json``."""
        if self.as_json:
            print(to_json(value), flush=True)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """A progress bar on a terminal, a line every few seconds elsewhere (stderr both)."""
        if sys.stderr.isatty():
            with _bar(label) as bar:
                yield bar
        else:
            lines = PlainProgress(label)
            try:
                yield lines
            finally:
                lines.close()


class PlainProgress:
    """A line on stderr at most every ``every_s`` seconds, and one at the end if any was shown."""

    def __init__(self, label: str, every_s: float = PLAIN_EVERY_S) -> None:
        self.label, self.every_s = label, every_s
        self.start = self.shown = time.monotonic()
        self.any_shown = False
        self.pending: tuple[int, int | None, Mapping[str, object]] | None = None

    def __call__(self, done: int, total: int | None = None, **facts: object) -> None:
        self.pending = (done, total, facts)
        if time.monotonic() - self.shown >= self.every_s:
            self._show()

    def close(self) -> None:
        if self.any_shown:
            self._show()

    def _show(self) -> None:
        if self.pending is None:
            return
        done, total, facts = self.pending
        now = time.monotonic()
        line = progress_line(self.label, done, total, now - self.start, facts)
        print(line, file=sys.stderr, flush=True)
        self.shown, self.any_shown, self.pending = now, True, None


def progress_line(
    label: str, done: int, total: int | None, elapsed: float, facts: Mapping[str, object]
) -> str:
    """``importing  1,200 of 3,000 (40 %)  600/s  3 s left  loss=2.1``"""
    rate = done / elapsed if elapsed > 0 else 0.0
    parts = [label]
    if total:
        parts.append(f"{done:,} of {total:,} ({100 * done // total} %)")
    else:
        parts.append(f"{done:,}")
    if rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
        if total and total > done:
            parts.append(f"{duration((total - done) / rate)} left")
    parts += [f"{k}={_fact(v)}" for k, v in facts.items()]
    return clean("  ".join(parts))


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 5 s``, ``2 h 10 min``"""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _fact(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as RichProgress,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    with RichProgress(*columns, console=RichConsole(stderr=True)) as rich_progress:
        task = rich_progress.add_task(label, total=None, facts="")
        shown = 0.0

        def show(done: int, total: int | None = None, **facts: object) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < 0.1 and done != total:
                return
            shown = now
            text = clean("  ".join(f"{k}={_fact(v)}" for k, v in facts.items()))
            rich_progress.update(task, completed=done, total=total, facts=text)

        yield show


def clean(text: str) -> str:
    """``text`` without control characters: a title must not steer the terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def format_table(rows: Sequence[Sequence[Any]], columns: Sequence[str], title: str = "") -> str:
    """Aligned plain text; cells longer than ``MAX_CELL`` end in an ellipsis, but for `Whole`."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(rows) and all(isinstance(row[k], int | float) or row[k] is None for row in rows)
        for k in range(len(columns))
    ]
    widths = [
        max([_width(name), *(_width(row[k]) for row in cells)]) for k, name in enumerate(columns)
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            " " * (w - _width(c)) + c if r else c + " " * (w - _width(c))
            for c, w, r in zip(row, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    head = [clean(title)] if title else []
    rule = "  ".join("-" * w for w in widths)
    return "\n".join([*head, line(list(columns)), rule, *(line(row) for row in cells)])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = clean(str(value))
    whole = isinstance(value, Whole) or len(text) <= MAX_CELL
    return text if whole else text[: MAX_CELL - 1] + "\u2026"


def _width(text: str) -> int:
    """Terminal columns: wide East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def to_json(value: Any) -> str:
    """One line of strict JSON; NaN and infinities become null."""
    return json.dumps(plain(value), allow_nan=False)


def plain(value: Any) -> Any:
    """``value`` of JSON types only: paths, dataclasses, numpy scalars and sets included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(v) for v in value), key=str)
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseException):
        return str(value)
    to_list = getattr(value, "tolist", None)  # numpy scalars and arrays, without importing numpy
    return plain(to_list()) if callable(to_list) else str(value)
