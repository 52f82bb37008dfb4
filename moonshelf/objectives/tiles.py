"""The score matrix of a contrastive loss, a tile at a time: masked, positives out.

Columns are numbered 0..N-1 for items, N.. for extra items, one block after the other. Only the
*own* columns, offset .. offset + B - 1, hold a positive.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moonshelf.objectives.masks import LabelMask, LabelStripe
from moonshelf.objectives.sums import LOG2_E, Sums

KEPT = 2 * 1024 * 1024
"""Scores kept from the forward pass for the backward one, at most: 8 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the passes need besides the vectors.

    Attributes:
        share: [B], the weight of each pair over the sum of weights.
        compute: dtype of the matrix products; everything else is float32 (float64 for float64).
        sums: one direction of the loss, of (positive, limit, dim, scale).
    """

    share: Tensor
    symmetric: bool
    offset: int
    mask: LabelMask | None
    margin: float | None
    tile: int
    compute: torch.dtype
    sums: Callable[[Tensor, Tensor | None, int, float], Sums] = Sums

    @property
    def accumulate(self) -> torch.dtype:
        return torch.float64 if self.compute == torch.float64 else torch.float32

    @property
    def slack(self) -> float:
        """Cosines that differ by less are a tie, and a tie is a miss: positives and tiles are
        summed in different orders, and a constant encoder must not be right by rounding."""
        return max(16 * torch.finfo(self.accumulate).eps, torch.finfo(self.compute).eps)


class Tiles:
    """The score matrix, a tile at a time, label mask applied and positives out (-inf)."""

    def __init__(self, query: Tensor, sides: Sequence[Tensor], inverse: float, plan: Plan) -> None:
        self.plan = plan
        self.query = query.to(plan.compute)
        self.sides = [side.to(plan.compute) for side in sides]
        self.own = self.sides[0][plan.offset : plan.offset + len(query)]
        self.scale = inverse * LOG2_E
        area = min(plan.tile, len(query)) * min(plan.tile, max(map(len, self.sides)))
        self._scores = query.new_empty(area, dtype=plan.accumulate)
        self._spare = torch.empty_like(self._scores)

    def positives(self) -> Tensor:
        pairs = zip(self.query.split(self.plan.tile), self.own.split(self.plan.tile), strict=True)
        dtype = self.plan.accumulate
        return torch.cat([(q.to(dtype) * p.to(dtype)).sum(1) for q, p in pairs]) * self.scale

    def stripes(self) -> Iterator[tuple[int, slice, slice | None, LabelStripe | None]]:
        """(side, columns within the side, the rows they are positives of, label mask)."""
        begin, end = self.plan.offset, self.plan.offset + len(self.query)
        runs = [(0, 0, begin), (0, begin, end), (0, end, len(self.sides[0]))]
        runs += [(side, 0, len(self.sides[side])) for side in range(1, len(self.sides))]
        shifts = [0, *itertools.accumulate(map(len, self.sides))]
        for number, (side, low, high) in enumerate(runs):
            for start in range(low, high, self.plan.tile):
                stop = min(start + self.plan.tile, high)
                first, last = shifts[side] + start, shifts[side] + stop
                mask = self.plan.mask and self.plan.mask.stripe(first, last)
                own = slice(start - begin, stop - begin) if number == 1 else None
                yield side, slice(start, stop), own, mask

    def rows(self) -> Iterator[slice]:
        for start in range(0, len(self.query), self.plan.tile):
            yield slice(start, min(start + self.plan.tile, len(self.query)))

    def scores(
        self, rows: slice, side: int, columns: slice, *, lasting: bool = False
    ) -> tuple[Tensor, Tensor]:
        """(scores, a spare of their shape): both are overwritten by the next call, but for scores
        that are ``lasting``."""
        left, right = self.query[rows], self.sides[side][columns]
        spare = self.spare(rows, columns)
        scores = self._scores[: spare.numel()].view(spare.shape)
        if lasting:
            scores = torch.empty_like(spare)
        if self.plan.compute == self.plan.accumulate:
            torch.addmm(scores, left, right.T, beta=0, alpha=self.scale, out=scores)
        else:
            scores.copy_(left @ right.T).mul_(self.scale)
        return scores, spare

    def spare(self, rows: slice, columns: slice) -> Tensor:
        """A matrix of the tile's shape, always the same one."""
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return self._spare[: shape[0] * shape[1]].view(shape)

    @staticmethod
    def drop(scores: Tensor, hits: Tensor | None, rows: slice, own: slice | None) -> None:
        if hits is not None:
            scores.view(-1)[hits] = -math.inf
        if own == rows:  # both run in steps of one tile, so the positives lie in square tiles
            scores.diagonal().fill_(-math.inf)


class Kept:
    """Masked scores of the first tiles, by place: at most ``room`` of them, each taken once."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._tiles: dict[tuple[int, int, int], Tensor] = {}

    def holds(self, rows: slice, columns: slice) -> bool:
        """Whether there is still room for a tile."""
        return (rows.stop - rows.start) * (columns.stop - columns.start) <= self._room

    def put(self, rows: slice, side: int, columns: slice, scores: Tensor) -> None:
        self._room -= scores.numel()
        self._tiles[side, columns.start, rows.start] = scores

    def take(self, rows: slice, side: int, columns: slice) -> Tensor | None:
        """The tile, which may be overwritten: a second backward pass computes it again."""
        return self._tiles.pop((side, columns.start, rows.start), None)
