"""Classification and attribute prediction against label texts (methods.md 8.1).

Zero-shot: the predicted value is the one whose text vector is nearest to the product's vector.
The text of a value is the mean of its templates' unit vectors, normalized again. Candidates are
the values with at least ``min_class`` products in the evaluated split (rarer ones and ``exclude``
leave the task, counted in the notes); for an attribute, the values of its key.

Guards (methods.md 10.2): the input is the suite's text fields (the title) and the pictures, never
the label's field. Titles often spell the label, so every view is also reported on the products
whose value does *not* occur in their title: slice ``value not in title``. The comparison is
strict against leaks: case, spaces, hyphens and a plural s do not hide a value ("Tshirts" is said
by "Nike T-shirt"), nor do words in between.

The label's own words are marked as what they are, category or attribute value, as the drawn values
of training are: an encoder with guided experts hands them to the expert that learned from such
words (encoder/experts.py). No token changes by it, and no other encoder looks at marks.

A product with several values counts as right when any of them is predicted. An embedder without
text view cannot be zero-shot: it gets **supervised centroids**, the mean vector of each class over
training products, and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

import numpy as np

from moonshelf.catalog.marks import Mark, Marked, joined
from moonshelf.catalog.product import View
from moonshelf.evaluation.metrics import Vectors, predict, similarity
from moonshelf.evaluation.protocol import VectorCache
from moonshelf.evaluation.results import Sampling, TaskResult, measured_labels
from moonshelf.evaluation.retrieval import NoQueries
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import AttributeTask, ClassificationTask, LabelTask

EVERY, UNSPOKEN = "all", "value not in title"
_BLOCK = 4096


@dataclass(frozen=True)
class Labeled:
    """Products with their candidate labels. ``right[n, c]`` says which labels are true."""

    rows: np.ndarray  # int64 [n]
    right: np.ndarray  # bool [n, C]
    values: list[str]  # C label names
    notes: tuple[str, ...]


def run_labels(
    task: ClassificationTask | AttributeTask,
    view: View,
    shelf: Shelf,
    vectors: VectorCache,
    split: str,
    sampling: Sampling,
) -> list[TaskResult]:
    """Measures a label task through one view: all products, and those whose title does not say it.

    Raises:
        DataError: the attribute is in no product. NoQueries: fewer than two classes are left.
    """
    every = label_values(task, shelf)
    labeled = labeled_rows(task, shelf, every, split, view)
    zero_shot = getattr(vectors.embedder, "zero_shot", View.TEXT in vectors.embedder.views)
    inputs = vectors.rows(view, labeled.rows)
    if zero_shot:
        scores = zero_shot_scores(task, shelf, vectors, inputs, labeled)
        method = "zero-shot"
    else:
        scores, used = _centroid_scores(task, shelf, vectors, inputs, labeled, every, view)
        method = "supervised centroid"
    predicted = predict(scores)
    hit = (predicted >= 0) & labeled.right[np.arange(len(predicted)), predicted]
    truth = np.where(hit, predicted, labeled.right.argmax(1))
    how = (
        f"nearest of {len(labeled.values)} label texts ({', '.join(task.templates)})"
        if zero_shot
        else f"nearest of {len(labeled.values)} class means over {used} training products"
    )
    protocol = (
        f"Input {view.value} ({_reads(shelf, view)}) of {split} products; {how}; values with at "
        f"least {task.min_class} products."
    )
    results = []
    clusters = shelf.clusters(labeled.rows)
    for slice_name, keep in (
        (EVERY, np.ones(len(truth), bool)),
        (UNSPOKEN, _unspoken(shelf, labeled)),
    ):
        if not keep.any():
            continue
        share = labeled.right[keep].mean(0).max()
        results.append(
            TaskResult(
                task=task.name,
                kind=task.kind,
                direction=view.value,
                slice=slice_name,
                method=method,
                metrics=measured_labels(
                    truth[keep], predicted[keep], len(labeled.values), sampling, clusters[keep]
                ),
                queries=int(keep.sum()),
                pool=len(labeled.values),
                protocol=protocol,
                notes=labeled.notes,
                facts={"largest class": float(share)},
                per_query={"accuracy": hit[keep].astype(float)},
                clusters=clusters[keep],
            )
        )
    return results


def _reads(shelf: Shelf, view: View) -> str:
    words = [*shelf.fields] if view.has_text else []
    return " + ".join(words + ["pictures"] * view.has_image)


def label_values(task: LabelTask, shelf: Shelf) -> list[tuple[str, ...]]:
    """The true values of every product of the catalogue, ``()`` where it has none."""
    if isinstance(task, AttributeTask):
        found = shelf.values(task.key, f"task {task.name}")
    elif isinstance(task, ClassificationTask):
        names = [shelf.category(row, task.level) for row in range(len(shelf.titles))]
        found = [(name,) if name else () for name in names]
    else:
        raise TypeError(f"{type(task).__name__} has no labels")
    gone = set(task.exclude)
    return [tuple(dict.fromkeys(v for v in values if v and v not in gone)) for values in found]


def labeled_rows(
    task: LabelTask, shelf: Shelf, every: list[tuple[str, ...]], split: str, view: View
) -> Labeled:
    """Products of the split with a value of a class that is large enough, and with the view."""
    # Classes are counted over all labeled products of the split, not over those of the view, so
    # that every view is asked about the same classes.
    rows = [int(row) for row in shelf.split_rows(split) if every[row]]
    count: dict[str, int] = {}
    for row in rows:
        for value in every[row]:
            count[value] = count.get(value, 0) + 1
    values = sorted(value for value, n in count.items() if n >= task.min_class)
    if len(values) < 2:
        raise NoQueries(
            f"fewer than two values have {task.min_class} products in split {split!r}",
            where=f"task {task.name}",
            cure="lower min_class, or choose another key or split",
        )
    column = {value: k for k, value in enumerate(values)}
    kept = [row for row in rows if any(v in column for v in every[row])]
    able = shelf.complete(view)
    seen = [row for row in kept if able[row]]
    if not seen:
        raise NoQueries(
            f"no labeled product of split {split!r} has view {view.value}",
            where=f"task {task.name}",
            cure="choose a view the catalogue has",
        )
    right = np.zeros((len(seen), len(values)), bool)
    for n, row in enumerate(seen):
        right[n, [column[v] for v in every[row] if v in column]] = True
    notes = []
    if len(kept) < len(rows):
        notes.append(
            f"{len(rows) - len(kept)} products of {len(count) - len(values)} values with fewer "
            f"than {task.min_class} products left out"
        )
    if len(seen) < len(kept):
        notes.append(f"{len(kept) - len(seen)} products lack view {view.value}")
    return Labeled(np.array(seen, np.int64), right, values, tuple(notes))


def zero_shot_scores(
    task: LabelTask, shelf: Shelf, vectors: VectorCache, inputs: Vectors, labeled: Labeled
) -> np.ndarray:
    """Cosine of each product with each label text, float32 [n, C]."""
    by_category = any("{category}" in template for template in task.templates)
    leaf = [shelf.category(int(row)) if by_category else "" for row in labeled.rows]
    scores = np.empty((len(leaf), len(labeled.values)), np.float32)
    for category in sorted(set(leaf)):
        here = np.flatnonzero([name == category for name in leaf])
        labels = label_vectors(task, vectors, labeled.values, category)
        for a in range(0, len(here), _BLOCK):
            scores[here[a : a + _BLOCK]] = similarity(inputs[here[a : a + _BLOCK]], labels)
    return scores


def label_vectors(
    task: LabelTask, vectors: VectorCache, values: list[str], category: str
) -> Vectors:
    """Unit vector of each value [C, d]: normalized mean over the templates."""
    total: Vectors = 0
    for template in task.templates:
        total = total + vectors.texts([_prompt(task, template, v, category) for v in values])
    return normalized(total)


def _prompt(task: LabelTask, template: str, value: str, category: str) -> Marked:
    """``template`` filled in on one line; what its slots hold is marked as what it is."""
    of_attribute = isinstance(task, AttributeTask)
    slots = {
        "value": Marked.whole(
            task.texts.get(value, value), Mark.ATTRIBUTE if of_attribute else Mark.CATEGORY
        ),
        "key": Marked(task.key if of_attribute else "category"),
        "category": Marked.whole(category, Mark.CATEGORY),
    }
    parts = []
    for literal, slot, _, _ in Formatter().parse(template):
        parts += [Marked(literal), slots[slot] if slot else Marked("")]
    return joined(joined(parts, "").words(), " ")


def normalized(vectors: Vectors) -> Vectors:
    """Rows of unit length; zero rows stay zero."""
    if isinstance(vectors, np.ndarray):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)
    norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)))
    return vectors.multiply(1 / np.where(norms > 0, norms, 1)).tocsr()


def _centroid_scores(
    task: LabelTask,
    shelf: Shelf,
    vectors: VectorCache,
    inputs: Vectors,
    labeled: Labeled,
    every: list[tuple[str, ...]],
    view: View,
) -> tuple[np.ndarray, int]:
    """Cosine with class means over at most ``fit_rows`` training products."""
    column = {value: k for k, value in enumerate(labeled.values)}
    able = shelf.complete(view)
    train = [int(r) for r in shelf.split_rows("train") if able[r] and set(every[r]) & set(column)]
    if len(train) > task.fit_rows:
        chosen = np.random.default_rng(0).permutation(len(train))[: task.fit_rows]
        train = [train[k] for k in sorted(chosen)]
    if not train:
        raise NoQueries(
            "no training product has a label for the centroids",
            where=f"task {task.name}",
            cure="import a train split",
        )
    member = np.zeros((len(labeled.values), len(train)), np.float32)
    for n, row in enumerate(train):
        member[[column[v] for v in every[row] if v in column], n] = 1
    examples = vectors.rows(view, np.array(train, np.int64))
    if not isinstance(examples, np.ndarray):
        examples = examples.toarray()
    centroids = normalized(member @ examples)
    return similarity(inputs, centroids), len(train)


def _unspoken(shelf: Shelf, labeled: Labeled) -> np.ndarray:
    """bool [n]: none of the product's true values occurs in its title."""
    stems = [[stem for word in value.split() if (stem := _stem(word))] for value in labeled.values]
    said = []
    for row, right in zip(labeled.rows, labeled.right, strict=True):
        title = _letters(shelf.titles[row])
        said.append(any(all(s in title for s in stems[c]) for c in np.flatnonzero(right)))
    return ~np.array(said, bool)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _stem(word: str) -> str:
    letters = _letters(word)
    return letters[:-1] if len(letters) > 3 and letters.endswith("s") else letters
