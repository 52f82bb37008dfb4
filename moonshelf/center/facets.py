"""Facets of the items, inverted: which rows have a category prefix or an attribute value.

On disk, beside the vectors: ``facets.arrow`` (sorted JSON texts, memory-mapped),
``facet_offsets.npy`` int64 [F + 1], ``facet_rows.npy`` int32 [all postings], ``price.npy``
float64 [N] (NaN: no price). A facet's number is its place in the sorted list; the same numbers
are what the ANN index filters by, so user text never reaches a query language.
"""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.center.filters import (
    Between,
    Filter,
    attribute_facet,
    category_facet,
    fold,
    numbers_of,
)
from moonshelf.center.shards import load_array, read_arrow, write_arrow
from moonshelf.errors import UsageError

Pairs = tuple[np.ndarray, np.ndarray]  # parallel: row, facet number


def facet_text(facet: tuple[str, ...]) -> str:
    """One facet as it is stored: a JSON list, so that no character can blur the borders."""
    return json.dumps(list(facet), ensure_ascii=True, separators=(",", ":"))


def write_facets(folder: Path, category: Any, attributes: Any, price: Any) -> None:
    """Builds the files above from catalogue columns (pyarrow ChunkedArray).

    Args:
        category: list<string> per row, top level first.
        attributes: map<string, list<string>> per row.
        price: float per row, null where there is none.
    """
    import pyarrow as pa

    texts: dict[str, int] = {}
    row_parts, facet_parts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for pairs in (_category_pairs(category, texts), _attribute_pairs(attributes, texts)):
        for rows, facets in pairs:
            row_parts.append(rows.astype(np.int32))
            facet_parts.append(facets)
    order = sorted(texts)
    place = np.empty(max(len(order), 1), np.int64)
    for number, text in enumerate(order):
        place[texts[text]] = number
    rows, facets = np.concatenate(row_parts), place[np.concatenate(facet_parts)]
    # A row may reach one facet twice (two spellings of a value): keep one posting.
    both = np.unique(facets * (int(rows.max(initial=0)) + 1) + rows)
    facets, rows = np.divmod(both, int(rows.max(initial=0)) + 1)
    offsets = np.zeros(len(order) + 1, np.int64)
    np.cumsum(np.bincount(facets, minlength=len(order)), out=offsets[1:])
    np.save(folder / "facet_offsets.npy", offsets)
    np.save(folder / "facet_rows.npy", rows.astype(np.int32))
    prices = price.cast(pa.float64()).fill_null(math.nan).to_numpy()
    np.save(folder / "price.npy", np.ascontiguousarray(prices, np.float64))
    table = pa.table({"facet": pa.array(order, pa.string())})
    write_arrow(folder / "facets.arrow", table)


def _numbered(texts: dict[str, int], facet: tuple[str, ...]) -> int:
    return texts.setdefault(facet_text(facet), len(texts))


def _category_pairs(column: Any, texts: dict[str, int]) -> Iterator[Pairs]:
    """Distinct paths are few: Python sees each once, NumPy spreads its prefixes over the rows."""
    known: dict[tuple[str, ...], list[int]] = {}

    def prefixes(path: tuple[str, ...]) -> list[int]:
        facets = [category_facet(path[: n + 1]) for n in range(len(path))]
        return [_numbered(texts, facet) for facet in facets]

    start = 0
    for chunk in column.chunks:
        rows, facets = [], []
        for place, path in enumerate(chunk.to_pylist()):
            key = tuple(path or ())
            numbers = known.get(key)
            if numbers is None:
                numbers = known[key] = prefixes(key)
            rows += [start + place] * len(numbers)
            facets += numbers
        yield np.asarray(rows, np.int64), np.asarray(facets, np.int64)
        start += len(chunk)


def _attribute_pairs(column: Any, texts: dict[str, int]) -> Iterator[Pairs]:
    known: dict[tuple[str, str], int] = {}
    start = 0
    for chunk in column.chunks:
        rows, facets = [], []
        for place, entries in enumerate(chunk.to_pylist()):
            for key, values in entries or ():
                for value in values or ():
                    number = known.get((key, value))
                    if number is None:
                        number = _numbered(texts, attribute_facet(key, value))
                        known[key, value] = number
                    rows.append(start + place)
                    facets.append(number)
        yield np.asarray(rows, np.int64), np.asarray(facets, np.int64)
        start += len(chunk)


class Facets:
    """The inverted facets of one table, memory-mapped; opened on the first filtered search."""

    def __init__(self, folder: Path) -> None:
        self._texts = read_arrow(folder / "facets.arrow").column("facet")
        self._offsets, self._rows = (
            load_array(folder / "facet_offsets.npy"),
            load_array(folder / "facet_rows.npy"),
        )
        self.price = load_array(folder / "price.npy")

    def __len__(self) -> int:
        return len(self._texts)

    def number(self, facet: tuple[str, ...]) -> int:
        """The facet's number, or -1 when no item has it. O(log F)."""
        text = facet_text(facet)
        place = self._bisect(text)
        return place if place < len(self) and self._texts[place].as_py() == text else -1

    def rows(self, number: int) -> np.ndarray:
        """Ascending int32 rows that have the facet."""
        return self._rows[self._offsets[number] : self._offsets[number + 1]]

    def clauses(self, where: Filter) -> list[list[int]]:
        """The filter's clauses, but for the price, as known facet numbers (AND of ORs).

        Raises:
            UsageError: no item at all has the attribute key: most likely a typing error; or its
                values are no numbers, or of another unit.
        """
        for key in (*(key for key, _ in where.attributes), *(one.key for one in where.numbers)):
            if not self.values(key, most=1):
                raise UsageError(
                    f"no item has an attribute {key!r}",
                    where="--where",
                    cure=f"choose among {', '.join(self.keys()) or 'category and price'}",
                )
        numbers = [[self.number(facet) for facet in clause] for clause in where.facets()]
        named = [[number for number in clause if number >= 0] for clause in numbers]
        return named + [self._within(one) for one in where.numbers]

    def _within(self, wanted: Between) -> list[int]:
        """Facets of a key whose number, or range of numbers, meets the bounds."""
        found: dict[str, list[tuple[int, float, float]]] = {}
        prefix = facet_text(("attribute", fold(wanted.key)))[:-1]
        start, stop = self._bisect(prefix + ","), self._bisect(prefix + "-")
        for number, text in enumerate(self._texts.slice(start, stop - start).to_pylist(), start):
            held = numbers_of(json.loads(text)[2])
            if held is not None:
                found.setdefault(held[2], []).append((number, held[0], held[1]))
        unit = fold(wanted.unit)
        if not wanted.unit and len(found) == 1:
            (unit,) = found
        if unit not in found or (len(found) > 1 and not wanted.unit):
            units = ", ".join(sorted(repr(name) if name else "no unit" for name in found))
            raise UsageError(
                f"attribute {wanted.key!r} is in {units}"
                if found
                else f"attribute {wanted.key!r} has no numbers",
                where="--where",
                cure="write the unit behind the number"
                if found
                else f"write {wanted.key}={self.values(wanted.key, most=1)[0]}",
            )
        return [n for n, low, high in found[unit] if low <= wanted.high and high >= wanted.low]

    def mask(self, where: Filter) -> np.ndarray:
        """bool [N]: the rows that pass."""
        passing = np.ones(len(self.price), bool)
        for clause in self.clauses(where):
            one = np.zeros(len(passing), bool)
            for number in clause:
                one[self.rows(number)] = True
            passing &= one
        if where.bounds_price:  # NaN, no price, compares false with both bounds
            passing &= (self.price >= where.price_min) & (self.price <= where.price_max)
        return passing

    def keys(self, most: int = 40) -> list[str]:
        """Attribute keys (folded), at most ``most``; jumps from key to key, not over the values."""
        keys: list[str] = []
        place = self._bisect('["attribute",')
        while place < len(self) and len(keys) < most:
            kind, *rest = json.loads(self._texts[place].as_py())
            if kind != "attribute":
                break
            keys.append(rest[0])
            # '-' sorts right after ',': the first text beyond all values of this key.
            place = self._bisect(facet_text(("attribute", rest[0]))[:-1] + "-")
        return keys

    def values(self, key: str, most: int = 20) -> list[str]:
        """Known (folded) values of an attribute key in sorted order, at most ``most``."""
        prefix = facet_text(("attribute", fold(key)))[:-1] + ","
        place, values = self._bisect(prefix), []
        while place < len(self) and len(values) < most:
            text = self._texts[place].as_py()
            if not text.startswith(prefix):
                break
            values.append(json.loads(text)[2])
            place += 1
        return values

    def forward(self, items: int) -> tuple[np.ndarray, np.ndarray]:
        """Facets by row instead of rows by facet: ``offsets`` int64 [N + 1] and ``facets``."""
        counts = np.diff(self._offsets)
        facets = np.repeat(np.arange(len(counts)), counts)
        order = np.argsort(self._rows, kind="stable")
        offsets = np.zeros(items + 1, np.int64)
        np.cumsum(np.bincount(self._rows, minlength=items), out=offsets[1:])
        return offsets, facets[order]

    def _bisect(self, text: str) -> int:
        return bisect.bisect_left(
            range(len(self._texts)), text, key=lambda place: self._texts[place].as_py()
        )
