"""Which pairs each step trains on: a pure function of (seed, step), so resuming needs no cursor.

A plan mixes terms (pair sources with their views) by their shares. Each batch holds one term only:
mixed views in a batch let a model tell positives by modality (methods.md 3.11 and 10.3). TR leaves
that open, so it is a switch: a ``mixed`` plan gives every batch rows of all terms, by share.

* Terms follow a cycle in which each appears in proportion to its share, shuffled anew each cycle;
  counting a term's earlier batches is then arithmetic, not a walk over past steps.
* Each term is walked in epochs without replacement. An epoch is a permutation drawn from (seed,
  term, epoch) in which the pairs of one group stand evenly apart, so a batch meets a group twice
  only when the group holds more than one pair per batch of the epoch (masks cover those). The pairs
  that do not fill a last batch are left to other epochs, which draw others.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from moonshelf.errors import DataError, UsageError

_CYCLE = 64


@dataclass(frozen=True)
class Term:
    """One pair source with its share. ``pairs``: int64 [n, 2] of catalogue rows; ``groups``:
    int64 [n], the group of each pair's item (negative: none), or None to ignore groups."""

    name: str
    pairs: np.ndarray
    share: float = 1.0
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class PlannedBatch:
    """What one step trains on: the place of its term in the plan, its name, and [B, 2] rows."""

    term: int
    name: str
    pairs: np.ndarray


@dataclass
class BatchPlan:
    """``plan.parts(step)`` for any step >= 0; ``plan[step]`` where each batch holds one term.

    Args:
        terms: at least one with a positive share; the others are never drawn. One with fewer pairs
            than are drawn at a time gives them all.
        batch: pairs a batch.
        seed: of the whole plan.
        mixed: every batch holds rows of all terms, at least one each, in the order of the terms.
    """

    terms: Sequence[Term]
    batch: int
    seed: int = 0
    mixed: bool = False
    _cycle: tuple[int, np.ndarray] | None = field(default=None, repr=False)
    _epochs: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise UsageError(f"a batch of {self.batch} has no negatives", cure="set batch >= 2")
        shares = np.array([term.share for term in self.terms], dtype=np.float64)
        if not len(shares) or not np.isfinite(shares).all() or (shares < 0).any():
            raise UsageError(f"shares {shares.tolist()} are not all >= 0", cure="mend the shares")
        if shares.sum() <= 0:
            raise UsageError("every term has share 0", cure="give one term a share above 0")
        for term in self.terms:
            if term.share > 0 and len(term.pairs) < 2:
                raise DataError(
                    f"term {term.name!r} has {len(term.pairs)} pairs, a batch needs 2",
                    cure="leave the term out or set its share to 0",
                )
        total = self.batch if self.mixed else _CYCLE
        if self.mixed and total < np.count_nonzero(shares):
            raise UsageError(
                f"a mixed batch of {self.batch} cannot hold {np.count_nonzero(shares)} terms",
                cure="set a larger batch, or leave terms out",
            )
        self._counts = _whole_shares(shares / shares.sum(), total)
        if not self.mixed:  # one term alone, or all equal, needs no long cycle
            self._counts //= np.gcd.reduce(self._counts)
        while self.mixed and self._counts.sum() > total:  # the rows that small shares were given
            self._counts[self._counts.argmax()] -= 1
        self._keys = [zlib.crc32(term.name.encode()) for term in self.terms]

    def __getitem__(self, step: int) -> PlannedBatch:
        if self.mixed:
            raise UsageError("a mixed batch holds several terms", cure="ask for parts(step)")
        if step < 0:
            raise IndexError(step)
        cycle, place = divmod(step, int(self._counts.sum()))
        order = self._order(cycle)
        k = int(order[place])
        before = cycle * int(self._counts[k]) + int((order[:place] == k).sum())
        return self._drawn(k, before, self.batch)

    def parts(self, step: int) -> list[PlannedBatch]:
        """The rows of each term in the batch of ``step``; together they are the batch."""
        if not self.mixed:
            return [self[step]]
        if step < 0:
            raise IndexError(step)
        drawn = np.flatnonzero(self._counts).tolist()
        return [self._drawn(k, step, int(self._counts[k])) for k in drawn]

    def smallest(self) -> tuple[str, int]:
        """The name of the term with the smallest batches, and how many pairs they hold."""
        sizes = [len(term.pairs) for term in self.terms]
        if self.mixed:
            return "mixed", int(np.minimum(sizes, self._counts).sum())
        drawn = zip(self.terms, sizes, self._counts, strict=True)
        size, name = min((min(n, self.batch), term.name) for term, n, count in drawn if count)
        return name, size

    def shares(self) -> dict[str, float]:
        """The share each term really gets: rounded to batches of a cycle, or to rows of a batch."""
        total = self._counts.sum()
        return {t.name: float(c / total) for t, c in zip(self.terms, self._counts, strict=True)}

    def _drawn(self, k: int, number: int, size: int) -> PlannedBatch:
        """Batch ``number`` of ``size`` pairs of term ``k``."""
        term = self.terms[k]
        size = min(size, len(term.pairs))
        epoch, batch = divmod(number, len(term.pairs) // size)
        chosen = self._epoch(k, epoch)[batch * size : (batch + 1) * size]
        return PlannedBatch(k, term.name, term.pairs[chosen])

    def _order(self, cycle: int) -> np.ndarray:
        if self._cycle is None or self._cycle[0] != cycle:
            order = np.repeat(np.arange(len(self._counts)), self._counts)
            np.random.default_rng((self.seed, 1, cycle)).shuffle(order)
            self._cycle = (cycle, order)
        return self._cycle[1]

    def _epoch(self, k: int, epoch: int) -> np.ndarray:
        """Permutation of the pairs of term ``k``; the newest of each term is kept at hand."""
        kept = self._epochs.get(k)
        if kept is None or kept[0] != epoch:
            rng = np.random.default_rng((self.seed, 2, self._keys[k], epoch))
            kept = (epoch, spread_permutation(len(self.terms[k].pairs), self.terms[k].groups, rng))
            self._epochs[k] = kept
        return kept[1]


def spread_permutation(n: int, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """A random permutation of 0..n-1 in which members of one group stand evenly apart.

    Member j of a group of k gets the key ``frac(u + j / k)`` with one random ``u`` a group; sorting
    the keys places the members about n / k apart. Ungrouped entries get a key of their own.
    """
    shuffled = rng.permutation(n)
    if groups is None or n == 0:
        return shuffled
    own = np.asarray(groups, dtype=np.int64)[shuffled]
    alone = own < 0
    own[alone] = own.max() + 1 + np.arange(alone.sum())
    _, code, size = np.unique(own, return_inverse=True, return_counts=True)
    order = np.argsort(code, kind="stable")
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    member = np.empty(n, dtype=np.int64)
    member[order] = np.arange(n) - np.repeat(start, size)
    keys = (rng.random(len(size))[code] + member / size[code]) % 1.0
    return shuffled[np.argsort(keys, kind="stable")]


def _whole_shares(shares: np.ndarray, total: int) -> np.ndarray:
    """``total`` dealt out by ``shares``: largest remainders, at least one for a share above 0."""
    exact = shares * total
    counts = np.floor(exact).astype(np.int64)
    short = total - int(counts.sum())
    counts[np.argsort(-(exact - counts), kind="stable")[:short]] += 1
    counts[(counts == 0) & (shares > 0)] = 1
    return counts
