"""Where documents come from: a catalogue, or a table file (CSV, TSV, Parquet, JSON Lines).

A source is read several times (study, sample, extract), each time from the start and in the same
order. A row that cannot become a document comes as :class:`Unread`, so that the ledger of a build
counts it: nothing that was in the source is missing from the sum.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.product import Product
from moonshelf.catalog.readers.mapping import ColumnMapping, map_columns
from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.catalog.readers.table import TABLE_OPTIONS, RowConverter, open_table
from moonshelf.errors import DataError, MoonshelfError, UsageError
from moonshelf.graph.records import Document, Kind

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

FIELDS = ("title", "category", "attributes", "description")
DEFAULT_FIELDS = ("title", "description")
# What --set takes here; everything else of a table says nothing about a text.
_COLUMNS = ("id", "title", "category", "attributes", "description")
_MANNERS = ("format", "encoding", "delimiter", "category_separator", "attribute_separator")
OPTIONS: dict[str, str] = {key: TABLE_OPTIONS[key] for key in (*_COLUMNS, *_MANNERS)}
_UNREAD = ("image", "group", "shop", "price", "time", "split")
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Unread:
    """A row of the source that is no document. ``id`` is its place, where it has no id."""

    id: str
    error: MoonshelfError


@dataclass(frozen=True)
class Source:
    """Documents that can be read again and again, in one order.

    ``name`` says where they come from, ``notes`` how they were read. ``kinds`` are those of which
    it holds all that there are, be it none: a file of reviews that became empty says that there are
    none left. Without them it answers for the kinds that it holds.
    """

    name: str
    read: Callable[[], Iterator[Document | Unread]]
    total: int | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    kinds: frozenset[Kind] = frozenset()

    def __iter__(self) -> Iterator[Document | Unread]:
        return self.read()

    def documents(self) -> Iterator[Document]:
        """Those that can be read."""
        return (item for item in self.read() if isinstance(item, Document))

    def first(self, limit: int) -> Source:
        """The first ``limit`` rows alone; UsageError below one."""
        if limit < 1:
            raise UsageError(f"a limit of {limit} leaves nothing", cure="give a number above 0")
        total = limit if self.total is None else min(limit, self.total)
        return replace(self, read=lambda: islice(self.read(), limit), total=total)


def from_documents(documents: Sequence[Document | Unread], name: str = "documents") -> Source:
    """A source over documents in memory."""
    return Source(name=name, read=lambda: iter(documents), total=len(documents))


def from_catalog(catalog: Catalog, fields: Sequence[str] = DEFAULT_FIELDS) -> Source:
    """The products of a catalogue, one document each; pictures are not read.

    Raises:
        UsageError: an unknown field.
    """
    fields = check_fields(fields)

    def read() -> Iterator[Document | Unread]:
        names = ("id", *FIELDS)
        columns = [catalog.column(name) for name in names]
        for start in range(0, len(catalog), _BATCH):
            cells = [column.slice(start, _BATCH).to_pylist() for column in columns]
            for k, values in enumerate(zip(*cells, strict=True)):
                record = dict(zip(names, values, strict=True))
                product = Product(
                    id=record["id"],
                    title=record["title"] or "",
                    category=tuple(record["category"] or ()),
                    attributes={a: tuple(v) for a, v in record["attributes"] or ()},
                    description=record["description"] or "",
                )
                yield document_of(product, fields, f"catalogue row {start + k}")

    return Source(
        name=str(catalog.path),
        read=read,
        total=len(catalog),
        facts={"catalog": catalog.fingerprint, "fields": list(fields)},
    )


def from_table(
    path: Path, options: Mapping[str, str], fields: Sequence[str] = DEFAULT_FIELDS
) -> Source:
    """The rows of a table file, one document each; columns are found as ``catalog import`` does.

    Args:
        path: .csv .tsv .parquet .jsonl
        options: of ``OPTIONS``, e.g. ``{"id": "sku", "title": "name"}``.
        fields: which texts to read, of ``FIELDS``, in this order.

    Raises:
        UsageError: an unknown option, column or field.
        DataError: the file cannot be read at all.
    """
    fields = check_fields(fields)
    file = open_table(path, check_options(options, OPTIONS))
    mapping = _mapping(file, options, path)
    used = tuple(dict.fromkeys(c for columns in mapping.columns.values() for c in columns))
    only = used if file.format == "parquet" else ()
    shown = "; ".join(f"{f} <- {', '.join(c)}" for f, c in mapping.columns.items())

    def read() -> Iterator[Document | Unread]:
        rows = replace(file, columns=only)
        converter = RowConverter("products", mapping, options, path.parent, [])
        return _documents(rows, converter, fields)

    return Source(
        name=str(path),
        read=read,
        total=file.total(),
        notes=(f"{path.name}: {shown}; reading {', '.join(fields)}",),
        facts={"options": dict(options), "fields": list(fields)},
    )


def check_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """``fields`` without blanks and repetition; UsageError for an unknown one."""
    found = tuple(dict.fromkeys(name.strip() for name in fields if name.strip()))
    unknown = next((name for name in found if name not in FIELDS), None)
    if unknown is not None or not found:
        what = "no text field is named" if unknown is None else f"unknown text field {unknown!r}"
        raise UsageError(what, cure=f"choose among {', '.join(FIELDS)}")
    return found


def document_of(product: Product, fields: Sequence[str], where: str = "") -> Document | Unread:
    """One product as a document; what has no text at all still is one, with no fields."""
    texts: dict[str, str] = {
        "title": product.title,
        "category": " > ".join(product.category),
        "attributes": attribute_lines(product.attributes),
        "description": product.description,
    }
    return made(
        where,
        id=product.id,
        fields=tuple((name, texts[name]) for name in fields if texts[name]),
        category=texts["category"],
    )


def made(where: str, **parts: Any) -> Document | Unread:
    """The document of ``parts``, or why it is none; ``where`` is its place in the source."""
    name = str(parts["id"])
    try:
        name.encode()
        return Document(**parts)
    except (ValidationError, UnicodeEncodeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        shown = name[:80].encode("ascii", "backslashreplace").decode()
        return Unread(
            id=f"{where} ({shown})",
            error=DataError(f"no document: {reason}", where=where, cure="correct the row"),
        )


def attribute_lines(attributes: Mapping[str, Iterable[str]]) -> str:
    """``Key: value, value``, one attribute a line, as a shop would print it."""
    lines = (f"{key}: {', '.join(values)}" for key, values in attributes.items())
    return "\n".join(" ".join(line.split()) for line in lines)


def _documents(
    rows: RowFile, converter: RowConverter, fields: Sequence[str]
) -> Iterator[Document | Unread]:
    for row in rows.rows():
        found = converter.record(row) if isinstance(row, Row) else row
        if isinstance(found, Problem):
            yield Unread(found.where, found.error)
        else:
            assert isinstance(found.record, Product)
            yield document_of(found.record, fields, found.where)


def _mapping(file: RowFile, options: Mapping[str, str], path: Path) -> ColumnMapping:
    """Columns of what makes a document; pictures, prices and the like feed nothing."""
    chosen = {key: value for key, value in options.items() if key in _COLUMNS}
    chosen |= dict.fromkeys(_UNREAD, "")
    return map_columns(file.header(), chosen, "products", path.name)


def check_options(options: Mapping[str, str], known: Mapping[str, str]) -> Mapping[str, str]:
    """``options``; UsageError for one that is not ``known``."""
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"a source of documents has no option {key!r}",
                cure=f"{hint}options: {', '.join(known)}",
            )
    return options
