"""Muon for matrices and convolution kernels, AdamW for everything else, behind one object.

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
one batched multiplication.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from moonshelf.errors import CheckpointError, UsageError
from moonshelf.training.settings import OptimizerConfig

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_EPS = 1e-7
# Tables and readouts by their usual names; nn.Embedding modules are found by type besides.
_ADAMW_NAMES = ("*embed_tokens*", "*pos_embed*", "*head.*", "*head")


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
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(list(groups), defaults)  # pyright: ignore[reportArgumentType]
        self._scale, self._steps, self._dtype = scale, steps, dtype
        self._stacks = {id(p) for p in stacks}
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim < 2:
                    raise UsageError(f"Muon needs matrices, got shape {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every parameter with a gradient."""
        waiting: dict[tuple[int, int], list[tuple[nn.Parameter, dict[str, Any], Tensor]]] = {}
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                buffer = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = self._as_stack(p, p.grad.lerp(buffer, group["momentum"]))
                if update.shape[1] > update.shape[2]:
                    update = update.mT
                waiting.setdefault((update.shape[1], update.shape[2]), []).append(
                    (p, group, update)
                )
        for entries in waiting.values():
            updates = [update for _, _, update in entries]
            steps = newton_schulz(torch.cat(updates), self._steps, self._dtype)
            parts = steps.split([len(update) for update in updates])
            for (p, group, _), part in zip(entries, parts, strict=True):
                self._apply(p, group, part)

    def _as_stack(self, p: nn.Parameter, value: Tensor) -> Tensor:
        if id(p) in self._stacks:
            return value
        return value.reshape(1, value.shape[0], -1)

    def _apply(self, p: nn.Parameter, group: dict[str, Any], step: Tensor) -> None:
        rows, cols = self._as_stack(p, p).shape[1:]
        if rows > cols:
            step = step.mT
        ratio = math.sqrt(max(1, rows / cols))
        factor = ratio if self._scale == "spectral" else 0.2 * math.sqrt(max(rows, cols))
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(step.reshape(p.shape).to(p.dtype), alpha=-group["lr"] * factor)


@dataclass(frozen=True)
class Placement:
    """Which parameters are moved by which rule, by name."""

    muon: tuple[str, ...]
    adamw: tuple[str, ...]
    frozen: tuple[str, ...]

    def summary(self) -> str:
        return f"{len(self.muon)} by Muon, {len(self.adamw)} by AdamW, {len(self.frozen)} frozen"


class SplitOptimizer:
    """Muon and AdamW stepping together; state goes in and out as named tensors (no pickle)."""

    def __init__(
        self,
        parts: Sequence[torch.optim.Optimizer],
        names: dict[nn.Parameter, str],
        placement: Placement,
    ) -> None:
        self.placement = placement
        self.parameters = list(names)
        self._parts, self._names = tuple(parts), names
        for part in self._parts:
            for group in part.param_groups:
                group["peak"] = group["lr"]

    def step(self, factor: float) -> None:
        """One update with every learning rate at ``factor`` of its peak."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * factor
            part.step()

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """State as ``"<parameter>/<quantity>"`` -> tensor, ready for safetensors."""
        names = {id(p): name for p, name in self._names.items()}
        return {
            f"{names[id(p)]}/{key}": value
            for part in self._parts
            for p, state in part.state.items()
            for key, value in state.items()
        }

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The opposite of :meth:`tensors`; CheckpointError where names or shapes disagree."""
        by_name = {name: p for p, name in self._names.items()}
        states: dict[nn.Parameter, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            name, _, quantity = key.rpartition("/")
            p = by_name.get(name)
            if p is None or (value.ndim and value.shape != p.shape):
                raise CheckpointError(
                    f"optimizer state {key!r} of shape {tuple(value.shape)} fits no parameter",
                    cure="start again without --resume",
                )
            # States are read on the CPU; fused AdamW wants even its step where the weights are.
            states.setdefault(p, {})[quantity] = value.to(p.device, copy=True)
        for part in self._parts:
            for group in part.param_groups:
                part.state.update({p: states[p] for p in group["params"] if p in states})


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    config: OptimizerConfig,
    *,
    embeddings: Iterable[str] = (),
    dtype: torch.dtype = torch.float32,
) -> SplitOptimizer:
    """Places every parameter and builds the optimizer.

    Args:
        named_parameters: of the encoder and of the stage; frozen ones are only listed.
        embeddings: names of lookup tables (:func:`embedding_names`): AdamW, like vectors,
            scalars and whatever ``config.adamw`` matches.
        dtype: of Newton-Schulz; bfloat16 where the parity probe allowed it.

    Raises:
        UsageError: a glob in ``config`` matches nothing, or nothing is left to train.
    """
    named = dict(named_parameters)
    for glob in (*config.muon, *config.adamw, *config.slower):
        if not fnmatch.filter(named, glob):
            raise UsageError(
                f"optimizer glob {glob!r} matches no parameter",
                cure=f"names look like {', '.join(list(named)[:3])}",
            )
    tables = set(embeddings)
    muon = [n for n, p in named.items() if p.requires_grad and _is_matrix(n, p, config, tables)]
    adamw = [n for n, p in named.items() if p.requires_grad and n not in set(muon)]
    frozen = [n for n, p in named.items() if not p.requires_grad]
    if not muon and not adamw:
        raise UsageError("every parameter is frozen", cure="leave some to train")
    parts: list[torch.optim.Optimizer] = []
    if muon:
        groups = [{"params": [named[n]], "lr": config.lr * _slower(n, config)} for n in muon]
        parts.append(
            Muon(
                groups,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                scale=config.scale,
                steps=config.newton_schulz_steps,
                dtype=dtype,
                stacks=[named[n] for n in muon if _is_stack(n, named[n])],
            )
        )
    if adamw:
        parts.append(_adamw(adamw, named, config))
    names = {named[n]: n for n in (*muon, *adamw)}
    return SplitOptimizer(parts, names, Placement(tuple(muon), tuple(adamw), tuple(frozen)))


def embedding_names(module: nn.Module) -> set[str]:
    """Names of the weights of lookup tables (``nn.Embedding`` and ``nn.EmbeddingBag``)."""
    tables = {
        id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)
    }
    return {name for name, p in module.named_parameters() if id(p) in tables}


def _adamw(
    names: Sequence[str], named: dict[str, nn.Parameter], config: OptimizerConfig
) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name in names:
        # Decay pulls norms, biases and temperatures off their scale: matrices and tables only.
        decay = config.adamw_weight_decay if named[name].ndim >= 2 else 0.0
        groups.setdefault((config.adamw_lr * _slower(name, config), decay), []).append(named[name])
    return torch.optim.AdamW(
        [{"params": p, "lr": lr, "weight_decay": decay} for (lr, decay), p in groups.items()],
        betas=config.adamw_betas,
        fused=True,
    )


def _is_matrix(name: str, p: nn.Parameter, config: OptimizerConfig, tables: set[str]) -> bool:
    if config.matrices == "adamw" or p.ndim < 2 or name in tables:
        return False
    if not _any(name, config.muon) and _any(name, (*_ADAMW_NAMES, *config.adamw)):
        return False
    rows, cols = p.shape[-2:] if _is_stack(name, p) else (p.shape[0], p.numel() // p.shape[0])
    return min(rows, cols) > 1


def _any(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, glob) for glob in globs)


def _is_stack(name: str, p: nn.Parameter) -> bool:
    return p.ndim == 3 and "expert" in name


def _slower(name: str, config: OptimizerConfig) -> float:
    return math.prod(v for glob, v in config.slower.items() if fnmatch.fnmatch(name, glob))
