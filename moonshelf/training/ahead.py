"""Preparing the steps to come in a thread, while the main thread computes."""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from torch import Tensor, nn

from moonshelf.errors import UsageError
from moonshelf.training.gradcache import Batch, passes
from moonshelf.training.parallel import ALONE, Group

Loss: TypeAlias = tuple[Tensor, Mapping[str, float | Tensor]]
"""A scalar, and parts to report."""


@dataclass(frozen=True)
class Work:
    """One step of a stage: what to collate, and which catalogue rows it is about.

    ``pairs`` (B) is how many pairs the step holds; ``rows[k]`` is the catalogue row of every vector
    of side k (for messages); ``about`` is whatever the stage's own loss needs.
    ``sides[k]`` are the mini-batches of side k as functions that collate them; each may be
    called twice (GradCache) and from another thread, and gives the same both times. In a group of
    processes each has its own ones there (:meth:`part_of`); all else is about the whole step.
    """

    step: int
    label: str
    pairs: int
    rows: Sequence[np.ndarray]
    sides: Sequence[Sequence[Callable[[], Batch]]]
    about: Any = None

    @property
    def counts(self) -> list[int]:
        return [len(side) for side in self.sides]

    def part_of(self, group: Group, alike: bool = False) -> Work:
        """The same step with the mini-batches of this process alone: a contiguous share; ``alike``:
        equally many for each."""
        if group.size == 1:
            return self
        if min(self.counts) < group.size:
            raise UsageError(
                f"{min(self.counts)} mini-batches are too few for {group.size} processes",
                where=f"step {self.step}, term {self.label}",
                cure="use fewer processes, a larger batch, or leave terms with few pairs out",
            )
        if alike and any(count % group.size for count in self.counts):
            raise UsageError(
                f"{self.counts} mini-batches a side are not equally many for {group.size} "
                "processes, which gather weights for each together",
                where=f"step {self.step}, term {self.label}",
                cure="set mini_batch to 2 or more, or leave compute.shard out",
            )
        return replace(self, sides=[side[group.share(len(side))] for side in self.sides])


def cut(count: int, most: int | None, processes: int = 1) -> list[slice]:
    """``count`` rows (at least ``processes``) in mini-batches: equally many for each process, even
    in size, none of more than ``most`` rows."""
    each = math.ceil(count / (processes * (most or count)))
    pieces = min(count, processes * each)
    bounds = [k * count // pieces for k in range(pieces + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


class Stage(Protocol):
    """What the loop asks of a stage."""

    name: str

    def work(self, step: int) -> Work:
        """The work of ``step``: a pure function; called from the preparing thread."""
        ...

    def embed(self, batch: Batch) -> Tensor:
        """Vectors [b, d] of one collated mini-batch."""
        ...

    def loss(self, work: Work, /, *vectors: Tensor) -> Loss:
        """Loss of a step, given all vectors of each side of ``work``."""
        ...

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything with weights: trained, saved, resumed."""
        ...


class Ahead:
    """Plans and collates in a thread while the main thread computes; order and content are the
    stage's alone, so it changes nothing but the time. At most two mini-batches wait."""

    def __init__(
        self,
        stage: Stage,
        first: int,
        end: int | None,
        depth: int = 2,
        group: Group = ALONE,
        alike: bool = False,
    ) -> None:
        self.waited, self._alike = 0.0, alike
        self._stage, self._first, self._end, self._group = stage, first, end, group
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._prepare, name="moonshelf-ahead", daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def next_step(self) -> tuple[Work, Iterator[Batch]]:
        """The coming step's work, and its mini-batches in the order GradCache needs them."""
        work = self._take()
        return work, (self._take() for _ in range(sum(work.counts) * passes(work.counts)))

    def _take(self) -> Any:
        start = time.perf_counter()
        found = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(found, BaseException):
            raise found
        return found

    def _prepare(self) -> None:
        try:
            step = self._first
            while self._end is None or step < self._end:
                work = self._stage.work(step).part_of(self._group, self._alike)
                if not self._put(work):
                    return
                for _ in range(passes(work.counts)):
                    for side in work.sides:
                        for collate in side:
                            if not self._put(collate()):
                                return
                step += 1
        except BaseException as error:
            self._put(error)

    def _put(self, value: Any) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(value, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
