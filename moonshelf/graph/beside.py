"""What stands beside the listings: customers' reviews of them, and what their pictures show.

Documents of their own, each about one listing. What is about a product that the listings lack is
told as unread, so that the ledger of a build counts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.readers import fields as cells
from moonshelf.catalog.readers.mapping import ColumnMapping, map_columns
from moonshelf.catalog.readers.rows import Row
from moonshelf.catalog.readers.table import TABLE_OPTIONS, open_table
from moonshelf.catalog.reference_attributes import AttributeFile, ImageSupport, ProductAttributes
from moonshelf.errors import DataError
from moonshelf.graph.documents import Source, Unread, check_options, made
from moonshelf.graph.records import Document, Shown

REVIEW_OPTIONS: dict[str, str] = {
    "product": "column with the id of the listing that the review is about",
    "text": "column of the words",
    "title": "column of a headline",
    "id": "column of the review's own id (default: made from product and words)",
    **{key: TABLE_OPTIONS[key] for key in ("format", "encoding", "delimiter")},
}
_TEXTS = ("title", "text")


def from_reviews(path: Path, options: Mapping[str, str]) -> Source:
    """The rows of a table file, one review each.

    A review's document is called ``review ID``, so that it is never taken for a listing; without a
    column of ids, by its product and a hash of its words: the order of the rows does not matter,
    and the same words about the same product are one review.

    Args:
        path: .csv .tsv .parquet .jsonl
        options: of ``REVIEW_OPTIONS``; columns are found by common names unless they name them.

    Raises:
        UsageError: an unknown option or column.
        DataError: the file cannot be read at all.
    """
    file = open_table(path, check_options(options, REVIEW_OPTIONS))
    chosen = {key: options[key] for key in ("id", "product", *_TEXTS) if key in options}
    mapping = map_columns(file.header(), chosen, "reviews", path.name)
    used = tuple(column for columns in mapping.columns.values() for column in columns)

    def read() -> Iterator[Document | Unread]:
        # No review may be left; then the header alone says so.
        columns = used if file.format == "parquet" else ()
        rows = replace(file, columns=columns, may_be_empty=True)
        for row in rows.rows():
            yield _review(row, mapping) if isinstance(row, Row) else _unread(row)

    return Source(
        name=str(path),
        read=read,
        total=file.total(),
        notes=(f"{path.name}: reviews with {mapping}",),
        facts={"options": dict(options)},
        kinds=frozenset({"review"}),
    )


def from_pictures(path: Path) -> Source:
    """What an encoder saw in pictures (``moonshelf encoder attributes``): one document a product.

    Raises:
        DataError: no such file, or none of its kind. Bad lines are raised while it is read.
    """
    file = AttributeFile.open(path)

    def read() -> Iterator[Document | Unread]:
        for record in file:
            shown = tuple(_shown(record))
            if shown:
                yield made(
                    f"{path.name} product {record.product}",
                    id=f"pictures of {record.product}",
                    kind="picture",
                    fields=(),
                    product=record.product,
                    shown=shown,
                )

    return Source(
        name=str(path),
        read=read,
        total=len(file),
        notes=(f"{path.name}: {', '.join(file.keys)} of {len(file):,} products from pictures",),
        facts={"sha256": file.digest, "source": file.header.source},
        kinds=frozenset({"picture"}),
    )


def together(listings: Source, beside: Sequence[Source], *, limited: bool = False) -> Source:
    """Listings first, then what stands beside them.

    Args:
        listings: a document each.
        beside: documents about them.
        limited: ``listings`` are a part of the shop: what is about others is left out in silence.
    """
    if not beside:
        return listings

    def read() -> Iterator[Document | Unread]:
        known: set[str] = set()
        for item in listings:
            if isinstance(item, Document):
                known.add(item.about)
            yield item
        for source in beside:
            for item in source:
                if isinstance(item, Unread) or item.about in known:
                    yield item
                elif not limited:
                    yield Unread(item.id, _no_listing(item, source))

    totals = [source.total for source in (listings, *beside)]
    return Source(
        name=listings.name,
        read=read,
        total=None if limited or None in totals else sum(n for n in totals if n is not None),
        notes=tuple(note for source in (listings, *beside) for note in source.notes),
        facts={
            **listings.facts,
            "beside": [{"name": source.name, **source.facts} for source in beside],
        },
        kinds=frozenset().union(*(source.kinds for source in (listings, *beside))),
    )


def _no_listing(item: Document, source: Source) -> DataError:
    return DataError(
        f"it is about {item.about[:80]!r}, which is no listing here",
        where=f"{source.name}: {item.id[:80]}",
        cure="name the column with the ids of the listings, or leave such rows out",
    )


def _review(row: Row, mapping: ColumnMapping) -> Document | Unread:
    def cell(field: str) -> str:
        column = mapping.one(field)
        return cells.text(row.fields.get(column), column) if column else ""

    try:
        product, own = cell("product"), cell("id")
        if not product:
            raise DataError("it names no product", cure="say which listing it is about")
        if mapping.one("id") and not own:
            raise DataError("it has no id", cure="give each review its own, or name no such column")
        texts = tuple((name, text) for name in _TEXTS if (text := cell(name)))
    except DataError as error:
        return Unread(row.where, type(error)(error.what, where=row.where, cure=error.cure))
    words = hashlib.sha256(repr(texts).encode()).hexdigest()[:12]
    name = f"review {own}" if own else f"review of {product}: {words}"
    return made(row.where, id=name, kind="review", fields=texts, product=product)


def _unread(problem: Problem) -> Unread:
    return Unread(problem.where, problem.error)


def _shown(record: ProductAttributes) -> Iterator[Shown]:
    for key, values in record.attributes.items():
        for value in values:
            for support in value.support:
                if isinstance(support, ImageSupport):
                    yield Shown(
                        key=key,
                        value=value.value,
                        picture=support.picture,
                        encoder=support.encoder,
                        score=support.confidence,
                    )
