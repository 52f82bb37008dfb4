"""The ontology and its shapes as Turtle."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.graph.ontology import Ontology
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.schema_graph import ontology_turtle
from moonshelf.graph.rdf.shapes import shapes_turtle
from moonshelf.graph.rdf.vocabulary import DCTERMS, OWL, RDF, RDFS, SH, XSD
from moonshelf.graph.units.registry import UnitError
from tests.unit.graph.rdf.cases import ONTOLOGY

NAMES = Names.under("https://shop.example/kg")


@pytest.fixture(scope="module")
def graph():
    import rdflib

    return rdflib.Graph().parse(data=ontology_turtle(ONTOLOGY, NAMES), format="turtle")


@pytest.fixture(scope="module")
def shapes():
    import rdflib

    return rdflib.Graph().parse(data=shapes_turtle(ONTOLOGY, NAMES), format="turtle")


def values(graph, subject: str, predicate: str) -> set[str]:
    import rdflib

    return {str(v) for v in graph.objects(rdflib.URIRef(subject), rdflib.URIRef(predicate))}


def test_no_blank_nodes(graph, shapes) -> None:
    import rdflib

    for found in (graph, shapes):
        assert len(found) > 50
        assert not any(isinstance(term, rdflib.BNode) for triple in found for term in triple)


def test_both_libraries_read_the_same(graph) -> None:
    from moonshelf.graph.rdf.library import oxigraph

    library = oxigraph()
    data = ontology_turtle(ONTOLOGY, NAMES)
    theirs = library.parse(data, format=library.RdfFormat.TURTLE)
    assert {f"{q.subject} {q.predicate}" for q in theirs} == {f"<{s}> <{p}>" for s, p, _ in graph}


def test_properties_say_what_they_hold(graph) -> None:
    cooling = NAMES.property("cooling_capacity")
    assert values(graph, cooling, f"{RDF}type") == {f"{OWL}DatatypeProperty"}
    assert values(graph, cooling, f"{RDFS}domain") == {NAMES.product_class("AirConditioner")}
    assert values(graph, cooling, f"{RDFS}range") == {f"{XSD}decimal"}
    assert values(graph, cooling, f"{RDFS}comment") == {"Cooling power. Unit: kilowatt."}
    assert values(graph, cooling, NAMES.term("unit")) == {NAMES.unit("kilowatt")}
    assert values(graph, cooling, NAMES.term("dimension")) == {NAMES.dimension("power")}
    assert values(graph, NAMES.unit("kilowatt"), NAMES.term("unitCode")) == {"KWT"}
    assert values(graph, NAMES.property("brand"), f"{RDF}type") == {f"{OWL}ObjectProperty"}
    assert values(graph, NAMES.property("brand"), f"{RDFS}range") == {NAMES.entity_class("brand")}
    for end in ("min", "max"):
        bound = NAMES.property("cooling_capacity", end)
        assert values(graph, bound, f"{RDFS}range") == {f"{XSD}decimal"}


def test_classes_form_a_tree(graph) -> None:
    split = NAMES.product_class("SplitAirConditioner")
    assert values(graph, split, f"{RDFS}subClassOf") == {NAMES.product_class("AirConditioner")}
    assert values(graph, split, f"{RDFS}label") == {"split air conditioner"}


def test_former_names_point_at_the_present_ones(graph) -> None:
    for old, new in (
        (NAMES.property("capacity"), NAMES.property("cooling_capacity")),
        (NAMES.product_class("Aircon"), NAMES.product_class("AirConditioner")),
    ):
        assert values(graph, old, f"{DCTERMS}isReplacedBy") == {new}
        assert values(graph, old, f"{OWL}deprecated") == {"true"}


def test_every_term_that_is_used_is_described(graph) -> None:
    ours = {term for triple in graph for term in triple if str(term).startswith(NAMES.base)}
    labeled = {s for s, p, _ in graph if str(p) == f"{RDFS}label"}
    silent = {str(term) for term in ours - labeled}
    assert silent == {NAMES.ontology, f"{NAMES.ontology}/version/7"}


def test_shapes_hold_the_constraints(shapes) -> None:
    cooling = NAMES.shape("cooling_capacity")
    assert values(shapes, cooling, f"{SH}maxCount") == {"1"}
    assert {Decimal(v) for v in values(shapes, cooling, f"{SH}maxInclusive")} == {Decimal(100)}
    assert values(shapes, NAMES.shape("color"), f"{SH}maxCount") == set()
    assert values(shapes, NAMES.shape("brand"), f"{SH}class") == {NAMES.entity_class("brand")}
    low = NAMES.shape("stars", "min")
    assert values(shapes, low, f"{SH}lessThanOrEquals") == {NAMES.property("stars", "max")}


def test_shapes_use_core_constraints_only(shapes) -> None:
    allowed = {"targetSubjectsOf", "path", "maxCount", "nodeKind", "class", "datatype", "in"}
    allowed |= {"minInclusive", "maxInclusive", "lessThanOrEquals"}
    used = {str(p).removeprefix(SH) for _, p, _ in shapes if str(p).startswith(SH)}
    assert used == allowed


def test_a_unit_that_is_none_is_an_error() -> None:
    odd = ONTOLOGY.property_of("weight").model_copy(update={"unit": "stone henge"})
    with pytest.raises(UnitError):
        ontology_turtle(Ontology(properties=(odd,)), NAMES)


def test_the_order_of_the_elements_does_not_matter() -> None:
    turned = ONTOLOGY.model_copy(
        update={
            "classes": ONTOLOGY.classes[::-1],
            "properties": ONTOLOGY.properties[::-1],
            "aliases": ONTOLOGY.aliases[::-1],
        }
    )
    assert turned != ONTOLOGY
    for write in (ontology_turtle, shapes_turtle):
        assert write(turned, NAMES) == write(ONTOLOGY, NAMES)


WRITE = """
import hashlib
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.schema_graph import ontology_turtle
from moonshelf.graph.rdf.shapes import shapes_turtle
from tests.unit.graph.rdf.cases import ONTOLOGY
for write in (ontology_turtle, shapes_turtle):
    print(hashlib.sha256(write(ONTOLOGY, Names())).hexdigest())
"""


def test_the_bytes_are_the_same_in_every_process() -> None:
    root = Path(__file__).resolve().parents[4]
    told = {
        subprocess.run(
            [sys.executable, "-c", WRITE],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(told) == 1 and len(told.pop().split()) == 2
