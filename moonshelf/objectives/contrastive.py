"""InfoNCE, streaming and exact: the loss of every alignment stage.

    the paper says   L = -log( e^{s(q,p)/tau} / ( e^{s(q,p)/tau} + sum_n keep_n e^{s(q,n)/tau} ) )
                     with in-batch negatives, extra ones from a queue and hard ones (methods.md 2)
    leaves open      tau, the masks, how weights normalize
    we chose         tau 0.05 unless given; the masks of :class:`KeepOut`; a weighted *mean*, so
                     weights say how much a pair matters, not how large a step is

Row i of ``query`` belongs to row ``offset + i`` of ``item``; all other items are its negatives, as
are the extra ones. :func:`info_nce` contrasts each query with the items, and
:func:`symmetric_info_nce` averages that with the other direction. Both go over tiles of the score
matrix (:mod:`moonshelf.objectives.streaming`); :func:`info_nce_dense` is the same loss the plain
way, to read and to test against.

Shape letters: B rows, N items, K extra items, d vector width.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from moonshelf.objectives.arguments import TILE, Checked, Extra, check
from moonshelf.objectives.masks import KeepOut
from moonshelf.objectives.streaming import StreamingContrast

__all__ = ["Contrast", "KeepOut", "info_nce", "info_nce_dense", "symmetric_info_nce"]


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """A contrastive loss and what it saw on the way. All are scalars; only ``loss`` has a graph.

    Across ranks or chunks of rows it combines as ``sum(loss * weight) / sum(weight)``.

    Attributes:
        loss: weighted mean over pairs, in nats.
        weight: the sum of weights it is the mean of (B without weights).
        accuracy: share of queries whose positive beats every kept negative; a tie is a miss.
        masked_share: share of the negative pairs (of both directions) that were kept out.
        positive_similarity: mean over the positive pairs.
        negative_similarity: mean over the kept negatives of the direction query -> item; 0
            where there are none.
    """

    loss: Tensor
    weight: Tensor
    accuracy: Tensor
    masked_share: Tensor
    positive_similarity: Tensor
    negative_similarity: Tensor

    def figures(self) -> dict[str, float]:
        """Everything as plain numbers, for a log."""
        return {name: float(getattr(self, name).detach()) for name in self.__slots__}


def info_nce(
    query: Tensor,
    item: Tensor,
    temperature: float | Tensor = 0.05,
    *,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
    tile: int = TILE,
    compute_dtype: torch.dtype | None = None,
) -> Contrast:
    """Query -> item, in memory that grows with B + N, not with B x N.

    Gradients reach ``query``, ``item``, ``extra_items`` and ``temperature`` (a second derivative
    raises UsageError). Autocast does not reach inside. With items gathered from all ranks, pass
    the local queries and ``offset``; call it once more with the sides swapped for the other
    direction.

    Args:
        query: [B, d], unit rows for the margin and the reported similarities to be cosines.
        item: [N, d], N >= offset + B.
        temperature: tau, a float or a scalar tensor, which may be learnable.
        keep_out: pairs that are no negatives; None keeps every pair in.
        weights: [B], >= 0, of the pairs; constants. All zero gives loss 0 and zero gradients.
        extra_items: [K, d], further negatives of every query (queue, hard negatives); or blocks
            of them, so that those without gradient (a queue) cost none.
        offset: row of ``item`` that belongs to query 0.
        symmetric: the mean with the other direction. Each item with a query of its own is
            contrasted with all B queries; extra items, and items outside ``offset : offset + B``,
            are negatives of the queries only.
        tile: rows and columns computed at a time.
        compute_dtype: of the matrix products: float32 (float64 for float64 input) unless
            bfloat16 is asked for, which rounds the scores themselves to 8 bits. Sums are always
            kept in at least float32.

    Raises:
        UsageError: no pairs, shapes that do not fit, a temperature that is not positive and
            finite, negative or non-finite weights.
    """
    it = check(query, item, temperature, keep_out, weights, extra_items, offset)
    plan = it.plan(symmetric, tile, compute_dtype)
    loss, facts = StreamingContrast.apply(it.query, it.item, it.inverse, plan, *it.extra)
    return Contrast(loss, it.weight, *facts.unbind())


symmetric_info_nce = functools.partial(info_nce, symmetric=True)
"""The mean of query -> item and item -> query; arguments as in :func:`info_nce`."""


def info_nce_dense(
    query: Tensor,
    item: Tensor,
    temperature: float | Tensor = 0.05,
    *,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
) -> Contrast:
    """The loss as written down, with the whole score matrix and a boolean mask, in the dtype of
    its input: slow and large, to read and to test the streaming one against."""
    it = check(query, item, temperature, keep_out, weights, extra_items, offset)

    def scores(similarity: Tensor) -> Tensor:
        return similarity * it.inverse

    return dense_contrast(it, symmetric, scores, scores)


def dense_contrast(
    it: Checked,
    symmetric: bool,
    as_negative: Callable[[Tensor], Tensor],
    as_positive: Callable[[Tensor], Tensor],
) -> Contrast:
    """A contrastive loss by the whole score matrix: the two functions make what is summed, as
    exponents, out of similarities. The plain form behind ``info_nce_dense`` and others."""
    query, count, offset = it.query, len(it.query), it.offset
    every = torch.cat([it.item, *it.extra])
    similarity = query @ every.T
    rows = torch.arange(count, device=query.device)
    positive = similarity[rows, rows + offset]

    keep = _dense_labels(it, len(every))
    allowed = math.inf if it.keep_out.margin is None else it.keep_out.margin
    to_items = keep & (similarity <= positive[:, None] + allowed)
    own = slice(offset, offset + count)
    to_queries = keep[:, own] & (similarity[:, own] <= positive[None, :] + allowed)
    to_items[rows, rows + offset] = to_queries[rows, rows] = True

    lead = as_positive(positive)
    scores = as_negative(similarity).index_put((rows, rows + offset), lead)
    loss = (_log_sum_exp(scores, to_items, dim=1) - lead) @ it.share
    if symmetric:
        back = (_log_sum_exp(scores[:, own], to_queries, dim=0) - lead) @ it.share
        loss = 0.5 * (loss + back)

    with torch.no_grad():
        negatives = to_items.clone()
        negatives[rows, rows + offset] = False
        masked, pairs = (~to_items).sum(), count * (len(every) - 1)
        if symmetric:
            masked, pairs = masked + (~to_queries).sum(), pairs + count * (count - 1)
        highest = similarity.masked_fill(~negatives, -math.inf).amax(1)
        return Contrast(
            loss=loss,
            weight=it.weight,
            accuracy=(positive > highest + _rounding(query, it.item[own])).double().mean(),
            masked_share=masked.double() / max(pairs, 1),
            positive_similarity=positive.detach().double().mean(),
            negative_similarity=(similarity * negatives).sum().double()
            / negatives.sum().clamp(min=1),
        )


def _dense_labels(it: Checked, columns: int) -> Tensor:
    """[B, columns] bool: False where the label rules keep a pair out."""
    count = len(it.query)
    keep = torch.ones(count, columns, dtype=torch.bool, device=it.query.device)
    for entries, labels in it.keep_out.relations(count, it.offset, columns - len(it.item)):
        for row, label in entries.tolist():
            keep[row] &= labels != label
    return keep


def _log_sum_exp(scores: Tensor, keep: Tensor, dim: int) -> Tensor:
    return scores.masked_fill(~keep, -math.inf).logsumexp(dim)


def _rounding(query: Tensor, item: Tensor) -> Tensor:
    """[B], what two ways to sum one product may differ by: closer than that is a tie."""
    return 16 * torch.finfo(query.dtype).eps * query.norm(dim=1) * item.norm(dim=1)
