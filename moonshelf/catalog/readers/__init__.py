"""One file a source. A reader streams products, queries and events out of what a user has.

A record comes wrapped in :class:`~moonshelf.catalog.problem.Located`, so that an error found
later can name its place; a row that cannot become a record comes as a ``Problem``. What concerns
the whole source (no such file, an unknown column or option) is raised.

Row numbers count the way a spreadsheet shows them: in CSV and TSV the header is row 1; in
Parquet and JSON Lines the first record is row 1.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from moonshelf.catalog.problem import Located, Problem, Record
from moonshelf.errors import DataError, UsageError

Item: TypeAlias = Record | Located | Problem

# name -> (module, class), in the order in which they are asked whether they know a path.
READERS: dict[str, tuple[str, str]] = {
    "hm": ("moonshelf.catalog.readers.hm", "HmReader"),
    "myntra": ("moonshelf.catalog.readers.myntra", "MyntraReader"),
    "grocery": ("moonshelf.catalog.readers.grocery", "GroceryReader"),
    "homedepot": ("moonshelf.catalog.readers.homedepot", "HomeDepotReader"),
    "table": ("moonshelf.catalog.readers.table", "TableReader"),
    "folder": ("moonshelf.catalog.readers.folder", "FolderReader"),
}


@runtime_checkable
class Reader(Protocol):
    """Reads one kind of source. Made anew for every reading: ``notes`` belong to that reading."""

    name: str
    options: Mapping[str, str]
    """Option name -> what it does; ``read`` refuses every other name."""
    notes: list[str]
    """Grows while reading: the mapping that was used, what was left out and how often."""

    def matches(self, path: Path) -> bool:
        """Whether ``path`` looks like this source; cheap, never raises."""
        ...

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """Products first, then queries, then events, one at a time."""
        ...

    def total(self, path: Path) -> int | None:
        """About how many records there are, when that is cheap to know; for progress only."""
        ...

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        """``draw`` where the source has no splits of its own and importing should draw them.
        Asked once ``read`` has given its first record: a table tells by its columns."""
        ...


def load_reader(name: str) -> Reader:
    """A fresh reader by name.

    Raises:
        UsageError: there is no such reader.
    """
    if name not in READERS:
        near = difflib.get_close_matches(name, READERS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no reader {name!r}", cure=f"{hint}choose among {', '.join(READERS)}"
        )
    module, class_name = READERS[name]
    return getattr(importlib.import_module(module), class_name)()


def reader_for(path: Path | str, name: str | None = None) -> Reader:
    """The reader named ``name``, or the first one that knows ``path``.

    Raises:
        DataError: there is no such path, or no reader knows it.
        UsageError: there is no such reader.
    """
    path = Path(path)
    if not path.exists():
        raise DataError("there is no such file or folder", where=str(path), cure="check the path")
    if name is not None:
        return load_reader(name)
    for candidate in READERS:
        reader = load_reader(candidate)
        if reader.matches(path):
            return reader
    raise DataError(
        "no reader knows this source",
        where=str(path),
        cure=f"name one with --reader ({', '.join(READERS)}); tables end in .csv, .tsv, "
        ".parquet or .jsonl",
    )


def check_options(reader: Reader, options: Mapping[str, str]) -> None:
    """Refuses an option the reader does not know, naming the nearest one it does.

    Raises:
        UsageError: an unknown option.
    """
    for key in options:
        if key not in reader.options:
            near = difflib.get_close_matches(key, reader.options, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            known = ", ".join(reader.options) or "none"
            raise UsageError(
                f"reader {reader.name!r} has no option {key!r}", cure=f"{hint}options: {known}"
            )


def choice(options: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str:
    """The value of an option that takes one of a few words; the first one is the default.

    Raises:
        UsageError: another value.
    """
    value = options.get(key, choices[0])
    if value not in choices:
        raise UsageError(
            f"option {key}={value!r} is not known", cure=f"choose among {', '.join(choices)}"
        )
    return value
