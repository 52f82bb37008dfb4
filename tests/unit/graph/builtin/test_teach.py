"""Labels are read as they stand, matched to documents, and counted where they teach nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.errors import DataError, UsageError
from moonshelf.graph.builtin.teach import of_labels, of_rules, read_labels
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, Span, TextEvidence

TEXTS = {"a": "Acme fan red", "b": "Borea fan", "c": "Cirrus fan 5 W"}
DOCUMENTS = [Document(id=name, fields=(("title", text),)) for name, text in TEXTS.items()]


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_labels(tmp_path: Path) -> None:
    path = table(tmp_path, 'id,property,value\na,Brand,Acme\na,Brand,"Ac, me"\nb,Color,\n')
    assert read_labels(path) == {"a": {"Brand": ["Acme", "Ac, me"]}, "b": {"Color": []}}
    lines = '{"sku": 7, "attribute": "size", "value": 1.5}\n'
    path = table(tmp_path, lines, "labels.jsonl")
    assert read_labels(path, {"id": "sku"}) == {"7": {"size": ["1.5"]}}


@pytest.mark.parametrize(
    ("text", "columns", "error", "complaint"),
    [
        ("id,what,value\na,b,c\n", {}, UsageError, "no column 'property'"),
        ("id,property,value\na,b,c\n", {"id": "sku"}, UsageError, "no column 'sku'"),
        ("id,property,value\na,b,c\n", {"values": "value"}, UsageError, "no column 'values'"),
        ("id,property,value\n,b,c\n", {}, DataError, "no document"),
        ("id,property,value\na,b,c,d,e\n", {}, DataError, "has 5 cells"),
    ],
)
def test_a_bad_table_says_what_is_wrong(
    tmp_path: Path, text: str, columns: dict[str, str], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        read_labels(table(tmp_path, text), columns)


def test_labels_meet_their_documents() -> None:
    labels = {"a": {"brand": ["acme"], "color": ["green"]}, "b": {"color": []}, "x": {"y": ["z"]}}
    found = of_labels(DOCUMENTS, labels)
    assert [one.document.id for one in found.labelled] == ["a", "b"]
    assert found.labelled[0].values == {"brand": ("acme",), "color": ("green",)}
    assert found.labelled[1].values == {"color": ()}
    assert (found.stated, found.nowhere, found.unknown) == (1, 1, ("x",))


ONTOLOGY = Ontology(
    properties=(
        PropertyDef(name="maker", kind="object"),
        PropertyDef(name="shade", options=("red",)),
        PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
    ),
    aliases=(("brand", "maker"),),
)


def outcome(name: str, *facts: tuple[str, str, float]) -> Outcome:
    made = []
    for owned, raw, confidence in facts:
        start = TEXTS[name].index(raw)
        span = Span(field="title", start=start, end=start + len(raw))
        made.append(
            Fact(
                document=name,
                property=owned,
                value=raw.lower(),
                evidence=TextEvidence(span=span, raw=raw),
                confidence=confidence,
            )
        )
    return Outcome(
        document=name,
        status="done",
        product_class="Product",
        digest="d",
        slice="s",
        fingerprint="f",
        version=1,
        facts=tuple(made),
    )


def test_rules_teach_what_they_are_sure_of() -> None:
    outcomes = [
        outcome("a", ("brand", "Acme", 0.93), ("shade", "red", 0.93)),
        outcome("b", ("maker", "Borea", 0.62)),
        outcome("c", ("maker", "Cirrus", 0.75), ("power", "5 W", 0.9)),
    ]
    found = of_rules(DOCUMENTS, outcomes, ONTOLOGY)
    assert {one.document.id: dict(one.values) for one in found.labelled} == {
        "a": {"maker": ("Acme",)}, "c": {"maker": ("Cirrus",)}
    }  # fmt: skip
    assert found.stated == 2
    named = of_rules(DOCUMENTS, outcomes, ONTOLOGY, 0.5, ["brand", "power"])
    assert {one.document.id: set(one.values) for one in named.labelled} == {
        "a": {"maker"}, "b": {"maker"}, "c": {"maker", "power"}
    }  # fmt: skip
    with pytest.raises(UsageError, match="no property 'powr'"):
        of_rules(DOCUMENTS, outcomes, ONTOLOGY, 0.5, ["powr"])
