"""Ranks once, every retrieval metric from the ranks (methods.md 8.2).

1. Scores are made tile by tile (a block of queries against the whole pool); only the ranks of the
   positives are kept, so memory does not grow with queries x pool.
2. Ties take the **mid-rank**: ``rank = 1 + #higher + #equal / 2``, where only *wrong* answers
   count as equal. With several positives, right answers that tie with each other (variants that
   share a title) stand one after the other, the least worth first: a top-10 that is right
   throughout must not fail because its scores are equal.
   Two scores within ``TIE`` are equal: a matrix product may add the same numbers in another
   order at the edge of a block, and a constant encoder must not gain a rank from that.
3. With positives P and top-K set R_K:
   ``HitRate@K = 1[|R_K & P| > 0]``, ``SetRecall@K = |R_K & P| / |P|``,
   ``TruncRecall@K = |R_K & P| / min(K, |P|)``, ``Precision@K = |R_K & P| / K``,
   ``MRR = 1 / rank of the best positive``,
   ``NDCG@K = sum_{rank <= K} gain / log2(1 + rank)`` over its best possible value.
4. Every metric has its chance level: the expectation under a random order of the same pool.

Under mid-rank a constant encoder is at or below chance for every K up to half of the wrong answers
in the pool; beyond that it is not, so tasks leave such K out (:func:`usable_ks`).
Letters: Q queries, N pool, M positives of all queries together, d vector width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from moonshelf.errors import DataError

# float32 [n, d] rows, or the same as a scipy CSR matrix (TF-IDF); unit rows, or zero rows
Vectors: TypeAlias = Any
Pairs: TypeAlias = tuple[np.ndarray, np.ndarray]

TIE = 1e-6
TILE_BYTES = 32 << 20
RETRIEVAL_METRICS = ("HitRate", "SetRecall", "TruncRecall", "Precision", "MRR", "NDCG")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where the positives of each query landed.

    Attributes:
        query: int64 [M], query of each positive.
        rank: float64 [M], its mid-rank (1 is the top).
        gain: float64 [M], its gain in NDCG (1 where there are no grades).
        relevant: bool [M], whether it is a positive of the metrics without grades.
        pool: int64 [Q], candidates of each query after removals.
    """

    query: np.ndarray
    rank: np.ndarray
    gain: np.ndarray
    relevant: np.ndarray
    pool: np.ndarray

    @property
    def positives(self) -> np.ndarray:
        """int64 [Q], number of relevant positives of each query."""
        return np.bincount(self.query[self.relevant], minlength=len(self.pool))


def similarity(queries: Vectors, items: Vectors) -> np.ndarray:
    """Inner products, float32 [Q, N], for dense rows or scipy sparse rows alike."""
    scores = queries @ items.T
    return scores if isinstance(scores, np.ndarray) else scores.toarray()


def mid_ranks(
    queries: Vectors,
    items: Vectors,
    positives: Pairs,
    removed: Pairs | None = None,
    gains: np.ndarray | None = None,
    relevant: np.ndarray | None = None,
    tile_bytes: int = TILE_BYTES,
) -> Ranks:
    """Mid-ranks of ``positives`` in the whole pool.

    Args:
        queries: [Q, d]; items: [N, d].
        positives: (query index [M], item index [M]); each query needs at least one.
        removed: (query index, item index) pairs that leave that query's pool, e.g. itself.
        gains: float [M], gains of NDCG; ones where None.
        relevant: bool [M], positives of the other metrics; all where None.
        tile_bytes: bound on one block of scores.

    Raises:
        DataError: a query without a positive, or a positive that was removed from its pool.
    """
    count, pool = queries.shape[0], items.shape[0]
    order = np.lexsort((positives[1], positives[0]))
    query, item = positives[0][order], positives[1][order]
    start = np.searchsorted(query, np.arange(count + 1))
    if len(query) == 0 or (np.diff(start) == 0).any():
        raise DataError("a query has no positive in the pool", cure="leave such queries out")
    removed_q, removed_i = removed if removed is not None else (np.empty(0, int), np.empty(0, int))
    by_query = np.argsort(removed_q, kind="stable")
    removed_q, removed_i = removed_q[by_query], removed_i[by_query]
    sizes = np.full(count, pool, np.int64)
    rank, score = np.empty(len(query)), np.empty(len(query), np.float32)
    step = max(1, tile_bytes // max(1, 4 * pool))
    for a in range(0, count, step):
        b = min(count, a + step)
        scores = similarity(queries[a:b], items)
        lo, hi = np.searchsorted(removed_q, (a, b))
        scores[removed_q[lo:hi] - a, removed_i[lo:hi]] = -np.inf
        if hi > lo:
            sizes[a:b] -= np.isneginf(scores).sum(1)
        _ranks_of_tile(scores, item, start[a : b + 1], rank, score)
    ones = np.ones(len(query)) if gains is None else np.asarray(gains, float)[order]
    every = np.ones(len(query), bool) if relevant is None else np.asarray(relevant, bool)[order]
    return Ranks(query, _one_after_the_other(query, rank, score, ones), ones, every, sizes)


def _ranks_of_tile(
    scores: np.ndarray, item: np.ndarray, start: np.ndarray, rank: np.ndarray, score: np.ndarray
) -> None:
    """Fills ``rank`` (among wrong answers only) and ``score`` of the positives
    ``start[0]:start[-1]``, one column of them at a time."""
    each = np.diff(start)
    longest, tie = int(each.max()), np.float32(TIE)
    right = np.full((len(each), longest), np.nan, np.float32)  # NaN compares as neither
    for j in range(longest):
        rows = np.flatnonzero(each > j)
        right[rows, j] = scores[rows, item[start[:-1][rows] + j]]
    if np.isneginf(right).any():
        raise DataError("a positive was removed from its query's pool", cure="drop the pair")
    for j in range(longest):
        rows = np.flatnonzero(each > j)
        own = right[rows, j][:, None]
        block, mine = (scores, right) if len(rows) == len(each) else (scores[rows], right[rows])
        higher = np.count_nonzero(block > own + tie, axis=1)
        higher -= np.count_nonzero(mine > own + tie, axis=1)
        not_lower = np.count_nonzero(block >= own - tie, axis=1)
        not_lower -= np.count_nonzero(mine >= own - tie, axis=1)
        at = start[:-1][rows] + j
        rank[at], score[at] = 1 + higher + (not_lower - higher) / 2, own[:, 0]


def _one_after_the_other(
    query: np.ndarray, rank: np.ndarray, score: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Ranks among wrong answers -> ranks among all: each positive stands behind the better ones;
    equal ones stand in the order of their gain, the least first."""
    order = np.lexsort((gain, -np.round(score, 5), rank, query))
    before = np.empty(len(query))
    before[order] = np.arange(len(query)) - np.searchsorted(query, query[order])
    return rank + before


def judged_ranks(queries: Vectors, items: Vectors, judged: Pairs, gains: np.ndarray) -> Ranks:
    """Mid-ranks of the judged items with a gain among the judged items of their own query only;
    those with gain 0 are the wrong answers."""
    order = np.argsort(judged[0], kind="stable")
    query, item = judged[0][order], judged[1][order]
    score = np.empty(len(query), np.float32)
    for a in range(0, len(query), 65536):
        part = slice(a, a + 65536)
        left, right = queries[query[part]], items[item[part]]
        product = left * right if isinstance(left, np.ndarray) else left.multiply(right)
        score[part] = np.asarray(product.sum(axis=1)).ravel()
    start = np.searchsorted(query, np.arange(queries.shape[0] + 1))
    worth = np.asarray(gains, float)[order]
    rank = np.empty(len(query))
    for a, b in itertools.pairwise(start.tolist()):
        wrong = score[a:b][worth[a:b] <= 0]
        gap = wrong[None, :] - score[a:b, None]
        higher = (gap > TIE).sum(1)
        rank[a:b] = 1 + higher + (np.abs(gap) <= TIE).sum(1) / 2
    keep = worth > 0
    query, worth = query[keep], worth[keep]
    rank = _one_after_the_other(query, rank[keep], score[keep], worth)
    return Ranks(query, rank, worth, np.ones(len(query), bool), np.diff(start))


def usable_ks(ks: Sequence[int], ranks: Ranks) -> tuple[int, ...]:
    """Those K at which a constant encoder cannot beat chance under mid-rank: for every query, at
    most half of the wrong answers in its pool."""
    wrong = ranks.pool - np.bincount(ranks.query, minlength=len(ranks.pool))
    return tuple(k for k in ks if 2 * k <= wrong.min())


def retrieval_metrics(
    ranks: Ranks, ks: Sequence[int], names: Sequence[str] = RETRIEVAL_METRICS
) -> dict[str, np.ndarray]:
    """Per-query values, float64 [Q], by ``"Name@K"`` (``"MRR"`` has no K)."""
    count, number = len(ranks.pool), np.maximum(ranks.positives, 1)
    best = np.full(count, np.inf)
    query, rank = ranks.query[ranks.relevant], ranks.rank[ranks.relevant]
    np.minimum.at(best, query, rank)
    values: dict[str, np.ndarray] = {}
    for name in names:
        if name == "MRR":
            values["MRR"] = 1 / best
            continue
        for k in ks:
            found = np.bincount(query, rank <= k, minlength=count)
            values[f"{name}@{k}"] = {
                "HitRate": lambda found=found: (found > 0).astype(float),
                "SetRecall": lambda found=found: found / number,
                "TruncRecall": lambda found=found, k=k: found / np.minimum(k, number),
                "Precision": lambda found=found, k=k: found / k,
                "NDCG": lambda k=k: ndcg(ranks, k),
            }[name]()
    return values


def _discount(rank: np.ndarray) -> np.ndarray:
    return 1 / np.log2(1 + rank)


def _ideal(ranks: Ranks, k: int) -> np.ndarray:
    """Best possible DCG@K of each query, float64 [Q]."""
    order = np.lexsort((-ranks.gain, ranks.query))
    query = ranks.query[order]
    place = np.arange(len(query)) - np.searchsorted(query, query) + 1
    worth = ranks.gain[order] * _discount(place) * (place <= k)
    return np.bincount(query, worth, minlength=len(ranks.pool))


def ndcg(ranks: Ranks, k: int) -> np.ndarray:
    """NDCG@K, float64 [Q]; 0 where a query has no item with gain above 0."""
    worth = ranks.gain * _discount(ranks.rank) * (ranks.rank <= k)
    total, ideal = np.bincount(ranks.query, worth, minlength=len(ranks.pool)), _ideal(ranks, k)
    # Sums in another order may differ in the last bit: never above 1.
    return np.minimum(np.divide(total, ideal, out=np.zeros_like(total), where=ideal > 0), 1.0)


def chance_metrics(
    ranks: Ranks, ks: Sequence[int], names: Sequence[str] = RETRIEVAL_METRICS
) -> dict[str, float]:
    """Expected value of each metric under a uniformly random order of every query's pool."""
    number, pool = ranks.positives, ranks.pool
    shapes, inverse = np.unique(np.stack([number, pool], 1), axis=0, return_inverse=True)
    inverse = inverse.ravel()
    values: dict[str, float] = {}
    for name in names:
        if name == "MRR":
            values[name] = float(np.mean(np.array([_chance_mrr(p, n) for p, n in shapes])[inverse]))
            continue
        for k in ks:
            if name == "HitRate":
                each = np.array([_chance_hit(int(p), int(n), k) for p, n in shapes])[inverse]
            elif name == "SetRecall":
                each = np.minimum(k, pool) / pool
            elif name == "TruncRecall":
                each = np.minimum(k, pool) * number / pool / np.minimum(k, np.maximum(number, 1))
            elif name == "Precision":
                each = np.minimum(k, pool) * number / pool / k
            else:
                each = _chance_ndcg(ranks, k)
            values[f"{name}@{k}"] = float(np.mean(each))
    return values


def _chance_hit(positives: int, pool: int, k: int) -> float:
    if k > pool - positives:
        return 1.0
    lg = math.lgamma
    miss = lg(pool - positives + 1) + lg(pool - k + 1) - lg(pool - positives - k + 1) - lg(pool + 1)
    return 1 - math.exp(miss)


def _chance_mrr(positives: int, pool: int) -> float:
    """Mean of 1/first rank: P(first = r) = P(none before r) * positives / (pool - r + 1)."""
    r = np.arange(1, pool - positives + 2)
    none_before = np.concatenate(
        [[1.0], np.cumprod((pool - positives - r[:-1] + 1) / (pool - r[:-1] + 1))]
    )
    return float((none_before * positives / (pool - r + 1) / r).sum())


def _chance_ndcg(ranks: Ranks, k: int) -> np.ndarray:
    gain = np.bincount(ranks.query, ranks.gain, minlength=len(ranks.pool))
    reach = np.concatenate([[0.0], np.cumsum(_discount(np.arange(1, k + 1)))])
    ideal = _ideal(ranks, k)
    expected = gain / ranks.pool * reach[np.minimum(k, ranks.pool)]
    return np.divide(expected, ideal, out=np.zeros_like(expected), where=ideal > 0)


def predict(scores: np.ndarray) -> np.ndarray:
    """Best column of each row, int64 [n]; -1 (no prediction) where the best is tied: under
    mid-rank no tied label has rank 1."""
    best = scores.max(axis=1, keepdims=True)
    tied = (scores >= best - TIE).sum(axis=1) > 1
    return np.where(tied, -1, scores.argmax(axis=1))


def macro_f1(
    truth: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN).

    ``weights`` float [b, n] give b resampled values at once (float64 [b]); None gives [1].
    A prediction of -1 is a miss of its true class and a false alarm of none. A class absent from
    both truth and prediction of a resample is left out of its mean.
    """
    weights = np.ones((1, len(truth))) if weights is None else weights
    eye = np.eye(classes + 1)[:, :classes]  # row -1 is the empty row: "no prediction"
    hit = eye[truth] * (truth == predicted)[:, None]
    both = eye[truth] + eye[predicted]
    twice, size = 2 * (weights @ hit), weights @ both
    f1 = np.divide(twice, size, out=np.zeros_like(twice), where=size > 0)
    return f1.sum(1) / np.maximum((size > 0).sum(1), 1)
