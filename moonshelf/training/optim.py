"""Which parameter is moved by which rule: Muon for matrices and kernels, AdamW for the rest.

Both stand behind one object, whose state goes in and out as named tensors.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moonshelf.errors import CheckpointError, UsageError
from moonshelf.training.muon import Muon
from moonshelf.training.parallel import ALONE, Group
from moonshelf.training.settings import OptimizerConfig
from moonshelf.training.sharding import is_shard, put

# Tables, readouts and routers by their usual names; nn.Embedding modules are found by type besides.
_ADAMW_NAMES = ("*embed_tokens*", "*pos_embed*", "*head.*", "*head", "*.router.*")


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
        processes: Group = ALONE,
    ) -> None:
        self.placement, self._processes = placement, processes
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

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """The opposite of :meth:`tensors`, of whole tensors; CheckpointError where names or shapes
        disagree."""
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
            states.setdefault(p, {})[quantity] = self._placed(value, p)
        for part in self._parts:
            for group in part.param_groups:
                part.state.update({p: states[p] for p in group["params"] if p in states})

    def _placed(self, value: Tensor, p: nn.Parameter) -> Tensor:
        # States are read on the CPU; fused AdamW wants even its step where the weights are.
        if not value.ndim or not is_shard(p):
            return value.to(p.device, copy=True)
        placed = torch.zeros_like(p, dtype=value.dtype, requires_grad=False)
        put(placed, value, self._processes)
        return placed


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    config: OptimizerConfig,
    *,
    embeddings: Iterable[str] = (),
    dtype: torch.dtype = torch.float32,
    processes: Group = ALONE,
) -> SplitOptimizer:
    """Places every parameter and builds the optimizer.

    Args:
        named_parameters: of the encoder and of the stage; frozen ones are only listed.
        embeddings: names of lookup tables (:func:`embedding_names`): AdamW, like vectors,
            scalars and whatever ``config.adamw`` matches.
        dtype: of Newton-Schulz; bfloat16 where the parity probe allowed it.
        processes: share the work of Newton-Schulz.

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
                processes=processes,
            )
        )
    if adamw:
        parts.append(_adamw(adamw, named, config))
    names = {named[n]: n for n in (*muon, *adamw)}
    placement = Placement(tuple(muon), tuple(adamw), tuple(frozen))
    return SplitOptimizer(parts, names, placement, processes)


def embedding_names(module: nn.Module) -> set[str]:
    """Names of the weights of lookup tables (``nn.Embedding`` and ``nn.EmbeddingBag``)."""
    tables = {
        id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)
    }
    return {name for name, p in module.named_parameters() if id(p) in tables}


def _adamw(
    names: Sequence[str], named: dict[str, nn.Parameter], config: OptimizerConfig
) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name in names:
        # Decay pulls norms, biases and temperatures off their scale: matrices and tables only.
        decay = config.adamw_weight_decay if named[name].ndim >= 2 else 0.0
        # Shards apart: no step of torch takes both kinds at once.
        kind = config.adamw_lr * _slower(name, config), decay, is_shard(named[name])
        groups.setdefault(kind, []).append(named[name])
    return torch.optim.AdamW(
        [{"params": p, "lr": lr, "weight_decay": decay} for (lr, decay, _), p in groups.items()],
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
