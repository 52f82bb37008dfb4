"""Split hygiene: no group (SPU) and no picture stands on both sides of a split.

Records (products, then queries) hang together where they share a group or a picture with the same
bytes. A set of records that hang together is a component; a clean catalogue has one split a
component. A source without splits gets 80/10/10 drawn by components; a leak is cured by moving its
whole component to ``train``: the test set shrinks, and nothing that was ever trained on enters it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moonshelf.catalog.product import SPLITS

TRAIN, VAL, TEST = (SPLITS.index(name) for name in ("train", "val", "test"))
FRACTIONS = (0.8, 0.1, 0.1)
UNSET = 255  # a record whose split is still to be drawn


@dataclass(frozen=True)
class Settled:
    """The splits of all records, with nothing unset and nothing leaking; ``moved`` records had
    another split before, because of the ``crossing`` keys (int64; empty in a clean catalogue)."""

    splits: np.ndarray
    moved: int
    crossing: np.ndarray


def settle_splits(
    splits: np.ndarray, record: np.ndarray, key: np.ndarray, products: int, *, seed: int = 0
) -> Settled:
    """Draws what is unset and cures what leaks.

    Args:
        splits: uint8 [n], products first, then queries; ``UNSET`` where one is to be drawn.
        record, key: int64 [m], which record bears which group or picture.
        products: how many of the records are products; they and the queries that hang together
            with none are drawn separately, so that both get their shares.
    """
    crossing = crossing_keys(splits, record, key)
    unset = splits == UNSET
    if not len(crossing) and not unset.any():
        return Settled(splits, 0, crossing)
    component = components(len(splits), record, key)
    fixed = fix_leaks(splits, component)
    moved = int(np.count_nonzero((fixed != splits) & ~unset))
    if moved and not len(crossing):  # old records that only hang together through a new one
        crossing = crossing_keys(np.where(unset, fixed, splits), record, key)
    # A component is called after its smallest record, so products are in those below `products`.
    for part in (component < products, component >= products):
        fixed[part] = draw_splits(fixed[part], component[part], seed=seed)
    return Settled(fixed, moved, crossing)


def crossing_keys(splits: np.ndarray, record: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The keys that records of more than one split share: int64, ascending.

    Args:
        splits: uint8 [n], the split of each record; ``UNSET`` crosses nothing.
        record, key: int64 [m]; record ``record[j]`` bears key ``key[j]`` (a group or a picture).
    """
    if not len(key):
        return np.empty(0, np.int64)
    given = splits[record] != UNSET
    record, key = record[given], key[given]
    lowest = np.full(key.max(initial=-1) + 1, 255, np.uint8)
    highest = np.zeros_like(lowest)
    np.minimum.at(lowest, key, splits[record])
    np.maximum.at(highest, key, splits[record])
    crossing = np.flatnonzero(highest > lowest)
    return crossing[np.isin(crossing, key)]


def components(n: int, record: np.ndarray, key: np.ndarray) -> np.ndarray:
    """int64 [n]: for each record the smallest record it hangs together with."""
    parent = list(range(n))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    first: dict[int, int] = {}
    for here, shared in zip(record.tolist(), key.tolist(), strict=True):
        there = first.setdefault(shared, here)
        if there != here:
            a, b = root(here), root(there)
            if a != b:
                parent[max(a, b)] = min(a, b)  # roots only shrink: the smallest record wins
    return np.fromiter((root(node) for node in range(n)), np.int64, n)


def fix_leaks(splits: np.ndarray, component: np.ndarray) -> np.ndarray:
    """uint8 [n]: ``splits`` with every component that had several of them moved to train.

    ``UNSET`` records take the split of their component where it has one.
    """
    fixed = splits.copy()
    lowest = np.full(len(splits), 255, np.uint8)
    highest = np.zeros(len(splits), np.uint8)
    given = splits != UNSET
    np.minimum.at(lowest, component[given], splits[given])
    np.maximum.at(highest, component[given], splits[given])
    low, high = lowest[component], highest[component]
    known = low != 255
    fixed[known & (low == high)] = low[known & (low == high)]
    fixed[known & (low < high)] = TRAIN
    return fixed


def draw_splits(
    splits: np.ndarray,
    component: np.ndarray,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> np.ndarray:
    """uint8 [n]: ``splits`` with every ``UNSET`` record given one, whole components at a time.

    Components are taken in a seeded random order and fill test, then val, then train, up to their
    share of the records that are drawn; a component larger than what is left of a share goes on to
    the next, so a huge one (thousands of products with one placeholder picture) lands in train.
    """
    drawn = splits.copy()
    todo = np.flatnonzero(splits == UNSET)
    roots, inverse, sizes = np.unique(component[todo], return_inverse=True, return_counts=True)
    left = {TEST: round(fractions[2] * len(todo)), VAL: round(fractions[1] * len(todo))}
    of_root = np.full(len(roots), TRAIN, np.uint8)
    for k in np.random.default_rng(seed).permutation(len(roots)).tolist():
        size = int(sizes[k])
        for split in (TEST, VAL):
            if left[split] >= size:
                left[split] -= size
                of_root[k] = split
                break
        if not left[TEST] and not left[VAL]:
            break
    drawn[todo] = of_root[inverse]
    return drawn
