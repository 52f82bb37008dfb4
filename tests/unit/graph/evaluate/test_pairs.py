"""Pairs of products against known groups, by counting."""

from __future__ import annotations

import pytest

from moonshelf.graph.evaluate.pairs import pair_scores
from moonshelf.graph.resolve import Link, Relation, Resolution


def link(left: str, right: str, relation: Relation = "sameAs") -> Link:
    return Link(left=left, right=right, relation=relation, score=1.0, parts=())


def test_groups_are_closed_before_pairs_are_counted() -> None:
    """a = b = c is three pairs; the truth has a, b, d as one: one of three is right."""
    found = Resolution(links=(link("a", "b"), link("b", "c")))
    scores = pair_scores(found, {"a": 1, "b": 1, "d": 1, "c": 2, "e": 3})
    assert (scores.same.matched, scores.same.found, scores.same.wanted) == (1, 3, 3)
    assert (scores.products, scores.groups) == (5, 1)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_order_of_links_does_not_matter(order: tuple[int, ...]) -> None:
    links = (link("a", "b"), link("c", "d"), link("b", "c"))
    truth = dict.fromkeys("abcd", 0)
    scores = pair_scores(Resolution(links=tuple(links[k] for k in order)), truth)
    assert (scores.same.matched, scores.same.found, scores.same.f1) == (6, 6, 1.0)


def test_variants_are_no_same_and_are_told_apart() -> None:
    links = (link("a", "b", "isVariantOf"), link("a", "c", "isVariantOf"), link("a", "z"))
    scores = pair_scores(Resolution(links=links), {"a": 1, "b": 1, "c": 2})
    assert (scores.variants, scores.variants_that_are_one) == (2, 1)
    assert (scores.same.found, scores.same.wanted) == (0, 1)  # z is no product of the truth
