"""Records in, checked catalogue out: every row good, or named with its place and its cure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from moonshelf.catalog.images import Limits
from moonshelf.catalog.problem import Located, Problem, Record
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.writer import CatalogWriter, OnLeak, Splits
from moonshelf.errors import DataError, MoonshelfError
from moonshelf.files import full_disk_is_an_error
from moonshelf.progress import Progress, silent

__all__ = ["ImportReport", "Located", "Problem", "import_records"]

SKIPPED = "skipped.jsonl"
PROBLEMS_KEPT = 20
SKIP_HINT = "--on-error skip leaves such rows out"


@dataclass(frozen=True)
class ImportReport:
    """What one import did. Counts are of what it added; ``skipped_path`` lists every record that
    was left out (where, what, cure), ``problems`` are the first of them; ``moved`` records had
    their split changed because they hang together with others."""

    path: Path
    products: int
    queries: int
    events: int
    pictures: int
    skipped: int
    skipped_path: Path | None
    problems: tuple[Problem, ...] = ()
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
    splits: Splits = "keep",
    on_split_leak: OnLeak = "stop",
    seed: int = 0,
    limits: Limits | None = None,
    total: int | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Writes a catalogue to the folder ``to``: everything, or nothing at all.

    Args:
        records: what a reader yields, in any order; a product that refers to nothing may come
            after the events about it.
        to: the catalogue folder.
        on_error: ``stop`` at the first bad record (``to`` stays as it was), or ``skip`` it, count
            it and list it in ``skipped.jsonl`` beside the new data.
        source: where the records come from, for the manifest.
        append: add to the catalogue that is there; ``replace``: write it anew.
        splits: ``keep`` what the records say, or ``draw`` 80/10/10 over what hangs together.
        on_split_leak: a group or picture in two splits: ``stop``, or ``fix`` (all of it to train).
        seed: of the draw.
        limits: what one picture may cost.
        total: how many records will come, when known; for ``progress`` only.

    Raises:
        DataError: a bad record (with its place), no good product, or a leak between splits.
        UsageError, CatalogError: ``to`` cannot be written to as asked.
        DiskFullError: the disk is full; ``to`` is as it was.
    """
    progress, start = progress or silent, time.monotonic()
    with (
        CatalogWriter(to, append=append, replace=replace, source=source, limits=limits) as writer,
        _Skipped(writer.folder / SKIPPED, stop=on_error == "stop") as skipped,
    ):
        number = -1
        for number, record in enumerate(records):
            _add(writer, record, number, skipped)
            progress(number + 1, total, skipped=skipped.count)
        if not writer.products and skipped.count and not append:
            raise skipped.nothing_left(writer.path)
        catalog = writer.commit(
            splits=splits,
            on_split_leak=on_split_leak,
            seed=seed,
            on_problem=skipped.add,
            before_publishing=skipped.close,
        )
        progress(number + 1, number + 1, skipped=skipped.count)
    generation = catalog.manifest["generations"][-1]
    folder = catalog.path / generation["folder"]
    return ImportReport(
        path=Path(to),
        products=generation["products"],
        queries=generation["queries"],
        events=generation["events"],
        pictures=generation["pictures"],
        skipped=skipped.count,
        skipped_path=folder / SKIPPED if skipped.count else None,
        problems=tuple(skipped.first),
        moved=writer.moved,
        seconds=time.monotonic() - start,
    )


def _add(
    writer: CatalogWriter, record: Record | Problem | Located, number: int, skipped: _Skipped
) -> None:
    """Adds one record; what is wrong with it goes to ``skipped``, which may raise it."""
    if isinstance(record, Problem):
        skipped.add(record)
        return
    where = f"record {number + 1}"
    if isinstance(record, Located):
        where, record = record.where, record.record
    try:
        writer.add(record, where)
    except DataError as error:  # a full disk and the like is not the record's fault
        skipped.add(Problem(_place(where, record), error))


def _place(where: str, record: object) -> str:
    if isinstance(record, Product | Query) and isinstance(record.id, str) and record.id:
        kind = "product" if isinstance(record, Product) else "query"
        return f"{where} ({kind} {record.id[:80]!r})"
    if isinstance(record, Event) and isinstance(record.item, str):
        return f"{where} (event of {record.item[:80]!r})"
    return where


class _Skipped:
    """The list of records that were left out; or, with ``stop``, the raiser of the first."""

    def __init__(self, path: Path, *, stop: bool) -> None:
        self.path, self.stop = path, stop
        self.count = 0
        self.first: list[Problem] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Skipped:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file, file = None, self._file
            file.close()

    def add(self, problem: Problem) -> None:
        error = problem.error
        where = problem.where or error.where
        if self.stop:
            cure = f"{error.cure}; {SKIP_HINT}" if error.cure else SKIP_HINT
            raise type(error)(error.what, where=where, cure=cure) from error
        self.count += 1
        if len(self.first) < PROBLEMS_KEPT:
            self.first.append(problem)
        line = json.dumps({"where": where, "what": error.what, "cure": error.cure})
        with full_disk_is_an_error(self.path):
            if self._file is None:
                self._file = self.path.open("xb")
            self._file.write(line.encode() + b"\n")

    def close(self) -> None:
        self.__exit__()

    def nothing_left(self, path: Path) -> MoonshelfError:
        first = self.first[0]
        return DataError(
            f"none of {self.count:,} records is good; the first: {first.error.what}",
            where=first.where or str(path),
            cure=first.error.cure or "look at the source",
        )
