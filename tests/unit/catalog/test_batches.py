"""Batch plans: pure, fair to shares, without replacement, groups apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.batches import BatchPlan, Term, spread_permutation
from moonshelf.errors import DataError, UsageError


def term(name: str, n: int, share: float = 1.0, groups: np.ndarray | None = None) -> Term:
    rows = np.arange(n, dtype=np.int64)
    return Term(name, np.stack([rows, rows], axis=1), share, groups)


def test_a_step_is_a_pure_function():
    terms = [term("a", 103), term("b", 57, 0.5)]
    plan, other = BatchPlan(terms, 8, seed=3), BatchPlan(terms, 8, seed=3)
    forward = [plan[step] for step in range(200)]
    for step in np.random.default_rng(0).permutation(200):
        again = other[int(step)]
        assert again.name == forward[step].name
        assert np.array_equal(again.pairs, forward[step].pairs)
    different = BatchPlan(terms, 8, seed=4)
    assert any(not np.array_equal(different[s].pairs, forward[s].pairs) for s in range(5))


def test_an_epoch_has_every_pair_at_most_once_and_epochs_differ():
    plan = BatchPlan([term("a", 100)], 8)
    per_epoch = 100 // 8
    epochs = [
        np.concatenate([plan[e * per_epoch + k].pairs[:, 0] for k in range(per_epoch)])
        for e in range(30)
    ]
    for epoch in epochs:
        assert len(np.unique(epoch)) == per_epoch * 8
    assert not np.array_equal(epochs[0], epochs[1])
    # What an epoch leaves over is another one each time.
    assert len(np.unique(np.concatenate(epochs))) == 100


def test_terms_walk_their_own_epochs_beside_each_other():
    plan = BatchPlan([term("a", 64), term("b", 32)], 8)
    seen: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    for step in range(200):
        seen[plan[step].name].append(plan[step].pairs[:, 0])
    for name, n in (("a", 64), ("b", 32)):
        whole = n // 8
        for start in range(0, len(seen[name]) - whole + 1, whole):
            epoch = np.concatenate(seen[name][start : start + whole])
            assert sorted(epoch) == list(range(n))


def test_shares_are_kept_in_every_cycle():
    plan = BatchPlan([term("a", 50, 3), term("b", 50, 1), term("never", 1, 0)], 4)
    assert plan.shares() == {"a": 0.75, "b": 0.25, "never": 0}
    names = [plan[step].name for step in range(400)]
    assert names.count("a") == 300
    # Shuffled: no fixed pattern of a cycle.
    assert len({tuple(names[k : k + 4]) for k in range(0, 400, 4)}) > 1
    rare = BatchPlan([term("a", 50, 1000), term("b", 50, 1)], 4)
    assert 0 < rare.shares()["b"] < 0.02


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=30, max_size=80),
    seed=st.integers(0, 1000),
)
def test_groups_meet_in_no_batch_where_there_are_batches_enough(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    order = spread_permutation(len(groups), groups, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(groups)))
    batch = max(2, len(groups) // 40)
    clashes = sum(
        batch - len(np.unique(groups[order[k : k + batch]]))
        for k in range(0, len(groups) - batch + 1, batch)
    )
    assert clashes <= len(groups) * 0.1


def test_pairs_of_one_style_land_in_different_batches():
    groups = np.repeat(np.arange(2000), 2)
    plan = BatchPlan([term("a", 4000, groups=groups)], 256)
    for step in range(60):
        rows = plan[step].pairs[:, 0]
        assert len(np.unique(groups[rows])) == len(rows)


def test_ungrouped_pairs_are_simply_shuffled():
    groups = np.full(1000, -1)
    order = spread_permutation(1000, groups, np.random.default_rng(0))
    assert sorted(order) == list(range(1000))
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.1


def test_a_small_source_gives_all_it_has():
    assert len(BatchPlan([term("a", 5)], 8)[3].pairs) == 5


def test_impossible_plans_say_why():
    with pytest.raises(UsageError, match="no negatives"):
        BatchPlan([term("a", 5)], 1)
    with pytest.raises(UsageError, match="share 0"):
        BatchPlan([term("a", 5, 0)], 4)
    with pytest.raises(UsageError, match="not all >= 0"):
        BatchPlan([term("a", 5, -1)], 4)
    with pytest.raises(DataError, match="has 1 pairs"):
        BatchPlan([term("a", 1)], 4)


def test_a_mixed_batch_holds_every_term_by_share():
    terms = [term("a", 500, 7.7), term("b", 300, 19.2), term("never", 9, 0), term("c", 90, 0.01)]
    plan = BatchPlan(terms, 64, seed=1, mixed=True)
    for step in range(30):
        parts = plan.parts(step)
        assert [part.name for part in parts] == ["a", "b", "c"]
        assert [part.term for part in parts] == [0, 1, 3]
        assert [len(part.pairs) for part in parts] == [18, 45, 1]
    assert plan.shares() == {"a": 18 / 64, "b": 45 / 64, "never": 0, "c": 1 / 64}
    assert plan.smallest() == ("mixed", 64)
    with pytest.raises(UsageError, match="several terms"):
        plan[0]
    with pytest.raises(UsageError, match="cannot hold 3 terms"):
        BatchPlan(terms, 2, mixed=True)
    with pytest.raises(IndexError):
        plan.parts(-1)


def test_the_rows_of_a_mixed_batch_walk_epochs_term_by_term():
    terms = [term("a", 40, 3), term("b", 7, 1)]
    plan, other = (BatchPlan(terms, 16, seed=2, mixed=True) for _ in range(2))
    forward = [plan.parts(step) for step in range(24)]
    for k, (size, whole) in enumerate(((12, 3), (4, 1))):
        for start in range(0, 24, whole):
            epoch = np.concatenate([f[k].pairs[:, 0] for f in forward[start : start + whole]])
            assert len(epoch) == size * whole == len(np.unique(epoch))
    for step in np.random.default_rng(0).permutation(24).tolist():
        for mine, theirs in zip(other.parts(step), forward[step], strict=True):
            assert np.array_equal(mine.pairs, theirs.pairs)


def test_a_mixed_batch_of_one_term_is_that_term_alone():
    only = [term("a", 103, groups=np.arange(103) // 3), term("off", 50, 0)]
    mixed, alone = BatchPlan(only, 8, seed=5, mixed=True), BatchPlan(only, 8, seed=5)
    for step in range(60):
        (part,) = mixed.parts(step)
        (same,) = alone.parts(step)
        assert part.name == same.name == alone[step].name
        assert np.array_equal(part.pairs, same.pairs)


def test_the_smallest_batch_is_told():
    plan = BatchPlan([term("a", 500), term("few", 5), term("never", 2, 0)], 16)
    assert plan.smallest() == ("few", 5)
    assert BatchPlan([term("a", 500), term("few", 5)], 16, mixed=True).smallest() == ("mixed", 13)


@given(shares=st.lists(st.floats(0.01, 100), min_size=1, max_size=9), batch=st.integers(9, 300))
@settings(max_examples=100, deadline=None)
def test_a_mixed_batch_is_full_whatever_the_shares(shares: list[float], batch: int):
    terms = [term(str(k), 400, share) for k, share in enumerate(shares)]
    parts = BatchPlan(terms, batch, mixed=True).parts(3)
    assert sum(len(part.pairs) for part in parts) == batch
    assert len(parts) == len(shares) and min(len(part.pairs) for part in parts) >= 1
