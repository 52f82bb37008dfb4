"""The span check before the builtin backend, whose facts are made from spans to begin with.

What the check refuses there is a mistake of the rules that nothing else noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._graph_arms import DEV, Part, Row, against, dev_scores, listings, mean, read, shares
from benchmarks._open_schema import document_of, read_rows, schooled
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, Value
from moonshelf.graph.validate import Validator

PROTOCOL = (
    "builtin backend on {listings} air-conditioner listings and on {offers} WDC-PAVE offers (title "
    "and description, schema learned from all of them), with and without the check that the words "
    "of a fact stand in the text and say its value. Span, unit: refusals of these rungs. {dev}. "
    "95 % intervals from resampling documents, arm and plain by the same draws"
)
RUNGS = ("span", "unit")


class Trusting(Validator):
    """Takes a backend's word that the text states a fact; all else is checked."""

    def stated(
        self, fact: Fact, value: Value, definition: PropertyDef, texts: Mapping[str, str]
    ) -> None:
        pass


def spans(data: Path) -> Part:
    """Both arms on both sets."""
    texts = listings(data)
    train, test = read_rows(data, "wdc_pave")
    offers = [document_of(row).model_copy(update={"category": ""}) for row in (*train, *test)]
    arms: dict[str, Row] = {}
    for name, documents in (("air conditioners", texts), ("WDC-PAVE", offers)):
        backend = BuiltinBackend()
        backend.study(lambda found=documents: iter(found))
        ontology = schooled(backend, documents)[0].ontology
        plain = read(backend, ontology, documents)
        for arm, validator in (("plain", None), ("no span check", Trusting(ontology))):
            outcomes = read(backend, ontology, documents, validator)
            arms[f"{name}: {arm}"] = {
                **_refusals(outcomes),
                **against(outcomes, plain),
                **(_scores(outcomes, plain, documents, ontology) if documents is texts else {}),
            }
    dev = DEV.format(texts=dev_scores([], texts, Ontology()).dev)
    return Part(
        protocol=PROTOCOL.format(listings=len(texts), offers=len(offers), dev=dev), arms=arms
    )


def _refusals(outcomes: Sequence[Outcome]) -> Row:
    steps = [[one.step for one in outcome.refusals] for outcome in outcomes]
    found: Row = {rung: sum(one.count(rung) for one in steps) for rung in RUNGS}
    found["span a document"] = mean([one.count("span") for one in steps])
    return found


def _scores(
    outcomes: Sequence[Outcome],
    plain: Sequence[Outcome],
    documents: Sequence[Document],
    ontology: Ontology,
) -> Row:
    found = (dev_scores(one, documents, ontology).counts for one in (outcomes, plain))
    return shares(*found)
