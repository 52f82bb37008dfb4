"""What the order is worth in which documents are read for the schema.

Five shuffled copies of the source are read in the order of most new n-grams and as they come, by
one backend with one study. Rules study the whole corpus before they propose, and their refinement
adds what the sample missed; a model has the sample alone. So every schema is told twice: as the
proposals leave it, and after refinement.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

from benchmarks._graph_arms import DEV, Part, Row, dev_scores, listings, pooled, read, shares
from benchmarks._open_schema import schooled
from moonshelf.graph import learn
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.edits import Edit, Proposal, Usage
from moonshelf.graph.evaluate.facts import FactScores
from moonshelf.graph.evaluate.gold import labelled, read_gold
from moonshelf.graph.evaluate.redundancy import elements, jaccard
from moonshelf.graph.evaluate.stability import ORDERS
from moonshelf.graph.learn import LearnSettings
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document

PAPER = 30
"""Documents a category after which arXiv 2511.11017 stops."""
INFORMATIVE, RANDOM, SOURCE = "most new n-grams", "random", "as in the source"
PROTOCOL = (
    "{documents} air-conditioner listings, builtin backend, one study for all arms; {orders} "
    "shuffled copies, each read in both orders, and the source as it is; figures are means over "
    "them, 'least' and 'most' of single orders. Read: documents until the rule stopped. Share: of "
    "the {elements} classes and properties of a plain refined schema, and what of them was there "
    "after {paper} documents. Jaccard: mean over pairs of the orders' schemas. {dev}. "
    "95 % intervals from resampling the dev texts, arm and plain ('most new n-grams', refined) by "
    "the same draws"
)


class Watched(BuiltinBackend):
    """Remembers the schema as it was at every proposal, and when refinement began."""

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__(knowledge)
        self.schemas: list[Ontology] = []

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        self.schemas.append(ontology)
        return super().propose(batch, ontology)

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        self.schemas.append(ontology)
        return super().refine(ontology, usage)


def as_given(
    documents: Iterable[Document], size: int = 5, *, pool: int = 0
) -> Iterator[list[Document]]:
    """Batches in the order of ``documents``, in place of ``schema.sample.batches``."""
    kept = list(documents)
    yield from (kept[start : start + size] for start in range(0, len(kept), size))


@dataclass(frozen=True)
class Stage:
    """A schema of one order of reading, and what the facts by it score."""

    ontology: Ontology
    read: int
    early: Ontology
    """After ``PAPER`` documents, or when reading stopped before."""
    scores: FactScores


def order(data: Path) -> Part:
    """Every order, before and after refinement."""
    documents = listings(data)
    study = BuiltinBackend()
    study.study(lambda: iter(documents))
    shuffled = [list(documents) for _ in range(ORDERS)]
    for turn, one in enumerate(shuffled):
        random.Random(f"order {turn}").shuffle(one)
    ways = {
        INFORMATIVE: [(one, False) for one in shuffled],
        RANDOM: [(one, True) for one in shuffled],
        SOURCE: [(documents, True)],
    }
    learnt = {
        name: [stages(study.knowledge, one, documents, given) for one, given in texts]
        for name, texts in ways.items()
    }
    plain = [after for _, after in learnt[INFORMATIVE]]
    full = elements(plain[0].ontology)
    arms = {
        f"{name}, {stage}": _row([both[k] for both in found], plain, full)
        for k, stage in enumerate(("proposals alone", "refined"))
        for name, found in learnt.items()
    }
    protocol = PROTOCOL.format(
        documents=len(documents),
        orders=ORDERS,
        elements=len(full),
        paper=PAPER,
        dev=DEV.format(texts=plain[0].scores.dev),
    )
    return Part(protocol=protocol, arms=arms)


def stages(
    known: Knowledge, sampled_from: Sequence[Document], documents: Sequence[Document], given: bool
) -> tuple[Stage, Stage]:
    """The schema before and after refinement.

    Args:
        known: what the study of all documents learned.
        sampled_from: the documents in their order.
        documents: the same, for the scores.
        given: read in that order, not by new n-grams.
    """
    backend = Watched(known)
    with patch.object(learn, "batches", as_given) if given else contextlib.nullcontext():
        writer, learned = schooled(backend, sampled_from)
    early = backend.schemas[: PAPER // LearnSettings().batch + 1][-1]
    texts = [one.document for one in labelled(documents, read_gold(), "dev")]
    before, after = (
        Stage(
            ontology,
            learned.sampled,
            early,
            dev_scores(read(BuiltinBackend(known), ontology, texts), documents, ontology),
        )
        for ontology in (backend.schemas[-1], writer.ontology)
    )
    return before, after


def _row(runs: Sequence[Stage], plain: Sequence[Stage], full: set[tuple[str, ...]]) -> Row:
    f1 = [one.scores.listed.score.f1 for one in runs]
    row: Row = {
        "read": fmean(one.read for one in runs),
        "share": fmean(len(elements(one.ontology) & full) / len(full) for one in runs),
        f"share at {PAPER}": fmean(len(elements(one.early) & full) / len(full) for one in runs),
    }
    if len(runs) > 1:
        row["Jaccard"] = jaccard(one.ontology for one in runs)
    counts = pooled([one.scores.counts for one in runs])
    than = pooled([one.scores.counts for one in plain])
    return {**row, "F1 least": min(f1), "F1 most": max(f1), **shares(counts, than)}
