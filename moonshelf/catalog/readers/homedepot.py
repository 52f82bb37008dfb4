"""Home Depot search relevance: products, real queries, human grades. No pictures.

Two layouts are read:

* ``products.parquet, queries.parquet, judgments.parquet``: a research extract with splits by
  query.
* the original of Kaggle: ``train.csv`` (latin-1) and, where they are there, ``test.csv`` (its
  products only: it has no grades), ``product_descriptions.csv``, ``attributes.csv``; the split
  of a query is drawn 80 / 10 / 10 by a hash of its words.

A query's ``positives`` are all products that were judged for it, with ``grades`` = relevance - 1,
from 0 (no answer) to 2 (perfect): a grade of 0 then adds nothing to DCG. Option
``min_relevance`` keeps only products judged at least that well (1 to 3, the source's scale);
queries that are left without any are left out and counted. Products are the gallery of every
query and stay in train.

``attributes`` (original layout) keep the source's names; ``Bullet01`` ... are sentences, not
attributes, and go into the description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Product, Query
from moonshelf.catalog.readers import Item, fields
from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.catalog.readers.sets import (
    KIND_OPTION,
    check_set_options,
    drawn_split,
    has_columns,
    located,
    records,
    require_columns,
    total_rows,
    wanted,
)
from moonshelf.errors import DataError, UsageError

_BULLET = re.compile(r"bullet\s*\d+", re.IGNORECASE)
Judged = list[tuple[str, float]]  # (product id, relevance), in the order of the file


class HomeDepotReader:
    """Reads a folder with Home Depot data in either layout; see the module's text."""

    name = "homedepot"

    def __init__(self) -> None:
        self.options: Mapping[str, str] = {
            **KIND_OPTION,
            "min_relevance": "1 to 3: leave out products judged below (default 1: keep all)",
        }
        self.notes: list[str] = []

    def matches(self, path: Path) -> bool:
        return has_columns(path / "judgments.parquet", "query_id", "relevance") or has_columns(
            path / "train.csv", "product_uid", "search_term"
        )

    def splits(self, path: Path) -> Literal["keep", "draw"]:
        return "keep"

    def total(self, path: Path) -> int | None:
        return total_rows(path / "products.parquet", path / "queries.parquet")

    def read(self, path: Path, options: Mapping[str, str]) -> Iterator[Item]:
        """See :class:`~moonshelf.catalog.readers.Reader`.

        Raises:
            UsageError: an unknown option.
            DataError: a file of the set is missing or damaged.
        """
        check_set_options(self, options)
        least = _min_relevance(options)
        extract = (path / "judgments.parquet").is_file()
        source: _Extract | _Kaggle = _Extract(path) if extract else _Kaggle(path, self.notes)
        if wanted(options, "products"):
            yield from source.products()
        if wanted(options, "queries"):
            left_out = 0
            for item in source.queries(least):
                record = item.record if isinstance(item, Located) else None
                if isinstance(record, Query) and not record.positives:
                    left_out += 1
                    continue
                yield item
            if left_out:
                self.notes.append(f"{left_out:,} queries without a product judged so well left out")
        self.notes.append("products are the gallery of every query and stay in train")


def _min_relevance(options: Mapping[str, str]) -> float:
    try:
        least = float(options.get("min_relevance", "1"))
    except ValueError:
        least = float("nan")
    if not 1 <= least <= 3:
        raise UsageError(
            f"min_relevance={options['min_relevance']!r} is not a relevance",
            cure="give a number from 1 to 3",
        )
    return least


def _query(key: str, text: str, judged: Judged, split: str, least: float) -> Query:
    # A few pairs were judged twice: their mean counts.
    votes: dict[str, list[float]] = {}
    for item, relevance in judged:
        votes.setdefault(item, []).append(relevance)
    means = {item: sum(v) / len(v) for item, v in votes.items()}
    kept = [(item, relevance) for item, relevance in means.items() if relevance >= least]
    return Query(
        id=key,
        text=text,
        positives=tuple(item for item, _ in kept),
        grades=tuple(round(relevance - 1, 4) for _, relevance in kept),
        split=split,
    )


def _relevance(value: object) -> float:
    found = fields.number(value, "relevance")
    if found is None or not 1 <= found <= 3:
        raise fields.bad("relevance", value, "a relevance from 1 to 3")
    return found


class _Extract:
    def __init__(self, path: Path) -> None:
        self.items = RowFile(path / "products.parquet")
        self.asked = RowFile(path / "queries.parquet")
        self.judgments = RowFile(path / "judgments.parquet")
        require_columns(self.items, "product_id", "title")
        require_columns(self.asked, "query_id", "query", "split")
        require_columns(self.judgments, "query_id", "product_id", "relevance")

    def products(self) -> Iterator[Item]:
        def product(row: Mapping[str, Any]) -> Product:
            key = fields.text(row["product_id"], "product_id")
            return Product(key, fields.text(row["title"], "title"))

        return records(self.items.rows(), product)

    def queries(self, least: float) -> Iterator[Item]:
        judged: dict[str, Judged] = {}
        for row in self.judgments.rows():
            if isinstance(row, Problem):
                yield row
                continue
            try:
                key = fields.text(row.fields["query_id"], "query_id")
                item = fields.text(row.fields["product_id"], "product_id")
                one = (item, _relevance(row.fields["relevance"]))
            except DataError as error:
                yield Problem(row.where, located(error, row.where))
                continue
            judged.setdefault(key, []).append(one)

        def query(row: Mapping[str, Any]) -> Query:
            key = fields.text(row["query_id"], "query_id")
            text, split = fields.text(row["query"], "query"), fields.split(row["split"], "split")
            return _query(key, text, judged.get(key, []), split, least)

        yield from records(self.asked.rows(), query)


class _Kaggle:
    def __init__(self, path: Path, notes: list[str]) -> None:
        self.notes = notes
        self.train = RowFile(path / "train.csv", fallback="latin-1")
        require_columns(self.train, "product_uid", "product_title", "search_term", "relevance")
        test = path / "test.csv"
        more = [RowFile(test, fallback="latin-1")] if test.is_file() else []
        self.titled = [self.train, *more]
        self.descriptions = path / "product_descriptions.csv"
        self.attributes = path / "attributes.csv"

    def products(self) -> Iterator[Item]:
        """Each product once, by number. Titles are small and held in memory; descriptions and
        attributes are sorted by number in the set's files and read beside them."""
        titles: dict[int, tuple[str, str]] = {}  # number -> (title, where)
        for file in self.titled:
            for row in file.rows():
                if isinstance(row, Problem):
                    yield row
                    continue
                try:
                    number = _number(row)
                    title = fields.text(row.fields["product_title"], "product_title")
                except DataError as error:
                    yield Problem(row.where, located(error, row.where))
                    continue
                titles.setdefault(number, (title, row.where))
        descriptions = _Beside(self.descriptions, "product_description")
        attributes = _Beside(self.attributes, "name", "value")
        for number in sorted(titles):
            title, where = titles[number]
            told = [text for (text,) in descriptions.take(number)]
            pairs: dict[str, list[str]] = {}
            for name, value in attributes.take(number):
                if _BULLET.fullmatch(name):
                    told.append(value)
                elif name:
                    pairs.setdefault(name, []).append(value)
            product = Product(
                id=str(number),
                title=title,
                attributes=fields.attributes(pairs, ""),
                description="\n".join(text for text in told if text),
            )
            yield from (*descriptions.problems(), *attributes.problems())
            yield Located(where, product)
        self.notes += [*descriptions.notes(), *attributes.notes()]

    def queries(self, least: float) -> Iterator[Item]:
        judged: dict[str, Judged] = {}
        places: dict[str, str] = {}
        for row in self.train.rows():
            if isinstance(row, Problem):
                continue  # reading the products has named it
            try:
                text = fields.text(row.fields["search_term"], "search_term")
                one = (str(_number(row)), _relevance(row.fields["relevance"]))
            except DataError as error:
                yield Problem(row.where, located(error, row.where))
                continue
            judged.setdefault(text, []).append(one)
            places.setdefault(text, row.where)
        for number, (text, products) in enumerate(judged.items()):
            query = _query(f"q{number}", text, products, drawn_split(text), least)
            yield Located(places[text], query)


def _number(row: Row) -> int:
    number = fields.whole(row.fields["product_uid"], "product_uid")
    if number is None:
        raise fields.bad("product_uid", row.fields["product_uid"], "a product number")
    return number


class _Beside:
    """A file sorted by ``product_uid``, read in step with the products; a missing file is empty.

    Raises:
        DataError: the file is not sorted (from :meth:`take`).
    """

    def __init__(self, path: Path, *columns: str) -> None:
        self.columns, self.path = columns, path
        self._problems: list[Problem] = []
        self._without_number = 0
        self._rows: Iterator[tuple[int, tuple[str, ...]]] = iter(())
        if path.is_file():
            file = RowFile(path, fallback="latin-1")
            require_columns(file, "product_uid", *columns)
            self._rows = self._read(file)
        self._next = next(self._rows, None)

    def take(self, number: int) -> list[tuple[str, ...]]:
        """The rows of one product; numbers must be asked in ascending order."""
        taken: list[tuple[str, ...]] = []
        while self._next is not None and self._next[0] <= number:
            if self._next[0] == number:
                taken.append(self._next[1])
            self._next = next(self._rows, None)
        return taken

    def problems(self) -> list[Problem]:
        """Bad rows met since the last call."""
        found, self._problems = self._problems, []
        return found

    def notes(self) -> list[str]:
        if not self._without_number:
            return []
        return [f"{self._without_number:,} rows of {self.path.name} name no product: left out"]

    def _read(self, file: RowFile) -> Iterator[tuple[int, tuple[str, ...]]]:
        last = 0
        for row in file.rows():
            if isinstance(row, Problem):
                self._problems.append(row)
                continue
            try:
                number = fields.whole(row.fields["product_uid"], "product_uid")
                cells = tuple(fields.text(row.fields[c], c) for c in self.columns)
            except DataError as error:
                self._problems.append(Problem(row.where, located(error, row.where)))
                continue
            if number is None:
                self._without_number += 1  # the set has about 150 blank rows
                continue
            if number < last:
                raise DataError(
                    f"product_uid {number} follows {last}: the file is not sorted",
                    where=row.where,
                    cure="restore the original file, or sort it by product_uid",
                )
            last = number
            yield number, cells
