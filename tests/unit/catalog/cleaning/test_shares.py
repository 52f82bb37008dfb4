"""The largest subset near a target, against every subset there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moonshelf.catalog.cleaning.shares import (
    largest_total,
    least_distance,
    nearest_counts,
    total_variation,
)
from moonshelf.errors import DataError

SMALL = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=4).filter(
    lambda cells: sum(target for _, target in cells) > 0
)


def every_subset(have: np.ndarray) -> np.ndarray:
    return np.array(list(itertools.product(*(range(n + 1) for n in have))), dtype=np.int64)


def distances(subsets: np.ndarray, target: np.ndarray) -> np.ndarray:
    totals = subsets.sum(axis=1)
    shares = subsets / np.maximum(totals, 1)[:, None]
    found = np.abs(shares - target / target.sum()).sum(axis=1) / 2
    return np.where(totals > 0, found, np.inf)


@settings(deadline=None, max_examples=200)
@given(SMALL, st.sampled_from((0.0, 0.05, 0.1, 0.25, 0.5, 1.0)))
@example([(5, 1), (0, 1)], 0.5)
@example([(5, 5), (5, 0)], 0.5)
def test_no_larger_subset_is_within_the_tolerance(
    cells: list[tuple[int, int]], tolerated: float
) -> None:
    have, target = (np.array(column, dtype=np.int64) for column in zip(*cells, strict=True))
    subsets = every_subset(have)
    good = distances(subsets, target) <= tolerated + 1e-9
    assert largest_total(have, target, tolerated) == subsets[good].sum(axis=1).max(initial=0)


@settings(deadline=None, max_examples=150)
@given(SMALL, st.data())
def test_no_subset_of_that_size_is_nearer(
    cells: list[tuple[int, int]], data: st.DataObject
) -> None:
    have, target = (np.array(column, dtype=np.int64) for column in zip(*cells, strict=True))
    total = data.draw(st.integers(0, int(have.sum())))
    counts = nearest_counts(total, have, target)
    assert counts.sum() == total and (counts >= 0).all() and (counts <= have).all()
    if total:
        subsets = every_subset(have)
        best = distances(subsets[subsets.sum(axis=1) == total], target).min()
        assert total_variation(counts, target) == pytest.approx(best, abs=1e-9)
        found = least_distance(np.array([total], np.int64), have, target)
        assert found == pytest.approx(best, abs=1e-9)


def test_a_rare_category_without_pairs_does_not_leave_nothing() -> None:
    have = np.array([9_000, 1_000, 0], dtype=np.int64)
    target = np.array([700, 290, 10], dtype=np.int64)
    assert largest_total(have, target, 0.0) == 0  # the exact target would leave nothing
    total = largest_total(have, target, 0.05)
    counts = nearest_counts(total, have, target)
    assert total_variation(counts, target) <= 0.05 + 1e-12
    # D(M) = (0.29 - 1000 / M) + 0.01 = 0.05 at M = 4000, without rounding.
    assert total == 4_000 and counts.tolist() == [3_000, 1_000, 0]


def test_an_exact_target_keeps_what_the_scarcest_category_allows() -> None:
    have, target = np.array([80, 30], dtype=np.int64), np.array([1, 1], dtype=np.int64)
    assert largest_total(have, target, 0.0) == 60
    assert nearest_counts(60, have, target).tolist() == [30, 30]
    assert largest_total(have, target, 1.0) == 110


def test_pairs_outside_the_target_come_last() -> None:
    have, target = np.array([10, 10, 30], np.int64), np.array([1, 1, 0], np.int64)
    assert nearest_counts(20, have, target).tolist() == [10, 10, 0]
    assert nearest_counts(25, have, target).tolist() == [10, 10, 5]


def test_large_counts_are_exact_and_quick() -> None:
    rng = np.random.default_rng(0)
    have = rng.integers(0, 20_000, 500)
    target = rng.integers(0, 4_000_000, 500)
    total = largest_total(have, target, 0.1)
    assert 0 < total < have.sum()
    assert total_variation(nearest_counts(total, have, target), target) <= 0.1 + 1e-12
    above = nearest_counts(total + 1, have, target)
    assert total_variation(above, target) > 0.1


def test_nothing_to_go_by_is_an_error() -> None:
    have = np.array([3, 2], dtype=np.int64)
    with pytest.raises(DataError, match="counts nothing"):
        largest_total(have, np.zeros(2, dtype=np.int64), 0.1)
    with pytest.raises(DataError, match="too many"):
        nearest_counts(2, have, np.array([2**61, 1], dtype=np.int64))
    assert total_variation(np.zeros(2), have) == 1.0
