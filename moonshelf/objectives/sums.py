"""One direction of a streaming loss: a log-sum-exp that grows tile by tile, and its gradient.

    loss of a row     log(e^positive + sum over kept negatives of e^negative) - positive

:class:`Sums` is InfoNCE, where scores are taken as they are. What weighs scores first (the circle
loss, circle.py) says in :meth:`Sums.logits` and in the two gradients how.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LOG2_E = math.log2(math.e)


class Sums:
    """The running log-sum-exp of one direction, B of them, in log-2 units.

    Args:
        positive: [B], scores of the positive pairs.
        limit: [B], negatives that score higher are left out; None keeps all.
        dim: of a tile, over which is summed.
        scale: score of a similarity of 1.
    """

    def __init__(self, positive: Tensor, limit: Tensor | None, dim: int, scale: float) -> None:
        self.positive, self.limit, self.dim, self.scale = positive, limit, dim, scale
        self.top = torch.full_like(positive, -math.inf)  # highest kept negative
        self.peak = torch.full_like(positive, -math.inf)  # the same before the margin rule
        self.lead = self.positive_logits()
        self.high = self.lead.clone()  # highest logit so far, the positive's in
        self.total = torch.ones_like(positive)  # sum of 2^(logit - high), the positive's in

    def positive_logits(self) -> Tensor:
        """[B], what stands for the positive in the sum."""
        return self.positive

    def logits(self, scores: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        """(what stands for the negatives in the sum, something to overwrite); -inf stays -inf.

        ``scores`` is not changed unless it is ``spare``."""
        return scores, spare

    def add(self, scores: Tensor, part: slice, spare: Tensor) -> tuple[Tensor, Tensor] | None:
        """Takes a tile in; ``spare`` is overwritten. Returns (count, sum) of what the margin
        rule left out, or None where it left out nothing."""
        left_out = None
        highest = scores.amax(self.dim)
        if self.limit is not None:
            self.peak[part] = torch.maximum(self.peak[part], highest)
            if bool((highest > self.limit[part]).any()):
                limit = self.limit[part].unsqueeze(self.dim)
                left_out = _above(scores, limit, self.dim)
                scores = _below(scores, limit, spare)
                highest = scores.amax(self.dim)
        self.top[part] = torch.maximum(self.top[part], highest)
        logits, spare = self.logits(scores, spare)
        if logits is not scores:
            highest = logits.amax(self.dim)
        before = self.high[part]
        now = torch.maximum(before, highest)
        spare = torch.sub(logits, now.unsqueeze(self.dim), out=spare).exp2_()
        self.total[part] = self.total[part] * (before - now).exp2_() + spare.sum(self.dim)
        self.high[part] = now
        return left_out

    def log_sum(self) -> Tensor:
        return self.high + self.total.log2()

    def loss(self) -> Tensor:
        """[B], in natural logarithms."""
        return (self.log_sum() - self.lead) / LOG2_E

    def gradient(self, scores: Tensor, part: slice, exponent: Tensor, out: Tensor) -> Tensor:
        """d loss / d score of a tile: 2^(score - exponent), 0 where the margin rule drops the
        pair; ``out`` may be ``scores``."""
        exponent = exponent[part].unsqueeze(self.dim)
        return torch.sub(self.kept(scores, part, out), exponent, out=out).exp2_()

    def kept(self, scores: Tensor, part: slice, out: Tensor) -> Tensor:
        """``scores`` after the margin rule; in ``out`` where it drops anything."""
        if self.limit is not None and bool((self.peak[part] > self.limit[part]).any()):
            return _below(scores, self.limit[part].unsqueeze(self.dim), out)
        return scores

    def positive_gradient(self, share: Tensor) -> Tensor:
        """[B], d loss / d score of the positives."""
        return share * torch.expm1((self.lead - self.log_sum()) / LOG2_E)


def _above(scores: Tensor, limit: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """How many scores exceed ``limit``, and their sum, in floats as in :func:`_below`."""
    excess = (scores - limit).clamp_(min=0)
    total = excess.sum()
    # No excess is smaller than the rounding of a score, so this is 1 where there is any.
    count = excess.mul_(1e30).clamp_(max=1).sum(dim, keepdim=True)
    return count.sum(), total + (limit * count).sum()


def _below(scores: Tensor, limit: Tensor, out: Tensor) -> Tensor:
    """``scores`` with -inf in place of what exceeds ``limit``. Comparing into booleans and
    filling by them takes several times as long on a CPU."""
    gap = torch.sub(limit, scores, out=out)
    functional.threshold(gap, -torch.finfo(gap.dtype).tiny, math.inf, inplace=True)
    return torch.sub(limit, gap, out=out)
