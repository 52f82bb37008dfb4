"""What the readers of public sets share: options, counts, wrapping of rows, splits of queries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from moonshelf.catalog.problem import Located, Problem, Record
from moonshelf.catalog.readers import Reader, check_options, choice
from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.errors import DataError

KIND_OPTION = {"kind": "all (default), products, queries or events: what to read"}
IMAGES_OPTION = {"images": "any (default) or required: leave out products without a picture"}
_KINDS = ("all", "products", "queries", "events")


def check_set_options(reader: Reader, options: Mapping[str, str]) -> None:
    """Raises UsageError for an option that ``reader`` does not know, or a ``kind`` no set has."""
    check_options(reader, options)
    choice(options, "kind", _KINDS)


def wanted(options: Mapping[str, str], kind: str) -> bool:
    """Whether the user asked for records of ``kind``."""
    return options.get("kind", "all") in ("all", kind)


def pictures_required(options: Mapping[str, str]) -> bool:
    """Whether products without a picture are left out (UsageError: neither any nor required)."""
    return choice(options, "images", ("any", "required")) == "required"


def total_rows(*files: Path) -> int | None:
    """The rows of Parquet files together; None where one of them is not there."""
    if not all(file.is_file() for file in files):
        return None
    return sum(RowFile(file).total() or 0 for file in files)


def records(
    rows: Iterable[Row | Problem], make: Callable[[Mapping[str, Any]], Record | None]
) -> Iterator[Located | Problem]:
    """Each row through ``make``; None leaves the row out, an error names the row."""
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            record = make(row.fields)
        except DataError as error:
            yield Problem(row.where, located(error, row.where))
            continue
        if record is not None:
            yield Located(row.where, record)


def located(error: DataError, where: str) -> DataError:
    """The same error with its place."""
    return type(error)(error.what, where=where, cure=error.cure)


def require_columns(file: RowFile, *names: str) -> None:
    """Refuses a file that is not the one it is named like.

    Raises:
        DataError: a column is missing.
    """
    missing = [n for n in names if n not in file.header()]
    if missing:
        raise DataError(
            f"there is no column {missing[0]!r}",
            where=file.path.name,
            cure=f"columns: {', '.join(file.header())}; is this the set's own file?",
        )


def column(file: Path, name: str) -> list[str]:
    """One text column of a Parquet file, whole."""
    rows = RowFile(file, columns=(name,)).rows()
    return [str(row.fields[name]) for row in rows if isinstance(row, Row)]


def has_columns(path: Path, *names: str) -> bool:
    """Whether ``path`` is a table with these columns; never raises."""
    try:
        header = RowFile(path).header() if path.is_file() else ()
    except Exception:
        return False
    return set(names) <= set(header)


def drawn_split(key: str) -> str:
    """80 / 10 / 10 by a hash of ``key``: the same on every machine and in every order."""
    draw = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % 10
    return "test" if draw == 0 else "val" if draw == 1 else "train"


def known(value: object, unknown: tuple[str, ...]) -> object:
    """None for the words by which a source says that it does not know."""
    return None if isinstance(value, str) and value.strip().lower() in unknown else value
