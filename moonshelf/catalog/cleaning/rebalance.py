"""Category rebalance: pairs get the category shares of what users are shown (methods.md 3.5).

By leaving pairs out alone, never by showing one twice. How many of each category: ``shares.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from moonshelf.catalog.cleaning.exposure import Exposure
from moonshelf.catalog.cleaning.outcome import KEPT, Cleaned
from moonshelf.catalog.cleaning.shares import largest_total, nearest_counts, total_variation
from moonshelf.catalog.pair_set import PairSet
from moonshelf.errors import DataError, UsageError

STEP = "rebalance"
TOLERATED, LEAST = 0.05, 0.5
REASONS = (KEPT, "its category has too many pairs", "its category is never shown")
SHOWN = 12
"""Categories in the facts: those whose share changes most."""


def rebalance(
    pairs: PairSet,
    exposure: Exposure,
    *,
    tolerated: float = TOLERATED,
    least: float = LEAST,
    seed: int = 0,
) -> Cleaned:
    """The largest subset whose category shares are near those of ``exposure``.

    Args:
        pairs: any; each counts once, whatever its count of events.
        exposure: the target.
        tolerated: total variation between the shares that may remain, 0 to 1.
        least: share of the pairs that must stay, even where the tolerance is then missed.
        seed: of which pairs of a category stay.

    Raises:
        UsageError: a share out of range.
        DataError: no subset is within the tolerance and nothing must stay.
    """
    for name, value in (("tolerance", tolerated), ("least share", least)):
        if not 0 <= value <= 1:
            raise UsageError(f"a {name} of {value:g} is no share", cure="choose 0 to 1")
    codes = exposure.codes[pairs.item]
    have = np.bincount(codes, minlength=len(exposure.counts))
    within = largest_total(have, exposure.counts, tolerated)
    total = max(within, int(np.ceil(least * len(pairs))))
    if not total and len(pairs):
        missing = exposure.counts[have == 0].sum() / exposure.counts.sum()
        raise DataError(
            f"no part of the pairs comes within {tolerated:g} of the exposed categories: "
            f"{missing:.1%} of what is shown is in categories without pairs",
            cure="tolerate more, use categories less deep, or let --least keep some",
        )
    keep = nearest_counts(total, have, exposure.counts)
    chosen = _drawn(codes, keep, seed)
    why = np.where(chosen, 0, np.where(exposure.counts[codes] > 0, 1, 2))
    facts = {
        "target": exposure.source,
        "depth": exposure.depth,
        "categories": int(np.count_nonzero(have)),
        "categories shown but without pairs": int(((have == 0) & (exposure.counts > 0)).sum()),
        "total variation before": total_variation(have, exposure.counts),
        "total variation after": total_variation(keep, exposure.counts),
        "within the tolerance": bool(within >= total),
        "largest part within the tolerance": within,
        "largest changes": _changes(exposure, have, keep),
    }
    return Cleaned.of(pairs, why, REASONS, facts)


def _drawn(codes: np.ndarray, keep: np.ndarray, seed: int) -> np.ndarray:
    """bool [n]: ``keep[c]`` pairs of every category, drawn evenly."""
    order = np.random.default_rng((seed, 11)).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    have = np.bincount(codes, minlength=len(keep))
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(have) - have, have)
    chosen = np.zeros(len(codes), dtype=bool)
    chosen[order] = rank < keep[codes[order]]
    return chosen


def _changes(exposure: Exposure, have: np.ndarray, keep: np.ndarray) -> list[dict[str, Any]]:
    """The categories whose share changes most: their shares before, after and shown."""
    counts = (have, keep, exposure.counts)
    before, after, shown = (c / max(1, c.sum()) for c in counts)
    order = np.argsort(-np.abs(after - before), kind="stable")[:SHOWN]
    return [
        {
            "category": exposure.names[c],
            "pairs": int(have[c]),
            "left": int(keep[c]),
            "share before": float(before[c]),
            "share after": float(after[c]),
            "share shown": float(shown[c]),
        }
        for c in order
        if have[c] or exposure.counts[c]
    ]
