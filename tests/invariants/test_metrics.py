"""What every table rests on: ties never pay, random is chance, same seed same figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.evaluation import evaluate
from moonshelf.evaluation.controls import RandomEmbedder
from moonshelf.evaluation.metrics import chance_metrics, mid_ranks, retrieval_metrics, usable_ks
from moonshelf.evaluation.suite import Suite
from tests.unit.evaluation.shop import Constant, drawn

SUITE = Suite.model_validate(
    {
        "name": "all",
        "bootstrap": 200,
        "tasks": [
            {"kind": "retrieval", "name": "t2i", "query": "t", "item": "i", "positives": "title"},
            {"kind": "retrieval", "name": "i2t", "query": "i", "item": "t", "positives": "title"},
            {"kind": "retrieval", "name": "t2mm", "query": "t", "item": "mm", "positives": "group"},
            {"kind": "retrieval", "name": "i2mm", "query": "i", "item": "mm", "positives": "group"},
            {
                "kind": "retrieval",
                "name": "mm2mm",
                "query": "mm",
                "item": "mm",
                "positives": "group",
            },
            {"kind": "photo_search", "name": "photo", "item": "mm"},
            {"kind": "text_search", "name": "text", "item": "t"},
            {"kind": "classification", "name": "type"},
            {"kind": "attribute", "name": "color", "key": "color"},
        ],
    }
)


@given(
    st.integers(2, 200),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_a_constant_embedder_never_beats_chance(
    pool: int, positives: int, width: int, removed: int
) -> None:
    positives = min(positives, pool)
    queries = np.full((3, width), width**-0.5, np.float32)
    items = np.full((pool, width), width**-0.5, np.float32)
    pairs = (np.repeat(np.arange(3), positives), np.tile(np.arange(positives), 3))
    gone = max(0, min(removed, pool - positives))
    away = (np.repeat(np.arange(3), gone), np.tile(pool - 1 - np.arange(gone), 3))
    ranks = mid_ranks(queries, items, pairs, away)
    wrong = pool - gone - positives
    assert ranks.rank.tolist() == (1 + wrong / 2 + pairs[1]).tolist()
    ks = usable_ks((1, 2, 5, 10, 50), ranks)
    chance = chance_metrics(ranks, ks)
    for name, values in retrieval_metrics(ranks, ks).items():
        assert values.mean() <= chance[name] + 1e-9, name


def test_a_constant_embedder_is_at_or_below_chance_on_every_task() -> None:
    results = evaluate(Constant(), drawn(), SUITE)
    assert len({t.task for t in results.tasks}) == len(SUITE.tasks)
    for task in results.tasks:
        for name, measure in task.metrics.items():
            assert measure.value <= measure.chance + 1e-9, (task.task, name)


def test_a_random_embedder_is_at_chance_on_every_task() -> None:
    sums: dict[tuple, list[tuple[float, float]]] = {}
    for seed in range(8):
        for task in evaluate(RandomEmbedder(seed=seed), drawn(seed=seed), SUITE).tasks:
            for name, measure in task.metrics.items():
                if task.slice == "all":
                    sums.setdefault((*task.key, name), []).append((measure.value, measure.chance))
    for key, pairs in sums.items():
        value, chance = np.mean(pairs, axis=0)
        assert value == pytest.approx(chance, abs=0.06), key


def test_a_few_ulps_of_difference_are_a_tie() -> None:
    # Equal vectors can get unequal products at the edge of a block of the matrix product.
    queries = np.ones((1, 1), np.float32)
    items = np.ones((9, 1), np.float32)
    items[0] += np.float32(2e-7)
    ranks = mid_ranks(queries, items, (np.array([0]), np.array([0])))
    assert ranks.rank.tolist() == [5.0]


def test_same_seed_same_figures_and_another_order_of_import_changes_nothing() -> None:
    catalog = drawn()
    first = evaluate(RandomEmbedder(), catalog, SUITE).to_dict()
    again = evaluate(RandomEmbedder(), catalog, SUITE).to_dict()
    turned = drawn()
    turned.__init__(catalog.products[::-1], catalog.queries())
    other = evaluate(RandomEmbedder(), turned, SUITE).to_dict()
    for one in (first, again, other):
        one.pop("seconds")
    assert first == again
    values = [
        [t["metrics"] for t in one["tasks"] if "search" not in t["kind"]] for one in (first, other)
    ]
    for a, b in zip(*values, strict=True):
        for name in a:
            assert a[name]["value"] == pytest.approx(b[name]["value"])
            assert a[name]["low"] == pytest.approx(b[name]["low"])
