"""Everything that can be said of a finished graph folder, in one record.

Stability and memory are not in it: they need the schema learned again and the build measured; see
``stability.py`` and ``benchmarks/graph_extraction.py``.
"""

from __future__ import annotations

from pathlib import Path

from moonshelf.config import Config
from moonshelf.errors import DataError
from moonshelf.graph.builtin.teach import Labels
from moonshelf.graph.evaluate.coverage import TextCoverage, text_coverage
from moonshelf.graph.evaluate.facts import FactScores, fact_scores
from moonshelf.graph.evaluate.gold import GoldSet
from moonshelf.graph.evaluate.open_schema import OpenScores, Stated, open_scores, stated
from moonshelf.graph.evaluate.redundancy import Redundancy, redundancy
from moonshelf.graph.evaluate.sizes import Sizes, sizes
from moonshelf.graph.evaluate.soundness import Soundness, soundness
from moonshelf.graph.evaluate.thresholds import fold_of
from moonshelf.graph.manifest import ONTOLOGY, read_complete, read_manifest
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Extraction
from moonshelf.graph.schema.history import History
from moonshelf.graph.spending import Spent
from moonshelf.graph.state import State
from moonshelf.graph.usage import usage_of


class Evaluation(Config):
    """See the parts. ``facts``: None without a gold set. ``spent``: of the last build,
    ``in_all``: of every run that the graph was made by."""

    sizes: Sizes
    soundness: Soundness
    text: TextCoverage
    redundancy: Redundancy
    facts: FactScores | None = None
    spent: Spent = Spent()
    in_all: Spent = Spent()


def evaluate_graph(
    graph: Path, gold: GoldSet | None = None, *, given: bool = False, features: bool = True
) -> Evaluation:
    """
    Args:
        graph: a folder that ``graph build`` finished.
        gold: labels of some of its texts.
        given, features: see :func:`~moonshelf.graph.evaluate.facts.fact_scores`.

    Raises:
        StoreError: no graph, or one whose build has not ended.
        DataError: the gold set's texts are not in the graph.
    """
    manifest = read_complete(graph)
    ontology = History.open(graph / ONTOLOGY, create=False).ontology()
    with State.open(graph, create=False) as state:
        documents = list(state.documents())
        outcomes = list(state.outcomes())
        in_all = state.spent()
    unread = {one.document for one in outcomes if one.digest == ""}
    summary = manifest["summary"]
    return evaluate_records(
        documents,
        outcomes,
        ontology,
        gold,
        unread=unread,
        given=given,
        features=features,
        violations=summary["shapes"]["violations"],
        spent=Spent(
            runs=1,
            costs=summary["costs"],
            seconds=summary["seconds"],
            peak_memory=summary.get("peak_memory", 0),
        ),
        in_all=in_all,
    )


def evaluate_labels(graph: Path, labels: Labels) -> OpenScores:
    """A graph whose schema was induced against a person's labels: the schema, and the values.

    Half of the labelled texts pair keys with attributes, the other half is scored.

    Args:
        graph: a folder that ``graph build`` finished.
        labels: of ``builtin.teach.read_labels``; documents without any are not judged.

    Raises:
        DataError: no label is of a document of this graph.
    """
    read_manifest(graph)
    ontology = History.open(graph / ONTOLOGY, create=False).ontology()
    halves: tuple[list[Stated], list[Stated]] = ([], [])
    with State.open(graph, create=False) as state:
        found = {one.document: extraction_of(one) for one in state.outcomes("done")}
        for document in state.documents():
            if slots := labels.get(document.id):
                text = stated(found.get(document.id), ontology, slots)
                halves[fold_of(document, 2)].append(text)
    if not halves[0] or not halves[1]:
        raise DataError(
            "fewer than two labelled texts are in this graph",
            where=str(graph),
            cure="give labels under the ids of its documents",
        )
    return open_scores(*halves)


def evaluate_records(
    documents: list[Document],
    outcomes: list[Outcome],
    ontology: Ontology,
    gold: GoldSet | None = None,
    *,
    unread: set[str] | frozenset[str] = frozenset(),
    given: bool = False,
    features: bool = True,
    violations: int | None = None,
    spent: Spent | None = None,
    in_all: Spent | None = None,
) -> Evaluation:
    """The same from records alone. ``unread``: ids of rows that were no documents."""
    found = {one.document: extraction_of(one) for one in outcomes if one.status == "done"}
    ids = {one.id for one in documents} | unread
    return Evaluation(
        sizes=sizes(found.values(), ontology, len(ids)),
        soundness=soundness(documents, outcomes, ids, violations),
        text=text_coverage(documents, found),
        redundancy=redundancy(ontology, usage_of(outcomes, ontology)),
        facts=None
        if gold is None
        else fact_scores(found, documents, ontology, gold, given=given, features=features),
        spent=spent or Spent(),
        in_all=in_all or Spent(),
    )


def extraction_of(outcome: Outcome) -> Extraction:
    """An outcome as the extraction it came from, checked facts alone."""
    return Extraction(
        document=outcome.document,
        product_class=outcome.product_class,
        facts=outcome.facts,
        refusals=outcome.refusals,
    )
