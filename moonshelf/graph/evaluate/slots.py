"""Attribute extraction as its benchmarks count it: one value a slot, exact match, micro-averaged.

A slot is one attribute of one product; its value is right when it equals any of the values that
people marked, character by character.

* **listed-slot**, the usual protocol: values in slots that nobody annotated are ignored; a value
  in a slot annotated as empty is wrong.
* **strict**: values in slots that nobody annotated are wrong too. The lower bound, as data sets
  that list a few slots a title leave true values out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from moonshelf.config import Config
from moonshelf.graph.evaluate.scores import Score, Scored, score_of, scored
from moonshelf.graph.text import fold_value

Slots = Mapping[str, Sequence[str]]


class SlotScores(Config):
    products: int
    listed: Scored
    strict: Scored
    recall_seen: float
    """Of slots of which a value was a value of the same attribute in training (folded)."""
    recall_unseen: float
    seen: int
    unseen: int
    attributes: dict[str, Score]
    """Listed-slot."""


def slot_scores(
    found: Sequence[Mapping[str, str]],
    wanted: Sequence[Slots],
    training: Sequence[Slots] = (),
    *,
    draws: int = 1000,
    seed: int = 0,
) -> SlotScores:
    """
    Args:
        found: a value by attribute, for each product.
        wanted: the annotated slots of the same products; no value: annotated as empty.
        training: annotated slots of what was learned from.
        draws, seed: of the intervals, which resample products.
    """
    known = _values(training)
    listed, strict = [], []
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    recalled: dict[bool, list[int]] = {True: [0, 0], False: [0, 0]}
    for mine, slots in zip(found, wanted, strict=True):
        matched = 0
        for name, values in slots.items():
            right = mine.get(name) in values
            matched += right
            for k, more in enumerate((right, name in mine, bool(values))):
                totals[name][k] += more
            if values:
                tally = recalled[any((name, fold_value(v)) in known for v in values)]
                tally[0] += right
                tally[1] += 1
        full = sum(map(bool, slots.values()))
        listed.append((matched, sum(name in slots for name in mine), full))
        strict.append((matched, len(mine), full))
    return SlotScores(
        products=len(found),
        listed=scored(listed, draws, seed),
        strict=scored(strict, draws, seed),
        recall_seen=_share(*recalled[True]),
        recall_unseen=_share(*recalled[False]),
        seen=recalled[True][1],
        unseen=recalled[False][1],
        attributes={name: score_of(*totals[name]) for name in sorted(totals)},
    )


def _values(slots: Sequence[Slots]) -> set[tuple[str, str]]:
    return {
        (name, fold_value(value))
        for one in slots
        for name, values in one.items()
        for value in values
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
