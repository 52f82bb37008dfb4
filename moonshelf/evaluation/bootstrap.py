"""Bootstrap confidence intervals over queries, seeded and vectorised.

Queries that belong together (variants of one style) are drawn together: they are not independent
and an interval that treats them so is too narrow. The same seed draws the same queries for every
embedder, so a difference of two embedders is paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from moonshelf.errors import UsageError

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval."""

    low: float
    high: float


def resample(
    statistic: Statistic,
    count: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    clusters: np.ndarray | None = None,
    block_bytes: int = 16 << 20,
) -> np.ndarray:
    """The statistic on ``draws`` resamples, float64 [draws, m].

    Args:
        statistic: maps weights [b, count] (how often each query was drawn) to values [b, m].
        count: number of queries.
        clusters: int [count], queries with the same number are drawn together; None: each alone.
        block_bytes: bound on one block of weights.
    """
    if count == 0 or draws < 1:
        raise UsageError("a bootstrap needs at least one query and one draw")
    if clusters is None:
        clusters = np.arange(count)
    clusters = np.unique(clusters, return_inverse=True)[1].ravel()
    units = int(clusters.max()) + 1
    random = np.random.default_rng(seed)
    step = max(1, block_bytes // (8 * count))
    parts = []
    for a in range(0, draws, step):
        b = min(step, draws - a)
        drawn = random.integers(0, units, size=(b, units)) + units * np.arange(b)[:, None]
        times = np.bincount(drawn.ravel(), minlength=b * units).reshape(b, units)
        parts.append(statistic(times[:, clusters].astype(float)))
    return np.concatenate(parts)


def mean_of(values: np.ndarray) -> Statistic:
    """Weighted means of the columns of ``values`` [n, m]."""
    return lambda weights: weights @ values / weights.sum(1, keepdims=True)


def intervals(samples: np.ndarray, confidence: float = 0.95) -> list[Interval]:
    """One percentile interval per column of ``samples`` [draws, m]."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
    clusters: np.ndarray | None = None,
    confidence: float = 0.95,
) -> tuple[float, Interval]:
    """Mean of ``first - second`` (per-query values [n] on the same queries) and its interval."""
    if first.shape != second.shape:
        raise UsageError(
            f"paired values must be of the same queries: got {len(first)} and {len(second)}"
        )
    gap = (first - second)[:, None]
    samples = resample(mean_of(gap), len(gap), draws=draws, seed=seed, clusters=clusters)
    return float(gap.mean()), intervals(samples, confidence)[0]
