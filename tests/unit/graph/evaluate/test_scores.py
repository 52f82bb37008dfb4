"""Scores equal what they are by definition, counted one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from moonshelf.graph.evaluate.scores import Score, score_of, scored
from moonshelf.graph.evaluate.slots import slot_scores


def slow_shares(matched: int, found: int, wanted: int) -> tuple[float, float, float]:
    precision = matched / found if found else 0.0
    recall = matched / wanted if wanted else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


@pytest.mark.parametrize(
    "counts", [(3, 4, 6), (0, 4, 6), (0, 0, 6), (0, 5, 0), (0, 0, 0), (7, 7, 7)]
)
def test_a_score_is_its_definition(counts: tuple[int, int, int]) -> None:
    score = score_of(*counts)
    assert (score.precision, score.recall, score.f1) == pytest.approx(
        slow_shares(*counts), abs=1e-6
    )


def test_scores_add_counts_before_they_divide() -> None:
    found = scored([(1, 1, 1), (0, 9, 9)])
    assert found.score.f1 == pytest.approx(0.1)
    assert (found.score.matched, found.score.found, found.score.wanted) == (1, 10, 10)


def test_intervals_are_those_of_resampled_documents() -> None:
    rng = random.Random(3)
    rows = [(rng.randint(0, 4), rng.randint(4, 6), rng.randint(4, 8)) for _ in range(40)]
    found = scored(rows, draws=4000, seed=1)
    drawn = []
    for _ in range(4000):
        sample = [rng.choice(rows) for _ in rows]
        drawn.append(slow_shares(*(sum(column) for column in zip(*sample, strict=True))))
    slow = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    for k, interval in enumerate((found.precision, found.recall, found.f1)):
        assert (interval.low, interval.high) == pytest.approx(tuple(slow[:, k]), abs=0.012)
    assert found.f1.low < found.score.f1 < found.f1.high


def test_the_same_seed_gives_the_same_intervals_and_equal_documents_give_none() -> None:
    rows = [(1, 2, 3), (2, 2, 2), (0, 1, 4)]
    assert scored(rows, seed=5) == scored(rows, seed=5)
    same = scored([(2, 3, 4)] * 10)
    assert same.f1.low == same.f1.high == same.score.f1


def test_no_document_is_no_error() -> None:
    assert scored([]).score.f1 == 0


FOUND = [{"brand": "Acme", "size": "5"}, {"brand": "Bee", "color": "red"}, {}]
WANTED = [
    {"brand": ["Acme", "ACME"], "size": []},  # size: annotated as empty
    {"brand": ["Borea"], "size": ["7"]},  # color: not looked at
    {"brand": ["Cirrus"]},
]


def test_listed_slots_and_strict_ones() -> None:
    scores = slot_scores(FOUND, WANTED, [{"brand": ["acme"]}, {"size": ["Cirrus"]}], draws=20)
    assert slow_counts(scores.listed.score) == (1, 3, 4)
    assert slow_counts(scores.strict.score) == (1, 4, 4)
    assert (scores.seen, scores.unseen) == (1, 3)
    assert (scores.recall_seen, scores.recall_unseen) == (1, 0)
    assert slow_counts(scores.attributes["brand"]) == (1, 2, 3)
    assert slow_counts(scores.attributes["size"]) == (0, 1, 1)
    assert "color" not in scores.attributes


def slow_counts(score: Score) -> tuple[int, int, int]:
    return score.matched, score.found, score.wanted
