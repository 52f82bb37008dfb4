"""Negatives from beyond the batch: labeled item vectors, and a queue of those of earlier steps.

    the paper says   a queue of past vectors, fed by items and hard negatives (TR 3.5, W 4.4)
    leaves open      its length, which encoder fills it, what is masked
    we chose         four batches, the current encoder without momentum, the masks of in-batch items
                     by the very same labels; only items of the loss's own view are its negatives,
                     or the view alone would tell a negative (methods.md 10.3)

Every process of a group holds the same queue: the vectors of a step come gathered, in the order of
the ranks. The queue is a buffer among the stage's modules, so it is saved, resumed and compared
between processes as weights are.

Shape letters: K items, d vector width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moonshelf.objectives.contrastive import KeepOut

LABELS = ("item_ids", "groups", "queries", "texts")
COLUMNS = len(LABELS) + 1
"""Labels of an item as in :class:`KeepOut`, then the code of the view through which it was seen."""


@dataclass(frozen=True)
class Items:
    """``vectors`` [K, d] of items and their ``labels``, int64 [K, COLUMNS]; -1 where none."""

    vectors: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, which: Tensor) -> Items:
        return Items(self.vectors[which], self.labels[which])

    def of_views(self, views: Tensor) -> Items:
        """A copy of those that were seen through one of ``views`` (codes)."""
        which = torch.nonzero(torch.isin(self.labels[:, -1], views)).squeeze(1)
        return Items(self.vectors.index_select(0, which), self.labels[which])


def beside(keep_out: KeepOut, parts: Sequence[Items]) -> KeepOut:
    """``keep_out`` with all of ``parts`` as its extra items."""
    of_kind = torch.cat([part.labels for part in parts]).unbind(1)
    more = {
        f"extra_{name}": labels.contiguous()
        for name, labels in zip(LABELS, of_kind, strict=False)
        if getattr(keep_out, name) is not None
    }
    return dataclasses.replace(keep_out, **more)


def joined(parts: Sequence[Items]) -> Items:
    """All of ``parts``, which are not none, in the dtype of the first."""
    vectors = torch.cat([part.vectors.to(parts[0].vectors.dtype) for part in parts])
    return Items(vectors, torch.cat([part.labels for part in parts]))


def item_labels(keep_out: KeepOut, views: Tensor) -> Tensor:
    """int64 [N, COLUMNS]: labels of the items of ``keep_out``; ``views`` are their codes."""
    given = [getattr(keep_out, name) for name in LABELS]
    columns = [torch.full_like(views, -1) if one is None else one for one in given]
    return torch.stack([*columns, views], dim=1)


class Queue(nn.Module):
    """The newest ``size`` item vectors of earlier steps, first in, first out.

    What is taken and what is left after a step are functions of the steps before it and of that
    step alone: taking for step s sees only what steps before s put in, and putting in for step s
    replaces what step s, or a later one, had put in. So a loss may be computed twice, and a step
    that is never put in leaves a gap and no more.

    Args:
        size: most vectors that are taken.
        room: most vectors that one step puts in.
        width: d.
    """

    vectors: Tensor
    labels: Tensor
    entered: Tensor

    def __init__(self, size: int, room: int, width: int) -> None:
        super().__init__()
        self.size, self.room = size, room
        # Twice the size, so that what is still needed moves to the front only now and then, onto
        # what is not, and the other steps write their own items alone.
        rows = 2 * size + room
        self.register_buffer("vectors", torch.zeros(rows, width))
        self.register_buffer("labels", torch.full((rows, COLUMNS), -1))
        self.register_buffer("entered", torch.full((rows,), -1))  # step; oldest first, then free

    def take(self, step: int) -> tuple[Items, Tensor]:
        """The newest of the steps before ``step``, without a graph, and their ages in steps [K].

        They lie in the queue itself: copy what is to outlive the next :meth:`put`."""
        end = self._before(step)
        newest = slice(max(0, end - self.size), end)
        return Items(self.vectors[newest], self.labels[newest]), step - self.entered[newest]

    @torch.no_grad()
    def put(self, step: int, items: Items) -> None:
        """Takes in the items of ``step`` that have a view, in their order, without their graph."""
        new = items[items.labels[:, -1] >= 0]
        assert len(new) <= self.room, f"{len(new)} items a step, room for {self.room}"
        end = self._before(step)
        if end + len(new) > len(self.entered):
            for buffer in (self.vectors, self.labels, self.entered):
                buffer[: self.size] = buffer[end - self.size : end]
            end = self.size
        place = slice(end, end + len(new))
        self.vectors[place], self.labels[place] = new.vectors, new.labels
        self.entered[place], self.entered[place.stop :] = step, -1

    def _before(self, step: int) -> int:
        """How many came in before ``step``: the first ones."""
        return int(((self.entered >= 0) & (self.entered < step)).sum())
