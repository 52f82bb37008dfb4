"""What a cleaning step hands over: the pairs that are left, and why each of the others is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from moonshelf.catalog.pair_set import PairSet

KEPT = "kept"


@dataclass(frozen=True)
class Cleaned:
    """The outcome of one step.

    Attributes:
        before: the pairs that the step saw [n]; with their similarity, where the step learned it.
        why: int8 [n], a place in ``reasons``; 0 is kept.
        reasons: :data:`KEPT` first.
        pairs: what is left, in the order of ``before``.
        facts: figures for the history and for a reader; JSON.
    """

    before: PairSet
    why: np.ndarray
    reasons: tuple[str, ...]
    pairs: PairSet
    facts: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        before: PairSet,
        why: np.ndarray,
        reasons: tuple[str, ...],
        facts: Mapping[str, Any] | None = None,
    ) -> Cleaned:
        """A step that only leaves pairs out."""
        return cls(before, why.astype(np.int8), reasons, before.select(why == 0), dict(facts or {}))

    def counts(self) -> dict[str, int]:
        """How many pairs each reason took, those that are kept included."""
        found = np.bincount(self.why, minlength=len(self.reasons))
        return {name: int(count) for name, count in zip(self.reasons, found, strict=True)}

    def drawn(self, code: int, count: int, seed: int) -> np.ndarray:
        """int64 [<= count]: places of pairs of one reason, drawn evenly, the least similar first;
        for a reader."""
        places = np.flatnonzero(self.why == code)
        if len(places) > count:
            places = np.random.default_rng((seed, 13)).choice(places, count, replace=False)
        return places[np.lexsort((places, self.before.similarity[places]))]
