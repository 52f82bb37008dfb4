"""SPU merge: pairs whose items are SKUs of one SPU become one sample (methods.md 3.5).

For diversity, and so that no batch holds another SKU of the same style as a negative. A sample is
always a pair that really happened: the hardest of those merged, as in the dedup.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from moonshelf.catalog.cleaning.choosing import asked, group_numbers, hardest
from moonshelf.catalog.cleaning.outcome import KEPT, Cleaned
from moonshelf.catalog.pair_set import COLUMNS, PRODUCT_QUERY, PairSet
from moonshelf.catalog.pairs import group_codes
from moonshelf.errors import DataError

STEP = "merge"
By = Literal["item", "query"]
BY: tuple[By, ...] = ("item", "query")
REASONS = (KEPT, "merged into another sample of its SPU")


def merge(pairs: PairSet, *, by: By = "item") -> Cleaned:
    """One sample for the pairs of one SPU: counts add up, the strongest level, the last time.

    Args:
        pairs: where their similarity is known, the lowest stands for the others.
        by: ``item``: all pairs of one kind of query whose items are of one SPU; ``query``: only
            those of one query (of one SPU, where the query is a product), so that every query
            stays.

    Raises:
        DataError: the counts of a sample do not fit their column.
    """
    spu = spu_codes(pairs)
    if by == "item":
        keys = (spu[pairs.item], asked(pairs).astype(np.int64))
    else:
        own = pairs.query_kind == PRODUCT_QUERY
        query = pairs.query.copy()
        query[own] = spu[pairs.query[own]]
        keys = (spu[pairs.item], query, pairs.query_kind.astype(np.int64))
    groups = group_numbers(keys)
    stands = hardest(pairs, groups)
    why = np.ones(len(pairs), dtype=np.int8)
    why[stands] = 0
    whole = pairs.select(stands)
    merged = replace(whole, columns={**whole.columns, **_summed(pairs, groups, groups[stands])})
    known = group_codes(pairs.catalog)[pairs.item] >= 0
    facts = {
        "samples of several pairs": int((np.bincount(groups) > 1).sum()),
        "pairs whose item belongs to no SPU": int((~known).sum()),
    }
    return Cleaned(pairs, why, REASONS, merged, facts)


def spu_codes(pairs: PairSet) -> np.ndarray:
    """int64 [N]: a number per SPU; a product that belongs to none is one of its own."""
    codes = group_codes(pairs.catalog)
    alone = np.arange(len(codes)) + codes.max(initial=-1) + 1
    return np.where(codes >= 0, codes, alone)


def _summed(pairs: PairSet, groups: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """What the pairs of each group are together, in the order of ``chosen`` [g]."""
    size = groups.max(initial=-1) + 1
    count, level, time = (np.zeros(size, dtype=np.int64) for _ in range(3))
    level[:] = -1
    time[:] = np.iinfo(np.int64).min
    np.add.at(count, groups, pairs.count.astype(np.int64))
    np.maximum.at(level, groups, pairs.level.astype(np.int64))
    np.maximum.at(time, groups, pairs.time)
    if count.max(initial=0) > np.iinfo(COLUMNS["count"]).max:
        raise DataError("a merged sample counts more events than its column holds")
    found = {"count": count, "level": level, "time": time}
    return {name: values[chosen].astype(COLUMNS[name]) for name, values in found.items()}
