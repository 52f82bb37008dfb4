"""Whole backends on labelled products: with the schema hidden, and with a tagger of its labels.

See ``moonshelf/graph/evaluate/open_schema.py`` for the figures of a hidden schema and
``graph_extraction.py`` for the command. Where the schema is hidden, so are the categories.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moonshelf.graph.backend import Backend
from moonshelf.graph.backends import make_backend
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.plan import plan_of
from moonshelf.graph.builtin.tagger import Tagger
from moonshelf.graph.evaluate.folder import extraction_of
from moonshelf.graph.evaluate.open_schema import Stated, open_scores, stated
from moonshelf.graph.extraction import Extractor
from moonshelf.graph.learn import Learned, LearnSettings, learn
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document, TextEvidence
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History

Row = dict[str, Any]


def read_rows(data: Path, name: str) -> tuple[list[Row], list[Row]]:
    """The rows of train and of test."""
    text = (data / "attribute_extraction" / f"{name}.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    train, test = ([row for row in rows if row["split"] == part] for part in ("train", "test"))
    return train, test


def document_of(row: Row) -> Document:
    """A product's texts; offers of one cluster are about one product."""
    fields = [(name, row[name]) for name in ("title", "description") if row.get(name)]
    return Document(
        id=row["id"],
        fields=tuple(fields),
        product=str(row.get("cluster_id", "")),
        category=row["category"],
    )


def open_schema(data: Path) -> dict[str, Any]:
    """Learns a schema from the train texts, extracts, compares on the test texts."""
    train, test = read_rows(data, "wdc_pave")
    started = time.process_time()
    extractor, learned = taught_by(
        make_backend("builtin"),
        [document_of(row).model_copy(update={"category": ""}) for row in train],
    )
    studied = time.process_time() - started
    scores = open_scores(
        [read_as_stated(extractor, row) for row in test],
        [read_as_stated(extractor, row) for row in train],
    )
    return {
        "protocol": f"schema induced from {len(train)} train texts without labels, slots and "
        f"categories hidden; keys scored on {len(test)} test texts, values there through the pairs "
        "of the train texts; keys that nobody annotated count as wrong; 95 % intervals from 1000 "
        "resamplings of the texts",
        "learn_cpu_seconds": round(studied, 1),
        "classes": len(extractor.ontology.classes),
        "properties": len(extractor.ontology.properties),
        "schema_coverage": learned.coverage,
        **scores.model_dump(mode="json"),
    }


def taught_by(backend: Backend, texts: Sequence[Document]) -> tuple[Extractor, Learned]:
    """Study, proposals, refinement; then what extracts and validates."""
    backend.study(lambda: iter(texts))
    gatekeeper, learned = schooled(backend, texts)
    return Extractor(backend, gatekeeper.ontology), learned


def schooled(
    backend: Backend, texts: Sequence[Document], settings: LearnSettings | None = None
) -> tuple[Gatekeeper, Learned]:
    """Proposals and refinement of a backend that has studied; the gatekeeper holds the schema and
    every decision."""
    with tempfile.TemporaryDirectory() as folder:
        gatekeeper = Gatekeeper(History.open(Path(folder), Ontology()))
        return gatekeeper, learn(lambda: iter(texts), backend, gatekeeper, settings, workers=1)


def in_backend(
    train: Sequence[Row], test: Sequence[Row], tagger: Tagger | None
) -> list[dict[str, str]]:
    """The surest checked value of every listed slot, from rules and, where given, a tagger: as
    `graph build` finds them, schema learned from the train texts."""
    backend = BuiltinBackend(tagger=tagger)
    extractor, _ = taught_by(backend, [document_of(row) for row in train])
    plan = plan_of(extractor.ontology.properties, backend.knowledge)
    found = []
    for row in test:
        facts = extractor.outcome(document_of(row)).facts
        surest: dict[str, str] = {}
        for fact in sorted(facts, key=lambda one: -one.confidence):
            if isinstance(fact.evidence, TextEvidence):
                surest.setdefault(fact.property, fact.evidence.raw)
        named = {name: plan.named(name) for name in row["attributes"]}
        found.append({n: surest[p.name] for n, p in named.items() if p and p.name in surest})
    return found


def read_as_stated(extractor: Extractor, row: Row) -> Stated:
    outcome = extractor.outcome(document_of(row).model_copy(update={"category": ""}))
    return stated(extraction_of(outcome), extractor.ontology, row["attributes"])
