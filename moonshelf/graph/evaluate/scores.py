"""Precision, recall and F1 from counts, with intervals from resampled documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import Field

from moonshelf.config import Config


class Score(Config):
    """``matched`` of the ``found`` are among the ``wanted``. Micro-averaged: counts, then shares.

    A share of nothing is 0, so that finding nothing is never good.
    """

    matched: int = Field(ge=0)
    found: int = Field(ge=0)
    wanted: int = Field(ge=0)
    precision: float
    recall: float
    f1: float


class Interval(Config):
    """From the 2.5th to the 97.5th percentile over resampled documents."""

    low: float
    high: float


class Scored(Config):
    """A score with its intervals."""

    score: Score
    precision: Interval
    recall: Interval
    f1: Interval


def score_of(matched: int, found: int, wanted: int) -> Score:
    """The score of three counts."""
    precision, recall, f1 = _shares(np.array([[matched, found, wanted]], dtype=float))[0]
    return Score(
        matched=matched,
        found=found,
        wanted=wanted,
        precision=round(float(precision), 6),
        recall=round(float(recall), 6),
        f1=round(float(f1), 6),
    )


def scored(counts: Iterable[Sequence[int]], draws: int = 1000, seed: int = 0) -> Scored:
    """Micro scores of (matched, found, wanted) a document.

    Intervals (percentile bootstrap): as many documents are drawn with replacement as there are,
    ``draws`` times. They tell how much another sample of documents would move the figure, not
    how much another annotator would.
    """
    table = list(counts)
    total = np.array(table, dtype=np.int64).reshape(-1, 3).sum(axis=0)
    ends = np.percentile(resampled(table, draws, seed), [2.5, 97.5], axis=0)
    intervals = [Interval(low=round(float(a), 6), high=round(float(b), 6)) for a, b in ends.T]
    return Scored(
        score=score_of(*(int(n) for n in total)),
        precision=intervals[0],
        recall=intervals[1],
        f1=intervals[2],
    )


def resampled(counts: Sequence[Sequence[int]], draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Micro shares of resampled documents: [draws, (precision, recall, F1)], [1, 3] of nothing.

    The same ``seed`` draws the same documents of as many, so that two arms over the same documents
    are compared draw by draw.

    Args:
        counts: (matched, found, wanted) a document.
        draws, seed: of the resampling.
    """
    table = np.array(list(counts), dtype=np.int64).reshape(-1, 3)
    size = len(table)
    rng = np.random.default_rng(seed)
    weights = (
        rng.multinomial(size, np.full(size, 1 / size), size=draws) if size else np.zeros((1, 0))
    )
    return _shares(weights @ table.astype(float))


def _shares(counts: np.ndarray) -> np.ndarray:
    """[n, (matched, found, wanted)] -> [n, (precision, recall, F1)]."""
    matched, found, wanted = counts.T
    precision = np.divide(matched, found, out=np.zeros_like(matched), where=found > 0)
    recall = np.divide(matched, wanted, out=np.zeros_like(matched), where=wanted > 0)
    both = found + wanted
    f1 = np.divide(2 * matched, both, out=np.zeros_like(matched), where=both > 0)
    return np.stack([precision, recall, f1], axis=1)
