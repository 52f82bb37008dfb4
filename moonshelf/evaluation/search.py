"""Searches from the query log: photo -> product and text -> product.

The pool is every product of the catalogue that has the item view's modalities (``pool = "all"``)
or those of the evaluated split. Right answers are the query's ``positives``. Where a query is
graded, an answer is worth ``2 ** (grade - grade_floor) - 1`` in NDCG (nothing at or below the
floor) and counts as found in the other metrics when its grade is at least ``relevant_from`` and
it is worth something; queries without such an answer are left out and counted. Graded queries
are also ranked within their own judged list (``NDCG judged``, the whole list), because a full
pool holds right answers nobody judged: full-pool figures of such a log are lower bounds.

Queries that ask for exactly the same products (several photos of one product) are drawn together
in the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from moonshelf.catalog.product import Content, Query, View
from moonshelf.evaluation.metrics import (
    Pairs,
    chance_metrics,
    judged_ranks,
    mid_ranks,
    ndcg,
)
from moonshelf.evaluation.protocol import VectorCache
from moonshelf.evaluation.results import Sampling, TaskResult, measured_means
from moonshelf.evaluation.retrieval import NoQueries, retrieval_result
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import PhotoSearchTask, QueryTask, TextSearchTask


@dataclass(frozen=True)
class Log:
    """The queries of a task and what answers them, as places in the pool."""

    queries: list[Query]
    item_rows: np.ndarray  # int64 [N]
    judged: Pairs  # every answer, also those worth nothing
    gains: np.ndarray  # float64, worth of each answer
    relevant: np.ndarray  # bool, whether it counts as found
    graded: bool
    notes: tuple[str, ...]


def run_search(
    task: PhotoSearchTask | TextSearchTask,
    shelf: Shelf,
    vectors: VectorCache,
    split: str,
    sampling: Sampling,
) -> list[TaskResult]:
    """Measures one search task; graded queries add NDCG within the judged list.

    Raises:
        NoQueries: the split has no such query with an answer in the pool.
        DataError: a query names a product the catalogue does not have.
    """
    view = View.TEXT if isinstance(task, TextSearchTask) else View(task.query)
    log = read_log(task, view, shelf, split)
    asked = vectors.contents(
        view, [query.id for query in log.queries], lambda k: _query_content(log.queries[k], view)
    )
    items = vectors.rows(task.item, log.item_rows)
    worth = log.gains > 0
    right = (log.judged[0][worth], log.judged[1][worth])
    ranks = mid_ranks(asked, items, right, gains=log.gains[worth], relevant=log.relevant[worth])
    clusters = _clusters(right, len(log.queries))
    direction = f"{view.value}->{task.item.value}"
    pool = "the whole catalogue" if task.pool == "all" else f"the products of split {split}"
    protocol = (
        f"{direction}: {len(log.queries):,} queries of split {split} against {pool} "
        f"({len(log.item_rows):,} products)."
    )
    if log.graded:
        protocol += (
            f" Gain 2^(grade - {task.grade_floor:g}) - 1, found from grade {task.relevant_from:g}; "
            "judgments are incomplete, so full-pool figures are lower bounds; 'NDCG judged' ranks "
            "each query's whole judged list and nothing else."
        )
    result = retrieval_result(
        task, direction, ranks, len(log.item_rows), protocol, log.notes, sampling, clusters
    )
    if isinstance(task, PhotoSearchTask):
        result = replace(result, photos=task.photos)
    if not log.graded:
        return [result]
    inside = judged_ranks(asked, items, log.judged, log.gains)
    longest = int(inside.pool.max())  # no cut: under mid-rank a cut list may favor ties
    values = {"NDCG judged": ndcg(inside, longest)}
    chance = {"NDCG judged": chance_metrics(inside, [longest], ["NDCG"])[f"NDCG@{longest}"]}
    judged = measured_means(values, chance, sampling, clusters)
    facts = {**result.facts, "judged per query": float(inside.pool.mean())}
    return [
        replace(
            result,
            metrics={**judged, **result.metrics},
            per_query={**values, **result.per_query},
            facts=facts,
        )
    ]


def read_log(task: QueryTask, view: View, shelf: Shelf, split: str) -> Log:
    """Queries of the split that have ``view`` and at least one answer of worth in the pool."""
    able = shelf.complete(task.item)
    rows = shelf.split_rows(split) if task.pool == "split" else np.arange(len(able))
    item_rows = rows[able[rows]]
    place = np.full(len(able), -1)
    place[item_rows] = np.arange(len(item_rows))
    kept: list[Query] = []
    judged_q: list[int] = []
    judged_i: list[int] = []
    gains: list[float] = []
    relevant: list[bool] = []
    seen = unanswered = outside = 0
    graded = False
    for query in shelf.catalog.queries(split):
        if (view.has_text and not query.text.strip()) or (view.has_image and not query.images):
            continue
        seen += 1
        places = place[shelf.catalog.rows(query.positives)] if query.positives else place[:0]
        worth = _worth(query, task.grade_floor)
        inside = places >= 0
        outside += int(np.count_nonzero(~inside))
        counts = _counts(query, worth, task.relevant_from)
        if not counts[inside].any():
            unanswered += 1
            continue
        graded |= bool(query.grades)
        judged_q += [len(kept)] * int(inside.sum())
        judged_i += places[inside].tolist()
        gains += worth[inside].tolist()
        relevant += counts[inside].tolist()
        kept.append(query)
    if not kept:
        raise NoQueries(
            f"split {split!r} has {seen} queries with view {view.value}, none with an answer in "
            "the pool",
            where=f"task {task.name}",
            cure="import queries with their positives, or choose another split",
        )
    notes = []
    if unanswered:
        notes.append(f"{unanswered} of {seen} queries have no answer that counts in the pool")
    if outside:
        notes.append(f"{outside} answers are outside the pool")
    judged = (np.array(judged_q), np.array(judged_i))
    return Log(kept, item_rows, judged, np.array(gains), np.array(relevant), graded, tuple(notes))


def _worth(query: Query, floor: float) -> np.ndarray:
    """Gain of each positive, float64 [P]; 1 each where the query is not graded."""
    if not query.grades:
        return np.ones(len(query.positives))
    return np.maximum(np.exp2(np.array(query.grades, float) - floor) - 1, 0.0)


def _counts(query: Query, worth: np.ndarray, least: float) -> np.ndarray:
    """Whether each positive counts as found, bool [P]."""
    if not query.grades:
        return worth > 0
    return (worth > 0) & (np.array(query.grades, float) >= least)


def _query_content(query: Query, view: View) -> Content:
    return Content(
        text=query.text if view.has_text else None,
        images=query.images if view.has_image else (),
    )


def _clusters(right: Pairs, count: int) -> np.ndarray:
    answers: list[list[int]] = [[] for _ in range(count)]
    for query, item in zip(*right, strict=True):
        answers[query].append(int(item))
    number: dict[tuple[int, ...], int] = {}
    return np.array([number.setdefault(tuple(sorted(a)), len(number)) for a in answers])
