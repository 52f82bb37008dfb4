"""What is known to be no negative inside a batch: equal texts, carriers of values, log partners."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moonshelf.objectives.contrastive import KeepOut

BEYOND_ROWS = 1 << 40
"""Labels of texts start here: no row of a catalogue or a query table is so large."""


@dataclass(frozen=True)
class Labeled:
    """Rows of one term in a step, as labels of what is no negative are made from them.

    ``rows`` int64 [2, b]: row of each query and of each item; ``texts``: of queries and of items,
    by which they count as the same, None where more than text is shown or none at all;
    ``known`` int64 [P, 2]: (place among these rows, row of an item) of further right answers.
    """

    rows: np.ndarray
    texts: tuple[list[str] | None, list[str] | None]
    known: np.ndarray | None = None


def label(parts: Sequence[Labeled], groups: np.ndarray, margin: float | None) -> KeepOut:
    """What is no negative in a batch of ``parts``, one after the other.

    Args:
        groups: int64 [N] of the catalogue, SPU of each product.
        margin: see :class:`KeepOut`.
    """
    queries, items = np.concatenate([part.rows for part in parts], axis=1)
    # The same text is the same in any part.
    asked, told = (_codes([p.texts[k] for p in parts], [p.rows[k] for p in parts]) for k in (0, 1))
    starts = np.cumsum([0, *(part.rows.shape[1] for part in parts)])
    known = [
        np.stack([part.known[:, 0] + start, part.known[:, 1]], axis=1)
        for part, start in zip(parts, starts[:-1], strict=True)
        if part.known is not None
    ]
    return KeepOut(
        item_ids=torch.from_numpy(items),
        groups=torch.from_numpy(groups[items]),
        queries=torch.from_numpy(np.where(asked >= 0, asked + BEYOND_ROWS, queries)),
        texts=torch.from_numpy(told) if (told >= 0).any() else None,
        known=torch.from_numpy(np.concatenate(known)) if known else None,
        margin=margin,
    )


def _codes(texts: Sequence[list[str] | None], rows: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [B]: equal numbers >= 0 for equal texts over all parts; -1 where none counts."""
    shown = text_codes([text for some in texts for text in some or ()])
    codes, used = [], 0
    for some, of in zip(texts, rows, strict=True):
        codes.append(np.full(len(of), -1) if some is None else shown[used : used + len(of)])
        used += len(some or ())
    return np.concatenate(codes).astype(np.int64)


def text_codes(texts: Sequence[str]) -> np.ndarray:
    """int64 [n]: a number >= 0 for each text, the same in every step and process, so that texts of
    earlier steps can be compared; different texts have different ones (61 bits of BLAKE2b)."""
    keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8) for text in texts]
    return np.array([int.from_bytes(key.digest()) >> 3 for key in keys], dtype=np.int64)


def carriers(texts: Sequence[str], rows: np.ndarray, values: Sequence[Sequence[str]]) -> np.ndarray:
    """(place of a query, row of an item): int64 [P, 2], for every item of the batch that
    carries all words of a query made of attribute values: a right answer, not a negative."""
    carry: dict[str, np.ndarray] = {}  # by word: which items have it
    for place, of_one in enumerate(values):
        for word in " ".join(of_one).split():
            carry.setdefault(word, np.zeros(len(rows), dtype=bool))[place] = True
    nobody = np.zeros(len(rows), dtype=bool)
    found = np.ones((len(texts), len(rows)), dtype=bool)
    for having, text in zip(found, texts, strict=True):
        for word in text.split():
            having &= carry.get(word, nobody)
    query, item = np.nonzero(found)
    return np.stack([query, rows[item]], axis=1).astype(np.int64)


def keep_out_on(keep_out: KeepOut, device: torch.device) -> KeepOut:
    """The same labels where the vectors are."""
    values = {f.name: getattr(keep_out, f.name) for f in dataclasses.fields(keep_out)}
    moved = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return dataclasses.replace(keep_out, **moved)


class Partners:
    """Every item that a log pairs with a given query or item, and the item itself."""

    def __init__(self, pairs: np.ndarray) -> None:
        both = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.unique(pairs)[:, None], 2, 1)])
        both = np.unique(both, axis=0)
        self._first, self._second = both[:, 0].copy(), both[:, 1].copy()

    def __call__(self, queries: np.ndarray) -> np.ndarray:
        """(place in ``queries``, partner): int64 [P, 2]."""
        low = np.searchsorted(self._first, queries)
        count = np.searchsorted(self._first, queries, side="right") - low
        place = np.repeat(np.arange(len(queries)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.stack([place, self._second[low[place] + within]], axis=1).astype(np.int64)
