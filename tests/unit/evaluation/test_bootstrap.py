"""Intervals: right width, seeded, clusters drawn whole, differences paired."""

from __future__ import annotations

import numpy as np
import pytest

from moonshelf.errors import UsageError
from moonshelf.evaluation.bootstrap import intervals, mean_of, paired_difference, resample


def test_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(2000, 1))
    span = intervals(resample(mean_of(values), 2000, draws=2000, seed=1))[0]
    error = 1.96 * values.std() / np.sqrt(2000)
    assert span.low == pytest.approx(values.mean() - error, abs=0.02)
    assert span.high == pytest.approx(values.mean() + error, abs=0.02)


def test_same_seed_same_draws_whatever_the_block_size() -> None:
    values = np.random.default_rng(0).random((50, 2))
    a = resample(mean_of(values), 50, draws=64, seed=7)
    b = resample(mean_of(values), 50, draws=64, seed=7, block_bytes=50 * 8 * 5)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, resample(mean_of(values), 50, draws=64, seed=8))


def test_clusters_are_drawn_whole_and_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    values = np.repeat(random.random(40), 10)[:, None]  # ten equal queries a cluster
    clusters = np.repeat(np.arange(40), 10)
    alone = intervals(resample(mean_of(values), 400, seed=0))[0]
    together = intervals(resample(mean_of(values), 400, seed=0, clusters=clusters))[0]
    assert together.high - together.low > 2.5 * (alone.high - alone.low)

    mixed = random.permutation(clusters)

    def check(weights: np.ndarray) -> np.ndarray:
        for cluster in range(40):
            own = weights[:, mixed == cluster]
            assert (own == own[:, :1]).all()
        return weights.sum(1, keepdims=True)

    assert (resample(check, 400, draws=5, clusters=mixed) == 400).all()


def test_paired_difference_is_tighter_than_its_parts() -> None:
    random = np.random.default_rng(0)
    base = random.random(500)
    gap, span = paired_difference(base + 0.01, base)
    assert gap == pytest.approx(0.01)
    assert span.low == pytest.approx(0.01) and span.high == pytest.approx(0.01)
    with pytest.raises(UsageError, match="same queries"):
        paired_difference(base, base[1:])
