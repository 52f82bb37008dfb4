"""What an evaluation finds: measures with interval and chance level, task by task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moonshelf.evaluation.bootstrap import Interval, intervals, mean_of, resample
from moonshelf.evaluation.metrics import macro_f1

FORMAT = 1
IMAGE_SEARCH = "image_search_recall"  # of each embedder in metrics.json: the headline figure
HEADLINE = ("HitRate@1", "HitRate@10")
MID_RANK = (
    "Ties with wrong answers take the mid-rank, 1 + #higher + #equal / 2 (scores within 1e-6 are "
    "equal); a tied best label counts as no prediction."
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure with its bootstrap interval; ``chance`` is that of a random order or guess."""

    value: float
    low: float
    high: float
    chance: float

    def to_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "chance": self.chance}


@dataclass(frozen=True)
class TaskResult:
    """One task (and view, and slice) for one embedder.

    ``per_query`` holds the values behind each mean (for paired differences, not written to JSON),
    ``clusters`` which queries were drawn together, ``facts`` further figures such as the share
    of the largest class.
    """

    task: str
    kind: str
    direction: str  # "t->i" for retrieval, the input view for labels
    slice: str  # "all" or "value not in title"
    method: str  # "cosine", "zero-shot" or "supervised centroid"
    metrics: dict[str, Measure]
    queries: int
    pool: int
    protocol: str
    notes: tuple[str, ...] = ()
    photos: str = ""  # photo search: "user" or "augmented"
    own: str = ""  # photo search: "stays", or "removed" where the pool lacks the product asked with
    facts: dict[str, float] = field(default_factory=dict)
    per_query: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    clusters: np.ndarray | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.task, self.direction, self.slice

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "kind": self.kind,
            "direction": self.direction,
            "slice": self.slice,
            "method": self.method,
            "queries": self.queries,
            "pool": self.pool,
            "protocol": self.protocol,
            "notes": list(self.notes),
            **({"photos": self.photos} if self.photos else {}),
            "facts": self.facts,
            "metrics": {name: measure.to_dict() for name, measure in self.metrics.items()},
        }


@dataclass(frozen=True)
class Skipped:
    """A task that was not measured, and why."""

    task: str
    direction: str
    reason: str


@dataclass(frozen=True)
class Results:
    """All that one embedder got on one suite and split."""

    embedder: str
    suite: str
    split: str
    seed: int
    confidence: float
    bootstrap: int
    catalog: str  # fingerprint
    seconds: float
    tasks: tuple[TaskResult, ...]
    skipped: tuple[Skipped, ...] = ()

    def task(self, name: str, direction: str = "", slice: str = "all") -> TaskResult:
        """The result of a task; KeyError where it was not measured."""
        for result in self.tasks:
            if (result.task, result.slice) == (name, slice) and direction in ("", result.direction):
                return result
        raise KeyError((name, direction, slice))

    def value(self, name: str, metric: str, direction: str = "", slice: str = "all") -> float:
        return self.task(name, direction, slice).metrics[metric].value

    @property
    def image_search(self) -> TaskResult | None:
        """The task behind *image-based search recall*, the intermediate metric of methods.md 3.6:
        the suite's first photo search i->mm with the product in the pool, by users' photos where it
        has one and else by augmented photos; None where it has neither."""
        found = [
            task
            for task in self.tasks
            if (task.kind, task.direction, task.own) == ("photo_search", "i->mm", "stays")
        ]
        return min(found, key=lambda task: task.photos != "user", default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "embedder": self.embedder,
            "suite": self.suite,
            "split": self.split,
            "seed": self.seed,
            "confidence": self.confidence,
            "bootstrap": self.bootstrap,
            "catalog": self.catalog,
            "seconds": round(self.seconds, 3),
            "ties": MID_RANK,
            IMAGE_SEARCH: _headline(self.image_search),
            "tasks": [task.to_dict() for task in self.tasks],
            "skipped": [vars(skipped) for skipped in self.skipped],
        }


def _headline(task: TaskResult | None) -> dict[str, Any] | None:
    if task is None:
        return None
    return {
        "photos": task.photos,
        "task": task.task,
        "direction": task.direction,
        "queries": task.queries,
        "pool": task.pool,
        "metrics": {k: task.metrics[k].to_dict() for k in HEADLINE if k in task.metrics},
    }


@dataclass(frozen=True, slots=True)
class Sampling:
    """How intervals are drawn: the same for every task and embedder of an evaluation."""

    draws: int
    seed: int
    confidence: float


def measured_means(
    values: dict[str, np.ndarray],
    chance: dict[str, float],
    sampling: Sampling,
    clusters: np.ndarray | None,
) -> dict[str, Measure]:
    """Means over queries of each metric (values float64 [Q]) with their intervals."""
    if not values:
        return {}
    stacked = np.stack(list(values.values()), axis=1)
    spans = _spans(mean_of(stacked), len(stacked), sampling, clusters)
    return {
        name: Measure(float(stacked[:, k].mean()), spans[k].low, spans[k].high, chance[name])
        for k, name in enumerate(values)
    }


def measured_labels(
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    sampling: Sampling,
    clusters: np.ndarray | None,
) -> dict[str, Measure]:
    """Accuracy and macro-F1 [n] with intervals; chance is a uniform guess among the classes."""
    right = (truth == predicted).astype(float)[:, None]
    share = np.bincount(truth, minlength=classes) / len(truth)
    guess = 1 / classes
    f1_by_chance = np.where(share > 0, 2 * share * guess / (share + guess), 0.0)
    accuracy = _spans(mean_of(right), len(truth), sampling, clusters)[0]
    f1 = _spans(
        lambda weights: macro_f1(truth, predicted, classes, weights)[:, None],
        len(truth),
        sampling,
        clusters,
    )[0]
    value = float(macro_f1(truth, predicted, classes)[0])
    return {
        "accuracy": Measure(float(right.mean()), accuracy.low, accuracy.high, guess),
        "macro-F1": Measure(value, f1.low, f1.high, float(f1_by_chance.mean())),
    }


def _spans(statistic: Any, count: int, sampling: Sampling, clusters: Any) -> list[Interval]:
    samples = resample(
        statistic, count, draws=sampling.draws, seed=sampling.seed, clusters=clusters
    )
    return intervals(samples, sampling.confidence)
