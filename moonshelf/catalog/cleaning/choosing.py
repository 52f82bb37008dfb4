"""Which pairs belong to one sample, and which of them stands for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moonshelf.catalog.pair_set import TABLE_QUERY, PairSet
from moonshelf.catalog.pairs import usable_queries
from moonshelf.catalog.product import View

ASKED = ("product", "text", "picture", "text and picture")
"""What a pair's query is; cosines of different ones do not compare."""
ASKED_VIEW = (View.BOTH, View.TEXT, View.IMAGE, View.BOTH)
"""The view that each of ``ASKED`` is embedded through: all that it has."""


def asked(pairs: PairSet) -> np.ndarray:
    """int8 [n]: the place in ``ASKED`` of each pair's query. A query of the table that has
    nothing at all counts as text."""
    words = usable_queries(pairs.catalog, View.TEXT)
    picture = usable_queries(pairs.catalog, View.IMAGE)
    of_table = np.where(picture, np.where(words, 3, 2), 1).astype(np.int8)
    found = np.zeros(len(pairs), dtype=np.int8)
    table = pairs.query_kind == TABLE_QUERY
    found[table] = of_table[pairs.query[table]]
    return found


def group_numbers(keys: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [n]: equal where all of ``keys`` [n] are equal; dense from 0."""
    order = np.lexsort(tuple(keys))
    new = np.zeros(len(order), dtype=bool)
    for key in keys:
        sorted_key = key[order]
        new[1:] |= sorted_key[1:] != sorted_key[:-1]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(new)
    return numbers


def hardest(pairs: PairSet, groups: np.ndarray) -> np.ndarray:
    """int64 [g]: the place of the pair that stands for each group, ascending.

    The one of the lowest similarity (a high one is easy and popular, methods.md 3.5); an unknown
    similarity stands behind every known one. Ties go to the strongest act, then the most frequent,
    then the last, then the lowest query, item and place.
    """
    unknown = np.isnan(pairs.similarity)
    similarity = np.where(unknown, np.inf, pairs.similarity)
    act = (-pairs.time, -pairs.count.astype(np.int64), -pairs.level.astype(np.int64))
    order = np.lexsort((pairs.item, pairs.query, *act, similarity, groups))
    first = np.ones(len(order), dtype=bool)
    first[1:] = groups[order[1:]] != groups[order[:-1]]
    return np.sort(order[first])
