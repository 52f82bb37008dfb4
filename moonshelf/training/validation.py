"""A quick look at retrieval on the val split while training; never a reported figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from moonshelf.catalog.product import View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.training.checkpoint import random_states_kept
from moonshelf.training.contents import ContentSource


class Measures(Protocol):
    """Figures of the val split; ``notes`` say what they are taken from and what is not measured."""

    @property
    def notes(self) -> Sequence[str]: ...

    def __call__(self) -> Mapping[str, float | str]: ...


class Validation:
    """Several measures as one; those that have nothing to measure on are left out and noted.

    Raises:
        DataError: all of them; what the first one says.
    """

    def __init__(self, parts: Sequence[Callable[[], Measures]]) -> None:
        found: list[Measures] = []
        missing: list[DataError] = []
        for make in parts:
            try:
                found.append(make())
            except DataError as error:
                missing.append(error)
        if not found:
            raise missing[0]
        self._parts = found
        self.notes = [note for part in found for note in part.notes]
        self.notes += [f"left out of validations: {error.what}" for error in missing]

    def __call__(self) -> Mapping[str, float | str]:
        return {name: value for part in self._parts for name, value in part().items()}


class Validator:
    """Query view -> item view over one small gallery of val products, for each of ``directions``.

    Products usable in every view of ``directions`` (through mm: a title or a picture, as in
    training), whose text occurs once only: others have no single right answer.
    """

    notes = ()

    def __init__(
        self,
        encoder: Encoder,
        source: ContentSource,
        directions: Sequence[tuple[View, View]],
        *,
        items: int,
        seed: int,
        bf16: bool,
    ) -> None:
        self._encoder, self._source, self._bf16 = encoder, source, bf16
        self.directions = list(dict.fromkeys(directions))
        catalog = source.catalog
        rows = np.asarray(catalog.split_rows("val"), dtype=np.int64)
        for view in {view for pair in self.directions for view in pair}:
            rows = rows[source.usable(view)[rows]]
        if len(rows):
            _, first, count = np.unique(
                np.array(source.texts(rows)), return_index=True, return_counts=True
            )
            rows = rows[first[count == 1]]
        if len(rows) < 10:
            raise DataError(
                f"the val split has {len(rows)} products fit for validation, 10 are needed",
                where=str(catalog.path),
                cure="give the catalogue a larger val split",
            )
        self.rows = np.sort(np.random.default_rng((seed, 5)).permutation(rows)[:items])

    def __call__(self) -> Mapping[str, float]:
        """``val/t-i/R@1`` and so on, in percent; leaves random states as they were."""
        views = sorted({view for pair in self.directions for view in pair})
        with random_states_kept():
            vectors = {
                view: self._encoder.embed(self._source(self.rows, view), bf16=self._bf16)
                for view in views
            }
        own = np.eye(len(self.rows), dtype=bool)
        found: dict[str, float] = {}
        for query, item in self.directions:
            rank = best_ranks(vectors[query] @ vectors[item].T, own)
            for k in (1, 10):
                found[f"val/{query}-{item}/R@{k}"] = 100 * float((rank <= k).mean())
        return found


def best_ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank of the best right answer among the wrong ones, ties at their middle (methods.md 8.2):
    ``scores`` float [Q, N], ``right`` bool [Q, N] -> float [Q]."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    higher, equal = (scores > best).sum(1), ((scores == best) & ~right).sum(1)
    return 1 + higher + equal / 2
