"""Ranks and metrics against a brute-force reference, scikit-learn, and random catalogues."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, ndcg_score

from moonshelf.errors import DataError
from moonshelf.evaluation.metrics import (
    chance_metrics,
    judged_ranks,
    macro_f1,
    mid_ranks,
    ndcg,
    predict,
    retrieval_metrics,
    usable_ks,
)

KS = (1, 2, 3, 5, 50)


def reference(scores, positives, removed, gains, ks):
    """Straight from methods.md 8.2, one query at a time, in Python."""
    values: dict[str, list[float]] = {}
    for q, row in enumerate(scores):
        pool = [i for i in range(len(row)) if (q, i) not in removed]
        right = [i for i in pool if (q, i) in positives]
        wrong = [i for i in pool if i not in right]
        alone = {
            i: 1 + sum(row[j] > row[i] for j in wrong) + sum(row[j] == row[i] for j in wrong) / 2
            for i in right
        }
        order = sorted(right, key=lambda i: (-row[i], gains[q, i]))
        rank = {i: alone[i] + place for place, i in enumerate(order)}
        values.setdefault("MRR", []).append(1 / min(rank[i] for i in right))
        for k in ks:
            found = sum(rank[i] <= k for i in right)
            worth = sum(gains[q, i] / math.log2(1 + rank[i]) for i in right if rank[i] <= k)
            best = sorted((gains[q, i] for i in right), reverse=True)[:k]
            ideal = sum(g / math.log2(2 + place) for place, g in enumerate(best))
            for name, value in {
                "HitRate": float(found > 0),
                "SetRecall": found / len(right),
                "TruncRecall": found / min(k, len(right)),
                "Precision": found / k,
                "NDCG": worth / ideal,
            }.items():
                values.setdefault(f"{name}@{k}", []).append(value)
    return values


@st.composite
def searches(draw):
    """Scores on a coarse grid (many ties), several positives, some pairs removed."""
    q, n = draw(st.integers(1, 5)), draw(st.integers(2, 12))
    grid = draw(st.lists(st.integers(-3, 3), min_size=q * n, max_size=q * n))
    scores = np.array(grid, float).reshape(q, n) / 4
    kinds = draw(st.lists(st.sampled_from("pppr...."), min_size=q * n, max_size=q * n))
    positives, removed = set(), set()
    for place, kind in enumerate(kinds):
        if kind == "p":
            positives.add((place // n, place % n))
        elif kind == "r":
            removed.add((place // n, place % n))
    for row in range(q):  # every query needs a positive
        if not any(p[0] == row for p in positives):
            positives.add((row, 0))
            removed.discard((row, 0))
    gains = {pair: draw(st.sampled_from([0.5, 1.0, 3.0])) for pair in sorted(positives)}
    return scores, positives, removed, gains


def as_pairs(pairs):
    table = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(searches(), st.sampled_from([1, 64, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_ranks_and_all_metrics_equal_the_brute_force_reference(search, tile) -> None:
    scores, positives, removed, gains = search
    n = scores.shape[1]
    worth = np.array([gains[pair] for pair in sorted(positives)])
    # scores are inner products with the unit axes
    ranks = mid_ranks(
        scores.astype(np.float32),
        np.eye(n, dtype=np.float32),
        as_pairs(positives),
        as_pairs(removed),
        gains=worth,
        tile_bytes=tile,
    )
    got = retrieval_metrics(ranks, KS)
    want = reference(scores, positives, removed, gains, KS)
    assert got.keys() == want.keys()
    for name, values in got.items():
        np.testing.assert_allclose(values, want[name], atol=1e-12, err_msg=name)
    for name in ("HitRate", "SetRecall"):
        by_k = [got[f"{name}@{k}"] for k in KS]
        assert all((b >= a).all() for a, b in itertools.pairwise(by_k))
    assert all((v >= 0).all() and (v <= 1).all() for v in got.values())


def test_ndcg_without_ties_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(20, 30)).astype(np.float32)
    grades = random.integers(0, 4, size=(20, 30)).astype(float)
    grades[:, 0] = 1.0
    ranks = mid_ranks(
        scores, np.eye(30, dtype=np.float32), np.nonzero(grades), gains=grades[grades > 0]
    )
    for k in (1, 5, 30, 99):
        want = [ndcg_score(grades[q : q + 1], scores[q : q + 1], k=k) for q in range(20)]
        np.testing.assert_allclose(ndcg(ranks, k), want, atol=1e-9)


def test_judged_ranks_see_only_the_judged_list() -> None:
    items = np.eye(4, dtype=np.float32)
    query = np.array([[0.9, 0.5, 0.5, 0.1], [0.1, 0.2, 0.3, 0.9]], np.float32)
    judged = (np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 0, 2]))
    ranks = judged_ranks(query, items, judged, np.array([3.0, 0, 1, 1, 0]))
    # query 0: item 1 (0.5) ties with the wrong item 2 (0.5); item 3 (0.1) is below both
    assert ranks.query.tolist() == [0, 0, 1]
    assert ranks.rank.tolist() == [1.5, 3, 2]
    assert ranks.pool.tolist() == [3, 2]
    assert ranks.positives.tolist() == [2, 1]


def test_right_answers_that_tie_with_each_other_are_all_found() -> None:
    query, items = np.ones((1, 1), np.float32), np.array([[1], [1], [1], [0], [0]], np.float32)
    ranks = mid_ranks(query, items, (np.zeros(3, int), np.arange(3)), gains=np.array([3.0, 1, 2]))
    assert ranks.rank.tolist() == [3, 1, 2]  # the least worth first: no order may be guessed
    assert retrieval_metrics(ranks, (1,), ("HitRate", "MRR")) == {"HitRate@1": [1], "MRR": [1]}


def test_sparse_vectors_rank_like_dense_ones() -> None:
    from scipy.sparse import csr_matrix

    random = np.random.default_rng(1)
    a = (random.random((7, 9)) * (random.random((7, 9)) > 0.6)).astype(np.float32)
    b = (random.random((11, 9)) * (random.random((11, 9)) > 0.6)).astype(np.float32)
    pairs = (np.arange(7), np.arange(7))
    dense, sparse = mid_ranks(a, b, pairs), mid_ranks(csr_matrix(a), csr_matrix(b), pairs)
    np.testing.assert_array_equal(dense.rank, sparse.rank)
    inside = judged_ranks(csr_matrix(a), csr_matrix(b), pairs, np.ones(7))
    np.testing.assert_array_equal(inside.rank, np.ones(7))


def test_macro_f1_is_that_of_scikit_learn_also_when_resampled() -> None:
    random = np.random.default_rng(2)
    truth, predicted = random.integers(0, 5, 200), random.integers(-1, 5, 200)
    want = f1_score(truth, predicted, labels=range(5), average="macro", zero_division=0)
    assert macro_f1(truth, predicted, 5)[0] == pytest.approx(want)
    weights = random.integers(0, 3, size=(4, 200)).astype(float)
    for row, got in zip(weights, macro_f1(truth, predicted, 5, weights), strict=True):
        again = np.repeat(np.arange(200), row.astype(int))
        want = f1_score(
            truth[again], predicted[again], labels=range(5), average="macro", zero_division=0
        )
        assert got == pytest.approx(want)


def test_a_tied_best_label_is_no_prediction() -> None:
    assert predict(np.array([[0.1, 0.3], [0.5, 0.5]])).tolist() == [1, -1]


@pytest.mark.parametrize(("positives", "pool"), [(1, 7), (3, 9), (9, 9)])
def test_chance_is_the_mean_over_random_orders(positives: int, pool: int) -> None:
    random = np.random.default_rng(3)
    count = 20_000
    scores = random.random((count, pool)).astype(np.float32)
    pairs = (
        np.repeat(np.arange(count), positives),
        np.tile(np.arange(positives), count),
    )
    gains = np.tile(np.arange(1.0, positives + 1), count)
    ranks = mid_ranks(scores, np.eye(pool, dtype=np.float32), pairs, gains=gains)
    got = retrieval_metrics(ranks, (1, 2, 4))
    for name, expected in chance_metrics(ranks, (1, 2, 4)).items():
        assert got[name].mean() == pytest.approx(expected, abs=0.015), name


def test_ks_beyond_half_of_the_wrong_answers_are_not_usable() -> None:
    ranks = mid_ranks(
        np.eye(12, dtype=np.float32)[:1],
        np.eye(12, dtype=np.float32),
        (np.array([0]), np.array([0])),
    )
    assert usable_ks((1, 5, 6), ranks) == (1, 5)


def test_a_query_without_positive_or_with_a_removed_one_is_an_error() -> None:
    axes = np.eye(3, dtype=np.float32)
    with pytest.raises(DataError, match="no positive"):
        mid_ranks(axes, axes, (np.array([0, 1]), np.array([0, 1])))
    pair = (np.array([0]), np.array([0]))
    with pytest.raises(DataError, match="removed"):
        mid_ranks(axes[:1], axes, pair, pair)
