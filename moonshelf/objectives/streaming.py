"""Contrastive losses over tiles of the score matrix, which never exists as a whole.

    forward     one pass; every tile feeds the running log-sum-exp of its rows and of its columns
    backward    the tile is computed again; its gradient is multiplied into both sides
    the cost    2 BNd flops forward, 6 BNd backward, two exponentials a pair each way; the memory
                is the gradients plus four tiles
    less        2 BNd where a side needs no gradient (a queue), and where scores are kept (tiles.py)

Notes for the reader:

1.  Scores are kept in units of log 2: on this class of CPU exp2 takes a third of the time of exp.
2.  The positive pair starts every running maximum, so it is finite whatever is masked, and is
    then left out of the tiles. Its gradient, softmax - 1, is taken with expm1.
3.  Rows and columns each have their own exponential. Sharing one would save about 2 % and
    underflow where a row lies far below the tile's maximum.
4.  Weights enter the backward as exponents: w * 2^(s - lse) = 2^(s - (lse - log2 w)).
5.  d loss / d (1 / temperature) = sum of G * similarity = sum of <query, d query>: free.
6.  The first :data:`KEPT` scores, masked, wait for the backward pass: all of a small batch with a
    queue, whose tiles are then computed once. More would grow with the square of the batch.

Only the *own* columns, offset .. offset + B - 1, hold a positive, so only they take part in the
direction item -> query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from moonshelf.errors import UsageError
from moonshelf.objectives.sums import Sums
from moonshelf.objectives.tiles import KEPT, Kept, Plan, Tiles


class StreamingContrast(torch.autograd.Function):
    """(query [B, d], item [N, d], 1 / temperature, Plan, blocks of extra items) -> (loss, facts).

    ``facts`` [4], without gradient: accuracy@1, masked share, mean positive similarity, mean
    similarity of the kept negatives, the last and first in the direction query -> item.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, item: Tensor, inverse: Tensor, plan: Plan, *extra: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(query.device.type, enabled=False):
            tiles = Tiles(query, (item, *extra), float(inverse), plan)
            ctx.kept = Kept(KEPT if any(ctx.needs_input_grad) else 0)
            rows, columns, facts = _accumulate(tiles, plan, ctx.kept)
        loss = (plan.share * rows.loss()).sum()
        if columns is not None:
            loss = 0.5 * (loss + (plan.share * columns.loss()).sum())
        ctx.save_for_backward(query, item, inverse, *extra)
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
        query, item, inverse, *extra = ctx.saved_tensors
        for_query, for_item, for_inverse, _, *for_extra = ctx.needs_input_grad
        with torch.autocast(query.device.type, enabled=False):
            tiles = Tiles(query, (item, *extra), float(inverse), ctx.plan)
            # The gradient of the temperature is made of the queries'.
            grads = _Gradients(tiles, [for_query or for_inverse, for_item, *for_extra])
            _backward_tiles(tiles, grads, ctx.plan, ctx.rows, ctx.columns, ctx.kept)
            temperature = grads.of_inverse(grad_loss, inverse) if for_inverse else None
            to_query, to_item, *to_extra = grads.finish(grad_loss * inverse, query, item, *extra)
        return (to_query if for_query else None, to_item, temperature, None, *to_extra)


def _accumulate(tiles: Tiles, plan: Plan, kept: Kept) -> tuple[Sums, Sums | None, Tensor]:
    """The forward pass: the sums of both directions and the facts; fills ``kept``."""
    positive = tiles.positives()
    limit = None if plan.margin is None else positive + plan.margin * tiles.scale
    rows = plan.sums(positive, limit, 1, tiles.scale)
    columns = plan.sums(positive, limit, 0, tiles.scale) if plan.symmetric else None
    dropped = positive.new_zeros(3, dtype=torch.float64)  # rows, columns, similarity of the rows'
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            keep = kept.holds(run, part)
            scores, spare = tiles.scores(run, side, part, lasting=keep)
            hits = mask and mask.dropped(run.start, run.stop)
            if hits is not None:
                dropped[0] += len(hits)
                dropped[1] += len(hits) if own else 0
                dropped[2] += scores.view(-1)[hits].sum()
            tiles.drop(scores, hits, run, own)
            if keep:
                kept.put(run, side, part, scores)
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
    total = _sum(tiles.query, plan) @ sum(_sum(side, plan) for side in tiles.sides)
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


def _sum(side: Tensor, plan: Plan) -> Tensor:
    """float64 [d], of all rows: a tile's in the dtype of the scores, or all would be copied."""
    tiles = [part.sum(0, dtype=plan.accumulate) for part in side.split(plan.tile)]
    return torch.stack(tiles).sum(0, dtype=torch.float64)


class _Gradients:
    """Sums of G p and G^T q in the accumulation dtype, for the sides (queries first) that are
    ``wanted``."""

    def __init__(self, tiles: Tiles, wanted: Sequence[bool]) -> None:
        dtype = tiles.plan.accumulate
        self._query = tiles.query
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

    def of_inverse(self, grad_loss: Tensor, inverse: Tensor) -> Tensor:
        """Gradient of 1 / temperature, from the sums of the queries."""
        total = self.sums[0]
        assert total is not None
        return (grad_loss * (self._query.to(total.dtype).reshape(-1) @ total.view(-1))).to(
            inverse.dtype
        )

    def finish(self, factor: Tensor, *inputs: Tensor) -> list[Tensor | None]:
        """Gradients of query and sides, each in its input's dtype."""
        return [
            None if total is None else total.mul_(factor).to(given.dtype)
            for total, given in zip(self.sums, inputs, strict=True)
        ]


def _backward_tiles(
    tiles: Tiles, grads: _Gradients, plan: Plan, rows: Sums, columns: Sums | None, kept: Kept
) -> None:
    share = plan.share * 0.5 if columns is not None else plan.share
    row_exponent = rows.log_sum() - share.log2()
    column_exponent = None if columns is None else columns.log_sum() - share.log2()
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            if (scores := kept.take(run, side, part)) is not None:
                spare = tiles.spare(run, part)
            else:
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
