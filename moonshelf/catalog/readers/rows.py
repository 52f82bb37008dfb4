"""Rows out of table files: CSV, TSV, Parquet, JSON Lines. One at a time, each with its number.

A row that cannot be read is a ``Problem`` and reading goes on behind it; what spoils the whole
file (no header, not Parquet, no rows) is raised.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from moonshelf.catalog.problem import Problem
from moonshelf.errors import DataError, MoonshelfError, UsageError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
MAX_LINE = 64 * 2**20  # bytes; a file with a longer line is not a table of products
MAX_CELL = 2 * 2**20
"""Characters of a CSV cell; what an unclosed quotation mark takes in at most."""
PARQUET_BATCH = 512


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands and its fields by column name."""

    where: str
    fields: dict[str, Any]


@dataclass
class RowFile:
    """A table file that can be read row by row.

    Args:
        path: the file.
        encoding: of CSV, TSV and JSON Lines; a byte order mark is skipped.
        delimiter: of CSV; empty means by suffix.
        format: csv | tsv | parquet | jsonl; empty means by suffix.
        fallback: rows that are not in ``encoding`` are read in this one; empty: they are bad.
        join_surplus: surplus CSV cells belong to the last column (its commas were not quoted).
        columns: only these columns of a Parquet file; empty means all.
        may_be_empty: a header without a row is no error: there is none left.

    Raises:
        DataError: the file is missing, empty, has no header or is not of its format.
        UsageError: unknown suffix, format or encoding.
    """

    path: Path
    encoding: str = "utf-8"
    delimiter: str = ""
    format: str = ""
    fallback: str = ""
    join_surplus: bool = False
    columns: tuple[str, ...] = ()
    may_be_empty: bool = False
    _header: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.format = self.format or SUFFIXES.get(self.path.suffix.lower(), "")
        if self.format not in set(SUFFIXES.values()):
            raise UsageError(
                f"cannot tell what kind of table {self.path.name!r} is",
                where=str(self.path),
                cure="pass --set format=csv, tsv, parquet or jsonl",
            )
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise UsageError(
                f"unknown encoding {self.encoding!r}", cure="use e.g. utf-8, latin-1 or gbk"
            ) from None
        if not self.path.is_file():
            raise DataError("there is no such file", where=str(self.path), cure="check the path")
        if self.path.stat().st_size == 0:
            raise DataError("the file is empty", where=str(self.path), cure="export it again")

    def header(self) -> tuple[str, ...]:
        """The column names; for JSON Lines the keys of the first hundred records."""
        if self._header is None:
            if self.format == "parquet":
                self._header = tuple(self._parquet().schema_arrow.names)
            elif self.format == "jsonl":
                names: dict[str, None] = {}
                for number, row in enumerate(self._jsonl()):
                    if isinstance(row, Row):
                        names.update(dict.fromkeys(row.fields))
                    if number == 99:
                        break
                self._header = tuple(names)
            else:
                with self._text() as file:
                    self._header = self._csv_header(self._csv(file))
        return self._header

    def rows(self) -> Iterator[Row | Problem]:
        """Every row in file order.

        Raises:
            DataError: there is a header but not one row, and it may not be empty.
        """
        any_row = False
        source = {"parquet": self._parquet_rows, "jsonl": self._jsonl}.get(
            self.format, self._csv_rows
        )
        for row in source():
            any_row = True
            yield row
        if not any_row and not self.may_be_empty:
            raise DataError(
                "the table has no rows", where=str(self.path), cure="export it with its rows"
            )

    def total(self) -> int | None:
        """The number of rows, where that needs no reading."""
        return self._parquet().metadata.num_rows if self.format == "parquet" else None

    def where(self, number: int) -> str:
        return f"{self.path.name} row {number}"

    # ---- CSV and TSV

    def _text(self) -> TextIO:
        with self.path.open("rb") as file:
            start = file.read(4)
        encoding = self.encoding
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and _is_utf8(encoding):
            raise DataError(
                "the file is UTF-16, not UTF-8",
                where=str(self.path),
                cure="pass --set encoding=utf-16 or save it as UTF-8",
            )
        if _is_utf8(encoding):
            encoding = "utf-8-sig"
        # Bad bytes become lone surrogates, so that the row that holds them can be named.
        return self.path.open(encoding=encoding, errors="surrogateescape", newline="")

    def _csv(self, file: TextIO) -> Iterator[list[str]]:
        delimiter = self.delimiter or ("\t" if self.format == "tsv" else ",")
        if delimiter in ("tab", r"\t"):
            delimiter = "\t"
        if len(delimiter) != 1:
            raise UsageError(f"delimiter {delimiter!r} is not one character", cure="use e.g. ;")
        lines = iter(partial(file.readline, MAX_LINE), "")  # bounded, unlike plain iteration
        return _Bounded(csv.reader(lines, delimiter=delimiter, strict=True))

    def _csv_header(self, reader: Iterator[list[str]]) -> tuple[str, ...]:
        where = self.where(1)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise DataError(
                f"the header cannot be read: {error}", where=where, cure="export the table again"
            ) from None
        except UnicodeError as error:
            raise self._wrong_encoding(where) from error
        problem = _bad_text(header, header)
        if problem:
            raise DataError(
                f"the header is not {self.encoding} text",
                where=where,
                cure="save the file as UTF-8 or pass --set encoding=...",
            )
        names = tuple(name.strip() for name in header)
        if not any(names):
            raise DataError("the header is empty", where=where, cure="name every column")
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(
                f"the header names {twice[0]!r} twice", where=where, cure="rename one of them"
            )
        if len(names) == 1 and not self.delimiter:
            for other in (";", "\t", "|", ","):
                if other in names[0]:
                    shown = "tab" if other == "\t" else other
                    raise DataError(
                        f"the header is one column with {shown!r} inside: {names[0][:80]!r}",
                        where=where,
                        cure=f"pass --set delimiter='{shown}'",
                    )
        return names

    def _csv_rows(self) -> Iterator[Row | Problem]:
        with self._text() as file:
            reader = self._csv(file)
            header = self._header = self._csv_header(reader)
            number = 1
            while True:
                number += 1
                where = self.where(number)
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Problem(where, _csv_error(error, where))
                    continue
                except UnicodeError as error:
                    raise self._wrong_encoding(where) from error
                if cells:  # a blank line is no row
                    yield self._csv_row(header, cells, where)

    def _csv_row(self, header: tuple[str, ...], cells: list[str], where: str) -> Row | Problem:
        wanted = len(header)
        if len(cells) > wanted and self.join_surplus:
            cells = [*cells[: wanted - 1], ",".join(cells[wanted - 1 :])]
        if len(cells) != wanted:
            return Problem(
                where,
                DataError(
                    f"the row has {len(cells)} cells, the header {wanted}",
                    where=where,
                    cure="quote cells that contain the delimiter or a line break",
                ),
            )
        problem = _bad_text(cells, header)
        if problem and self.fallback:
            cells = [
                c.encode(self.encoding, "surrogateescape").decode(self.fallback) for c in cells
            ]
            problem = _bad_text(cells, header)
        if problem:
            return Problem(where, DataError(problem, where=where, cure=_ENCODING_CURE))
        return Row(where, dict(zip(header, cells, strict=True)))

    def _wrong_encoding(self, where: str) -> DataError:
        return DataError(
            f"the file is not {self.encoding} text",
            where=where,
            cure="pass --set encoding=... (e.g. utf-8, latin-1)",
        )

    # ---- JSON Lines

    def _jsonl(self) -> Iterator[Row | Problem]:
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                where = self.where(number)
                if len(line) > MAX_LINE:
                    raise DataError(
                        f"a line is longer than {MAX_LINE // 2**20} MiB",
                        where=where,
                        cure="JSON Lines holds one record a line; is this one JSON array?",
                    )
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield self._json_row(line, where)

    def _json_row(self, line: bytes, where: str) -> Row | Problem:
        cure = "write one JSON object a line"
        error: MoonshelfError
        try:
            record = json.loads(line.decode(self.encoding))
        except UnicodeDecodeError as bad:
            what = f"invalid {self.encoding} (byte 0x{line[bad.start]:02x} at {bad.start})"
            error = DataError(what, where=where, cure=_ENCODING_CURE)
        except (ValueError, RecursionError) as bad:
            error = DataError(f"not JSON: {bad}", where=where, cure=cure)
        else:
            if isinstance(record, dict):
                return Row(where, record)
            what = f"a JSON {type(record).__name__}, not an object"
            error = DataError(what, where=where, cure=cure)
        return Problem(where, error)

    # ---- Parquet

    def _parquet(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"not a readable Parquet file: {str(error).splitlines()[0][:200]}",
                where=str(self.path),
                cure="export it again; it may be truncated",
            ) from None

    def _parquet_rows(self) -> Iterator[Row | Problem]:
        import pyarrow as pa

        number = 0
        columns = list(self.columns) or None
        batches = self._parquet().iter_batches(batch_size=PARQUET_BATCH, columns=columns)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                records = batch.to_pylist()
            except (pa.ArrowException, OSError, ValueError) as error:
                raise DataError(
                    f"the file is damaged or not UTF-8: {str(error).splitlines()[0][:200]}",
                    where=f"{self.path.name} rows {number + 1} and on",
                    cure="export it again",
                ) from None
            for record in records:
                number += 1
                yield Row(self.where(number), record)


_ENCODING_CURE = "save the file as UTF-8 or pass --set encoding=... (e.g. latin-1)"


class _Bounded:
    """Rows of a CSV reader with cells of up to ``MAX_CELL`` characters.

    The library's bound is one for the whole process, so it is changed for the time of a row. No
    generator: after a bad row reading goes on.
    """

    def __init__(self, reader: Iterator[list[str]]) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        before = csv.field_size_limit(MAX_CELL)
        try:
            return next(self._reader)
        finally:
            csv.field_size_limit(before)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _bad_text(cells: list[str] | tuple[str, ...], header: list[str] | tuple[str, ...]) -> str:
    """What is wrong with the characters of a row, or ""."""
    joined = "".join(cells)
    if joined.isascii() and "\0" not in joined:
        return ""
    for name, cell in zip(header, cells, strict=False):
        if "\0" in cell:
            return f"column {name!r} holds a NUL character"
        bad = next((c for c in cell if "\ud800" <= c <= "\udfff"), None)
        if bad is not None:
            return f"column {name!r} is not valid UTF-8 (byte 0x{ord(bad) - 0xDC00:02x})"
    return ""


def _csv_error(error: csv.Error, where: str) -> DataError:
    if "field larger than" in str(error):
        return DataError(
            f"a cell is longer than {MAX_CELL:,} characters",
            where=where,
            cure="look for a quotation mark that is never closed, in this row or before",
        )
    return DataError(
        f"not readable as CSV: {error}",
        where=where,
        cure='write a quotation mark inside a quoted cell twice ("")',
    )
