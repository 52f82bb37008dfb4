"""Muon for matrices and convolution kernels.

The paper says: nothing; the MOON reports name no optimizer for this stage.
We chose: Muon (Jordan 2024), because at equal time it reached 2 to 5 times the R@1 of AdamW in
from-scratch runs here (docs/log.md). Per matrix G [rows, cols]:

    M <- mu M + (1 - mu) G;   U = (1 - mu) G + mu M  (Nesterov)
    O = NewtonSchulz5(U / |U|_F)          ~ U V^T of the SVD: every direction gets the same step
    W <- (1 - lr * decay) W - lr * scale * O

``scale`` is ``sqrt(max(1, rows / cols))`` ("spectral": a step changes every output by about the
same amount whatever the shape) or ``0.2 * sqrt(max(rows, cols))`` ("rms": a step has the RMS of an
AdamW step, so AdamW learning rates carry over). Both agree with ``torch.optim.Muon``.

Deviations: kernels [out, in, kh, kw] are flattened to [out, in*kh*kw]; a stack of experts
[E, rows, cols] is E matrices; equal shapes (after transposing to wide) go through Newton-Schulz in
one batched multiplication. With several processes each orthogonalizes a part of the matrices, and
the results are gathered: the work is shared, the momentum (elementwise, cheap) is everybody's. Of
matrices in shards (sharding.py) each process sends its rows to the one that orthogonalizes, and
gets its rows of the result back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from moonshelf.errors import UsageError
from moonshelf.training.parallel import ALONE, BUCKET, Group, gather_dealt
from moonshelf.training.sharding import is_shard, own, rows_of

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_EPS = 1e-7


def newton_schulz(matrices: Tensor, steps: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """Approximately ``U V^T`` of each of ``matrices`` [n, rows, cols] (rows <= cols); in ``dtype``.

    Singular values land in about [0.7, 1.2]; five steps suffice (see the module's head).
    """
    a, b, c = _COEFFICIENTS
    x = matrices.to(dtype)
    x = x / x.flatten(1).norm(dim=1).clamp(min=_EPS)[:, None, None]
    for _ in range(steps):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)
    return x


@dataclass(frozen=True)
class _Moved:
    """A parameter with a gradient in this step, its settings, and its matrices' wide shape."""

    p: nn.Parameter
    settings: dict[str, Any]
    shape: tuple[int, int, int]

    @property
    def cost(self) -> int:
        """Multiplications of one Newton-Schulz iteration."""
        n, rows, cols = self.shape
        return n * rows * rows * (2 * cols + rows)


class Muon(torch.optim.Optimizer):
    """Muon over matrices, kernels and stacks of matrices; see the module's head."""

    def __init__(
        self,
        groups: Iterable[dict[str, Any]] | Iterable[nn.Parameter],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        scale: Literal["spectral", "rms"] = "spectral",
        steps: int = 5,
        dtype: torch.dtype = torch.float32,
        stacks: Iterable[nn.Parameter] = (),
        processes: Group = ALONE,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(list(groups), defaults)  # pyright: ignore[reportArgumentType]
        self._scale, self._steps, self._dtype = scale, steps, dtype
        self._stacks = {id(p) for p in stacks}
        self._processes = processes
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim < 2:
                    raise UsageError(f"Muon needs matrices, got shape {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every parameter with a gradient; all processes must have the same ones."""
        moved = [
            _Moved(p, group, self._wide_shape(p))
            for group in self.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        for one in moved:
            state = self.state[one.p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(one.p)
            assert one.p.grad is not None
            own(state["momentum"]).lerp_(own(one.p.grad), 1 - one.settings["momentum"])
        for some in _rounds([one for one in moved if not is_shard(one.p)], self._processes.size):
            self._round(some)
        for some in _rounds([one for one in moved if is_shard(one.p)], self._processes.size):
            self._round_of_shards(some)

    def _round(self, moved: Sequence[_Moved]) -> None:
        processes = self._processes
        owners = deal([one.cost for one in moved], processes.size)
        mine = [moved[k] for k in owners[processes.rank]]
        done = self._orthogonalized(mine, [self._update(one) for one in mine])
        none = torch.empty(0, dtype=self._dtype, device=moved[0].p.device)
        shapes = [tuple(one.p.shape) for one in moved]
        steps = gather_dealt(done, shapes, owners, processes, none)
        for one, step in zip(moved, steps, strict=True):
            self._apply(one, step)

    def _round_of_shards(self, moved: Sequence[_Moved]) -> None:
        """Everybody's rows of each matrix to the process that orthogonalizes it, and back."""
        processes = self._processes
        owners = deal([one.cost for one in moved], processes.size)
        held = [self._held(one.p) for one in moved]
        mine = owners[processes.rank]
        none = torch.empty(0, dtype=self._dtype, device=own(moved[0].p).device)
        updates = [self._update(one).to(self._dtype).flatten() for one in moved]
        sent = [torch.cat([none, *(updates[k] for k in things)]) for things in owners]
        sizes = [[held[k][rank] for k in mine] for rank in range(processes.size)]
        found = processes.exchange(sent, [sum(some) for some in sizes])
        split = [part.split(some) for part, some in zip(found, sizes, strict=True)]
        wholes = [
            torch.cat(rows).view(moved[k].p.shape)
            for k, rows in zip(mine, zip(*split, strict=True), strict=True)
        ]
        done = self._orthogonalized([moved[k] for k in mine], wholes)
        cuts = [step.flatten().split(held[k]) for k, step in zip(mine, done, strict=True)]
        back = [torch.cat([none, *(cut[r] for cut in cuts)]) for r in range(processes.size)]
        sizes = [[held[k][processes.rank] for k in things] for things in owners]
        for things, part, some in zip(
            owners, processes.exchange(back, [sum(some) for some in sizes]), sizes, strict=True
        ):
            for k, step in zip(things, part.split(some), strict=True):
                self._apply(moved[k], step)

    def _held(self, p: nn.Parameter) -> list[int]:
        """How many numbers of a sharded ``p`` each process holds."""
        each = p.numel() // len(p)
        return [each * (part.stop - part.start) for part in rows_of(len(p), self._processes)]

    def _orthogonalized(self, moved: Sequence[_Moved], updates: Sequence[Tensor]) -> list[Tensor]:
        """Newton-Schulz of the update of each, in its shape; equal wide shapes in one batch."""
        waiting: dict[tuple[int, int], list[int]] = {}
        for k, one in enumerate(moved):
            waiting.setdefault(one.shape[1:], []).append(k)
        found: dict[int, Tensor] = {}
        for places in waiting.values():
            wide = torch.cat([self._wide(moved[k].p, updates[k]) for k in places])
            steps = newton_schulz(wide, self._steps, self._dtype)
            for k, step in zip(
                places, steps.split([moved[k].shape[0] for k in places]), strict=True
            ):
                found[k] = self._narrow(moved[k].p, step)
        return [found[k] for k in range(len(moved))]

    def _update(self, one: _Moved) -> Tensor:
        """Nesterov: the gradient pulled towards its mean; of a shard, its rows."""
        assert one.p.grad is not None
        buffer = self.state[one.p]["momentum"]
        return own(one.p.grad).lerp(own(buffer), one.settings["momentum"])

    def _matrix(self, p: nn.Parameter) -> tuple[int, int, int]:
        """How many matrices ``p`` is, their rows and columns."""
        if id(p) in self._stacks:
            return p.shape[0], p.shape[1], p.shape[2]
        return 1, len(p), p.numel() // len(p)

    def _wide(self, p: nn.Parameter, value: Tensor) -> Tensor:
        matrices = value.reshape(self._matrix(p))
        return matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices

    def _narrow(self, p: nn.Parameter, step: Tensor) -> Tensor:
        """The opposite of :meth:`_wide`."""
        _, rows, cols = self._matrix(p)
        return (step.mT if rows > cols else step).reshape(p.shape)

    def _wide_shape(self, p: nn.Parameter) -> tuple[int, int, int]:
        n, rows, cols = self._matrix(p)
        return n, min(rows, cols), max(rows, cols)

    def _apply(self, one: _Moved, step: Tensor) -> None:
        p, settings = own(one.p), one.settings
        _, rows, cols = self._matrix(one.p)
        ratio = math.sqrt(max(1, rows / cols))
        factor = ratio if self._scale == "spectral" else 0.2 * math.sqrt(max(rows, cols))
        p.mul_(1 - settings["lr"] * settings["weight_decay"])
        p.add_(step.reshape(p.shape).to(p.dtype), alpha=-settings["lr"] * factor)


def deal(costs: Sequence[int], hands: int) -> list[list[int]]:
    """Which things each of ``hands`` takes, so that sums of costs are near each other: the most
    costly first, each to the hand with the least so far. The same everywhere for the same costs."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    load = [0] * hands
    for k in sorted(range(len(costs)), key=lambda k: -costs[k]):
        least = load.index(min(load))
        dealt[least].append(k)
        load[least] += costs[k]
    return dealt


def _rounds(moved: Sequence[_Moved], hands: int) -> Iterator[list[_Moved]]:
    """Pieces of the work, equal shapes together: a piece bounds what is held at once, and has
    something for every hand."""
    some: list[_Moved] = []
    for one in sorted(moved, key=lambda one: one.shape):
        some.append(one)
        if len(some) >= hands and sum(math.prod(m.shape) for m in some) >= BUCKET:
            yield some
            some = []
    if some:
        yield some
