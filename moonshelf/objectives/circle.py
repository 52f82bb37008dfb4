"""The circle loss, streaming and exact: pairs that are far from their goal are pulled harder.

    the paper says   L = log(1 + sum_n e^{g a_n (s_n - m)} e^{-g a_p (s_p - (1 - m))})
                     a_p = [1 + m - s_p]_+, a_n = [s_n + m]_+, both without gradient
                     (Sun et al., 2002.10857, equations 6 to 8; methods.md 2)
    leaves open      masks, weights, further negatives, the other direction: those of InfoNCE
    we chose         one positive a row; m 0.25, g 64

With P = g a_p (s_p - (1 - m)) and N_n = g a_n (s_n - m) this is

    L = log(e^P + sum_n e^{N_n}) - P

InfoNCE with 1 / tau = g on weighted similarities. So the tiles, masks and figures are those of
:mod:`moonshelf.objectives.streaming`; only what a similarity stands for in the sum differs, and
its slope: g a_n in place of 1 / tau. :func:`circle_dense` is the same loss the plain way.

A negative below -m has weight 0: it adds e^0 and gets no gradient, as in the paper's formula.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from moonshelf.errors import UsageError
from moonshelf.objectives.arguments import TILE, Checked, Extra, check
from moonshelf.objectives.contrastive import Contrast, dense_contrast
from moonshelf.objectives.masks import KeepOut
from moonshelf.objectives.matryoshka import Nested, nested
from moonshelf.objectives.streaming import StreamingContrast
from moonshelf.objectives.sums import Sums

SCALE, MARGIN = 64.0, 0.25
_FAR = 1e30
"""Further below 0 than any score but that of a pair that is left out."""


class CircleSums(Sums):
    """One direction of the circle loss; units as in :class:`Sums`.

    N is kept as N + g m^2, and P likewise: for scores z = g s it is max(z, -g m)^2 / g.
    """

    def __init__(
        self, positive: Tensor, limit: Tensor | None, dim: int, scale: float, *, margin: float
    ) -> None:
        self._margin, self._held = margin, positive.new_empty(0)
        super().__init__(positive, limit, dim, scale)

    def positive_logits(self) -> Tensor:
        goal = (1 - self._margin) * self.scale
        shift = self._margin**2 * self.scale
        return self._positive_weights() * (self.positive - goal) + shift

    def logits(self, scores: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, scores not below -g m): weights but for a constant; both may be overwritten."""
        logits = torch.clamp(scores, max=-_FAR, out=self._scratch(scores)).add_(_FAR)  # 0 or -inf
        floored = torch.clamp(scores, min=-self._margin * self.scale, out=spare)
        return logits.addcmul_(floored, floored, value=1 / self.scale), floored

    def gradient(self, scores: Tensor, part: slice, exponent: Tensor, out: Tensor) -> Tensor:
        logits, floored = self.logits(self.kept(scores, part, out), out)
        exponent = (exponent[part] + math.log2(self.scale)).unsqueeze(self.dim)
        share = torch.sub(logits, exponent, out=logits).exp2_()
        return floored.add_(self._margin * self.scale).mul_(share)

    def positive_gradient(self, share: Tensor) -> Tensor:
        return super().positive_gradient(share) * self._positive_weights()

    def _positive_weights(self) -> Tensor:
        return (1 + self._margin - self.positive / self.scale).clamp(min=0)

    def _scratch(self, like: Tensor) -> Tensor:
        """A matrix of the tile's shape, kept between tiles."""
        if len(self._held) < like.numel():
            self._held = like.new_empty(like.numel())
        return self._held[: like.numel()].view(like.shape)


def circle(
    query: Tensor,
    item: Tensor,
    *,
    scale: float = SCALE,
    margin: float = MARGIN,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
    tile: int = TILE,
    compute_dtype: torch.dtype | None = None,
) -> Contrast:
    """Query -> item, in memory that grows with B + N, not with B x N.

    Masks (``keep_out.margin`` too is of similarities, not of what they are weighted to), weights,
    extra items, ``symmetric`` and the figures reported are as in :func:`info_nce`.

    Args:
        query: [B, d]. item: [N, d], N >= offset + B. Unit rows, or the margins have no meaning.
        scale: g, of the exponents; in the place of 1 / tau.
        margin: m; positives are to come above 1 - m, negatives to stay below m.

    Raises:
        UsageError: as :func:`info_nce`, or a scale or margin out of range.
    """
    it = _checked(query, item, scale, margin, keep_out, weights, extra_items, offset)
    plan = it.plan(symmetric, tile, compute_dtype, _sums(margin))
    loss, facts = StreamingContrast.apply(it.query, it.item, it.inverse, plan, *it.extra)
    return Contrast(loss, it.weight, *facts.unbind())


def nested_circle(
    query: Tensor,
    item: Tensor,
    widths: Sequence[int],
    *,
    scale: float = SCALE,
    margin: float = MARGIN,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
    tile: int = TILE,
    compute_dtype: torch.dtype | None = None,
) -> Nested:
    """The mean of :func:`circle` over prefixes of ``widths``, in one pass; see matryoshka.py."""
    it = _checked(query, item, scale, margin, keep_out, weights, extra_items, offset)
    return nested(it, widths, it.plan(symmetric, tile, compute_dtype, _sums(margin)))


def circle_dense(
    query: Tensor,
    item: Tensor,
    *,
    scale: float = SCALE,
    margin: float = MARGIN,
    keep_out: KeepOut | None = None,
    weights: Tensor | None = None,
    extra_items: Extra = None,
    offset: int = 0,
    symmetric: bool = False,
) -> Contrast:
    """The loss as written down, with the whole score matrix and its weights detached: slow and
    large, to read and to test the streaming one against."""
    it = _checked(query, item, scale, margin, keep_out, weights, extra_items, offset)

    def as_negative(similarity: Tensor) -> Tensor:
        weight = (similarity + margin).clamp(min=0).detach()
        return scale * weight * (similarity - margin)

    def as_positive(similarity: Tensor) -> Tensor:
        weight = (1 + margin - similarity).clamp(min=0).detach()
        return scale * weight * (similarity - (1 - margin))

    return dense_contrast(it, symmetric, as_negative, as_positive)


def _checked(query: Tensor, item: Tensor, scale: float, margin: float, *given: Any) -> Checked:
    if not (math.isfinite(scale) and scale > 0):
        raise UsageError(
            f"scale is {scale}, expected a positive finite number", cure=f"leave it at {SCALE:g}"
        )
    if not 0 <= margin <= 1:
        raise UsageError(f"margin is {margin}, expected 0 to 1", cure=f"leave it at {MARGIN:g}")
    return check(query, item, 1 / scale, *given)


def _sums(margin: float) -> functools.partial[CircleSums]:
    return functools.partial(CircleSums, margin=margin)
