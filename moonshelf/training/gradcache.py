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

Several processes split the same way: each embeds its own mini-batches, vectors are gathered, every
process computes the loss of the whole batch and pushes its own slices of dL/dv back. The gradients
then add up over processes (parallel.py) to that of the whole batch. What the loss owns has its
whole gradient in every process, so only the leading one keeps it.

A loss may also depend on sums over everything the encoder saw in the step (load balance of experts,
balance.py). They are added up in the first pass, over mini-batches and processes, and every
mini-batch pushes dL/dsums back with its vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from moonshelf.training.parallel import ALONE, Group, gather_sides

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
    group: Group = ALONE,
    sums: Callable[[], Tensor] | None = None,
) -> tuple[LossT, list[Tensor]]:
    """Leaves the gradient of ``loss`` over the whole batch in ``.grad``; in a group of processes,
    this one's part of it (their sum is the gradient).

    Args:
        embed: collated mini-batch -> vectors [b, d].
        batches: the mini-batches of side 1, of side 2, ...; then all of them once more where
            ``passes(counts)`` is 2. In a group, this process's own.
        counts: mini-batches of each side, as many as ``batches`` gives.
        loss: vectors of each side, and sums over the step if there are any -> (scalar, anything
            to report).
        sums: what the last call of ``embed`` adds to the sums of the step, [m], with its graph.

    Returns:
        What ``loss`` reported, and the detached vectors [B, d] of each side.
    """

    def made() -> list[Tensor]:
        vectors = embed(next(batches))
        return [vectors] if sums is None else [vectors, sums()]

    if passes(counts) == 1:
        found = [made() for _ in counts]
        plain, total = [v for v, *_ in found], _total([s for _, *s in found])
        if group.size > 1:
            cut_off = ([t.detach() for t in plain], [t.detach() for t in total])
            report, vectors, gradients = _loss_of_all(*cut_off, loss, group)
            _push([*plain, *total], gradients)
            return report, vectors
        scalar, report = loss(*plain, *total)
        scalar.backward()
        return report, [v.detach() for v in plain]

    states: list[_RandomState] = []
    sides: list[list[Tensor]] = []
    added: list[list[Tensor]] = []
    with torch.no_grad():
        for count in counts:
            side = []
            for _ in range(count):
                states.append(_RandomState())
                vectors, *own = made()
                side.append(vectors)
                added.append(own)
            sides.append(side)
    whole = [torch.cat(side) for side in sides]
    report, vectors, gradients = _loss_of_all(whole, _total(added), loss, group)

    after = _RandomState()
    replay = iter(states)
    slopes = gradients[len(sides) :]
    for side, of_side in zip(sides, gradients, strict=False):
        for gradient in of_side.split([len(part) for part in side]):
            next(replay).restore()
            _push(made(), [gradient, *slopes])
    # The next step draws on from where a run without the second pass would stand.
    after.restore()
    return report, vectors


def _push(made: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """Backward from what has a graph: sums of a frozen router have none."""
    pairs = [(t, g) for t, g in zip(made, gradients, strict=True) if t.requires_grad]
    torch.autograd.backward([t for t, _ in pairs], [g for _, g in pairs])


def _total(added: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The sum of what all passes added, if they did."""
    return [torch.stack(parts).sum(0) for parts in zip(*added, strict=True)]


def _loss_of_all(
    own: list[Tensor],
    sums: list[Tensor],
    loss: Callable[..., tuple[Tensor, LossT]],
    group: Group,
) -> tuple[LossT, list[Tensor], list[Tensor]]:
    """The loss on the vectors and sums of all processes: its report, all vectors of each side, and
    the gradient with respect to ``own`` ones, then to the sums; leaves the gradient of what the
    loss owns, once."""
    whole, places = gather_sides(own, group) if group.size > 1 else (own, [slice(None)] * len(own))
    for values in sums:
        group.add_(values)
    given = [tensor.requires_grad_() for tensor in (*whole, *sums)]
    scalar, report = loss(*given)
    if group.leads:
        scalar.backward()
        gradients = [v.grad for v in given]
    else:
        gradients = torch.autograd.grad(scalar, given)
    found = []
    for gradient, place in zip(gradients, [*places, *[slice(None)] * len(sums)], strict=True):
        assert gradient is not None, "the loss does not depend on one of its sides"
        found.append(gradient[place])
    return report, [v.detach() for v in given[: len(whole)]], found


class _RandomState:
    """torch's random state here and on the current GPU, to replay dropout in the second pass."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None

    def restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._gpu is not None:
            torch.cuda.set_rng_state(self._gpu)
