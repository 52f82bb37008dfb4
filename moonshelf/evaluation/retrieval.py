"""Product to product retrieval: t->i, i->t, t->mm, i->mm, mm->mm.

The pool is made of all products of the split that have every modality of the item view (a
``gallery`` takes a seeded sample of it). Three kinds of positives, each stated in the result:

* ``self`` (t->i, i->t): the product itself. With ``unique_titles`` only products whose title
  occurs once in the split take part, so that nothing else in the pool is a right answer. With
  ``gallery = 2000`` this is the gallery protocol of myntra.
* ``title`` (t->i, i->t): all products with the identical title (case-folded) are right answers.
  For t->i each distinct title is one query; for i->t the pool holds each distinct title once.
* ``group``: the other products of the query's group (SPU, style). The query product itself
  leaves the pool, and where both views show pictures so does every product that shares a
  byte-identical picture with it (it is then no positive either). Products left without a
  positive are no queries. Full pool.

Queries of one group are drawn together in the bootstrap.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from moonshelf.catalog.product import View
from moonshelf.errors import DataError
from moonshelf.evaluation.metrics import (
    Pairs,
    Ranks,
    chance_metrics,
    mid_ranks,
    retrieval_metrics,
    usable_ks,
)
from moonshelf.evaluation.protocol import VectorCache
from moonshelf.evaluation.results import Sampling, TaskResult, measured_means
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import PhotoSearchTask, RetrievalTask, TextSearchTask


class NoQueries(DataError):
    """The catalogue has nothing to ask for this task."""


@dataclass(frozen=True)
class Question:
    """Who asks, who is in the pool, what is right. Rows are catalogue rows."""

    query_rows: np.ndarray  # int64 [Q]
    item_rows: np.ndarray  # int64 [N]
    positives: Pairs  # (query index [M], item index [M])
    removed: Pairs | None
    protocol: str
    notes: tuple[str, ...] = ()


def run_retrieval(
    task: RetrievalTask, shelf: Shelf, vectors: VectorCache, split: str, sampling: Sampling
) -> list[TaskResult]:
    """Measures one retrieval task.

    Raises:
        NoQueries: no product of the split has a positive.
    """
    question = ask(task, shelf, split, sampling.seed)
    ranks = mid_ranks(
        vectors.rows(task.query, question.query_rows),
        vectors.rows(task.item, question.item_rows),
        question.positives,
        question.removed,
    )
    clusters = shelf.clusters(question.query_rows)
    result = retrieval_result(
        task,
        f"{task.query.value}->{task.item.value}",
        ranks,
        len(question.item_rows),
        question.protocol,
        question.notes,
        sampling,
        clusters,
    )
    return [result]


def retrieval_result(
    task: RetrievalTask | PhotoSearchTask | TextSearchTask,
    direction: str,
    ranks: Ranks,
    pool: int,
    protocol: str,
    notes: tuple[str, ...],
    sampling: Sampling,
    clusters: np.ndarray | None,
) -> TaskResult:
    """Metrics, intervals and chance of ranks; K beyond half of the pool are left out and noted."""
    ks = usable_ks(task.k, ranks)
    dropped = [k for k in task.k if k not in ks]
    if dropped:
        notes = (
            *notes,
            f"K = {', '.join(map(str, dropped))} left out: more than half of the wrong "
            "answers of some query, where mid-rank no longer holds a constant encoder to chance",
        )
    values = retrieval_metrics(ranks, ks, task.metrics)
    chance = chance_metrics(ranks, ks, task.metrics)
    return TaskResult(
        task=task.name,
        kind=task.kind,
        direction=direction,
        slice="all",
        method="cosine",
        metrics=measured_means(values, chance, sampling, clusters),
        queries=len(ranks.pool),
        pool=pool,
        protocol=protocol,
        notes=notes,
        own=getattr(task, "own", ""),
        facts={"positives per query": float(ranks.positives.mean())},
        per_query=values,
        clusters=clusters,
    )


def ask(task: RetrievalTask, shelf: Shelf, split: str, seed: int) -> Question:
    """The question of a task on a split; the same for every embedder."""
    rows = shelf.split_rows(split)
    able = shelf.complete(task.query) & shelf.complete(task.item)
    kept = rows[able[rows]]
    notes = []
    if len(kept) < len(rows):
        notes.append(
            f"{len(rows) - len(kept):,} of {len(rows):,} products of the split lack a picture "
            "or title these views need and take no part"
        )
    if len(kept) == 0:
        raise NoQueries(
            f"no product of split {split!r} has every modality of views "
            f"{task.query.value} and {task.item.value}",
            where=f"task {task.name}",
            cure="choose views the catalogue has, or another split",
        )
    if task.positives == "group":
        return _ask_group(task, shelf, kept, split, notes)
    if task.unique_titles:
        times = Counter(shelf.plain_titles[row] for row in kept)
        kept = np.array([r for r in kept if times[shelf.plain_titles[r]] == 1], np.int64)
        notes.append(f"{len(kept):,} products have a title that occurs once in the split")
    if task.gallery and len(kept) > task.gallery:
        # Keyed by seed only: t->i and i->t of one suite get the same gallery.
        random = np.random.default_rng([seed, zlib.crc32(split.encode())])
        kept = kept[np.sort(random.permutation(len(kept))[: task.gallery])]
    elif task.gallery:
        notes.append(f"the gallery of {task.gallery} has only {len(kept):,} products here")
    if len(kept) == 0:
        raise NoQueries("no title occurs once", where=f"task {task.name}", cure="use 'title'")
    if task.positives == "self":
        return _ask_self(task, kept, split, notes)
    return _ask_title(task, shelf, kept, split, notes)


def _ask_self(task: RetrievalTask, kept: np.ndarray, split: str, notes: list[str]) -> Question:
    same = np.arange(len(kept))
    which = "products whose title occurs once in the split" if task.unique_titles else "products"
    sample = f"a seeded sample of {len(kept):,} {which}" if task.gallery else f"all {which}"
    protocol = (
        f"{task.query.value}->{task.item.value} within {sample} ({split}); the one positive is "
        "the product itself."
    )
    return Question(kept, kept, (same, same), None, protocol, tuple(notes))


def _ask_title(
    task: RetrievalTask, shelf: Shelf, kept: np.ndarray, split: str, notes: list[str]
) -> Question:
    number: dict[str, int] = {}
    title = np.array([number.setdefault(shelf.plain_titles[r], len(number)) for r in kept])
    first = np.unique(title, return_index=True)[1]
    distinct, own = kept[first], np.arange(len(kept))
    base = f"{task.query.value}->{task.item.value} over {len(kept):,} products ({split})"
    if task.query is View.TEXT:
        protocol = f"{base}: each distinct title asks once, all products that bear it are right."
        return Question(distinct, kept, (title, own), None, protocol, tuple(notes))
    protocol = f"{base}: the pool is the {len(distinct):,} distinct titles, the own title is right."
    return Question(kept, distinct, (own, title), None, protocol, tuple(notes))


def _ask_group(
    task: RetrievalTask, shelf: Shelf, kept: np.ndarray, split: str, notes: list[str]
) -> Question:
    both_show = task.query.has_image and task.item.has_image
    mates = mates_of(shelf, kept)
    twins = twins_of(shelf, kept) if both_show else {}
    queries, positives, removed = [], [], []
    without = 0
    for place in range(len(kept)):
        gone = twins.get(place, set()) | {place}
        right = sorted(mates.get(place, set()) - gone)
        if not right:
            without += 1
            continue
        positives += [(len(queries), item) for item in right]
        removed += [(len(queries), item) for item in sorted(gone)]
        queries.append(place)
    if not queries:
        raise NoQueries(
            f"no group of split {split!r} has two products",
            where=f"task {task.name}",
            cure="import the catalogue with a group column (the SPU or style)",
        )
    notes.append(f"{without:,} products without another product of their group only fill the pool")
    protocol = (
        f"{task.query.value}->{task.item.value} over all {len(kept):,} products ({split}): right "
        "are the other products of the query's group; the query product"
        + (" and products with a byte-identical picture are" if both_show else " is")
        + " removed from the pool. Variants of a group are drawn together for the interval."
    )
    return Question(
        kept[queries], kept, columns(positives), columns(removed), protocol, tuple(notes)
    )


def mates_of(shelf: Shelf, rows: np.ndarray) -> dict[int, set[int]]:
    """For each place in ``rows`` with a mate, all places of its group (itself included)."""
    return sharing(rows, ([shelf.groups[row]] if shelf.groups[row] else [] for row in rows))


def twins_of(shelf: Shelf, rows: np.ndarray) -> dict[int, set[int]]:
    """For each place in ``rows`` with a twin, all places with a byte-identical picture (itself
    included)."""
    return sharing(rows, (shelf.hashes(int(row)) for row in rows))


def sharing(rows: np.ndarray, labels: Iterable[Iterable[Hashable]]) -> dict[int, set[int]]:
    """For each place in ``rows``, all places that share one of its labels (itself included)."""
    by_label: dict[Hashable, list[int]] = defaultdict(list)
    for place, found in zip(range(len(rows)), labels, strict=True):
        for label in set(found):
            by_label[label].append(place)
    result: dict[int, set[int]] = defaultdict(set)
    for places in by_label.values():
        if len(places) > 1:
            for place in places:
                result[place].update(places)
    return result


def columns(pairs: list[tuple[int, int]]) -> Pairs:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
