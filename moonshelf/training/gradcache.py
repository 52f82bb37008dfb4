"""GradCache (2101.06983), lazily: batches far larger than memory, with the exact gradient.

The contrastive loss needs all vectors of the batch at once, but the encoder need not see them at
once, because  dL/dtheta = sum_i dL/dv_i * dv_i/dtheta :

    pass 1   embed mini-batch after mini-batch without a graph; keep only the vectors [B, d]
    loss     on all vectors; gives the loss, dL/dv, and the gradients of what the loss owns
             (a learnable temperature included: it takes part in this pass and in no other)
    pass 2   embed each mini-batch again, now with a graph and the *same* random state (dropout),
             and push its slice of dL/dv back

Lazy: a mini-batch arrives collated when it is due and is dropped when it has been used, in either
pass, so pictures of one mini-batch are in memory at a time. A batch that fits one mini-batch takes
one plain pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Batch = Mapping[str, Tensor]
LossT = TypeVar("LossT")


def passes(counts: Sequence[int]) -> int:
    """How often each mini-batch is needed when sides have ``counts`` mini-batches: 1 or 2."""
    return 1 if max(counts) <= 1 else 2


def cached_backward(
    embed: Callable[[Batch], Tensor],
    batches: Iterator[Batch],
    counts: Sequence[int],
    loss: Callable[..., tuple[Tensor, LossT]],
) -> tuple[LossT, list[Tensor]]:
    """Leaves the gradient of ``loss`` over the whole batch in ``.grad``.

    Args:
        embed: collated mini-batch -> vectors [b, d].
        batches: the mini-batches of side 1, of side 2, ...; then all of them once more where
            ``passes(counts)`` is 2.
        counts: mini-batches of each side.
        loss: vectors of each side -> (scalar, anything to report).

    Returns:
        What ``loss`` reported, and the detached vectors [B, d] of each side.
    """
    if passes(counts) == 1:
        plain = [embed(next(batches)) for _ in counts]
        scalar, report = loss(*plain)
        scalar.backward()
        return report, [v.detach() for v in plain]

    states: list[_RandomState] = []
    sides: list[list[Tensor]] = []
    with torch.no_grad():
        for count in counts:
            side = []
            for _ in range(count):
                states.append(_RandomState())
                side.append(embed(next(batches)))
            sides.append(side)
    vectors = [torch.cat(side).requires_grad_() for side in sides]
    scalar, report = loss(*vectors)
    scalar.backward()

    after = _RandomState()
    replay = iter(states)
    for side, whole in zip(sides, vectors, strict=True):
        assert whole.grad is not None, "the loss does not depend on one of its sides"
        for gradient in whole.grad.split([len(part) for part in side]):
            next(replay).restore()
            embed(next(batches)).backward(gradient)
    # The next step draws on from where a run without the second pass would stand.
    after.restore()
    return report, [v.detach() for v in vectors]


class _RandomState:
    """torch's random state here and on the current GPU, to replay dropout in the second pass."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None

    def restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._gpu is not None:
            torch.cuda.set_rng_state(self._gpu)
