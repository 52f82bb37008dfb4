"""Examples for the tagger: a table of labels that a person made, or what the rules are sure of.

Both are documents of a graph folder with the words that state values. A label whose words stand
nowhere in its document teaches nothing; it is counted, so that a person can mend it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moonshelf.catalog.readers.rows import Row, RowFile
from moonshelf.config import closest
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.builtin.extract import ABSTAIN
from moonshelf.graph.builtin.tagger import Labelled, TaggerSettings
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, TextEvidence
from moonshelf.graph.text import find

LEAST_SURE = 0.75
"""Least confidence of a fact that rules may teach. A tagger is trusted as far as the least sure of
its examples, so that it never overrules a rule that was among its teachers."""
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "document", "document_id"),
    "property": ("property", "attribute", "name"),
    "value": ("value", "text"),
}
Labels = Mapping[str, Mapping[str, Sequence[str]]]
"""Document id -> property -> values; no value: a person looked and there is none."""


@dataclass(frozen=True)
class Examples:
    """Documents to learn from.

    Attributes:
        labelled: the documents, each with at least one looked-for property.
        stated: labels whose words stand in their document.
        nowhere: labels whose words do not.
        unknown: ids of labels that are no document's.
    """

    labelled: tuple[Labelled, ...]
    stated: int
    nowhere: int = 0
    unknown: tuple[str, ...] = ()


def settings_of(trust: float = 1.0, by_category: bool = False) -> TaggerSettings:
    """Settings of a tagger whose labels are to be trusted so far, before its threshold is chosen:
    it is as sure as a rule must be."""
    return TaggerSettings(by_category=by_category, trust=trust, threshold=min(1, ABSTAIN / trust))


def read_labels(path: Path, columns: Mapping[str, str] | None = None) -> Labels:
    """A table of labels: a row for a document id, a property and a value, verbatim. A row without
    a value says that the document states none.

    Args:
        path: .csv .tsv .parquet .jsonl
        columns: what the columns ``id``, ``property`` and ``value`` are called, where not so.

    Raises:
        UsageError: an unknown key in ``columns``, or no such column.
        DataError: the file or one of its rows cannot be read.
    """
    file = RowFile(path)
    names = _columns(file, columns or {})
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in file.rows():
        if not isinstance(row, Row):
            raise row.error
        cells = {key: row.fields.get(column) for key, column in names.items()}
        if any(isinstance(cell, list | dict) for cell in cells.values()):
            raise DataError("a cell holds a list", where=row.where, cure="give each value a row")
        texts = {key: "" if cell is None else str(cell).strip() for key, cell in cells.items()}
        if not texts["id"] or not texts["property"]:
            raise DataError("no document or no property", where=row.where, cure="fill it in")
        values = found[texts["id"]][texts["property"]]
        if texts["value"]:
            values.append(texts["value"])
    return found


def of_labels(documents: Iterable[Document], labels: Labels) -> Examples:
    """The labelled ones among ``documents``."""
    examples, stated, nowhere = [], 0, 0
    known = set()
    for document in documents:
        told = labels.get(document.id)
        if told is None:
            continue
        known.add(document.id)
        values = {name: tuple(values) for name, values in sorted(told.items())}
        examples.append(Labelled(document=document, values=values))
        for value in (value for told in values.values() for value in told):
            here = any(find(text, value) for _, text in document.fields)
            stated, nowhere = stated + here, nowhere + (not here)
    return Examples(tuple(examples), stated, nowhere, tuple(sorted(set(labels) - known)))


def of_rules(
    documents: Iterable[Document],
    outcomes: Iterable[Outcome],
    ontology: Ontology,
    least: float = LEAST_SURE,
    properties: Collection[str] = (),
) -> Examples:
    """What the rules found in a graph and are sure of.

    Args:
        documents: of the graph.
        outcomes: what became of them.
        ontology: of the graph.
        least: least confidence of a fact.
        properties: names of those to teach; by default all that hold words of any kind, as numbers,
            options and features are found by the schema itself.

    Raises:
        UsageError: the ontology has no such property.
    """
    wanted = _wanted(ontology, properties)
    hits = {one.document: dict(_hits(one.facts, ontology, wanted, least)) for one in outcomes}
    examples = [
        Labelled(document=document, values=hits[document.id])
        for document in documents
        if hits.get(document.id)
    ]
    return Examples(
        tuple(examples), sum(len(told) for one in examples for told in one.values.values())
    )


def _hits(
    facts: Sequence[Fact], ontology: Ontology, wanted: Collection[str], least: float
) -> Iterator[tuple[str, tuple[str, ...]]]:
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for fact in facts:
        name = ontology.present(fact.property)
        if name in wanted and fact.confidence >= least and isinstance(fact.evidence, TextEvidence):
            said[name][fact.evidence.raw] = None
    for name in sorted(said):
        yield name, tuple(said[name])


def _wanted(ontology: Ontology, properties: Collection[str]) -> frozenset[str]:
    known = {one.name for one in ontology.properties}
    for name in properties:
        if ontology.present(name) not in known:
            raise UsageError(f"this graph has no property {name!r}", cure=closest(name, known))
    if properties:
        return frozenset(map(ontology.present, properties))
    return frozenset(
        one.name for one in ontology.properties if one.datatype == "string" and not one.options
    )


def _columns(file: RowFile, columns: Mapping[str, str]) -> dict[str, str]:
    header = file.header()
    for key in columns:
        if key not in COLUMNS:
            raise UsageError(f"labels have no column {key!r}", cure=closest(key, COLUMNS))
    found = {}
    for key, usual in COLUMNS.items():
        wishes = (columns[key],) if key in columns else usual
        name = next((wish for wish in wishes if wish in header), None)
        if name is None:
            raise UsageError(
                f"no column {wishes[0]!r} in the labels",
                where=str(file.path),
                cure=f"pass --set {key}=COLUMN, one of {', '.join(header[:20])}",
            )
        found[key] = name
    return found
