"""What pictures show, as reference attributes: an encoder answers where it is sure, else abstains.

Zero-shot: the value whose label text is nearest to the picture (``labels.py``), over the values of
training products. How sure it is, is the margin to the next value. The least margin at which it
answers is chosen on validation products, for a wished precision: what is said is then right about
that often *where the catalogue has the key*. Training products choose nothing; test products show
what the choice is worth. A key is asked only in categories whose training products have it, for
nobody can say how often a guess about the neck of a shoe is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moonshelf.catalog.crops.cropper import use_crops
from moonshelf.catalog.product import View
from moonshelf.catalog.reference_attributes import (
    ImageSupport,
    KeyFacts,
    ProductAttributes,
    ReferenceValue,
    one_line,
)
from moonshelf.errors import UsageError
from moonshelf.evaluation.labels import Labeled, label_values, zero_shot_scores
from moonshelf.evaluation.metrics import TIE
from moonshelf.evaluation.protocol import Embedder, VectorCache
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import AttributeTask
from moonshelf.progress import Progress, silent

LEAST_ANSWERS = 20
"""Validation answers that a threshold needs: a precision over fewer says little."""
COMMON = 0.1
"""Share of a category's training products that have a key, for the key to be asked there."""


@dataclass(frozen=True)
class Measured:
    """Products of a split that have the key and a picture, answers, and right ones."""

    asked: int
    answered: int
    right: int

    @property
    def precision(self) -> float | None:
        return self.right / self.answered if self.answered else None

    @property
    def coverage(self) -> float | None:
        return self.answered / self.asked if self.asked else None


@dataclass(frozen=True)
class KeyReport:
    """One key: ``threshold`` is None where no margin reached the wished precision."""

    attribute: str
    key: str
    values: int
    categories: int
    threshold: float | None
    val: Measured
    test: Measured
    written: int = 0
    """Products of any split that are given a value."""


@dataclass(frozen=True)
class PictureKey:
    """An attribute of the catalogue, and what its values are to be called in the file."""

    task: AttributeTask
    name: str


@dataclass
class PictureAttributes:
    """What was read out of a catalogue's pictures."""

    reports: list[KeyReport] = field(default_factory=list)
    found: dict[int, dict[str, ReferenceValue]] = field(default_factory=dict)
    """Row -> key -> value."""

    def keys(self) -> tuple[KeyFacts, ...]:
        """In the fixed order: the commonest first, then by name."""
        kept = [one for one in self.reports if one.written]
        kept.sort(key=lambda one: (-one.written, one.key))
        return tuple(KeyFacts(key=one.key, products=one.written) for one in kept)

    def records(self, shelf: Shelf) -> Iterator[ProductAttributes]:
        order = [one.key for one in self.keys()]
        for row in sorted(self.found):
            values = self.found[row]
            yield ProductAttributes(
                product=shelf.ids[row],
                attributes={key: (values[key],) for key in order if key in values},
            )


def read_pictures(
    embedder: Embedder,
    catalog: Any,
    keys: Sequence[PictureKey],
    *,
    version: str,
    precision: float = 0.9,
    progress: Progress = silent,
) -> tuple[PictureAttributes, Shelf]:
    """Reads ``keys`` out of all pictures of a catalogue.

    Args:
        embedder: with the views i and t.
        catalog: a :class:`moonshelf.catalog.store.Catalog`.
        keys: what to ask.
        version: of the encoder; stands in every piece of evidence.
        precision: wished share of right answers, above 0 and below 1.

    Raises:
        UsageError: a precision out of range, no keys, or an embedder without words or pictures.
        DataError: no product of the catalogue has a key.
    """
    if not 0 < precision < 1:
        raise UsageError(f"precision is {precision}", cure="wish for more than 0 and less than 1")
    if not keys:
        raise UsageError("no key is named", cure="name attributes of the catalogue")
    lacking = sorted(view.value for view in {View.TEXT, View.IMAGE} - embedder.views)
    if lacking:
        raise UsageError(
            f"{embedder.name} has no view {', '.join(lacking)}",
            cure="read pictures with an encoder of words and pictures",
        )
    shelf = Shelf(catalog)
    use_crops(getattr(embedder, "encoder", None), catalog)
    vectors = VectorCache(embedder, shelf, progress)
    result = PictureAttributes()
    for key in keys:
        result.reports.append(_read(key, shelf, vectors, version, precision, result))
    return result, shelf


def choose_margin(margins: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """The least margin at which at least ``precision`` of the answers are right.

    Args:
        margins: float [n] of validation products; those at or below ``TIE`` are no answers.
        right: bool [n].
        precision: wished.

    Returns:
        None where no margin with at least ``LEAST_ANSWERS`` answers reaches it.
    """
    order = np.argsort(-margins, kind="stable")
    sorted_margins = margins[order]
    answers = np.arange(1, len(order) + 1)
    hits = np.cumsum(right[order])
    # Equal margins are answered together or not at all.
    last = np.append(sorted_margins[1:] != sorted_margins[:-1], True)[: len(order)]
    good = last & (answers >= LEAST_ANSWERS) & (hits >= precision * answers)
    places = np.flatnonzero(good & (sorted_margins > TIE))
    return float(sorted_margins[places[-1]]) if len(places) else None


def confidences(margins: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How often validation products that were at least as sure are right, float [m].

    Laplace's rule, so that no confidence is 1, and never less for a larger margin.

    Args:
        margins, right: of validation products [n].
        asked: margins [m], none below the least of ``margins``.
    """
    order = np.argsort(margins, kind="stable")
    levels, first = np.unique(margins[order], return_index=True)
    above = np.cumsum(right[order][::-1])[::-1][first]
    count = len(margins) - first
    share = np.maximum.accumulate((above + 1) / (count + 2))
    return share[np.searchsorted(levels, asked, side="right") - 1]


def _read(
    key: PictureKey,
    shelf: Shelf,
    vectors: VectorCache,
    version: str,
    precision: float,
    result: PictureAttributes,
) -> KeyReport:
    every = label_values(key.task, shelf)
    values = _candidates(key.task, every, shelf)
    here = _categories(every, shelf)
    shown = shelf.complete(View.IMAGE)
    rows = np.array(
        [row for row in range(len(every)) if shown[row] and shelf.category(row) in here], np.int64
    )
    if len(values) < 2 or not len(rows):
        nothing = Measured(0, 0, 0)
        return KeyReport(key.task.key, key.name, len(values), len(here), None, nothing, nothing)
    best, margins = _answers(key.task, shelf, vectors, rows, values)
    splits = {name: np.isin(rows, shelf.split_rows(name)) for name in ("val", "test")}
    labeled = np.array([bool(every[row]) for row in rows])
    right = np.array([values[k] in every[row] for k, row in zip(best, rows, strict=True)])
    val = splits["val"] & labeled
    threshold = choose_margin(margins[val], right[val], precision)
    answered = margins >= (np.inf if threshold is None else threshold)
    measured = {
        name: Measured(
            int((mask & labeled).sum()),
            int((mask & labeled & answered).sum()),
            int((mask & labeled & answered & right).sum()),
        )
        for name, mask in splits.items()
    }
    places = np.flatnonzero(answered)
    sure = confidences(margins[val], right[val], margins[places]) if len(places) else []
    for place, confidence in zip(places, sure, strict=True):
        row = int(rows[place])
        support = ImageSupport(
            picture=shelf.hashes(row)[0], encoder=version, confidence=round(float(confidence), 6)
        )
        value = ReferenceValue(value=one_line(values[best[place]]), support=(support,))
        result.found.setdefault(row, {})[key.name] = value
    return KeyReport(
        attribute=key.task.key,
        key=key.name,
        values=len(values),
        categories=len(here),
        threshold=threshold,
        val=measured["val"],
        test=measured["test"],
        written=len(places),
    )


def _answers(
    task: AttributeTask, shelf: Shelf, vectors: VectorCache, rows: np.ndarray, values: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest value of each row (its place), int64 [n], and its lead over the next, float [n]."""
    labeled = Labeled(rows, np.zeros((len(rows), len(values)), bool), values, ())
    inputs = vectors.rows(View.IMAGE, rows)
    scores = zero_shot_scores(task, shelf, vectors, inputs, labeled)
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return scores.argmax(axis=1), two[:, 1] - two[:, 0]


def _candidates(task: AttributeTask, every: list[tuple[str, ...]], shelf: Shelf) -> list[str]:
    """Values of at least ``min_class`` training products, by name."""
    count = Counter(value for row in shelf.split_rows("train") for value in every[row])
    return sorted(v for v, n in count.items() if n >= task.min_class and one_line(v))


def _categories(every: list[tuple[str, ...]], shelf: Shelf) -> set[str]:
    """Leaf categories in which the key is common among training products."""
    rows = [int(row) for row in shelf.split_rows("train")]
    all_of = Counter(shelf.category(row) for row in rows)
    with_key = Counter(shelf.category(row) for row in rows if every[row])
    return {name for name, n in with_key.items() if n >= COMMON * all_of[name]}
