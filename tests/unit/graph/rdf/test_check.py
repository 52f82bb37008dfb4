"""SHACL over a store: what is wrong is found, and named by document and property."""

from __future__ import annotations

import json
import random

import pytest

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.rdf.check import Violation, check
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import XSD
from tests.unit.graph.rdf.cases import ONTOLOGY, amount, fact, span, split


@pytest.fixture
def store(tmp_path):
    with GraphStore.open(tmp_path / "s") as opened:
        opened.put_many([split("d1"), split("d2", "bosch")], ONTOLOGY)
        yield opened


def add(
    store: GraphStore,
    name: str,
    value: str,
    datatype: str = "",
    end: str = "",
    document: str = "d1",
) -> None:
    """Says of d1, in a document's graph, past every check of ours, as a wrong program would."""
    library, names = oxigraph(), store.names
    node = library.NamedNode
    kind = node(XSD + datatype) if datatype != "iri" else None
    term = node(value) if kind is None else library.Literal(value, datatype=kind)
    store.database.add(
        library.Quad(
            node(names.product("d1")),
            node(names.property(name, end)),
            term,
            node(names.facts(document)),
        )
    )


def test_what_we_write_is_right(store) -> None:
    store.put(
        "d3", [fact("d3", "sets", span("1", "4")), fact("d3", "weight", span("1", "1"))], ONTOLOGY
    )
    assert list(check(store, ONTOLOGY)) == []
    assert list(check(store, ONTOLOGY, batch=1)) == []


@pytest.mark.parametrize(
    ("name", "value", "datatype", "end", "constraint"),
    [
        ("weight", "12,5", "decimal", "", "Datatype"),
        ("weight", "12", "integer", "", "Datatype"),
        ("ean", "x", "iri", "", "NodeKind"),
        ("stars", "1", "integer", "", "MaxCount"),
        ("color", "blue", "string", "", "In"),
        ("cooling_capacity", "101", "decimal", "max", "MaxInclusive"),
        ("cooling_capacity", "-1", "decimal", "min", "MinInclusive"),
        ("brand", "https://example.org/moonshelf/entity/brand/none", "iri", "", "Class"),
        ("brand", "lg", "string", "", "NodeKind"),
    ],
)
def test_every_constraint_bites(store, name, value, datatype, end, constraint) -> None:
    if datatype == "iri" and name == "ean":
        value = "https://example.org/moonshelf/x"
    add(store, name, value, datatype, end)
    found = list(check(store, ONTOLOGY))
    assert constraint in {one.constraint for one in found}
    for one in found:
        assert one.product == "d1" and one.documents == ("d1",)
        assert one.property == (f"{name}-{end}" if end else name)
    told = next(one for one in found if one.constraint == constraint)
    assert told.value == ("" if constraint == "MaxCount" else value) and told.message
    assert [r.document for r in told.refusals()] == ["d1"]
    assert told.refusals()[0].step == "shacl" and told.property in told.refusals()[0].reason
    assert list(check(store, ONTOLOGY, documents=["d2"])) == []
    assert list(check(store, ONTOLOGY, documents=["d1"])) == found


def test_a_range_upside_down(store) -> None:
    add(store, "sets", "4", "integer", "min")
    add(store, "sets", "1", "integer", "max")
    assert list(check(store, ONTOLOGY)) == []  # many ranges: their pairs are not known here
    add(store, "stars", "4", "integer", "min")
    add(store, "stars", "2", "integer", "max")
    assert [v.constraint for v in check(store, ONTOLOGY)] == ["LessThanOrEquals"]


def test_a_property_of_another_class(store) -> None:
    store.put("k", [fact("k", "stars", 3)], ONTOLOGY, product_class="Kettle")
    kettles = ONTOLOGY.property_of("stars").model_copy(update={"domain": "AirConditioner"})
    others = tuple(one for one in ONTOLOGY.properties if one.name != "stars")
    later = ONTOLOGY.model_copy(update={"properties": (*others, kettles)})
    (found,) = check(store, later)
    assert (found.product, found.property, found.constraint) == ("k", "stars", "Class")
    assert found.documents == ("k",)


def test_documents_that_disagree_are_both_named(store) -> None:
    store.put_many(
        [
            split("r1", facts=(fact("r1", "stars", 5),), product="d1"),
            split("r2", facts=(fact("r2", "weight", amount("3")),), product="d1"),
        ],
        ONTOLOGY,
    )
    assert list(check(store, ONTOLOGY)) == []  # r1 says the same as d1
    store.put("r2", [fact("r2", "stars", 4)], ONTOLOGY, product="d1")
    (found,) = check(store, ONTOLOGY, documents=["r2"])
    assert (found.constraint, found.documents) == ("MaxCount", ("d1", "r1", "r2"))


def test_only_the_document_with_the_wrong_value_is_named(store) -> None:
    store.put("r1", [fact("r1", "note", "x")], ONTOLOGY, product="d1")
    add(store, "color", "blue", "string", document="r1")
    (found,) = check(store, ONTOLOGY)
    assert (found.constraint, found.value, found.documents) == ("In", "blue", ("r1",))


def test_batches_do_not_change_what_is_found(store) -> None:
    chance = random.Random(0)
    entries = []
    for n in range(40):
        stars = [
            fact(f"p{n}", "stars", s) for s in chance.sample(range(1, 6), chance.randint(1, 2))
        ]
        entries.append(split(f"p{n}", facts=tuple(stars)))
    store.put_many(entries, ONTOLOGY)
    whole = list(check(store, ONTOLOGY, batch=1_000))
    wrong = {entry.document for entry in entries if len(entry.facts) == 2}
    assert {one.product for one in whole} == wrong and 5 < len(wrong) < 35
    by_product = {one.product: one for one in check(store, ONTOLOGY, batch=7)}
    assert sorted(by_product) == sorted(one.product for one in whole)
    assert all(by_product[one.product] == one for one in whole)


def test_options_of_entities_and_odd_texts(tmp_path) -> None:
    """Options with quotes and backslashes pass through Turtle and back."""
    odd = ('a "b"', "c\\d", "e\nf", "ü", "\\u{0}", "it's")
    ontology = Ontology(
        classes=(ClassDef(name="Product", parent=None),),
        properties=(
            PropertyDef(name="maker", kind="object", options=odd, many=True),
            PropertyDef(name="finish", options=odd, many=True),
        ),
    )
    with GraphStore.open(tmp_path / "s") as store:
        facts = [fact("d", name, one) for one in odd for name in ("maker", "finish")]
        assert store.put("d", facts, ontology) == []
        assert list(check(store, ontology)) == []
        fewer = [p.model_copy(update={"options": odd[:-1]}) for p in ontology.properties]
        found = list(check(store, ontology.model_copy(update={"properties": tuple(fewer)})))
        assert [(v.property, v.constraint) for v in found] == [("finish", "In"), ("maker", "In")]


def test_odd_ids_and_values_are_told(tmp_path) -> None:
    odd = "\x00 \ud800 </b>"
    with GraphStore.open(tmp_path / "s") as store:
        facts = [fact(odd, "ean", odd), fact(odd, "ean", "y"), fact(odd, "stars", odd)]
        (refusal,) = store.put(odd, facts, ONTOLOGY)
        assert json.loads(refusal.candidate)["value"] == odd
        (found,) = check(store, ONTOLOGY)
    assert (found.product, found.documents, found.constraint) == (odd, (odd,), "MaxCount")
    assert json.loads(found.refusals()[0].candidate)["product"] == odd


def test_progress_and_order(store) -> None:
    told = []
    add(store, "stars", "1", "integer")
    add(store, "weight", "x", "decimal")
    found = list(
        check(store, ONTOLOGY, batch=1, progress=lambda *a, **k: told.append((a, k["violations"])))
    )
    assert told[-1] == ((2, 2), 2) and all(isinstance(one, Violation) for one in found)
    assert [one.property for one in found] == ["stars", "weight"]
