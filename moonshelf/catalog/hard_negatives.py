"""Hard negatives: items of the positive's own category that are wrong answers still. No torch.

    the paper says   negatives of the positive's category, in the second stage only (TR 3.5, W 4.4)
    leaves open      how many, which of the category, what keeps right answers out
    we chose         drawn evenly from the items of the same leaf category (the whole path), never
                     of the same SPU, never an item that behavior pairs with the query at any
                     level; none at all for words that were answered by three brands or more: where
                     the brand did not matter, another brand is no wrong answer (methods.md 10.3)

A row whose category holds no such item gets none: a random item in its place would be an easy
negative under a hard one's name.

Shape letters: B rows of a step, N products, P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from moonshelf.catalog.cleaning.exposure import category_codes
from moonshelf.catalog.pairs import group_codes, name_codes

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

NONE = -1
TRIES = 8
"""Items drawn for a row at once; the few rows where none of them will do look at all."""


class HardNegatives:
    """The items of each leaf category, ready to be drawn from.

    Args:
        rows: items that may be drawn, distinct.
        leaf: int64 [N], category of every product; negative: none known.
        groups: int64 [N], SPU of every product; negative: none.
    """

    def __init__(self, rows: np.ndarray, leaf: np.ndarray, groups: np.ndarray) -> None:
        self._leaf, self._groups = leaf, groups
        rows = np.sort(rows[leaf[rows] >= 0])
        self._members = rows[np.argsort(leaf[rows], kind="stable")]
        count = np.bincount(leaf[rows], minlength=int(leaf.max(initial=-1)) + 1)
        self._start, self._count = np.cumsum(count) - count, count
        # Of each category and SPU: how many of its items no item of that SPU may get.
        grouped = rows[groups[rows] >= 0]
        self._span = int(groups.max(initial=-1)) + 2
        self._kin, self._kin_count = np.unique(
            leaf[grouped] * self._span + groups[grouped], return_counts=True
        )

    def pick(
        self, items: np.ndarray, positives: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """An item for each of ``items``: int64 [B], ``NONE`` where its category holds none.

        Draws the same numbers whatever is found, so that rows do not depend on each other.

        Args:
            items: int64 [B], the positive of each row.
            positives: int64 [P, 2] of (place in ``items``, row of an item): further right answers.
        """
        u = rng.random((len(items), TRIES + 1))
        found = np.full(len(items), NONE, dtype=np.int64)
        places = np.flatnonzero(self._others(items) > 0)
        known = _Known(positives)
        leaf = self._leaf[items[places]]
        at = (u[places, :TRIES] * self._count[leaf, None]).astype(np.int64)
        drawn = self._members[self._start[leaf, None] + at]
        fit = self._fit(items[places, None], drawn) & ~known(places[:, None], drawn)
        first = fit.argmax(1)
        found[places] = np.where(fit.any(1), drawn[np.arange(len(places)), first], NONE)
        for place in places[~fit.any(1)]:
            item = items[place]
            own = self._leaf[item]
            every = self._members[self._start[own] : self._start[own] + self._count[own]]
            right = every[self._fit(item, every) & ~known(np.full(len(every), place), every)]
            if len(right):
                found[place] = right[int(u[place, TRIES] * len(right))]
        return found

    def _fit(self, item: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether ``other`` is another product than ``item``."""
        group = self._groups[item]
        return (other != item) & ((group < 0) | (group != self._groups[other]))

    def _others(self, items: np.ndarray) -> np.ndarray:
        """int64 [B]: at least how many items of its category are of another SPU."""
        leaf, group = self._leaf[items], self._groups[items]
        if not len(self._members):
            return np.zeros(len(items), dtype=np.int64)
        every = np.where(leaf >= 0, self._count[leaf], 0)
        key = leaf * self._span + group
        at = np.searchsorted(self._kin, key)
        at[at == len(self._kin)] = 0
        kin = np.zeros(len(items), dtype=np.int64)
        if len(self._kin):
            kin = np.where((group >= 0) & (self._kin[at] == key), self._kin_count[at], 0)
        return every - kin


class _Known:
    """Whether (place, item) is among some pairs [P, 2]."""

    def __init__(self, pairs: np.ndarray) -> None:
        self._span = int(pairs[:, 1].max(initial=0)) + 1
        self._keys = np.unique(pairs[:, 0] * self._span + pairs[:, 1])

    def __call__(self, place: np.ndarray, item: np.ndarray) -> np.ndarray:
        if not len(self._keys):
            return np.zeros(np.broadcast(place, item).shape, dtype=bool)
        key = place * self._span + item
        at = np.searchsorted(self._keys, key)
        at[at == len(self._keys)] = 0
        return (self._keys[at] == key) & (item < self._span)


def leaf_codes(catalog: Catalog) -> np.ndarray:
    """int64 [N]: a number for each whole category path; -1 where a product has none."""
    names, codes = category_codes(catalog, depth=0)
    return np.where(np.array(names, dtype=object)[codes] == "", NONE, codes)


def brand_codes(catalog: Catalog, key: str = "brand") -> np.ndarray:
    """int64 [N]: a number for the first value of attribute ``key``, as words whatever their case;
    where there is none a number of the product's SPU, or of its own."""
    brands = []
    for values in catalog.column("attributes").to_pylist():
        named: Mapping[str, list[str]] = {name.casefold(): of_it for name, of_it in values or ()}
        brands.append(" ".join((named.get(key) or [""])[0].casefold().split()))
    codes, groups = name_codes(pa.chunked_array([brands], type=pa.string())), group_codes(catalog)
    beyond = int(codes.max(initial=-1)) + 1
    codes = np.where(codes < 0, np.where(groups >= 0, beyond + groups, NONE), codes)
    beyond = int(codes.max(initial=-1)) + 1
    return np.where(codes < 0, beyond + np.arange(len(codes)), codes)


def broad_queries(pairs: np.ndarray, brands: np.ndarray, brands_most: int = 2) -> np.ndarray:
    """The queries that were answered by more than ``brands_most`` brands, sorted.

    Args:
        pairs: int64 [P, 2] of (query, row of an item), at every level of behavior.
        brands: int64 [N] of every product.
    """
    answered = np.unique(np.stack([pairs[:, 0], brands[pairs[:, 1]]], axis=1), axis=0)
    queries, count = np.unique(answered[:, 0], return_counts=True)
    return queries[count > brands_most]
