"""Similarity dedup: of all queries positive for one item, the hardest that is no mislabel.

methods.md 3.5: keep the pair with the lowest similarity under the previous model. The lowest also
picks mislabeled pairs (10.3), so the lowest share of each kind of query is left out first (3.11).

Deviation: by default an item keeps one pair of each kind of query (words, photo, product), not one
in all. Cosines of different kinds do not compare: words lie far from pictures under any model, so
one in all would leave hardly a product query, and the nine types need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from moonshelf.catalog.cleaning.choosing import ASKED, asked, group_numbers, hardest
from moonshelf.catalog.cleaning.outcome import KEPT, Cleaned
from moonshelf.catalog.pair_set import PairSet
from moonshelf.errors import DataError, UsageError

STEP = "dedup"
Over = Literal["kind", "item"]
OVER: tuple[Over, ...] = ("kind", "item")
FLOOR = 0.05
"""Share of the lowest similarities that count as label noise (methods.md 3.11)."""
REASONS = (KEPT, "label noise", "a harder query is kept", "no similarity")


def dedup(
    pairs: PairSet,
    *,
    floor: float = FLOOR,
    over: Over = "kind",
    floors: Mapping[str, float] | None = None,
) -> Cleaned:
    """Leaves the hardest pair of every item.

    Args:
        pairs: with their similarity; a pair without one (nothing to embed, a damaged picture)
            is left out.
        floor: share of the lowest similarities of each kind of query that is left out as noise.
        over: ``kind``: one pair of each kind of query an item; ``item``: one in all.
        floors: least similarity by kind of query, in place of ``floor``: of an earlier dedup.

    Raises:
        UsageError: ``floor`` is no share. DataError: no pair has a similarity.
    """
    if not 0 <= floor < 1:
        raise UsageError(f"a floor of {floor:g} is no share", cure="choose 0 or more, below 1")
    similarity = pairs.similarity
    known = ~np.isnan(similarity)
    if len(pairs) and not known.any():
        raise DataError("no pair has a similarity", cure="embed the pairs with an encoder first")
    kinds = asked(pairs)
    if floors is None:
        floors = lowest_floors(similarity, kinds, floor)
    least = np.array([floors.get(name, -np.inf) for name in ASKED])
    why = np.where(known, 2, 3).astype(np.int8)
    why[known & (similarity.astype(np.float64) < least[kinds])] = 1
    left = np.flatnonzero(why == 2)
    rest = pairs.select(left)
    keys = (rest.item, kinds[left]) if over == "kind" else (rest.item,)
    why[left[hardest(rest, group_numbers(keys))]] = 0
    return Cleaned.of(pairs, why, REASONS, {"floors": dict(floors)})


def lowest_floors(similarity: np.ndarray, kinds: np.ndarray, share: float) -> dict[str, float]:
    """The similarity below which ``share`` of the known pairs of each kind lie, by its name.

    Exactly ``floor(share * n)`` pairs lie below it, fewer where several are equal to it.
    """
    found = {}
    for code, name in enumerate(ASKED):
        values = np.sort(similarity[(kinds == code) & ~np.isnan(similarity)])
        if len(values):
            found[name] = float(values[int(share * len(values))])
    return found


def earlier_floors(
    history: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, float] | None:
    """The floors of the last dedup of these pairs with the same options (encoder, view, text,
    share); None where there was none. With them a second dedup leaves out nothing more.

    Raises:
        DataError: the history was changed by hand: a floor is no number.
    """
    for line in reversed(history):
        told = line["options"] if isinstance(line["options"], dict) else {}
        if line["step"] != STEP or any(told.get(k) != v for k, v in options.items()):
            continue
        facts = line.get("facts")
        floors = facts.get("floors") if isinstance(facts, dict) else None
        if not isinstance(floors, dict) or not all(isinstance(v, float) for v in floors.values()):
            raise DataError(
                f"the history of the pairs holds floors that are no numbers: {str(floors)[:80]}",
                cure="build and clean the pairs again",
            )
        return floors
    return None
