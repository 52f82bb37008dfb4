"""Tables of products, queries or events: CSV, TSV, Parquet, JSON Lines with a column mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from moonshelf.catalog.problem import Located, Problem, Record
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.readers import Item, check_options, choice, fields
from moonshelf.catalog.readers.mapping import COMMON, ColumnMapping, map_columns
from moonshelf.catalog.readers.pictures import PictureFolder, from_cell
from moonshelf.catalog.readers.rows import SUFFIXES, Row, RowFile
from moonshelf.errors import DataError, ImageError, UsageError

KINDS = ("products", "queries", "events")
COUNT_LINES_BELOW = 2**30  # bytes; counting the lines of a larger file takes too long for a bar
TABLE_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "id": "column of the id",
        "title": "column of the title",
        "image": "column(s) of picture files or bytes",
        "category": "column with the path, or one column a level: top,sub,leaf",
        "attributes": "columns, one JSON object column, or rest (all columns not used otherwise)",
        "description": "column of the description",
        "group": "column of the SPU: variants of one style share it",
        "shop": "column of the shop",
        "price": "column of the price",
        "time": "column of the time, unix or ISO 8601",
        "split": "column with train, val, test",
        "text": "queries: column of the words",
        "positives": "queries: column of the item ids that answer",
        "grades": "queries: column of how well they answer",
        "user": "events: column of the user",
        "item": "events: column of the item id",
        "kind": "products, queries or events (what the rows are)",
        "event": "events: column of the kind (exposure, click, cart, purchase)",
        "event_kind": "events: the kind of all rows, when no column tells",
        "query": "events: column of the query id",
        "position": "events: column of the slot shown, 0 is the top",
        "image_folder": "folder of the picture files (default: the table's own)",
        "image_encoding": "file (default) or base64",
        "missing_image": "error (default) or drop (keep the product, count the picture)",
        "separator": "between pictures, positives, grades in one cell (default |)",
        "category_separator": "between levels in one cell (default >)",
        "attribute_separator": "between values in one cell (default: none)",
        "time_unit": "s (default), ms, us or ns, of numeric times",
        "format": "csv, tsv, parquet or jsonl (default: by suffix)",
        "encoding": "of text files (default utf-8)",
        "delimiter": "of CSV (default: comma)",
    }
)


class TableReader:
    """Reads one table file; see ``TABLE_OPTIONS`` for what ``--set`` takes.

    Columns are found by common names (id, title, image, ...) unless the options name them; the
    mapping used is the first of the ``notes``. Picture cells are bytes, or names of files
    relative to ``image_folder``.
    """

    name = "table"

    def __init__(self) -> None:
        self.options = TABLE_OPTIONS
        self.notes: list[str] = []
        self._no_split = False

    def matches(self, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() in SUFFIXES

    def total(self, path: Path) -> int | None:
        """Rows of Parquet; about the lines of a text file."""
        try:
            if SUFFIXES.get(path.suffix.lower()) == "parquet":
                return RowFile(path).total()
            if path.stat().st_size > COUNT_LINES_BELOW:
                return None
            with path.open("rb") as file:
                return max(0, sum(b.count(b"\n") for b in iter(lambda: file.read(2**20), b"")))
        except (OSError, DataError):
            return None

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "draw" if self._no_split else "keep"

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option or column.
            DataError: the file cannot be read at all.
        """
        check_options(self, options)
        kind = choice(options, "kind", KINDS)
        file = open_table(path, options)
        others = {field for fields_of in COMMON.values() for field in fields_of} - {"kind"}
        for key in options:
            if key in others and key not in COMMON[kind]:
                raise UsageError(
                    f"option {key!r} says nothing about {kind}",
                    where=path.name,
                    cure=f"{kind} have {', '.join(COMMON[kind])}; or pass another --kind",
                )
        # What the rows are and the column of an event's kind have one field name between them.
        columns = {k: v for k, v in options.items() if k in COMMON[kind] and k != "kind"}
        if "event" in options:
            columns["kind"] = options["event"]
        mapping = map_columns(file.header(), columns, kind, path.name)
        self.notes.append(f"{path.name}: {kind} with {mapping}")
        converter = RowConverter(kind, mapping, options, path.parent, self.notes)
        self._no_split = kind != "events" and "split" not in mapping.columns
        for row in file.rows():
            yield converter.record(row) if isinstance(row, Row) else row
        converter.finish()


def open_table(path: Path, options: Mapping[str, str]) -> RowFile:
    """The file with the options that say how to read it."""
    return RowFile(
        path,
        encoding=options.get("encoding", "utf-8"),
        delimiter=options.get("delimiter", ""),
        format=options.get("format", ""),
    )


class RowConverter:
    """Turns rows into records of one kind by a mapping; shared with the folder reader.

    Args:
        kind: products | queries | events.
        mapping: which columns feed which field.
        options: of the reader.
        folder: where picture files lie when the options name no ``image_folder``.
        notes: counts of what was left out are appended at the end.
    """

    def __init__(
        self,
        kind: str,
        mapping: ColumnMapping,
        options: Mapping[str, str],
        folder: Path,
        notes: list[str],
    ) -> None:
        self.mapping, self.notes = mapping, notes
        self.separator = options.get("separator", "|")
        self.category_separator = options.get("category_separator", ">")
        self.attribute_separator = options.get("attribute_separator", "")
        self.time_unit = choice(options, "time_unit", tuple(fields.TIME_UNITS))
        self.in_base64 = choice(options, "image_encoding", ("file", "base64")) == "base64"
        self.drop_missing = choice(options, "missing_image", ("error", "drop")) == "drop"
        self.event_kind = options.get("event_kind", "")
        if self.event_kind:
            fields.event_kind(self.event_kind, "event_kind")
        self.pictures = (
            PictureFolder(Path(options.get("image_folder") or folder))
            if "image" in mapping.columns and not self.in_base64
            else None
        )
        makers: dict[str, Callable[[Mapping[str, Any]], Record]] = {
            "products": self.product,
            "queries": self.query,
            "events": self.event,
        }
        self.make = makers[kind]
        self.dropped_pictures = 0

    def finish(self) -> None:
        """Appends what was counted to the notes."""
        if self.dropped_pictures:
            self.notes.append(f"{self.dropped_pictures:,} pictures could not be read: dropped")

    def record(self, row: Row) -> Located | Problem:
        try:
            return Located(row.where, self.make(row.fields))
        except DataError as error:
            located = type(error)(error.what, where=row.where, cure=error.cure)
            return Problem(row.where, located)

    # ---- one row, three kinds

    def product(self, row: Mapping[str, Any]) -> Product:
        return Product(
            id=self._id(row, "id"),
            title=self._text(row, "title"),
            images=self._images(row),
            category=self._category(row),
            attributes=self._attributes(row),
            description=self._text(row, "description"),
            group=self._text(row, "group"),
            shop=self._text(row, "shop"),
            price=fields.price(*self._cell(row, "price")),
            time=fields.time(*self._cell(row, "time"), self.time_unit),
            split=self._split(row),
        )

    def query(self, row: Mapping[str, Any]) -> Query:
        positives = fields.texts(*self._cell(row, "positives"), self.separator)
        grades = fields.numbers(*self._cell(row, "grades"), self.separator)
        if grades and len(grades) != len(positives):
            raise DataError(
                f"the query has {len(positives)} positives and {len(grades)} grades",
                cure="give one grade a positive, in the same order",
            )
        return Query(
            id=self._id(row, "id"),
            text=self._text(row, "text"),
            images=self._images(row),
            positives=positives,
            grades=grades,
            split=self._split(row),
        )

    def event(self, row: Mapping[str, Any]) -> Event:
        value, column = self._cell(row, "time")
        time = fields.time(value, column, self.time_unit)
        if time is None:
            raise fields.bad(column, value, "a time")
        position = fields.whole(*self._cell(row, "position"))
        kind = self.event_kind
        if not kind:
            if not self.mapping.one("kind"):
                raise DataError(
                    "no column tells the kind of the event",
                    cure="pass --set event=COLUMN or --set event_kind=purchase",
                )
            kind = fields.event_kind(*self._cell(row, "kind"))
        return Event(
            time=time,
            user=self._id(row, "user"),
            item=self._id(row, "item"),
            kind=kind,
            query=self._text(row, "query"),
            position=-1 if position is None else position,
            price=fields.price(*self._cell(row, "price")),
        )

    # ---- fields

    def _cell(self, row: Mapping[str, Any], field: str) -> tuple[Any, str]:
        column = self.mapping.one(field)
        return (row.get(column) if column else None), column

    def _text(self, row: Mapping[str, Any], field: str) -> str:
        return fields.text(*self._cell(row, field))

    def _id(self, row: Mapping[str, Any], field: str) -> str:
        value, column = self._cell(row, field)
        found = fields.text(value, column)
        if not found:
            raise fields.bad(column, value, f"a {field}")
        return found

    def _split(self, row: Mapping[str, Any]) -> str:
        return fields.split(*self._cell(row, "split")) if self.mapping.one("split") else "train"

    def _category(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        columns = self.mapping.columns.get("category", ())
        separator = self.category_separator if len(columns) == 1 else ""
        return tuple(v for c in columns for v in fields.texts(row.get(c), c, separator))

    def _attributes(self, row: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for column in self.mapping.columns.get("attributes", ()):
            value = row.get(column)
            whole = isinstance(value, dict) or (
                isinstance(value, list) and bool(value) and isinstance(value[0], tuple)
            )
            if whole or (isinstance(value, str) and value.lstrip().startswith("{")):
                pairs, prefix = fields.json_object(value, column), column
            else:
                pairs, prefix = {column: value}, ""
            found.update(fields.attributes(pairs, prefix, self.attribute_separator))
        return found

    def image_cells(self, row: Mapping[str, Any]) -> list[Any]:
        """Every picture cell of a row that is not missing: names, bytes or structs."""
        cells: list[Any] = []
        for column in self.mapping.columns.get("image", ()):
            value = row.get(column)
            if isinstance(value, str):
                cells += fields.texts(value, column, self.separator)
            else:
                cells += value if isinstance(value, list) else [value]
        return [cell for cell in cells if cell is not None]

    def _images(self, row: Mapping[str, Any]) -> tuple[bytes, ...]:
        shown = ", ".join(self.mapping.columns.get("image", ()))
        found: list[bytes] = []
        for cell in self.image_cells(row):
            try:
                found.append(from_cell(cell, shown, self.pictures, self.in_base64))
            except ImageError:
                if not self.drop_missing:
                    raise
                self.dropped_pictures += 1
        return tuple(found)
