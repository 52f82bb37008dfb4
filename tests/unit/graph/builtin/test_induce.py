"""A schema out of a shop that nobody described: kinds, makers, measures, counts, features."""

from __future__ import annotations

import pytest

from moonshelf.graph.builtin.induce import corpus_mark, induce
from moonshelf.graph.records import Document
from tests.unit.graph.builtin.shops import FILTERS, kettles, watches


@pytest.fixture(scope="module")
def kettle_shop():
    return induce(kettles())


@pytest.fixture(scope="module")
def watch_shop():
    return induce(watches())


def properties(knowledge):
    return {p.name: p for p in knowledge.properties}


def test_kinds_with_their_forms(kettle_shop):
    classes = {c.name: c.parent for c in kettle_shop.classes}
    assert classes == {
        "Kettle": "Product",
        "GooseneckKettle": "Kettle",
        "StovetopKettle": "Kettle",
        "TravelKettle": "Kettle",
    }


def test_makers_by_place(kettle_shop):
    names = set(dict(kettle_shop.brands).values())
    assert names == {
        "alveo", "brunt and sons", "caldera", "dorian hill", "elmwick", "ferro", "green fox",
    }  # fmt: skip


def test_measures_by_dimension(kettle_shop):
    found = properties(kettle_shop)
    assert (found["volume"].dimension, found["volume"].unit) == ("volume", "liter")
    assert (found["power"].dimension, found["power"].unit) == ("power", "watt")
    assert found["star_rating"].datatype == "integer"
    assert found["model_year"].datatype == "integer"
    assert found["brewing_modes"].datatype == "integer"
    assert found["cup_marks"].datatype == "integer"


def test_what_every_shop_has(kettle_shop):
    found = properties(kettle_shop)
    assert found["brand"].kind == "object"
    assert found["model_number"].many and found["color"].many and found["material"].many


def test_features_and_kinds_of_a_thing(kettle_shop):
    found = properties(kettle_shop)
    for name in ("auto_shut_off", "keep_warm", "led_display", "cool_touch_handle", "wifi"):
        assert found[name].datatype == "boolean", name
    assert set(found["wifi"].synonyms) == {"wi fi", "wifi"}
    assert found["filter"].many
    assert set(dict(kettle_shop.values)["filter"]) == {f.lower() for f in FILTERS}


def test_no_property_twice_and_no_junk(kettle_shop):
    names = [p.name for p in kettle_shop.properties]
    assert len(names) == len(set(names))
    assert len(names) <= 20


def test_pairs_become_properties(watch_shop):
    found = properties(watch_shop)
    assert found["dial_shape"].options == ("round", "square", "tonneau")
    assert found["warranty"].unit == "year"
    assert found["weight"].unit == "gram"
    assert found["diameter"].unit == "millimeter" or found["case_diameter"].unit == "millimeter"
    assert "width" in found or "strap_width" in found


def test_headings_hold_their_lines(watch_shop):
    found = properties(watch_shop)
    assert "watch care" in watch_shop.headings
    assert found["watch_care"].many
    assert "wipe with a soft cloth" in found["watch_care"].options


def test_the_corpus_tells_its_decimals(watch_shop, kettle_shop):
    assert kettle_shop.mark == "."
    assert watch_shop.mark == ","
    mixed = [
        Document(id=str(k), fields=(("title", t),)) for k, t in enumerate(("1.5 kg", "1,5 kg"))
    ]
    assert corpus_mark(mixed) is None


def test_equal_documents_give_equal_knowledge(kettle_shop):
    again = induce(kettles())
    assert again == kettle_shop
    assert again.digest == kettle_shop.digest
    assert induce(kettles(seed=4)).digest != kettle_shop.digest


def test_nothing_comes_of_nothing():
    assert induce([]).properties == ()
    assert induce([Document(id="a", fields=())]).classes == ()
    lone = induce([Document(id="a", fields=(("title", "Alveo 1.5 L Kettle"),))])
    assert lone.properties == () and lone.classes == ()
