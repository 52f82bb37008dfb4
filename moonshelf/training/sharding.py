"""Weights, gradients and optimizer state in shards: FSDP2 of torch, for ``compute.shard``.

    every process keeps   some rows of each matrix, of its gradient and of its optimizer state
    and holds the whole   of one layer at a time, gathered when it is computed with, then dropped

(ZeRO, 1910.02054, third stage; FSDP, 2304.11277.) A step is the very step of one process: each
layer's gradient is the sum over processes, as in parallel.py. Where we differ from usual ways:

1. Vectors, scalars and the routers of experts are not sharded: they are one weight in a thousand,
   and stay in float32 where matrices are gathered in bfloat16 (which is what autocast would make
   of them before it multiplies).
2. Gathering is common work: a process whose share of a mini-batch shows no picture would leave the
   others waiting at the vision tower. So processes tell each other which parts of the encoder they
   are about to use, and one that lacks a part passes an empty picture, of which nothing is kept
   (:meth:`Shards.level`).
3. An expert may get no token here and some elsewhere. Its gradient is added up all the same, and is
   none again where no process had one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from moonshelf.encoder.base import Encoder
from moonshelf.encoder.experts import GuidedExperts
from moonshelf.errors import UsageError
from moonshelf.training.gradcache import Batch
from moonshelf.training.parallel import Group


class Shards:
    """Spreads the matrices of ``module`` over ``group``, for good.

    Parameters become ``DTensor``s that hold some rows each. Between steps every one is one; after a
    pass that no backward follows, those outside of layers stay whole until :meth:`fold`.

    Args:
        module: an encoder; its layers and blocks are the units that are gathered.
        bf16: gather the matrices of layers in bfloat16; their gradients are added in float32.

    Raises:
        UsageError: this torch cannot do it, or layers are compiled.
    """

    def __init__(self, module: nn.Module, group: Group, *, bf16: bool = False) -> None:
        self.module, self._group = module, group
        self._watched: dict[str, nn.Parameter] = {}
        self._used: set[str] = set()
        units, experts = list(_units(module)), _with_experts(module)
        _spread(module, units, group, bf16)
        for unit in units:
            if any(m in experts for m in unit.modules()):
                unit.set_reduce_scatter_unused_params(True)  # pyright: ignore
        if experts:
            self._watch(experts)

    def fold(self) -> None:
        """Every matrix in shards: after a pass without backward."""
        self.module.reshard()  # pyright: ignore[reportCallIssue]

    def level(self, batch: Batch) -> Batch:
        """``batch`` for the coming pass, in which all processes use the same parts of the encoder.

        Its own vectors come first, ``batch["count"]`` of them.
        """
        if not isinstance(self.module, Encoder):
            return batch
        own = self.module.parts(batch)
        every = self._group.table(own)
        wanted = [any(some) for some in zip(*every, strict=True)]
        return batch if wanted == list(own) else self.module.filled(batch, wanted)

    def settle(self) -> None:
        """After the last backward of a step: no gradient where no process had one."""
        names = list(self._watched)
        if names:
            counts = self._group.total(*(float(name in self._used) for name in names))
            for name, count in zip(names, counts, strict=True):
                if not count:
                    self._watched[name].grad = None
        self._used.clear()

    def _watch(self, experts: Iterable[nn.Module]) -> None:
        """Notes which matrices of experts get a gradient: told by what stands in their place while
        they are whole, from the first pass on."""
        learned = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        names = {id(p): name for name, p in learned if is_shard(p)}
        for layer in experts:
            places = [(m, key) for m in layer.modules() for key in m._parameters]
            found = [(m, key, names.get(id(m._parameters[key]))) for m, key in places]
            kept = [(m, key, name) for m, key, name in found if name is not None]
            self._watched |= {name: m._parameters[key] for m, key, name in kept}  # pyright: ignore
            _before_first_pass(layer, kept, self._used)


def is_shard(tensor: Tensor) -> bool:
    """Whether this process holds some rows of ``tensor`` only."""
    return hasattr(tensor, "to_local")  # importing DTensor costs what no other run should pay


def own(tensor: Tensor) -> Tensor:
    """The rows of ``tensor`` [n, ...] that this process holds, in the same memory, without graph;
    all of them where it is no shard."""
    return tensor.detach().to_local() if is_shard(tensor) else tensor.detach()  # pyright: ignore


def rows_of(count: int, group: Group) -> list[slice]:
    """Which of ``count`` rows each process holds: as ``torch.chunk`` cuts them."""
    each = math.ceil(count / group.size)
    bounds = [min(count, rank * each) for rank in range(group.size + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


def whole(tensor: Tensor, group: Group) -> Tensor:
    """All rows of ``tensor``; every process must ask for it."""
    if not is_shard(tensor):
        return tensor.detach()
    counts = [part.stop - part.start for part in rows_of(len(tensor), group)]
    return torch.cat(group.gather(own(tensor), counts))


def put(tensor: Tensor, value: Tensor, group: Group) -> None:
    """Makes ``tensor`` hold ``value``, which is whole."""
    part = rows_of(len(tensor), group)[group.rank] if is_shard(tensor) else ...
    own(tensor).copy_(value[part])


def whole_tensors(named: Mapping[str, Tensor], group: Group) -> dict[str, Tensor]:
    """Copies on the CPU in the leading process, one tensor after the other; nothing elsewhere."""
    found: dict[str, Tensor] = {}
    for name in sorted(named):  # in one order everywhere: gathering is common work
        value = whole(named[name], group)
        if group.leads:
            # safetensors wants each tensor on its own, dense.
            found[name] = value.to("cpu", copy=True).contiguous()
    return found


def clip_gradients(parameters: Sequence[nn.Parameter], most: float, group: Group) -> Tensor:
    """Scales gradients so that their norm, over all processes, is ``most`` at most (0: no bound).

    Returns:
        The norm before.
    """
    bound = most or float("inf")
    if not any(is_shard(p) for p in parameters):
        return torch.nn.utils.clip_grad_norm_(parameters, bound)
    moved = [p for p in parameters if p.grad is not None]
    squares = {True: 0.0, False: 0.0}
    for p in moved:
        assert p.grad is not None
        norm = torch.linalg.vector_norm(own(p.grad), dtype=torch.float64)
        squares[is_shard(p)] += float(norm) ** 2
    (shards,) = group.total(squares[True])
    norm = math.sqrt(shards + squares[False])
    factor = bound / (norm + 1e-6)  # as torch has it
    for p in moved:
        if factor < 1:
            assert p.grad is not None
            own(p.grad).mul_(factor)
    return torch.tensor(norm, dtype=torch.float64)


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """Layers and blocks: the outermost children of lists and sequences that have matrices."""
    inside: set[int] = set()
    for parent in module.modules():
        if not isinstance(parent, nn.ModuleList | nn.Sequential):
            continue
        for child in parent:
            if id(child) not in inside and any(p.ndim >= 2 for p in child.parameters()):
                inside |= {id(m) for m in child.modules()}
                yield child


def _with_experts(module: nn.Module) -> set[nn.Module]:
    return {m for m in module.modules() if isinstance(m, GuidedExperts)}


def _spread(module: nn.Module, units: Sequence[nn.Module], group: Group, bf16: bool) -> None:
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    if not hasattr(FSDPModule, "set_reduce_scatter_unused_params"):
        raise UsageError(
            f"torch {torch.__version__} cannot shard weights as we need it",
            where="compute.shard",
            cure="install the torch that constraints.txt names, or leave compute.shard out",
        )
    if any(m._compiled_call_impl is not None for m in module.modules()):
        raise UsageError(
            "compiled layers cannot be gathered",
            where="encoder.compile_layers, compute.shard",
            cure="set one of them to false",
        )
    routers = {id(m.router.weight) for m in _with_experts(module)}  # pyright: ignore
    kept: Any = {p for p in module.parameters() if p.ndim < 2 or id(p) in routers}
    halved = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
    )
    mesh = group.mesh()
    for unit in units:
        policy = halved if bf16 else MixedPrecisionPolicy()
        fully_shard(unit, mesh=mesh, mp_policy=policy, ignored_params=kept)
    # What is left (tables, readout) is used by whoever asks: whole from pass to backward, as it is.
    fully_shard(module, mesh=mesh, ignored_params=kept)
    for part in module.modules():
        if isinstance(part, FSDPModule):
            # Gradients are sums, as everywhere here; no backend but NCCL knows another operation.
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    _as_passes(module)


def _as_passes(module: nn.Module) -> None:
    """Methods besides ``forward`` by which training passes through an encoder."""
    from torch.distributed.fsdp import register_fsdp_forward_method

    if hasattr(module, "causal_states"):
        register_fsdp_forward_method(module, "causal_states")


def _before_first_pass(
    layer: nn.Module, places: Sequence[tuple[nn.Module, str, str]], used: set[str]
) -> None:
    """In the first pass of ``layer`` its matrices stand whole in their ``places``: the tensors that
    get the gradients, in that and every later step."""

    def watch(*_: object) -> None:
        for module, key, name in places:
            stands: Any = module._parameters[key]
            stands.register_post_accumulate_grad_hook(lambda p, name=name: used.add(name))
        handle.remove()

    handle = layer.register_forward_pre_hook(watch)
