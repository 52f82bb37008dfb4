"""The arguments of the contrastive losses, checked once for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moonshelf.errors import UsageError
from moonshelf.objectives.masks import KeepOut, LabelMask
from moonshelf.objectives.sums import Sums
from moonshelf.objectives.tiles import Plan

TILE = 1024
"""Rows and columns of a tile: two of them, 8 MiB in float32, stay in a desktop's L3 cache."""

Extra = Tensor | Sequence[Tensor] | None
"""Further items: [K, d], or blocks of them that make K together."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What every loss works on. ``inverse`` is 1 / temperature, ``share`` [B] the weights over
    their sum, ``weight``; ``extra`` the blocks of further items, none or more."""

    query: Tensor
    item: Tensor
    extra: tuple[Tensor, ...]
    inverse: Tensor
    keep_out: KeepOut
    share: Tensor
    weight: Tensor
    offset: int

    def plan(
        self,
        symmetric: bool,
        tile: int,
        compute_dtype: torch.dtype | None,
        sums: Callable[[Tensor, Tensor | None, int, float], Sums] = Sums,
    ) -> Plan:
        """How the streaming passes go over these arguments; ``sums`` is what the loss sums up."""
        usual = torch.float64 if self.query.dtype == torch.float64 else torch.float32
        compute = compute_dtype or usual
        if compute not in (torch.float32, torch.float64, torch.bfloat16):
            raise UsageError(
                f"compute_dtype is {compute}",
                cure="choose float32, float64 or bfloat16, or leave it",
            )
        if tile < 1:
            raise UsageError(f"tile is {tile}, expected at least 1", cure=f"leave it at {TILE}")
        extra = sum(map(len, self.extra))
        keep = self.keep_out
        labels = (keep.item_ids, keep.groups, keep.queries, keep.texts)
        labelled = any(of_one_kind is not None for of_one_kind in labels)
        mask = LabelMask(keep, len(self.query), self.offset, extra) if labelled else None
        return Plan(
            share=self.share.to(torch.float64 if compute == torch.float64 else torch.float32),
            symmetric=symmetric,
            offset=self.offset,
            mask=mask,
            margin=keep.margin,
            tile=tile,
            compute=compute,
            sums=sums,
        )


def check(
    query: Tensor,
    item: Tensor,
    temperature: float | Tensor,
    keep_out: KeepOut | None,
    weights: Tensor | None,
    extra_items: Extra,
    offset: int,
) -> Checked:
    """The arguments of every loss here, checked, with the weights normalized."""
    extra = (extra_items,) if isinstance(extra_items, Tensor) else tuple(extra_items or ())
    every = [("query", query), ("item", item), *(("extra_items", block) for block in extra)]
    for name, side in every:
        if side.ndim != 2 or not side.is_floating_point() or side.shape[1] != query.shape[-1]:
            raise UsageError(
                f"{name} is {side.dtype} {list(side.shape)}, expected floating point "
                f"[rows, {query.shape[-1] if query.ndim else 'd'}]",
                cure="give vectors of one width, one a row",
            )
    count = len(query)
    if not count:
        raise UsageError("there are no positive pairs: query has 0 rows", cure="skip such a batch")
    if not 0 <= offset <= len(item) - count:
        raise UsageError(
            f"{count} queries at offset {offset} need items {offset}..{offset + count - 1}, "
            f"but there are {len(item)}",
            cure="row i of query belongs to row offset + i of item",
        )
    keep_out = keep_out or KeepOut(margin=None)
    keep_out.check(count, len(item), sum(map(len, extra)))
    share, weight = _shares(weights, query)
    inverse = _inverse(temperature, query)
    return Checked(query, item, extra, inverse, keep_out, share, weight, offset)


def _inverse(temperature: float | Tensor, query: Tensor) -> Tensor:
    """1 / temperature as a scalar tensor that keeps the graph of a learnable one."""
    if isinstance(temperature, Tensor):
        if temperature.numel() != 1 or not temperature.is_floating_point():
            raise UsageError(
                f"temperature is {temperature.dtype} {list(temperature.shape)}, expected a scalar",
                cure="pass a float or a floating point tensor of one element",
            )
        inverse = 1 / temperature.reshape(()).to(query.device)
    else:
        dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
        number = float(temperature)
        inverse = torch.tensor(1 / number if number else math.inf, dtype=dtype, device=query.device)
    given, used = float(torch.as_tensor(temperature).detach()), float(inverse.detach())
    if not (math.isfinite(given) and 0 < used < math.inf):
        raise UsageError(
            f"temperature is {given}, expected a positive finite number",
            cure="learn its logarithm, and clamp that, so that it cannot leave the range",
        )
    return inverse


def _shares(weights: Tensor | None, query: Tensor) -> tuple[Tensor, Tensor]:
    """(weights over their sum [B], the sum)."""
    dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
    if weights is None:
        weights = torch.ones(len(query), dtype=dtype, device=query.device)
    if tuple(weights.shape) != (len(query),) or weights.requires_grad:
        raise UsageError(
            f"weights are {list(weights.shape)}, requires_grad={weights.requires_grad}, "
            f"expected constants [{len(query)}]",
            cure="give one number a row, detached",
        )
    weights = weights.to(query.device, dtype)
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        raise UsageError(
            "weights have negative or non-finite entries", cure="give numbers >= 0, one a row"
        )
    total = weights.sum()
    return weights / torch.where(total > 0, total, 1), total
