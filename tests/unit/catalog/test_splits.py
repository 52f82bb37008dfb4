"""No component crosses a split, whatever the source says; drawing is whole, seeded and fair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.splits import (
    TEST,
    TRAIN,
    UNSET,
    VAL,
    components,
    crossing_keys,
    draw_splits,
    settle_splits,
)

link = st.tuples(st.integers(0, 19), st.integers(0, 7))
SPLIT_CODES = [TRAIN, VAL, TEST, UNSET]


def columns(links: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(links, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(link, max_size=30),
    st.lists(st.sampled_from(SPLIT_CODES), min_size=20, max_size=20),
)
def test_settled_splits_never_leak(links: list[tuple[int, int]], codes: list[int]) -> None:
    record, key = columns(links)
    before = np.array(codes, np.uint8)
    settled = settle_splits(before, record, key, products=12)
    assert not (settled.splits == UNSET).any()
    assert not len(crossing_keys(settled.splits, record, key))
    changed = (before != UNSET) & (settled.splits != before)
    assert settled.moved == changed.sum()
    assert (settled.splits[changed] == TRAIN).all()  # what was trained on is never tested
    assert bool(len(settled.crossing)) == bool(settled.moved)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 30)), max_size=60), st.integers(0, 9))
def test_drawn_splits_never_leak(links: list[tuple[int, int]], seed: int) -> None:
    record, key = columns(links)
    settled = settle_splits(np.full(60, UNSET, np.uint8), record, key, products=40, seed=seed)
    assert not len(crossing_keys(settled.splits, record, key)) and not settled.moved
    assert (settled.splits == TEST).sum() <= 6


@settings(max_examples=80, deadline=None)
@given(st.lists(link, max_size=30))
def test_components_equal_a_plain_search(links: list[tuple[int, int]]) -> None:
    record, key = columns(links)
    found = components(20, record, key)
    same = np.eye(20, dtype=bool)
    for a, k in links:
        for b, other in links:
            same[a, b] |= k == other
    for _ in range(5):
        same = same @ same
    assert np.array_equal(found[:, None] == found[None, :], same)
    assert all(found[k] <= k for k in range(20))


def test_crossing_keys_are_exactly_the_shared_ones() -> None:
    splits = np.array([TRAIN, TRAIN, TEST, VAL, UNSET], np.uint8)
    record, key = columns([(0, 5), (1, 5), (1, 6), (2, 6), (3, 9), (4, 9), (0, 2)])
    assert crossing_keys(splits, record, key).tolist() == [6]


def test_drawing_is_seeded_and_meets_its_shares() -> None:
    unset = np.full(1_000, UNSET, np.uint8)
    each = np.arange(1_000)
    drawn = draw_splits(unset, each, seed=3)
    assert np.bincount(drawn).tolist() == [800, 100, 100]
    assert np.array_equal(drawn, draw_splits(unset, each, seed=3))
    assert not np.array_equal(drawn, draw_splits(unset, each, seed=4))


def test_a_huge_component_goes_to_train() -> None:
    component = np.concatenate([np.zeros(500, np.int64), np.arange(500, 1_000)])
    drawn = draw_splits(np.full(1_000, UNSET, np.uint8), component)
    assert (drawn[:500] == TRAIN).all()
    assert (drawn == TEST).sum() == 100


@pytest.mark.parametrize("n", [1, 4, 10])
def test_small_sets_keep_something_to_train_on(n: int) -> None:
    drawn = draw_splits(np.full(n, UNSET, np.uint8), np.arange(n))
    assert (drawn == TRAIN).any()
    assert (drawn == TEST).sum() == round(n / 10)


def test_queries_get_shares_of_their_own() -> None:
    before = np.full(200, UNSET, np.uint8)
    none = np.empty(0, np.int64)
    settled = settle_splits(before, none, none, products=100)
    assert np.bincount(settled.splits[100:]).tolist() == [80, 10, 10]
