"""Kinds, makers and spellings, from handfuls of titles that show one thing each."""

from __future__ import annotations

from moonshelf.graph.builtin.brands import induce_brands
from moonshelf.graph.builtin.codes import CodeHabits, code_units, find_codes
from moonshelf.graph.builtin.induce import induce
from moonshelf.graph.builtin.reading import read_field
from moonshelf.graph.builtin.titles import distinct, title_of
from moonshelf.graph.builtin.types import induce_kinds
from moonshelf.graph.records import Document

COLORS = ("White", "Black", "Green", "Grey", "Beige", "Ivory", "Brown", "Pink")
MAKERS = ("Alveo", "Caldera", "Elmwick", "Ferro", "Grantham", "Hollis")


def titles(*texts):
    return distinct(title_of(read_field("title", text, True, ".")) for text in texts)


def each_maker(*patterns):
    """Every pattern with every maker and a few powers: all titles differ."""
    return [
        pattern.format(maker=maker, watts=100 * k + 100, k=k)
        for pattern in patterns
        for k, maker in enumerate(MAKERS)
    ]


def test_words_that_meet_are_not_two_forms():
    found = induce_kinds(
        titles(
            *each_maker("{maker} {watts} W Floor Lamp", "{maker} {watts} W Desk Lamp"),
            # "System" stands right before the noun as well, but beside "Floor".
            *each_maker("{maker} {watts} W Floor System Lamp")[:4],
        ),
        3,
    )
    assert {k.name for k in found} == {"Lamp", "FloorLamp", "DeskLamp"}


def test_an_abbreviation_is_the_kind_it_abbreviates():
    found = induce_kinds(
        titles(
            *each_maker(
                "{maker} {watts} W Window AC",
                "{maker} {watts} W Split AC",
                "{maker} {watts} W Air Conditioner",
            )
        ),
        3,
    )
    assert next((k.name, k.wordings) for k in found) == (
        "AirConditioner",
        (("ac",), ("air", "conditioner")),
    )
    assert {k.name for k in found[1:]} == {"SplitAirConditioner", "WindowAirConditioner"}


def test_singular_and_plural_are_one_kind():
    found = induce_kinds(titles(*each_maker("{maker} Red {k} Lamp", "{maker} Blue {k} Lamps")), 3)
    assert [(k.name, k.wordings) for k in found] == [("Lamp", (("lamp",), ("lamps",)))]


def test_a_noun_beside_a_commoner_one_is_no_kind():
    found = induce_kinds(titles(*each_maker("{maker} {watts} W Timer Coating, Desk Lamp")), 3)
    assert "Coating" not in {k.name for k in found}


def test_spellings_are_one_maker():
    brands = induce_brands(
        titles(
            *(f"O General {c} Lamp" for c in COLORS),
            *(f"O-General {c} Stand" for c in COLORS),
            *(f"OGENERAL {c} Fan" for c in COLORS),
            *(f"Blue Star {c} Lamp" for c in COLORS),
        ),
        {"lamp", "stand", "fan"},
    )
    assert brands.names["ogeneral"] == "o general"
    assert brands.names["bluestar"] == "blue star"
    assert brands.documents["ogeneral"] == 24


def test_a_word_that_begins_a_type_is_no_maker():
    brands = induce_brands(
        titles(*(f"Cordless Desk Lamp {c}" for c in COLORS), *each_maker("{maker} {watts} W Lamp")),
        {"desk", "lamp"},
    )
    assert "cordless" not in brands.names


def test_a_unit_that_one_maker_alone_writes_glued_is_part_of_its_codes():
    listing = titles(
        *(f"Alveo {c} Lamp {k}3V CAZZ" for k, c in enumerate(COLORS, start=12)),
        *each_maker("{maker} {watts} W Lamp", "{maker} Red Lamp"),
    )
    brands = induce_brands(listing, {"lamp"})
    assert code_units(listing, brands) == {("volt", "alveo")}
    # Three titles may be three appliances of 123 volts.
    few = [t for t in listing if not t.glued] + [t for t in listing if t.glued][:3]
    assert code_units(few, brands) == frozenset()
    everybody = titles(*each_maker("{maker} Lamp {watts}V"), *each_maker("{maker} {watts}V Fan"))
    assert code_units(everybody, induce_brands(everybody, {"lamp", "fan"})) == frozenset()


def codes(text, habits=CodeHabits(), brand=None):  # noqa: B008
    return [text[a:b] for a, b in find_codes(read_field("title", text, True, "."), habits, brand)]


def test_codes_by_shape():
    assert codes("Lamp (White, AR18CY5AQWK)") == ["AR18CY5AQWK"]
    assert codes("Lamp CS/CU-KN12YKY") == ["CS/CU-KN12YKY"]
    assert codes("RAS-13J2KG-IN/RAS-13J2AG-IN") == ["RAS-13J2KG-IN", "RAS-13J2AG-IN"]
    assert codes("Lamp HSU13K-PYS3BE1(INV)") == ["HSU13K-PYS3BE1(INV)"]
    assert codes("LPS -IN24K3SW-A20") == ["LPS -IN24K3SW-A20"]
    assert codes("R32 IP65 24K 1st 1500W 7in1 Model-2022") == []
    assert codes("Lamp AR18CY5AQW...") == []


def test_codes_take_what_belongs_to_them():
    habits = CodeHabits(
        tails=frozenset({"cazz"}), heads=frozenset({"gic"}), units=frozenset({("volt", "alveo")})
    )
    assert codes("Lamp 183V CAZZ White", habits, "alveo") == ["183V CAZZ"]
    assert codes("Lamp 183V CAZZ White", habits, "ferro") == []
    assert codes("Lamp GIC 18PGC5-WVA", habits) == ["GIC 18PGC5-WVA"]
    assert codes("Lamp PM25X", CodeHabits(common=frozenset({"pm25x"}))) == []


def test_a_feature_is_known_in_a_spelling_that_hardly_occurs():
    texts = each_maker("{maker} {watts} W Wi-Fi Lamp", "{maker} {watts} W Desk Lamp (Wi-Fi, Red)")
    documents = [Document(id=str(k), fields=(("title", t),)) for k, t in enumerate(texts)]
    once = Document(id="once", fields=(("title", "Hollis 5 W WiFi Lamp"),))
    found = {p.name: p.synonyms for p in induce([*documents, once]).properties}
    assert set(found["wifi"]) == {"wi fi", "wifi"}
