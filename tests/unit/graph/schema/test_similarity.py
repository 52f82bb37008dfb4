"""Similarities against slow, obvious references in float64."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.edits import Usage
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.schema.similarity import ks_distance, name_similarity, value_similarity

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1)
NUMBERS = st.dictionaries(st.integers(-5, 5).map(Decimal), st.integers(1, 9), min_size=1)


def usage(counts: dict, documents: int = 0) -> Usage:
    return Usage(
        name="x", documents=documents, values=tuple((str(v), n) for v, n in counts.items())
    )


@given(COUNTS, COUNTS)
def test_words_overlap_as_one_minus_total_variation(a: dict, b: dict) -> None:
    p = {v: Fraction(n, sum(a.values())) for v, n in a.items()}
    q = {v: Fraction(n, sum(b.values())) for v, n in b.items()}
    variation = sum(abs(p.get(v, 0) - q.get(v, 0)) for v in {*p, *q}) / 2
    assert value_similarity(usage(a), usage(b)) == pytest.approx(float(1 - variation), abs=1e-12)


@given(NUMBERS, NUMBERS)
def test_numbers_are_apart_by_kolmogorov_and_smirnov(a: dict, b: dict) -> None:
    one, other = (np.repeat([float(v) for v in x], list(x.values())) for x in (a, b))
    grid = np.arange(-6, 7)
    gaps = [abs((one <= g).mean() - (other <= g).mean()) for g in grid]
    assert ks_distance(list(a.items()), list(b.items())) == pytest.approx(max(gaps), abs=1e-12)
    assert value_similarity(usage(a), usage(b)) == pytest.approx(1 - max(gaps), abs=1e-12)


def test_ks_counts_a_value_given_twice() -> None:
    twice = [(Decimal(1), 1), (Decimal("1.0"), 1), (Decimal(2), 2)]
    assert ks_distance(twice, [(Decimal(1), 1), (Decimal(2), 1)]) == 0


def test_values_that_usage_leaves_out_are_shared_by_nobody() -> None:
    assert value_similarity(usage({"a": 5}, 10), usage({"a": 5}, 5)) == 0.5


@pytest.mark.parametrize(("a", "b"), [({}, {"a": 1}), ({"a": 1}, {}), ({}, {})])
def test_without_values_nothing_is_alike(a: dict, b: dict) -> None:
    assert value_similarity(usage(a), usage(b)) == 0


def test_one_word_among_numbers_makes_them_words() -> None:
    assert value_similarity(usage({"1": 1, "x": 1}), usage({"1": 1, "y": 1})) == 0.5
    assert value_similarity(usage({"NaN": 1}), usage({"1": 1})) == 0


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ("wifi", "wi_fi", 1, 1),
        ("cooling_capacity", "capacity_of_cooling", 0.85, 0.99),
        ("colour", "color", 0.90, 0.92),
        ("weight", "height", 0.83, 0.84),
        ("color", "size", 0, 0.4),
    ],
)
def test_names(one: str, other: str, low: float, high: float) -> None:
    a, b = PropertyDef(name=one), PropertyDef(name=other)
    assert low <= name_similarity(a, b) == name_similarity(b, a) <= high


def test_any_wording_may_match() -> None:
    a = PropertyDef(name="hue", synonyms=("Farbe",))
    b = PropertyDef(name="color", label="FARBE:")
    assert name_similarity(a, b) == 1
    assert Counter(a.synonyms) == Counter(["Farbe"])
