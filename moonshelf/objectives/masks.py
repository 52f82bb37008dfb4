"""Which pairs are kept out of the denominators, said with integer labels in place of an N x N mask.

    the paper says   same-product pairs make false negatives; pairs scored above the positive by
                     0.1 are likely false negatives too (methods.md section 2, 10.3; 2601.04720)
    leaves open      how to mask a batch too large for a boolean per pair
    we chose         labels per column, known positives as a list of pairs, and a join of sorted
                     labels tile by tile: memory grows with the batch, not with its square; only
                     a tile full of equal labels costs as much as a boolean mask would

Shape letters: B rows (queries), N items, K extra items, P known pairs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moonshelf.errors import UsageError

UNKNOWN = -1
"""The label of a column of which nothing is known; any negative label means the same."""


@dataclass(frozen=True, slots=True, eq=False)
class KeepOut:
    """What is no negative of a query. All labels are int64; a negative label equals nothing.

    A pair (query, item) is kept out when the item has the item id, the group or the text of the
    query's positive, when it was paired with the same query, when it is another known positive,
    or when its similarity passes the positive's by more than ``margin``. All but the last hold for
    both directions; the margin is taken from the positive pair of the row or column it is applied
    in.

    Args:
        item_ids: [N], which catalogue entry each item is.
        groups: [N], the SPU of each item.
        queries: [N], the query each item is paired with in this batch (equal texts, equal label).
        texts: [N], equal for items that show nothing but one and the same text.
        extra_item_ids, extra_groups, extra_queries, extra_texts: [K], the same of the extra items.
        known: [P, 2] of (row of ``query``, item id): further positives of that query. Needs
            ``item_ids``; pairs whose item is absent from the batch are harmless.
        margin: in units of similarity (cosine for unit vectors); None switches the rule off.
    """

    item_ids: Tensor | None = None
    groups: Tensor | None = None
    queries: Tensor | None = None
    extra_item_ids: Tensor | None = None
    extra_groups: Tensor | None = None
    extra_queries: Tensor | None = None
    extra_texts: Tensor | None = None
    known: Tensor | None = None
    margin: float | None = 0.1
    texts: Tensor | None = None

    def check(self, rows: int, items: int, extra: int) -> None:
        """Raises UsageError where a shape, type or value does not fit the batch."""
        expected = {
            "item_ids": (items,),
            "groups": (items,),
            "queries": (items,),
            "texts": (items,),
            "extra_item_ids": (extra,),
            "extra_groups": (extra,),
            "extra_queries": (extra,),
            "extra_texts": (extra,),
        }
        for name, shape in expected.items():
            _check_labels(getattr(self, name), shape, f"keep_out.{name}")
        if self.known is not None:
            _check_labels(self.known, (len(self.known), 2), "keep_out.known")
            if self.item_ids is None:
                raise UsageError(
                    "keep_out.known names item ids, but keep_out.item_ids is missing",
                    cure="pass item_ids too",
                )
            if (
                len(self.known)
                and not 0 <= int(self.known[:, 0].min()) <= int(self.known[:, 0].max()) < rows
            ):
                raise UsageError(
                    f"keep_out.known has a row outside 0..{rows - 1}",
                    cure="give rows of `query`, not of the gathered batch",
                )
        for name in ("item_ids", "groups", "queries", "texts"):
            extra_name = f"extra_{name}"
            if getattr(self, extra_name) is not None and getattr(self, name) is None:
                raise UsageError(
                    f"keep_out.{extra_name} is given, but keep_out.{name} is missing",
                    cure=f"pass {name} too: the labels of extra items are compared with them",
                )
        if self.margin is not None and not (math.isfinite(self.margin) and self.margin >= 0):
            raise UsageError(
                f"keep_out.margin is {self.margin}, expected a finite number >= 0 or None",
                cure="pass None to switch the margin rule off",
            )

    def relations(self, rows: int, offset: int, extra: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs (entries [E, 2] of (row, label), labels [N + K] of the columns): an entry's row
        is kept apart from every column with its label."""
        for own, more, known in (
            (self.item_ids, self.extra_item_ids, self.known),
            (self.groups, self.extra_groups, None),
            (self.queries, self.extra_queries, None),
            (self.texts, self.extra_texts, None),
        ):
            if own is None:
                continue
            if more is None:
                more = own.new_full((extra,), UNKNOWN)
            row = torch.arange(rows, device=own.device)
            entries = torch.stack([row, own[offset : offset + rows]], dim=1)
            if known is not None:
                entries = torch.cat([entries, known.to(own.device)])
            entries = entries[entries[:, 1] >= 0]
            yield _distinct(entries), torch.cat([own, more])


@dataclass(frozen=True, slots=True)
class _Relation:
    """Entries (``row``, ``label``), in order of rows, and the ``columns`` whose ``labels`` some
    entry has: a queue of thousands leaves few of them, or none."""

    row: Tensor
    label: Tensor
    columns: Tensor
    labels: Tensor

    @classmethod
    def of(cls, entries: Tensor, labels: Tensor) -> _Relation:
        row, label = (part.contiguous() for part in entries.unbind(1))
        wanted = torch.unique(label)
        place = torch.searchsorted(wanted, labels).clamp_(max=len(wanted) - 1)
        columns = torch.nonzero(wanted[place] == labels).squeeze(1)
        return cls(row, label, columns, labels[columns])

    def within(self, begin: int, end: int) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """(row, label, labels of columns ``begin:end`` sorted, those columns from 0 on)."""
        ends = torch.tensor([begin, end], device=self.row.device)
        low, high = torch.searchsorted(self.columns, ends).tolist()
        if low == high:
            return None
        ordered, order = self.labels[low:high].sort()
        return self.row, self.label, ordered, self.columns[low:high][order] - begin


class LabelMask:
    """The label rules of a :class:`KeepOut` (all but the margin), asked for tile by tile.

    Columns are numbered 0..N-1 for the items, N.. for the extra ones; row i's positive is
    column ``offset + i`` and is never reported.
    """

    def __init__(self, keep_out: KeepOut, rows: int, offset: int, extra: int) -> None:
        self._relations = [
            _Relation.of(entries, labels)
            for entries, labels in keep_out.relations(rows, offset, extra)
            if len(entries)
        ]
        self._offset = offset

    def stripe(self, begin: int, end: int) -> LabelStripe:
        """The mask of columns ``begin:end``, to be asked for runs of rows."""
        return LabelStripe(self._relations, begin, end, self._offset)


class LabelStripe:
    """One stripe of columns of a :class:`LabelMask`."""

    def __init__(self, relations: list[_Relation], begin: int, end: int, offset: int) -> None:
        self._relations, self._begin, self._end, self._offset = relations, begin, end, offset

    @functools.cached_property
    def _parts(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        found = [relation.within(self._begin, self._end) for relation in self._relations]
        return [part for part in found if part is not None]

    def dropped(self, begin: int, end: int) -> Tensor | None:
        """Flat indices into the tile [end - begin, width] of the pairs kept out, each once."""
        found, width = [], self._end - self._begin
        for row, label, ordered, columns in self._parts:
            ends = torch.tensor([begin, end], device=row.device)
            low, high = torch.searchsorted(row, ends).tolist()
            local, label = row[low:high] - begin, label[low:high]
            first = torch.searchsorted(ordered, label)
            count = torch.searchsorted(ordered, label, right=True) - first
            total = int(count.sum())
            if not total:
                continue
            # Entry e matches the run ordered[first[e] : first[e] + count[e]]; lay the runs out.
            start = (first - (count.cumsum(0) - count)).repeat_interleave(count)
            column = columns[start + torch.arange(total, device=row.device)]
            local = local.repeat_interleave(count)
            negative = column + self._begin != local + begin + self._offset
            found.append((local * width + column)[negative])
        if not found:
            return None
        hits = found[0] if len(found) == 1 else torch.cat(found).unique()
        return hits if len(hits) else None


def _distinct(entries: Tensor) -> Tensor:
    """Each of ``entries`` [E, 2] once, in order of row and label.

    ``torch.unique(dim=0)`` says the same 12 times as slowly: it compares rows of a matrix, this
    single numbers. A label is replaced by its rank, so that no product with it can overflow.
    """
    if not len(entries):
        return entries
    labels, rank = torch.unique(entries[:, 1], return_inverse=True)
    key = torch.unique(entries[:, 0] * len(labels) + rank)
    return torch.stack([key // len(labels), labels[key % len(labels)]], dim=1)


def _check_labels(labels: Tensor | None, shape: tuple[int, ...], name: str) -> None:
    if labels is None:
        return
    if labels.dtype != torch.int64 or tuple(labels.shape) != shape:
        raise UsageError(
            f"{name} is {labels.dtype} {list(labels.shape)}, expected int64 {list(shape)}",
            cure="give one integer label per column, -1 where it is unknown",
        )
