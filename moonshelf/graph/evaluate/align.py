"""Which induced property means which gold property: by their facts on the dev half, not by name.

An induced schema has names of its own. Each induced property is given at most one gold property and
each gold property at most one induced one, so that together they agree on the most dev facts
(assignment problem). A schema may also hold as a yes/no feature ("copper condenser") what the gold
set holds as a value (condenser: copper); features that are left over are read as such a value.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from moonshelf.config import Config
from moonshelf.graph.evaluate.claims import CLASS, Claim, by_property

LEAST_DICE = 0.1
"""An agreement below it is chance: a color that now and then falls into a series name."""
LEAST_FEATURE_DICE, LEAST_FEATURE = 0.5, 2
Pair = tuple[list[Claim], list[Claim]]


class Aligned(Config):
    """``induced`` means ``gold``; where ``value`` is given, its ``true`` means that gold value."""

    induced: str
    gold: str
    value: str | None = None
    agreements: float
    dice: float
    """Twice the agreements over the facts of both."""


class Alignment(Config):
    pairs: tuple[Aligned, ...]
    method: Literal["assignment", "greedy", "names"]

    def read(self, claimed: Sequence[Claim]) -> list[Claim]:
        """Claims under gold names; those of unaligned properties are left out."""
        whole = {p.induced: p.gold for p in self.pairs if p.value is None}
        values = {p.induced: (p.gold, p.value) for p in self.pairs if p.value is not None}
        found = []
        for claim in claimed:
            if claim.property in whole:
                found.append(Claim(whole[claim.property], claim.keys, claim.place, claim.boolean))
            elif claim.property in values and "True" in claim.keys:
                name, value = values[claim.property]
                found.append(Claim(name, frozenset({value}), claim.place))
        return found

    def unread(self, claimed: Sequence[Claim]) -> int:
        """Claims that :meth:`read` leaves out: of unaligned properties, and the "no" of a feature
        that stands for a value. A class that is no gold property is none."""
        known = {pair.induced for pair in self.pairs} | {CLASS}
        values = {pair.induced for pair in self.pairs if pair.value is not None}
        return sum(
            claim.property not in known or (claim.property in values and "True" not in claim.keys)
            for claim in claimed
        )


def align(dev: Sequence[Pair], features: bool = True, opposites: bool = False) -> Alignment:
    """
    Args:
        dev: (induced claims, gold claims) a document; none of the texts that are reported on.
        features: read left-over features as values of gold properties.
        opposites: also as the "no" of a yes/no gold property (``fixed_speed: true`` for inverter:
            no).
    """
    weights, sizes = _weights(dev)
    induced = sorted({name for name, _ in weights})
    gold = sorted({name for _, name in weights})
    table = np.zeros((len(induced), len(gold)))
    for (a, b), agreed in weights.items():
        if _dice(agreed, sizes[0][a], sizes[1][b]) >= LEAST_DICE:
            table[induced.index(a), gold.index(b)] = agreed
    chosen, method = assign(table)
    pairs = [
        Aligned(
            induced=induced[i],
            gold=gold[j],
            agreements=float(table[i, j]),
            dice=_dice(table[i, j], sizes[0][induced[i]], sizes[1][gold[j]]),
        )
        for i, j in chosen
        if table[i, j] > 0
    ]
    if features:
        pairs += _features(dev, {pair.induced for pair in pairs}, opposites)
    return Alignment(pairs=tuple(pairs), method=method)


def by_name(names: Sequence[str]) -> Alignment:
    """Every name means itself: for runs in which the gold schema was given."""
    pairs = (Aligned(induced=n, gold=n, agreements=0, dice=1) for n in names)
    return Alignment(pairs=tuple(pairs), method="names")


def _agreement(a: Claim, b: Claim) -> float:
    """1: same value at the same place; ½: one of both. Of yes/no and numbers the value alone says
    nothing: "true" is everywhere, and 5 may be stars or modes."""
    if a.meets(b):
        return 1.0 if a.equals(b) else 0.5
    telling = not b.boolean and not any(key.startswith("#") for key in b.keys)
    return (1.0 if a.place is None else 0.5) if telling and a.equals(b) else 0.0


def _weights(
    dev: Sequence[Pair],
) -> tuple[dict[tuple[str, str], float], tuple[Counter[str], Counter[str]]]:
    """(induced, gold) -> agreements over all documents; facts a property on both sides."""
    weights: dict[tuple[str, str], float] = defaultdict(float)
    sizes: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for found, wanted in dev:
        left, right = by_property(found), by_property(wanted)
        sizes[0].update({name: len(same) for name, same in left.items()})
        sizes[1].update({name: len(same) for name, same in right.items()})
        for a, mine in left.items():
            for b, theirs in right.items():
                weights[a, b] += _agreed(mine, theirs)
    return weights, sizes


def _agreed(mine: Sequence[Claim], theirs: Sequence[Claim]) -> float:
    """Agreements, each claim used once, the best first."""
    scored = sorted(
        ((-_agreement(a, b), i, j) for i, a in enumerate(mine) for j, b in enumerate(theirs))
    )
    used: tuple[set[int], set[int]] = (set(), set())
    total = 0.0
    for agreed, i, j in scored:
        if agreed and i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            total -= agreed
    return total


def _features(dev: Sequence[Pair], taken: set[str], opposites: bool) -> list[Aligned]:
    """Left-over features, each with the one gold value whose words it stands on."""
    agreed: Counter[tuple[str, str, str]] = Counter()
    left: Counter[str] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for found, wanted in dev:
        values = [
            (b.property, min(b.keys), b)
            for b in wanted
            if not b.boolean or (opposites and "False" in b.keys)
        ]
        right.update((name, key) for name, key, _ in values)
        for a in found:
            if a.boolean and "True" in a.keys and a.property not in taken:
                left[a.property] += 1
                agreed.update((a.property, name, key) for name, key, b in values if a.meets(b))
    pairs, used = [], set()
    for (name, gold, key), count in sorted(agreed.items(), key=lambda one: (-one[1], one[0])):
        dice = _dice(count, left[name], right[gold, key])
        fits = count >= LEAST_FEATURE and dice >= LEAST_FEATURE_DICE and not key.startswith("#")
        if fits and name not in used and (gold, key) not in used:
            used |= {name, (gold, key)}
            pairs.append(Aligned(induced=name, gold=gold, value=key, agreements=count, dice=dice))
    return pairs


def assign(table: np.ndarray) -> tuple[list[tuple[int, int]], Literal["assignment", "greedy"]]:
    """One-to-one pairs of greatest sum; without scipy the greatest first, which may miss it."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        return greedy(table), "greedy"
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)], "assignment"


def greedy(table: np.ndarray) -> list[tuple[int, int]]:
    """The greatest entry first, then the greatest of the free rows and columns."""
    order = sorted(np.ndindex(*table.shape), key=lambda place: (-table[place], place))
    rows: set[int] = set()
    columns: set[int] = set()
    chosen = []
    for i, j in order:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            chosen.append((i, j))
    return sorted(chosen)


def _dice(agreed: float, left: int, right: int) -> float:
    return round(2 * float(agreed) / (left + right), 6) if left + right else 0.0
