"""What slices of the schema are worth: every document against the properties of its class, or all.

Facts are the builtin backend's. Prompts are those that the ``llm`` backend would send for the same
documents, schema and classes; nobody answers them, their lengths are counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._graph_arms import (
    DEV,
    Part,
    Row,
    against,
    dev_scores,
    listings,
    mean,
    read,
    refused,
    shares,
)
from benchmarks._open_schema import document_of, read_rows, schooled
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.naming import property_name
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.llm.asking import Asker, Question, question_messages
from moonshelf.graph.llm.extracting import Reader
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document
from moonshelf.graph.schema.sample import thinned

Classes = Mapping[str, str]
"""The class of every document, by its id."""
MOST = 300
"""Documents whose prompts are counted, evenly spaced."""
SETTINGS = LlmSettings(model="nobody", base_url="http://localhost/v1")
PROTOCOL = (
    "Schemas induced by the builtin backend from {listings} air-conditioner listings, from these "
    "and {offers} WDC-PAVE train offers in one shop (mixed), and WDC-PAVE's own attributes under "
    "its five categories (annotated, {test} test offers, prompts alone); extraction by slices, or "
    "by the whole schema. Facts are of all documents; lost and added: against the plain pipeline. "
    "Prompts: what the llm backend sends in its strictest dialect, in characters a document, "
    "questions and answer schemas apart, on {most} evenly spaced documents at most. {dev}. "
    "95 % intervals from resampling documents, arm and plain by the same draws"
)


class WholeSchema(Ontology):
    """An ontology whose every class has all properties."""

    def slice(self, product_class: str) -> tuple[PropertyDef, ...]:
        return tuple(sorted(self.properties, key=lambda owned: owned.name))


class Unanswered(Asker):
    """Counts what would be sent. Every class question is answered with the class that is known,
    every other one with nothing."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = kinds
        self.dialect = "json_schema"
        self.calls = self.questions = self.schemas = 0

    def ask(self, question: Question, tries: int = 2) -> dict[str, Any]:
        messages = question_messages(question, self.dialect)
        self.calls += 1
        self.questions += sum(len(one["content"]) for one in messages)
        self.schemas += len(json.dumps(question.schema))
        wanted = question.schema["properties"]
        offered = wanted.get("kind", {}).get("enum", ())
        kind = next((name for name in self.kinds if name in offered), None)
        return {key: kind if key == "kind" else None for key in wanted}


def slices(data: Path) -> Part:
    """Both arms on one kind of product, on many, and on a schema that somebody wrote."""
    texts = listings(data)
    train, test = read_rows(data, "wdc_pave")
    offers = [document_of(row).model_copy(update={"category": ""}) for row in train]
    arms: dict[str, Row] = {}
    for name, documents in (("air conditioners", texts), ("mixed", [*texts, *offers])):
        arms |= _extracted(name, documents)
    ontology, classes = annotated([*train, *test])
    arms |= _asked("annotated", [document_of(row) for row in test], ontology, classes)
    dev = DEV.format(texts=dev_scores([], texts, Ontology()).dev)
    protocol = PROTOCOL.format(
        listings=len(texts), offers=len(offers), test=len(test), most=MOST, dev=dev
    )
    return Part(protocol=protocol, arms=arms)


def _extracted(name: str, documents: Sequence[Document]) -> dict[str, Row]:
    backend = BuiltinBackend()
    backend.study(lambda: iter(documents))
    writer, _ = schooled(backend, documents)
    ontology = writer.ontology
    outcomes = read(backend, ontology, documents)
    plain = dev_scores(outcomes, documents, ontology)
    whole = whole_of(ontology)
    found = read(backend, whole, documents)
    scores = dev_scores(found, documents, whole)
    classes = {one.document: one.product_class for one in outcomes}
    sizes = _asked(name, documents, ontology, classes)
    shown = {
        f"{name}: slices": (outcomes, plain),
        f"{name}: whole schema": (found, scores),
    }
    return {
        arm: {
            **sizes[arm],
            **against(mine, outcomes),
            "refused": sum(refused(mine).values()),
            **shares(one.counts, plain.counts),
        }
        for arm, (mine, one) in shown.items()
    }


def _asked(
    name: str, documents: Sequence[Document], ontology: Ontology, classes: Classes
) -> dict[str, Row]:
    arms = {"slices": ontology, "whole schema": whole_of(ontology)}
    return {f"{name}: {arm}": prompts(documents, one, classes) for arm, one in arms.items()}


def prompts(documents: Sequence[Document], ontology: Ontology, classes: Classes) -> Row:
    """What a document costs in prompts: properties asked for, calls, characters."""
    askers: list[Unanswered] = []
    wanted: list[int] = []
    for document in thinned(documents, MOST):
        kind = ontology.present(classes[document.id] or ROOT)
        asker = Unanswered(ontology.lineage(kind))
        Reader(asker, SETTINGS).extract(document, ontology)
        askers.append(asker)
        wanted.append(len(ontology.slice(kind)))
    return {
        "schema": len(ontology.properties),
        "properties a document": mean(wanted),
        "calls": mean([one.calls for one in askers]),
        "characters of questions": mean([one.questions for one in askers]),
        "of answer schemas": mean([one.schemas for one in askers]),
    }


def whole_of(ontology: Ontology) -> WholeSchema:
    """``ontology``, all of it for every class."""
    return WholeSchema.model_validate(ontology.model_dump())


def annotated(rows: Sequence[Mapping[str, Any]]) -> tuple[Ontology, Classes]:
    """The annotators' schema: categories as classes; an attribute of one category is its own, one
    of several is everybody's."""
    owners: dict[str, set[str]] = defaultdict(set)
    classes = {row["id"]: "".join(filter(str.isalnum, row["category"])) for row in rows}
    for row in rows:
        for name in row["attributes"]:
            owners[property_name(split(name))].add(classes[row["id"]])
    properties = (
        PropertyDef(name=name, domain=min(kinds) if len(kinds) == 1 else ROOT, many=True)
        for name, kinds in sorted(owners.items())
        if name
    )
    kinds = (ClassDef(name=name) for name in sorted(set(classes.values())))
    return Ontology(classes=(*Ontology().classes, *kinds), properties=tuple(properties)), classes
