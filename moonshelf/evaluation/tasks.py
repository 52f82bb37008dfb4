"""Runs a suite: every task of it for one embedder, on one split of one catalogue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from moonshelf.catalog.crops.cropper import use_crops
from moonshelf.catalog.product import SPLITS, View
from moonshelf.errors import UsageError
from moonshelf.evaluation.augmented import run_augmented
from moonshelf.evaluation.labels import run_labels
from moonshelf.evaluation.protocol import Embedder, VectorCache
from moonshelf.evaluation.results import Results, Sampling, Skipped, TaskResult
from moonshelf.evaluation.retrieval import NoQueries, run_retrieval
from moonshelf.evaluation.search import run_search
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import (
    AnyTask,
    AttributeTask,
    ClassificationTask,
    PhotoSearchTask,
    RetrievalTask,
    Suite,
    TextSearchTask,
    load_suite,
)
from moonshelf.progress import Progress, silent


def evaluate(
    embedder: Embedder,
    catalog: Any,
    suite: Suite | str | Path,
    *,
    seed: int = 0,
    split: str = "test",
    progress: Progress = silent,
) -> Results:
    """Measures ``embedder`` on every task of ``suite``.

    Args:
        catalog: a :class:`moonshelf.catalog.store.Catalog`.
        seed: added to the suite's seed: gallery samples, bootstrap draws, and augmented photos and
            who asks with them.
        split: ``"test"`` to report, ``"val"`` to choose anything by.

    Raises:
        DataError: the catalogue lacks what a task needs (and the task does not say
            ``when_empty = "skip"``), or the embedder returns bad vectors.
        UsageError: unknown suite or split.
    """
    suite = suite if isinstance(suite, Suite) else load_suite(suite)
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", cure=f"choose among {', '.join(SPLITS)}")
    start = time.perf_counter()
    use_crops(getattr(embedder, "encoder", None), catalog)
    shelf = Shelf(catalog, suite.fields)
    vectors = VectorCache(embedder, shelf, progress)
    sampling = Sampling(suite.bootstrap, suite.seed + seed, suite.confidence)
    found: list[TaskResult] = []
    skipped: list[Skipped] = []
    for task in suite.tasks:
        for direction, needs in _parts(task):
            lacking = sorted(view.value for view in needs - embedder.views)
            if lacking:
                reason = f"{embedder.name} has no view {', '.join(lacking)}"
                skipped.append(Skipped(task.name, direction, reason))
                continue
            try:
                found += _run(task, direction, shelf, vectors, split, sampling)
            except NoQueries as error:
                if task.when_empty == "error":
                    raise
                skipped.append(Skipped(task.name, direction, error.what))
    return Results(
        embedder=embedder.name,
        suite=suite.name,
        split=split,
        seed=sampling.seed,
        confidence=suite.confidence,
        bootstrap=suite.bootstrap,
        catalog=catalog.fingerprint,
        seconds=time.perf_counter() - start,
        tasks=tuple(found),
        skipped=tuple(skipped),
    )


def _parts(task: AnyTask) -> list[tuple[str, set[View]]]:
    """The separately measured parts of a task and the views each needs."""
    if isinstance(task, RetrievalTask):
        return [(f"{task.query.value}->{task.item.value}", {task.query, task.item})]
    if isinstance(task, ClassificationTask | AttributeTask):
        return [(view.value, {view}) for view in task.views]
    query = View.TEXT if isinstance(task, TextSearchTask) else View(task.query)
    return [(f"{query.value}->{task.item.value}", {query, task.item})]


def _run(
    task: AnyTask,
    direction: str,
    shelf: Shelf,
    vectors: VectorCache,
    split: str,
    sampling: Sampling,
) -> list[TaskResult]:
    if isinstance(task, RetrievalTask):
        return run_retrieval(task, shelf, vectors, split, sampling)
    if isinstance(task, ClassificationTask | AttributeTask):
        return run_labels(task, View(direction), shelf, vectors, split, sampling)
    if isinstance(task, PhotoSearchTask) and task.photos == "augmented":
        return run_augmented(task, shelf, vectors, split, sampling)
    return run_search(task, shelf, vectors, split, sampling)
