"""What the parts of ``graph_ablation.py`` share: documents, facts of an arm, comparison in pairs.

An *arm* is the pipeline with one part changed. It is compared with the plain pipeline document by
document: both are resampled by the same draws, so that what is hard for both cancels out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.graph.backend import Backend
from moonshelf.graph.documents import from_table
from moonshelf.graph.evaluate.facts import Count, FactScores, fact_scores
from moonshelf.graph.evaluate.folder import extraction_of
from moonshelf.graph.evaluate.gold import GoldSet, read_gold
from moonshelf.graph.evaluate.scores import resampled, scored
from moonshelf.graph.extraction import Extractor
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document
from moonshelf.graph.usage import shown_value
from moonshelf.graph.validate import Validator

Row = dict[str, Any]
"""Figures of an arm, by the heading of their column. An estimate is a table of value, low, high."""
DRAWS = 1000


@dataclass(frozen=True)
class Part:
    """One safety part: how it was measured, and its arms, the plain pipeline among them."""

    protocol: str
    arms: dict[str, Row]


DEV = (
    "facts on the {texts} dev texts of the gold set, property and normalized value equal, induced "
    "names paired with gold names on the same texts (so F1 itself is flattered, for all arms)"
)


def listings(data: Path) -> list[Document]:
    """All air-conditioner listings, titles alone."""
    table = data / "air_conditioners" / "listings.parquet"
    return list(from_table(table, {"title": "name"}, ["title"]).documents())


def read(
    backend: Backend,
    ontology: Ontology,
    documents: Iterable[Document],
    validator: Validator | None = None,
) -> list[Outcome]:
    """Outcomes as a build makes them; ``validator`` takes the place of the build's own."""
    extractor = Extractor(backend, ontology)
    if validator is not None:
        extractor.validator = validator
    return [extractor.outcome(document) for document in documents]


def dev_scores(
    outcomes: Iterable[Outcome],
    documents: Sequence[Document],
    ontology: Ontology,
    given: GoldSet | None = None,
) -> FactScores:
    """Facts against the gold set's dev half; the test half is not scored here.

    Args:
        outcomes, documents, ontology: what was extracted, from what, by what.
        given: the gold set whose schema was given; without one, names are aligned.
    """
    found = {one.document: extraction_of(one) for one in outcomes if one.status == "done"}
    gold = given or read_gold()
    return fact_scores(found, documents, ontology, gold, given=given is not None, split="dev")


def pooled(runs: Sequence[Sequence[Count]]) -> list[Count]:
    """Counts a document, summed over runs that differ in their seed: documents stay the unit that
    is resampled."""
    return [(int(a), int(b), int(c)) for a, b, c in np.sum(np.array(runs), axis=0)]


def shares(counts: Sequence[Count], plain: Sequence[Count] | None = None) -> Row:
    """Precision, recall and F1 with intervals; F1 also as a difference from the plain pipeline."""
    found = scored(counts, DRAWS)
    row: Row = {
        name: {"value": getattr(found.score, part), **getattr(found, part).model_dump()}
        for name, part in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    }
    if plain is not None:
        row["F1 - plain"] = difference(counts, plain)
    return row


def difference(counts: Sequence[Count], plain: Sequence[Count]) -> Row:
    """F1 of an arm less that of the plain pipeline, both on the same draws of documents."""
    whole = [np.sum(np.array(one), axis=0, keepdims=True).tolist() for one in (counts, plain)]
    mine, theirs = (float(resampled(one, draws=1)[0, 2]) for one in whole)
    drawn = resampled(counts, DRAWS)[:, 2] - resampled(plain, DRAWS)[:, 2]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "value": round(mine - theirs, 6),
        "low": round(float(low), 6),
        "high": round(float(high), 6),
    }


def mean(values: Sequence[float]) -> Row:
    """Mean a document, with its interval."""
    table = np.array(values, dtype=float)
    rng = np.random.default_rng(0)
    drawn = table[rng.integers(len(table), size=(DRAWS, len(table)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "value": round(float(table.mean()), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
    }


def facts_of(outcomes: Iterable[Outcome]) -> Counter[tuple[str, str, str]]:
    """(document, property, value) of all facts."""
    return Counter(
        (one.document, fact.property, shown_value(fact)) for one in outcomes for fact in one.facts
    )


def against(outcomes: Iterable[Outcome], plain: Iterable[Outcome]) -> Row:
    """Facts of an arm, and how many of the plain pipeline's it lacks and adds."""
    mine, theirs = facts_of(outcomes), facts_of(plain)
    return {
        "facts": mine.total(),
        "lost": (theirs - mine).total(),
        "added": (mine - theirs).total(),
    }


def refused(outcomes: Iterable[Outcome]) -> Mapping[str, int]:
    """Refusals by rung."""
    return Counter(one.step for outcome in outcomes for one in outcome.refusals)
