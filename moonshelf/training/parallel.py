"""What the processes of one run say to each other; a run of one process says nothing.

Every process holds the whole model. Of each step, which is the batch of a one-process run, it
embeds a contiguous share; vectors are gathered, gradients added, Newton-Schulz shared out, and
every process takes the same step. So few words suffice: a :class:`Group` knows its place, gathers
rows, adds tensors and numbers, and compares. Process 0 *leads*: it alone writes, validates, talks.

A process that ends takes its connections with it: the next word of the others is a
:class:`LostProcess` (what it had died of is told by processes.py).
"""

from __future__ import annotations

import contextlib
import functools
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from moonshelf.errors import MoonshelfError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

BUCKET = 1 << 24
"""Numbers added in one go: 64 MiB in float32 bound what is copied; small models need one go."""


class LostProcess(MoonshelfError):
    """Another process of this run failed or was ended; this one cannot go on alone."""


class ProcessesApart(MoonshelfError):
    """Processes that must hold the same numbers do not."""


class Group:
    """The processes of a run and this one's place among them; this class is a group of one.

    ``rank`` of ``size`` processes; ``local_rank`` of ``local_size`` on this machine.
    """

    rank, size = 0, 1
    local_rank, local_size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, validates, shows progress."""
        return self.rank == 0

    def table(self, numbers: Sequence[int]) -> list[list[int]]:
        """``numbers`` of every process, by rank: equally many everywhere; waits for all."""
        return [list(numbers)]

    def total(self, *numbers: float) -> list[float]:
        """Each of ``numbers`` summed over processes: the very same floats everywhere."""
        return list(numbers)

    def gather(self, own: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """Tensors [counts[r], ...] of every process r; ``own`` is [counts[rank], ...].

        Without a graph; dtype and the sizes after the first are the same everywhere.
        """
        return [own]

    def exchange(self, parts: Sequence[Tensor], counts: Sequence[int]) -> list[Tensor]:
        """``parts[r]`` [n] goes to process r; what each process r sent here, [counts[r]]. One dtype
        everywhere, without a graph."""
        return list(parts)

    def mesh(self) -> DeviceMesh:
        """The processes as torch's own sharding wants to be told of them."""
        raise NotImplementedError("a group of one has nothing to shard")

    def add_(self, values: Tensor) -> None:
        """``values`` become their sum over processes: the very same numbers everywhere."""

    def barrier(self) -> None:
        """Waits until every process has come here."""
        self.table([0])

    def from_leader(self, number: int) -> int:
        """The ``number`` of process 0."""
        return self.table([number])[0][0]

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """The block in process 0, then in all others: for what the first one leaves on disk."""
        if not self.leads:
            self.barrier()
        yield
        if self.leads:
            self.barrier()

    def share(self, count: int) -> slice:
        """This process's part of ``count`` things in order; parts differ by one at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)


ALONE = Group()


class DistributedGroup(Group):
    """Several processes over ``torch.distributed``; its default group must be up, with gloo.

    Args:
        local: (rank, size) on this machine.
        device: of the tensors that are gathered and added; numbers always go through the CPU.
    """

    def __init__(self, local: tuple[int, int], device: torch.device) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local_rank, self.local_size = local
        self._device = device
        # Processes wait for the leader (who validates, say) in `table` and `total` only, without
        # a limit that matters; NCCL, which always follows, keeps its own short one.
        self._tensors = dist.new_group(backend="nccl") if device.type == "cuda" else None

    def table(self, numbers: Sequence[int]) -> list[list[int]]:
        own = torch.tensor(numbers, dtype=torch.int64)
        found = own.new_empty(self.size, len(own))
        with lost_is_told():
            dist.all_gather(list(found.unbind()), own)
        return found.tolist()

    def total(self, *numbers: float) -> list[float]:
        values = torch.tensor(numbers, dtype=torch.float64)
        with lost_is_told():
            dist.all_reduce(values)
        return values.tolist()

    def gather(self, own: Tensor, counts: Sequence[int]) -> list[Tensor]:
        most = max(counts)
        padded = own.detach().contiguous()
        if len(own) < most:
            padded = torch.cat([padded, own.new_zeros(most - len(own), *own.shape[1:])])
        found = own.new_empty(self.size, *padded.shape)
        with lost_is_told():
            # Bytes: every backend knows them, whatever the dtype.
            parts = [part.view(torch.uint8) for part in found.unbind()]
            dist.all_gather(parts, padded.view(torch.uint8), group=self._tensors)
        return [part[:count] for part, count in zip(found.unbind(), counts, strict=True)]

    def exchange(self, parts: Sequence[Tensor], counts: Sequence[int]) -> list[Tensor]:
        sent = torch.cat([part.detach() for part in parts])
        found, size = sent.new_empty(sum(counts)), sent.element_size()
        with lost_is_told():
            dist.all_to_all_single(
                found.view(torch.uint8),
                sent.view(torch.uint8),
                [size * count for count in counts],
                [size * len(part) for part in parts],
                group=self._tensors,
            )
        return list(found.split(list(counts)))

    def mesh(self) -> DeviceMesh:
        from torch.distributed.device_mesh import DeviceMesh

        group = dist.group.WORLD if self._tensors is None else self._tensors
        assert group is not None and not isinstance(group, int)
        return DeviceMesh.from_group(group, self._device.type)

    def add_(self, values: Tensor) -> None:
        with lost_is_told():
            dist.all_reduce(values, group=self._tensors)


def add_gradients(parameters: Iterable[nn.Parameter], group: Group, bucket: int = BUCKET) -> None:
    """``.grad`` of each parameter becomes its sum over processes, in float32 or wider.

    A parameter without a gradient in every process keeps None, as in a run of one process (a step
    that shows no picture must not decay the vision tower).
    """
    if group.size == 1:
        return
    for some in _buckets(parameters, bucket):
        dtype = functools.reduce(torch.promote_types, (p.dtype for p in some), torch.float32)
        sizes = [p.numel() for p in some]
        flat = torch.zeros(sum(sizes) + len(some), dtype=dtype, device=some[0].device)
        *sums, present = flat.split([*sizes, len(some)])
        for k, (p, part) in enumerate(zip(some, sums, strict=True)):
            if p.grad is not None:
                part.view(p.shape).copy_(p.grad)
                present[k] = 1
        group.add_(flat)
        for p, part, anywhere in zip(some, sums, present.tolist(), strict=True):
            p.grad = part.view(p.shape).to(p.dtype) if anywhere else None


def gather_sides(sides: Sequence[Tensor], group: Group) -> tuple[list[Tensor], list[slice]]:
    """Each side's vectors [B, d] of all processes, ranks in order, and where the own ones stand.

    Args:
        sides: own vectors [b, d] of each side; b may differ between sides and processes.
    """
    counts = group.table([len(side) for side in sides])
    parts = group.gather(torch.cat(list(sides)), [sum(own) for own in counts])
    split = [part.split(own) for part, own in zip(parts, counts, strict=True)]
    whole = [torch.cat([by_rank[k] for by_rank in split]) for k in range(len(sides))]
    starts = [sum(own[k] for own in counts[: group.rank]) for k in range(len(sides))]
    places = [slice(s, s + len(side)) for s, side in zip(starts, sides, strict=True)]
    return whole, places


def gather_dealt(
    own: Sequence[Tensor],
    shapes: Sequence[tuple[int, ...]],
    dealt: Sequence[Sequence[int]],
    group: Group,
    none: Tensor,
) -> list[Tensor]:
    """Things [shapes[k]] that processes have shared out, all of them, in order.

    Args:
        own: what this process made, in the order of ``dealt[rank]``.
        shapes: of every thing.
        dealt: which things each process made.
        none: [0], of the things' dtype and device, for a process that made none.
    """
    if group.size == 1:
        ordered = dict(zip(dealt[0], own, strict=True))
        return [ordered[k] for k in range(len(shapes))]
    sizes = [math.prod(shape) for shape in shapes]
    flat = torch.cat([none, *(thing.flatten() for thing in own)])
    parts = group.gather(flat, [sum(sizes[k] for k in things) for things in dealt])
    found: dict[int, Tensor] = {}
    for things, part in zip(dealt, parts, strict=True):
        found |= zip(things, part.split([sizes[k] for k in things]), strict=True)
    return [found[k].view(shape) for k, shape in enumerate(shapes)]


def check_same(named: Mapping[str, Tensor | int], group: Group, where: str) -> None:
    """Compares numbers and tensors (by the sum of their bits) that must not differ.

    Raises:
        ProcessesApart: naming the first thing that differs.
    """
    if group.size == 1:
        return
    names = sorted(named)  # what was loaded comes in any order
    code = zlib.crc32("\n".join(names).encode())
    if len({tuple(row) for row in group.table([len(names), code])}) > 1:
        raise _apart("what they hold", where)
    values = [named[name] for name in names]
    lead, *others = group.table([v if isinstance(v, int) else int(_bits(v)) for v in values])
    for other in others:
        for name, a, b in zip(names, lead, other, strict=True):
            if a != b:
                raise _apart(name, where)


def _apart(what: str, where: str) -> ProcessesApart:
    return ProcessesApart(
        f"processes that must hold the same do not: {what} differs",
        where=where,
        cure="run all with the same recipe, catalogue, libraries and kind of processor",
    )


def _bits(tensor: Tensor) -> Tensor:
    """The sum of a tensor's bits read as integers: exact in any order, int64 scalar."""
    flat = tensor.detach().contiguous().reshape(-1)
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return flat.view(kinds[flat.element_size()]).sum(dtype=torch.int64)


def _buckets(parameters: Iterable[nn.Parameter], bucket: int) -> Iterator[list[nn.Parameter]]:
    some: list[nn.Parameter] = []
    for p in parameters:
        if some and sum(q.numel() for q in some) + p.numel() > bucket:
            yield some
            some = []
        some.append(p)
    if some:
        yield some


@contextlib.contextmanager
def lost_is_told(sure: bool = True) -> Iterator[None]:
    """A peer that is gone is a LostProcess; not ``sure``: where other errors may come up too."""
    try:
        yield
    except RuntimeError as error:  # what torch.distributed raises when a peer is gone
        if not sure and not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise LostProcess(
            f"another process of this run is gone ({str(error).partition(chr(10))[0][:160]})",
            cure="look at what that process said; then go on with --resume",
        ) from error
