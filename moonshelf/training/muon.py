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
the results are gathered: the work is shared, the momentum (elementwise, cheap) is everybody's.
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
            state["momentum"].lerp_(one.p.grad, 1 - one.settings["momentum"])
        for some in _rounds(moved, self._processes.size):
            self._round(some)

    def _round(self, moved: Sequence[_Moved]) -> None:
        processes = self._processes
        owners = deal([one.cost for one in moved], processes.size)
        own = self._orthogonalized([moved[k] for k in owners[processes.rank]])
        none = torch.empty(0, dtype=self._dtype, device=moved[0].p.device)
        steps = gather_dealt(own, [one.shape for one in moved], owners, processes, none)
        for one, step in zip(moved, steps, strict=True):
            self._apply(one, step)

    def _orthogonalized(self, moved: Sequence[_Moved]) -> list[Tensor]:
        """Newton-Schulz of the update of each, equal shapes in one batch; wide."""
        waiting: dict[tuple[int, int], list[int]] = {}
        for k, one in enumerate(moved):
            waiting.setdefault(one.shape[1:], []).append(k)
        found: dict[int, Tensor] = {}
        for places in waiting.values():
            whole = torch.cat([self._update(moved[k]) for k in places])
            steps = newton_schulz(whole, self._steps, self._dtype)
            found |= zip(places, steps.split([moved[k].shape[0] for k in places]), strict=True)
        return [found[k] for k in range(len(moved))]

    def _update(self, one: _Moved) -> Tensor:
        """Nesterov: the gradient pulled towards its mean, as wide matrices."""
        assert one.p.grad is not None
        buffer = self.state[one.p]["momentum"]
        update = self._as_stack(one.p, one.p.grad.lerp(buffer, one.settings["momentum"]))
        return update.mT if update.shape[1] > update.shape[2] else update

    def _as_stack(self, p: nn.Parameter, value: Tensor) -> Tensor:
        if id(p) in self._stacks:
            return value
        return value.reshape(1, value.shape[0], -1)

    def _wide_shape(self, p: nn.Parameter) -> tuple[int, int, int]:
        n, rows, cols = p.shape if id(p) in self._stacks else (1, len(p), p.numel() // len(p))
        return n, min(rows, cols), max(rows, cols)

    def _apply(self, one: _Moved, step: Tensor) -> None:
        p, settings = one.p, one.settings
        rows, cols = p.shape[-2:] if id(p) in self._stacks else (len(p), p.numel() // len(p))
        if rows > cols:
            step = step.mT
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
