"""How many of each category to keep, so that their shares come near a target. Whole numbers.

Let category c have n_c pairs and the target share p_c. A subset keeps m_c <= n_c of each, M in all.
Its distance is the total variation TV = 1/2 sum |m_c / M - p_c| = sum max(0, p_c - m_c / M), for
what some have too much, others have too little. For a given M the least distance is reached by
handing out M units, each where it still helps most: first up to floor(p_c M) (each takes 1/M off
the distance), then one to the largest fractions of p_c M, and the rest helps nobody. The largest
subset within a tolerance is then the largest M whose least distance is within it. Without rounding
that distance, D(M) = sum max(0, p_c - n_c / M), only grows with M, and no rounding undercuts it: so
D bounds M from above, by bisection, and from there the whole numbers are tried downwards.

A target that must be met exactly would keep min_c(n_c / p_c) pairs: one rare category without pairs
leaves nothing. The tolerance is what prevents that.
"""

from __future__ import annotations

import heapq

import numpy as np

from moonshelf.errors import DataError

_BLOCK = 1024
# Guards comparisons of shares against the last bits of a float.
_TINY = 1e-12


def total_variation(counts: np.ndarray, target: np.ndarray) -> float:
    """Half the sum of the differences of shares, 0 (equal) to 1; ``counts`` and ``target`` [C] are
    numbers of anything. Nothing at all is as far as can be."""
    if not counts.sum() or not target.sum():
        return 1.0
    return float(np.abs(counts / counts.sum() - target / target.sum()).sum() / 2)


def largest_total(have: np.ndarray, target: np.ndarray, tolerated: float) -> int:
    """The size of the largest subset within ``tolerated`` total variation; 0 where there is none.

    Args:
        have: int64 [C], pairs of each category.
        target: int64 [C], counts whose shares are the target.
        tolerated: 0 to 1.

    Raises:
        DataError: nothing is counted, or counts are too large for exact arithmetic.
    """
    _check(have, target)
    high = _bound(have, target, tolerated)
    while high > 0:
        totals = np.arange(high, max(0, high - _BLOCK), -1, dtype=np.int64)
        good = np.flatnonzero(least_distance(totals, have, target) <= tolerated + _TINY)
        if len(good):
            return int(totals[good[0]])
        high = int(totals[-1]) - 1
    return 0


def least_distance(totals: np.ndarray, have: np.ndarray, target: np.ndarray) -> np.ndarray:
    """float64 [T]: the least total variation of a subset of each of ``totals`` [T] pairs."""
    _, fraction, rest = _handed_out(totals, have, target)
    best = np.cumsum(np.sort(fraction, axis=1)[:, ::-1], axis=1, dtype=np.int64)
    taken = np.minimum(rest, best.shape[1])
    gain = np.where(taken > 0, best[np.arange(len(totals)), np.maximum(taken - 1, 0)], 0)
    scale = int(target.sum())
    return (rest * scale - gain) / (totals * float(scale))


def nearest_counts(total: int, have: np.ndarray, target: np.ndarray) -> np.ndarray:
    """int64 [C]: how many of each category make the subset of ``total`` pairs nearest the target.

    Units that help nobody go where they stick out least: to the lowest count for its share.

    Raises:
        DataError: see :func:`largest_total`.
    """
    _check(have, target)
    wholes, fractions, rests = _handed_out(np.array([total], np.int64), have, target)
    counts, fraction, rest = wholes[0].copy(), fractions[0], int(rests[0])
    order = np.argsort(-fraction, kind="stable")
    helped = order[: min(rest, np.count_nonzero(fraction))]
    counts[helped] += 1
    _spread(counts, rest - len(helped), have, target)
    return counts


def _handed_out(
    totals: np.ndarray, have: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units that help in full int64 [T, C], the help of one more int64 [T, C] in units of
    1 / (M sum(target)), and units that are left int64 [T]."""
    scale = int(target.sum())
    wished = totals[:, None] * target[None, :]
    floor = wished // scale
    whole = np.minimum(have[None, :], floor)
    fraction = np.where(have[None, :] > floor, wished - floor * scale, 0)
    return whole, fraction, totals - whole.sum(axis=1)


def _bound(have: np.ndarray, target: np.ndarray, tolerated: float) -> int:
    """The largest M with D(M) <= tolerated, by bisection over the growing D."""
    share = target / target.sum()
    low, high = 0, int(have.sum())
    while low < high:
        middle = (low + high + 1) // 2
        if np.maximum(0, share - have / middle).sum() <= tolerated + _TINY:
            low = middle
        else:
            high = middle - 1
    return low


def _spread(counts: np.ndarray, units: int, have: np.ndarray, target: np.ndarray) -> None:
    """Adds ``units`` one by one; categories outside the target come last, by the share they use."""

    def entry(c: int) -> tuple[bool, float, int]:
        wanted = target[c] > 0
        return (not wanted, (counts[c] + 1) / (target[c] if wanted else have[c]), c)

    heap = [entry(int(c)) for c in np.flatnonzero(counts < have)]
    heapq.heapify(heap)
    for _ in range(units):
        c = heapq.heappop(heap)[2]
        counts[c] += 1
        if counts[c] < have[c]:
            heapq.heappush(heap, entry(c))


def _check(have: np.ndarray, target: np.ndarray) -> None:
    if target.sum() <= 0:
        raise DataError("the target distribution counts nothing", cure="give it a log with events")
    if float(have.sum()) * float(target.sum()) >= 2.0**62:
        raise DataError("there are too many pairs and events for exact shares")
