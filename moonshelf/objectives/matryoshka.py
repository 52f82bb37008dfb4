"""InfoNCE of every prefix of the vectors at once (Matryoshka, 2205.13147): exact, in one pass.

    the papers say   L = sum_d w_d L(normalise(r[:, :d])) over some widths d (methods.md 2), so that
                     prefixes of an exported vector are vectors too
    leave open       the widths, the weights
    we chose         widths from the recipe, equal weights that sum to 1

What a loop over the widths computes again and again is shared: the scores of a prefix are those of
the prefix before plus one narrow product, so all widths together cost the products of the widest.
Only what is done to each number of a tile (two exponentials each way) is done once a width.

    S_k = diag(a_k) Q_k P_k^T diag(b_k) / tau     Q_k the first d_k columns, a_k, b_k their 1/norms
    dQ  = sum_k of diag(a_k) G_k diag(b_k) P_k - diag(a_k^2 (G_k * cos_k) 1) Q_k

The second term is the normalization's. Blocks of columns between two widths are shared by all wider
prefixes, so the backward adds the matrices of the widths up, from the widest down, before it
multiplies: again the products of one width.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from moonshelf.errors import UsageError
from moonshelf.objectives.arguments import TILE, Checked, Extra, check
from moonshelf.objectives.contrastive import info_nce
from moonshelf.objectives.masks import KeepOut
from moonshelf.objectives.sums import LOG2_E, Sums
from moonshelf.objectives.tiles import Plan, Tiles

SMALLEST = 1e-12
"""Least norm of a prefix, as in ``torch.nn.functional.normalize``."""


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """The losses of all prefixes of a batch; only ``loss`` has a graph.

    Attributes:
        loss: mean over widths of ``by_width``, a scalar.
        by_width: [m], the loss of each width.
        weight: the sum of the pairs' weights, as in ``Contrast``.
        accuracy: share of queries whose positive beats every kept negative at the widest prefix.
    """

    loss: Tensor
    by_width: Tensor
    weight: Tensor
    accuracy: Tensor


def nested_info_nce(
    query: Tensor,
    item: Tensor,
    widths: Sequence[int],
    temperature: float | Tensor = 0.05,
    *,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
    tile: int = TILE,
    compute_dtype: torch.dtype | None = None,
) -> Nested:
    """The mean of ``info_nce`` over prefixes of ``widths``, each made of unit length first.

    Rows need not be unit. All other arguments are those of :func:`info_nce`; a margin is that of
    the cosines of the width at hand.

    Args:
        query: [B, d]. item: [N, d]. widths: increasing, the last at most d.

    Raises:
        UsageError: as :func:`info_nce`, or widths that are no increasing prefixes.
    """
    it = check(query, item, temperature, keep_out, weights, extra_items, offset)
    return nested(it, widths, it.plan(symmetric, tile, compute_dtype))


def nested(it: Checked, widths: Sequence[int], plan: Plan) -> Nested:
    """The mean over prefixes of the loss that ``plan`` is of."""
    widths, most = tuple(int(width) for width in widths), it.query.shape[1]
    if not widths or list(widths) != sorted({*widths}) or not 0 < widths[0] <= widths[-1] <= most:
        raise UsageError(
            f"widths are {list(widths)}, expected increasing ones from 1 to {most}",
            cure="give each width of a prefix once, smallest first",
        )
    loss, by_width, accuracy = _NestedContrast.apply(
        it.query, it.item, it.inverse, plan, widths, *it.extra
    )
    return Nested(loss, by_width, it.weight, accuracy)


def nested_info_nce_loop(
    query: Tensor,
    item: Tensor,
    widths: Sequence[int],
    temperature: float | Tensor = 0.05,
    **options: Any,
) -> Tensor:
    """The same loss as written down, width after width: to read, and to test and time against."""
    extra = options.pop("extra_items", None)
    blocks = (extra,) if isinstance(extra, Tensor) else tuple(extra or ())

    def cut(side: Tensor, width: int) -> Tensor:
        return functional.normalize(side[:, :width], dim=1, eps=SMALLEST)

    losses = []
    for width in widths:
        more = [cut(block, width) for block in blocks]
        parts = (cut(query, width), cut(item, width), temperature)
        losses.append(info_nce(*parts, extra_items=more, **options).loss)
    return torch.stack(losses).mean()


class _NestedTiles(Tiles):
    """Scores of a tile, width after width. ``lengths`` [m, rows] hold 1/norms of each prefix."""

    def __init__(
        self,
        query: Tensor,
        sides: Sequence[Tensor],
        inverse: float,
        plan: Plan,
        widths: Sequence[int],
    ) -> None:
        super().__init__(query, sides, inverse, plan)
        self.widths = widths
        self.blocks = [slice(a, b) for a, b in zip((0, *widths[:-1]), widths, strict=True)]
        self.lengths = [self._lengths(side) for side in (self.query, *self.sides)]
        self._sum = torch.empty_like(self._scores)

    @functools.cached_property
    def _kept(self) -> list[Tensor]:
        return [torch.empty_like(self._scores) for _ in self.widths]

    def _lengths(self, side: Tensor) -> Tensor:
        wide = side.to(self.plan.accumulate)
        squares = torch.stack([wide[:, block].square().sum(1) for block in self.blocks]).cumsum(0)
        return squares.sqrt().clamp(min=SMALLEST).reciprocal()

    def own_lengths(self) -> Tensor:
        """[m, B] of the items that are positives."""
        return self.lengths[1][:, self.plan.offset : self.plan.offset + len(self.query)]

    def positives_by_width(self) -> Tensor:
        """[m, B] scores of the positives, in log-2 units."""
        wide = [side.to(self.plan.accumulate) for side in (self.query, self.own)]
        products = [(wide[0][:, b] * wide[1][:, b]).sum(1) for b in self.blocks]
        return torch.stack(products).cumsum(0) * self.lengths[0] * self.own_lengths() * self.scale

    def by_width(
        self, rows: slice, side: int, columns: slice
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(number of the width, scores, a spare): both are overwritten by the next."""
        left, right = self.query[rows], self.sides[side][columns]
        total, scores, spare = self._views(
            len(left), len(right), self._sum, self._scores, self._spare
        )
        for k, block in enumerate(self.blocks):
            if self.plan.compute == self.plan.accumulate:
                torch.addmm(total, left[:, block], right[:, block].T, beta=min(k, 1), out=total)
            else:
                product = left[:, block] @ right[:, block].T
                total.add_(product) if k else total.copy_(product)
            torch.mul(total, (self.lengths[0][k, rows] * self.scale)[:, None], out=scores)
            yield k, scores.mul_(self.lengths[1 + side][k, columns]), spare

    def kept(self, rows: int, columns: int) -> list[Tensor]:
        """A matrix of the tile's shape for each width; only the backward pass needs them."""
        return self._views(rows, columns, *self._kept)

    @staticmethod
    def _views(rows: int, columns: int, *held: Tensor) -> list[Tensor]:
        return [one[: rows * columns].view(rows, columns) for one in held]


class _NestedContrast(torch.autograd.Function):
    """(query, item, 1 / temperature, Plan, widths, blocks of extra items) -> (loss, loss of each
    width [m], accuracy of the widest)."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        item: Tensor,
        inverse: Tensor,
        plan: Plan,
        widths: tuple[int, ...],
        *extra: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast(query.device.type, enabled=False):
            tiles = _NestedTiles(query, (item, *extra), float(inverse), plan, widths)
            rows, columns = _accumulate(tiles, plan)
        losses = torch.stack([(plan.share * one.loss()).sum() for one in rows])
        if columns:
            back = torch.stack([(plan.share * one.loss()).sum() for one in columns])
            losses = 0.5 * (losses + back)
        ctx.save_for_backward(query, item, inverse, *extra)
        ctx.plan, ctx.widths, ctx.rows, ctx.columns = plan, widths, rows, columns
        ahead = rows[-1].positive - rows[-1].top
        accuracy = (ahead > plan.slack * tiles.scale).double().mean()
        ctx.mark_non_differentiable(losses, accuracy)
        return losses.mean(), losses, accuracy

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UsageError(
                "the nested loss has no second derivative, but create_graph=True asks for one",
                cure="use info_nce_dense on unit prefixes for gradient penalties and the like",
            )
        query, item, inverse, *extra = ctx.saved_tensors
        for_query, for_item, for_inverse, _, _, *for_extra = ctx.needs_input_grad
        with torch.autocast(query.device.type, enabled=False):
            tiles = _NestedTiles(query, (item, *extra), float(inverse), ctx.plan, ctx.widths)
            grads = _Gradients(tiles, for_extra)
            _backward_tiles(tiles, grads, ctx.plan, ctx.rows, ctx.columns)
            temperature = grads.of_inverse(grad_loss, inverse) if for_inverse else None
            to_query, to_item, *to_extra = grads.finish(grad_loss * inverse, query, item, *extra)
        if not for_query:
            to_query = None
        if not for_item:
            to_item = None
        return (to_query, to_item, temperature, None, None, *to_extra)


def _accumulate(tiles: _NestedTiles, plan: Plan) -> tuple[list[Sums], list[Sums]]:
    positives = tiles.positives_by_width()
    margin = None if plan.margin is None else plan.margin * tiles.scale
    limits = [None if margin is None else positive + margin for positive in positives]
    rows, columns = (
        [
            plan.sums(positive, limit, dim, tiles.scale)
            for positive, limit in zip(positives, limits, strict=True)
        ]
        for dim in (1, 0)
    )
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            hits = mask and mask.dropped(run.start, run.stop)
            for k, scores, spare in tiles.by_width(run, side, part):
                tiles.drop(scores, hits, run, own)
                rows[k].add(scores, run, spare)
                if plan.symmetric and own is not None:
                    columns[k].add(scores, own, spare)
    return rows, columns if plan.symmetric else []


def _backward_tiles(
    tiles: _NestedTiles, grads: _Gradients, plan: Plan, rows: list[Sums], columns: list[Sums]
) -> None:
    share = plan.share / len(tiles.widths) * (0.5 if columns else 1)
    to_items = [one.log_sum() - share.log2() for one in rows]
    to_queries = [one.log_sum() - share.log2() for one in columns]
    for side, part, own, mask in tiles.stripes():
        for run in tiles.rows():
            hits = mask and mask.dropped(run.start, run.stop)
            kept = tiles.kept(run.stop - run.start, part.stop - part.start)
            for k, scores, spare in tiles.by_width(run, side, part):
                tiles.drop(scores, hits, run, own)
                if columns and own is not None:
                    columns[k].gradient(scores, own, to_queries[k], kept[k])
                    kept[k].add_(rows[k].gradient(scores, run, to_items[k], spare))
                else:
                    rows[k].gradient(scores, run, to_items[k], kept[k])
                grads.add_turns(k, run, side, part, kept[k], scores.clamp_(min=-1e30))
            grads.add(run, side, part, kept)
    positives = [one.positive_gradient(share) for one in rows]
    if columns:
        positives = [
            p + c.positive_gradient(share) for p, c in zip(positives, columns, strict=True)
        ]
    grads.add_positives(torch.stack(positives), torch.stack([one.positive for one in rows]))


class _Gradients:
    """Sums over tiles, in the accumulation dtype.

    ``sums`` are G p of each side; ``turns`` [m, rows] the sums of G * score, which the
    normalization of a prefix takes back: a vector does not gain by its length. Queries and items
    always have both, blocks of extra items where they are ``wanted``.
    """

    def __init__(self, tiles: _NestedTiles, wanted: Sequence[bool]) -> None:
        self.tiles, self._wanted = tiles, [True, True, *wanted]
        dtype, every = tiles.plan.accumulate, [tiles.query, *tiles.sides]
        self.sums = [
            side.new_zeros(side.shape if want else 0, dtype=dtype)
            for side, want in zip(every, self._wanted, strict=True)
        ]
        self.turns = [torch.zeros_like(lengths) for lengths in tiles.lengths]

    def add_turns(
        self, k: int, rows: slice, side: int, columns: slice, gradient: Tensor, scores: Tensor
    ) -> None:
        """Takes G * score of a width in, and makes ``gradient`` that of the raw products."""
        turned = scores.mul_(gradient)
        self.turns[0][k, rows] += turned.sum(1)
        if self._wanted[1 + side]:
            self.turns[1 + side][k, columns] += turned.sum(0)
        gradient.mul_(self.tiles.lengths[0][k, rows, None])
        gradient.mul_(self.tiles.lengths[1 + side][k, columns])

    def add(self, rows: slice, side: int, columns: slice, gradients: list[Tensor]) -> None:
        """The products of a tile: a block of columns counts for every width that holds it."""
        tiles, total = self.tiles, None
        for block, gradient in zip(reversed(tiles.blocks), reversed(gradients), strict=True):
            total = gradient if total is None else total.add_(gradient)
            left, right = tiles.query[rows, block], tiles.sides[side][columns, block]
            self.sums[0][rows, block] += total.to(right.dtype) @ right
            if self._wanted[1 + side]:
                self.sums[1 + side][columns, block] += total.T.to(left.dtype) @ left

    def add_positives(self, gradient: Tensor, scores: Tensor) -> None:
        """``gradient`` and ``scores`` [m, B] of the positive pairs."""
        tiles = self.tiles
        own = slice(tiles.plan.offset, tiles.plan.offset + len(tiles.query))
        self.turns[0] += gradient * scores
        self.turns[1][:, own] += gradient * scores
        raw = (gradient * tiles.lengths[0] * tiles.own_lengths()).flip(0).cumsum(0).flip(0)
        for block, factor in zip(tiles.blocks, raw, strict=True):
            self.sums[0][:, block] += factor[:, None] * tiles.own[:, block]
            self.sums[1][own, block] += factor[:, None] * tiles.query[:, block]

    def of_inverse(self, grad_loss: Tensor, inverse: Tensor) -> Tensor:
        """Gradient of 1 / temperature."""
        cosines = self.turns[0].sum() / (float(inverse) * LOG2_E)
        return (grad_loss * cosines).to(inverse.dtype)

    def finish(self, factor: Tensor, *inputs: Tensor) -> list[Tensor | None]:
        """Gradients of query and sides, each in its input's dtype."""
        tiles, found = self.tiles, list[Tensor | None]()
        for place, given in enumerate(inputs):
            if not self._wanted[place]:
                found.append(None)
                continue
            total, side = self.sums[place], [tiles.query, *tiles.sides][place]
            # Scores are in log-2 units of score / temperature; here cosines are needed.
            turns = tiles.lengths[place].square() * self.turns[place] / tiles.scale
            back = turns.flip(0).cumsum(0).flip(0)
            for block, factors in zip(tiles.blocks, back, strict=True):
                total[:, block] -= factors[:, None] * side[:, block]
            found.append(total.mul_(factor).to(given.dtype))
        return found
