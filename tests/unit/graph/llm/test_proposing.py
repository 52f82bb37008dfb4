"""Agent 1 of the llm backend: what a model proposes becomes definitions by code."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.llm.names import class_named, property_named
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document
from tests.unit.graph.fake_llm import (
    PROSE,
    FakeLlm,
    Fault,
    changed,
)
from tests.unit.graph.llm.shop import DOCUMENT, ONTOLOGY, backend


@pytest.fixture
def server():
    with FakeLlm() as running:
        yield running


def test_a_batch_brings_classes_and_properties(server) -> None:
    fan = Document(id="f", fields=(("title", "Bajaj 1200 mm Fan, Black"),))
    found = backend(server).propose([DOCUMENT, fan], Ontology())
    assert {c.name: c.parent for c in found.classes} == {
        "AirConditioner": "Product",
        "SplitAirConditioner": "AirConditioner",
        "Fan": "Product",
    }
    made = {p.name: p for p in found.properties}
    assert made["cooling_capacity"].unit == "watt"
    assert made["cooling_capacity"].examples == ("1.5 Ton",)
    assert made["sweep"].dimension == "length"
    assert made["wifi"].kind == "feature" and made["brand"].kind == "object"


def test_only_what_is_missing_is_proposed(server) -> None:
    found = backend(server).propose([DOCUMENT], ONTOLOGY)
    assert found.classes == () and found.properties == ()


def proposed(server: FakeLlm, classes=(), properties=(), ontology: Ontology | None = None):
    """What comes of an answer with these parts, each completed by nulls."""
    empty = {"of": None, "type": "text", "unit": None, "several": None, "about": None}
    answer = {
        "classes": [{"parent": None, "about": None, "words": None, **c} for c in classes],
        "properties": [{**empty, "words": None, "example": "White", **p} for p in properties],
    }
    found = backend(server)
    server.brain = lambda _: json.dumps(answer)
    return found.propose([DOCUMENT], ontology or Ontology())


def test_names_are_made_by_code(server) -> None:
    found = proposed(
        server,
        classes=[{"name": "split-unit (réel)"}, {"name": "<script>"}, {"name": "漢字"}],
        properties=[
            {"name": "Farbe/Größe"},
            {"name": "24h mode", "type": "feature"},
            {"name": "'; DROP TABLE", "about": "a\nb\x1b[2J"},
            {"name": "!!!"},
        ],
    )
    assert [c.name for c in found.classes] == ["SplitUnitReel", "Script"]
    assert [p.name for p in found.properties] == ["farbe_groe", "mode", "drop_table"]
    assert found.properties[2].guidance == "a b [2J"


def test_what_no_text_states_is_invented_and_left_out(server) -> None:
    found = proposed(
        server,
        properties=[
            {"name": "warranty", "example": "10 years"},
            {"name": "feel", "example": None},
            {"name": "shade", "example": "WHITE"},
        ],
    )
    assert [(p.name, p.examples) for p in found.properties] == [("shade", ("White",))]


def test_unknown_parents_and_classes_are_the_root(server) -> None:
    found = proposed(
        server,
        classes=[{"name": "A", "parent": "Nowhere"}, {"name": "B", "parent": "B"}],
        properties=[{"name": "x", "of": "Nowhere"}, {"name": "y", "of": "A"}],
    )
    assert [c.parent for c in found.classes] == ["Product", "Product"]
    assert [p.domain for p in found.properties] == ["Product", "A"]


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        ({"A": "B", "B": "A"}, {"A": "Product", "B": "A"}),
        ({"A": "B", "B": "C", "C": "B"}, {"A": "B", "B": "Product", "C": "B"}),
        ({"A": "B", "B": "C", "C": "A"}, {"A": "Product", "B": "C", "C": "A"}),
    ],
)
def test_classes_in_a_circle_are_below_the_root(parents, expected, server) -> None:
    found = proposed(
        server,
        classes=[{"name": name, "parent": parent} for name, parent in parents.items()],
        properties=[{"name": "x", "of": "A"}],
    )
    assert {c.name: c.parent for c in found.classes} == expected
    assert [p.domain for p in found.properties] == ["A"]


def test_a_unit_that_nobody_knows_leaves_a_text(server) -> None:
    found = proposed(
        server,
        properties=[
            {"name": "a", "type": "number", "unit": "horseflies"},
            {"name": "b", "type": "number"},
            {"name": "c", "type": "number", "unit": "kW"},
            {"name": "d", "type": "number", "unit": "ton", "example": "1.5 Ton"},
        ],
    )
    forms = [(p.datatype, p.dimension) for p in found.properties]
    assert forms == [
        ("string", None),
        ("decimal", None),
        ("decimal", "power"),
        ("decimal", "power"),
    ]


def test_a_name_proposed_twice_is_asked_again(server) -> None:
    found = backend(server)
    twice = changed(lambda f: {**f, "properties": [*f["properties"], *f["properties"]]})
    server.faults.append(Fault("twice", text=twice))
    assert len(found.propose([DOCUMENT], Ontology()).properties) == 5
    assert "'brand' is there 2 times" in server.prompts()[-1]


def test_no_proposal_is_an_error(server) -> None:
    found = backend(server)
    server.always = PROSE
    with pytest.raises(ExtractionError, match="batch"):
        found.propose([DOCUMENT], Ontology())


@given(st.text(max_size=80))
def test_names_from_any_text_are_names_or_nothing(text: str) -> None:
    name = class_named(text)
    assert name == "" or ClassDef(name=name, parent="Product" if name != "Product" else None)
    name = property_named(text)
    assert name == "" or PropertyDef(name=name)
