"""Pair sources: which rows belong together, and which never do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from moonshelf.catalog.pairs import (
    DAY,
    catalog_pairs,
    group_codes,
    self_pairs,
    session_pairs,
    unix_time,
    usable_rows,
    variant_pairs,
)
from moonshelf.catalog.product import View
from moonshelf.errors import DataError, UsageError


def as_set(pairs: np.ndarray) -> set[frozenset[int]]:
    assert pairs.dtype == np.int64 and pairs.shape[1:] == (2,)
    found = [frozenset(map(int, pair)) for pair in pairs]
    assert len(found) == len(set(found)), "a pair was given twice"
    return set(found)


def test_self_pairs_a_row_with_itself():
    assert self_pairs(np.array([3, 5])).tolist() == [[3, 3], [5, 5]]


@pytest.mark.parametrize("size", range(1, 10))
def test_small_groups_give_every_pair_once(size):
    rows = np.arange(100, 100 + size)
    pairs = as_set(variant_pairs(rows, np.zeros(size, dtype=np.int64), most=4))
    assert pairs == {frozenset((a, b)) for a in rows for b in rows if a < b}


def test_huge_groups_give_most_a_member_and_groups_stay_apart():
    rng = np.random.default_rng(0)
    rows = rng.permutation(300)
    groups = np.where(rows < 100, -1, np.where(rows < 250, 7, 2))
    pairs = as_set(variant_pairs(rows, groups, most=4))
    assert len(pairs) == 150 * 4 + 50 * 4
    for pair in pairs:
        assert len(pair) == 2 and min(pair) >= 100
        assert (min(pair) < 250) == (max(pair) < 250)


def test_session_pairs_the_next_purchase_of_the_same_user():
    users = np.array([1, 0, 0, 1, 0, 0])
    times = np.array([5, 1, 3, 6, 2, 900]) * DAY
    items = np.array([20, 10, 12, 21, 11, 13])
    pairs = session_pairs(users, items, times, window=30 * DAY)
    assert sorted(pairs.tolist()) == [[10, 11], [11, 12], [20, 21]]
    two = session_pairs(users, items, times, window=30 * DAY, following=2)
    assert sorted(two.tolist()) == [[10, 11], [10, 12], [11, 12], [20, 21]]


def test_session_respects_cut_window_identity_and_strangers():
    users = np.zeros(5, dtype=np.int64)
    items = np.array([1, 1, 2, -1, 3])
    times = np.arange(5) * DAY
    # 1 -> 1 is no pair; -1 (a test product) stands between 2 and 3, which are then not neighbors.
    assert session_pairs(users, items, times).tolist() == [[1, 2]]
    assert not len(session_pairs(users, items, times, before=2 * DAY))
    assert not len(session_pairs(users, items, times, window=DAY // 2))


@dataclass
class Shelf:
    """The parts of a catalogue that pairs need."""

    titles: list[str]
    images: list[int]
    groups: list[str]
    train: list[int]
    log: list[tuple[str, int, str, int]] = field(default_factory=list)
    path: Path = Path("shelf")

    def __len__(self) -> int:
        return len(self.titles)

    def column(self, name: str) -> pa.ChunkedArray:
        values = {"title": self.titles, "image_count": self.images, "group": self.groups}[name]
        half = len(values) // 2
        return pa.chunked_array([values[:half], values[half:]])

    def split_rows(self, split: str) -> np.ndarray:
        assert split == "train"
        return np.array(self.train)

    def find_rows(self, ids: list[str]) -> np.ndarray:
        return np.array([int(i) if int(i) < len(self) else -1 for i in ids], dtype=np.int64)

    def events(self) -> pa.Table:
        kind = pa.array([kind for _, _, kind, _ in self.log], pa.string()).dictionary_encode()
        return pa.table(
            {
                "user": pa.array([user for user, *_ in self.log], pa.string()),
                "item": pa.array([str(item) for _, item, *_ in self.log], pa.string()),
                "kind": kind,
                "time": pa.array([day * DAY for *_, day in self.log], pa.int64()),
            }
        )


def shelf(**changes) -> Shelf:
    facts = {
        "titles": ["a", "b", " ", "d", "e"],
        "images": [1, 0, 1, 2, 1],
        "groups": ["x", "x", "", "y", "y"],
        "train": [0, 1, 2, 3],
        "log": [("u", 0, "purchase", 1), ("u", 3, "click", 2), ("u", 1, "purchase", 3)],
    }
    return Shelf(**(facts | changes))  # type: ignore[arg-type]


def test_only_train_products_are_paired():
    catalog = shelf()
    assert catalog_pairs(catalog, "self").tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert catalog_pairs(catalog, "variant").tolist() == [[0, 1]]
    assert catalog_pairs(catalog, "session").tolist() == [[0, 1]]
    assert catalog_pairs(shelf(train=[0, 3, 4]), "variant").tolist() == [[3, 4]]
    with pytest.raises(DataError, match="no user with two train purchases"):
        catalog_pairs(shelf(train=[0, 2, 3]), "session")
    with pytest.raises(DataError, match="no two train products of one group"):
        catalog_pairs(shelf(groups=[""] * 5), "variant")


def test_items_missing_from_the_catalogue_are_no_pairs():
    log = [("u", 0, "purchase", 1), ("u", 99, "purchase", 2), ("u", 1, "purchase", 3)]
    with pytest.raises(DataError):
        catalog_pairs(shelf(log=log), "session")
    with pytest.raises(DataError):
        catalog_pairs(shelf(log=[]), "session")


def test_before_cuts_purchases_by_date():
    with pytest.raises(DataError):
        catalog_pairs(shelf(), "session", before="1970-01-03")
    assert len(catalog_pairs(shelf(), "session", before="1970-01-05")) == 1
    assert unix_time("1970-01-02") == DAY and unix_time(5) == 5
    with pytest.raises(UsageError, match="not a date"):
        unix_time("soon")


def test_views_need_their_modalities():
    catalog = shelf()
    assert usable_rows(catalog, View.TEXT).tolist() == [True, True, False, True, True]
    assert usable_rows(catalog, View.IMAGE).tolist() == [True, False, True, True, True]
    assert usable_rows(catalog, View.BOTH).all()
    assert group_codes(catalog).tolist()[2] == -1
