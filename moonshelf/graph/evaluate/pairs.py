"""Entity resolution against known groups: precision, recall and F1 over pairs of products.

``sameAs`` is scored after groups are closed (a with b and b with c makes a with c), as a reader of
the graph would follow the links. ``isVariantOf`` is a statement of its own: of its pairs is told
how many the truth calls one product, which is what the variant guard costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations

from moonshelf.config import Config
from moonshelf.graph.evaluate.scores import Score, score_of
from moonshelf.graph.resolve import Resolution


class PairScores(Config):
    """``same`` over all pairs of products; ``variants`` links, ``variants_that_are_one`` of them
    between products of one true group."""

    products: int
    groups: int
    """True groups of two products or more."""
    same: Score
    variants: int
    variants_that_are_one: int


def pair_scores(found: Resolution, truth: Mapping[str, Hashable]) -> PairScores:
    """
    Args:
        found: links among the products of ``truth``; links of others are left out.
        truth: product -> its true group.
    """
    links = [link for link in found.links if link.left in truth and link.right in truth]
    same = _closed((link.left, link.right) for link in links if link.relation == "sameAs")
    members: dict[Hashable, list[str]] = defaultdict(list)
    for product, group in truth.items():
        members[group].append(product)
    wanted = sum(len(group) * (len(group) - 1) // 2 for group in members.values())
    variants = [link for link in links if link.relation == "isVariantOf"]
    return PairScores(
        products=len(truth),
        groups=sum(len(group) > 1 for group in members.values()),
        same=score_of(sum(truth[a] == truth[b] for a, b in same), len(same), wanted),
        variants=len(variants),
        variants_that_are_one=sum(truth[link.left] == truth[link.right] for link in variants),
    )


def _closed(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """All pairs within the groups that ``pairs`` join."""
    group: dict[str, list[str]] = {}
    for a, b in pairs:
        left, right = group.setdefault(a, [a]), group.setdefault(b, [b])
        if left is not right:
            left += right
            group |= dict.fromkeys(right, left)
    distinct = {id(one): one for one in group.values()}.values()
    return [pair for one in distinct for pair in combinations(one, 2)]
