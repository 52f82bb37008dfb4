"""Contrastive losses over tiles of the score matrix, which never exists as a whole.

    forward     one pass; every tile feeds the running log-sum-exp of its rows and of its columns
    backward    the tile is computed again; its gradient is multiplied into both sides
    the cost    2 BNd flops forward, 6 BNd backward, two exponentials a pair each way; the memory
                is the gradients plus two tiles

Notes for the reader:

1.  Scores are kept in units of log 2: on this class of CPU exp2 takes a third of the time of exp.
2.  The positive pair starts every running maximum, so it is finite whatever is masked, and is
    then left out of the tiles. Its gradient, softmax - 1, is taken with expm1.
3.  Rows and columns each have their own exponential. Sharing one would save about 2 % and
    underflow where a row lies far below the tile's maximum.
4.  Weights enter the backward as exponents: w * 2^(s - lse) = 2^(s - (lse - log2 w)).
5.  d loss / d (1 / temperature) = sum of G * similarity = sum of <query, d query>: free.

Columns are numbered 0..N-1 for items, N.. for extra items. Only the *own* columns, offset ..
offset + B - 1, hold a positive, so only they take part in the direction item -> query.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moonshelf.errors import UsageError
from moonshelf.objectives.masks import LabelMask, LabelStripe
from moonshelf.objectives.sums import LOG2_E, Sums


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


class StreamingContrast(torch.autograd.Function):
    """(query [B, d], item [N, d], extra [K, d] | None, 1 / temperature, Plan) -> (loss, facts).

    ``facts`` [4], without gradient: accuracy@1, masked share, mean positive similarity, mean
    similarity of the kept negatives, the last and first in the direction query -> item.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, item: Tensor, extra: Tensor | None, inverse: Tensor, plan: Plan
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(query.device.type, enabled=False):
            tiles = Tiles(query, item, extra, float(inverse), plan)
            rows, columns, facts = _accumulate(tiles, plan)
        loss = (plan.share * rows.loss()).sum()
        if columns is not None:
            loss = 0.5 * (loss + (plan.share * columns.loss()).sum())
        ctx.save_for_backward(query, item, extra, inverse)
        ctx.plan, ctx.rows, ctx.columns = plan, rows, columns
        ctx.mark_non_differentiable(facts)
        return loss, facts

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # torch's once_differentiable would give a constant instead
            raise UsageError(
                "the streaming loss has no second derivative, but create_graph=True asks for one",
                cure="use info_nce_dense for gradient penalties and the like",
            )
        query, item, extra, inverse = ctx.saved_tensors
        with torch.autocast(query.device.type, enabled=False):
            tiles = Tiles(query, item, extra, float(inverse), ctx.plan)
            grads = _Gradients(tiles, ctx.plan.accumulate, ctx.needs_input_grad)
            _backward_tiles(tiles, grads, ctx.plan, ctx.rows, ctx.columns)
            return (*grads.finish(tiles, grad_loss, query, item, extra, inverse), None)


class Tiles:
    """The score matrix, a tile at a time, label mask applied and positives out (-inf)."""

    def __init__(
        self, query: Tensor, item: Tensor, extra: Tensor | None, inverse: float, plan: Plan
    ) -> None:
        self.plan = plan
        self.query = query.to(plan.compute)
        self.sides = [side.to(plan.compute) for side in (item, extra) if side is not None]
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
        runs += [(1, 0, len(side)) for side in self.sides[1:]]
        for number, (side, low, high) in enumerate(runs):
            for start in range(low, high, self.plan.tile):
                stop = min(start + self.plan.tile, high)
                shift = side * len(self.sides[0])
                mask = self.plan.mask and self.plan.mask.stripe(shift + start, shift + stop)
                own = slice(start - begin, stop - begin) if number == 1 else None
                yield side, slice(start, stop), own, mask

    def rows(self) -> Iterator[slice]:
        for start in range(0, len(self.query), self.plan.tile):
            yield slice(start, min(start + self.plan.tile, len(self.query)))

    def scores(self, rows: slice, side: int, columns: slice) -> tuple[Tensor, Tensor]:
        """(scores, a spare of their shape): both are overwritten by the next call."""
        left, right = self.query[rows], self.sides[side][columns]
        shape = (len(left), len(right))
        area = shape[0] * shape[1]
        scores, spare = self._scores[:area].view(shape), self._spare[:area].view(shape)
        if self.plan.compute == self.plan.accumulate:
            torch.addmm(scores, left, right.T, beta=0, alpha=self.scale, out=scores)
        else:
            scores.copy_(left @ right.T).mul_(self.scale)
        return scores, spare

    @staticmethod
    def drop(scores: Tensor, hits: Tensor | None, rows: slice, own: slice | None) -> None:
        if hits is not None:
            scores.view(-1)[hits] = -math.inf
        if own == rows:  # both run in steps of one tile, so the positives lie in square tiles
            scores.diagonal().fill_(-math.inf)


def _accumulate(tiles: Tiles, plan: Plan) -> tuple[Sums, Sums | None, Tensor]:
    """The forward pass: the sums of both directions and the facts."""
    positive = tiles.positives()
    limit = None if plan.margin is None else positive + plan.margin * tiles.scale
    rows = plan.sums(positive, limit, 1, tiles.scale)
    columns = plan.sums(positive, limit, 0, tiles.scale) if plan.symmetric else None
    dropped = positive.new_zeros(3, dtype=torch.float64)  # rows, columns, similarity of the rows'
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            scores, spare = tiles.scores(run, side, part)
            hits = mask and mask.dropped(run.start, run.stop)
            if hits is not None:
                dropped[0] += len(hits)
                dropped[1] += len(hits) if own else 0
                dropped[2] += scores.view(-1)[hits].sum()
            tiles.drop(scores, hits, run, own)
            if (left_out := rows.add(scores, run, spare)) is not None:
                dropped[0] += left_out[0]
                dropped[2] += left_out[1]
            if columns is None or own is None:
                continue
            if (left_out := columns.add(scores, own, spare)) is not None:
                dropped[1] += left_out[0]
    return rows, columns, _facts(tiles, plan, rows, dropped)


def _facts(tiles: Tiles, plan: Plan, rows: Sums, dropped: Tensor) -> Tensor:
    count = len(tiles.query)
    negatives = count * (sum(map(len, tiles.sides)) - 1)
    pairs = negatives + (count * (count - 1) if plan.symmetric else 0)
    masked = (dropped[0] + dropped[1] * plan.symmetric) / max(pairs, 1)

    # The sum over all pairs is the product of the sums, so the mean needs no pass of its own.
    wide = torch.float64
    total = tiles.query.sum(0, dtype=wide) @ sum(side.sum(0, dtype=wide) for side in tiles.sides)
    positive = rows.positive.sum(dtype=wide) / tiles.scale
    negative = total - positive - dropped[2] / tiles.scale
    kept = negatives - dropped[0]

    norms = torch.cat(
        [
            torch.linalg.vector_norm(q, dim=1) * torch.linalg.vector_norm(p, dim=1)
            for q, p in zip(tiles.query.split(plan.tile), tiles.own.split(plan.tile), strict=True)
        ]
    ).to(plan.accumulate)
    right = rows.positive - rows.top > plan.slack * tiles.scale * norms
    zero = torch.zeros_like(kept)
    return torch.stack(
        [
            right.to(wide).mean(),
            masked,
            positive / count,
            torch.where(kept > 0.5, negative / kept.clamp(min=1), zero),
        ]
    )


class _Gradients:
    """Sums of G p and G^T q in the accumulation dtype, for the sides that ask for them."""

    def __init__(self, tiles: Tiles, dtype: torch.dtype, needs: tuple[bool, ...]) -> None:
        self.needs = needs
        wanted = [needs[0] or needs[3], *needs[1 : 1 + len(tiles.sides)]]
        self.sums = [
            torch.zeros(side.shape, dtype=dtype, device=side.device) if want else None
            for side, want in zip([tiles.query, *tiles.sides], wanted, strict=True)
        ]

    def add(self, number: int, part: slice, left: Tensor, right: Tensor) -> None:
        total = self.sums[number]
        if total is None:
            return
        if right.dtype == total.dtype:
            total[part].addmm_(left, right)
        else:
            total[part].add_(left.to(right.dtype) @ right)

    def add_positives(self, tiles: Tiles, gradient: Tensor) -> None:
        own = slice(tiles.plan.offset, tiles.plan.offset + len(tiles.query))
        for number, part, other in ((0, slice(None), tiles.own), (1, own, tiles.query)):
            if (total := self.sums[number]) is not None:
                total[part].addcmul_(gradient[:, None], other.to(total.dtype))

    def finish(
        self, tiles: Tiles, grad_loss: Tensor, *inputs: Tensor | None
    ) -> list[Tensor | None]:
        """Gradients of (query, item, extra, 1 / temperature), each in its input's dtype."""
        inverse = inputs[3]
        assert inverse is not None
        query_sum = self.sums[0]
        temperature = None
        if self.needs[3] and query_sum is not None:
            flat = tiles.query.to(query_sum.dtype).reshape(-1)
            temperature = (grad_loss * (flat @ query_sum.view(-1))).to(inverse.dtype)
        factor = grad_loss * inverse
        sums = [*self.sums, None][:3]
        return [
            total.mul_(factor).to(given.dtype)
            if need and total is not None and given is not None
            else None
            for need, total, given in zip(self.needs, sums, inputs[:3], strict=False)
        ] + [temperature]


def _backward_tiles(
    tiles: Tiles, grads: _Gradients, plan: Plan, rows: Sums, columns: Sums | None
) -> None:
    share = plan.share * 0.5 if columns is not None else plan.share
    row_exponent = rows.log_sum() - share.log2()
    column_exponent = None if columns is None else columns.log_sum() - share.log2()
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            scores, spare = tiles.scores(run, side, part)
            tiles.drop(scores, mask and mask.dropped(run.start, run.stop), run, own)
            if columns is not None and column_exponent is not None and own is not None:
                gradient = columns.gradient(scores, own, column_exponent, spare)
                gradient.add_(rows.gradient(scores, run, row_exponent, scores))
            else:
                gradient = rows.gradient(scores, run, row_exponent, scores)
            grads.add(0, run, gradient, tiles.sides[side][part])
            grads.add(1 + side, part, gradient.T, tiles.query[run])
    gradient = rows.positive_gradient(share)
    if columns is not None:
        gradient = gradient + columns.positive_gradient(share)
    grads.add_positives(tiles, gradient)
