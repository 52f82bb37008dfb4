"""What is known to be no negative inside a batch: equal texts, carriers of values, log partners."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from moonshelf.objectives.contrastive import KeepOut


def text_codes(texts: Sequence[str]) -> np.ndarray:
    """Equal numbers for equal texts."""
    return np.unique(np.array(texts), return_inverse=True)[1]


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
    """Every item that a log pairs with a given one, and the item itself."""

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
