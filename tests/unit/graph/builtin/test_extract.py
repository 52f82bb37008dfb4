"""Facts of one document: each with its words, none under a guard, none out of a cut end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.induce import induce
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Range, TextEvidence
from moonshelf.graph.validate import Validator
from tests.unit.graph.builtin.shops import kettles, watches


def reader_of(documents):
    knowledge = induce(documents)
    base = Ontology().classes
    return Reader(
        knowledge,
        Ontology(classes=(*base, *knowledge.classes), properties=knowledge.properties),
    )


@pytest.fixture(scope="module")
def kettle_reader():
    return reader_of(kettles())


@pytest.fixture(scope="module")
def watch_reader():
    return reader_of(watches())


def facts(reader, title, **fields):
    """property -> {value: raw} of what a document says, the ladder passed."""
    texts = (("title", title), *fields.items())
    document = Document(id="d", fields=texts)
    extraction = reader.extract(document)
    kept, refused = Validator(reader.ontology).check(extraction, document)
    assert not [r for r in refused if r.step not in ("guard", "conflict")], refused
    found = {}
    for fact in kept:
        assert isinstance(fact.evidence, TextEvidence)
        text = document.field(fact.evidence.span.field)
        span = fact.evidence.span
        assert text[span.start : span.end] == fact.evidence.raw
        found.setdefault(fact.property, {})[shown(fact.value)] = fact.evidence.raw
    return found, extraction


def shown(value):
    if isinstance(value, Amount):
        return str(value.amount)
    if isinstance(value, Range):
        return f"{value.low}..{value.high}"
    return value


def test_a_listing(kettle_reader):
    title = (
        "Caldera 1.7 L 2200 W 4 Star Wi-Fi Gooseneck Kettle "
        "(Glass, Anti Scale Filter, Keep Warm, 4-in-1 Brewing, 2023 Model, CA41K7, Matte Black)"
    )
    found, extraction = facts(kettle_reader, title)
    assert extraction.product_class == "GooseneckKettle"
    assert found == {
        "brand": {"caldera": "Caldera"},
        "volume": {"1.7": "1.7 L"},
        "power": {"2200": "2200 W"},
        "star_rating": {4: "4 Star"},
        "wifi": {True: "Wi-Fi"},
        "material": {"glass": "Glass"},
        "filter": {"anti scale": "Anti Scale"},
        "keep_warm": {True: "Keep Warm"},
        "brewing_modes": {4: "4-in-1"},
        "model_year": {2023: "2023"},
        "model_number": {"ca41k7": "CA41K7"},
        "color": {"matte black": "Matte Black"},
    }


def test_what_touches_the_ellipsis_is_not_trusted(kettle_reader):
    found, _ = facts(kettle_reader, "Caldera 1.7 L Travel Kettle (Glass, Keep Warm, 2023 Mod...")
    assert found["model_year"] == {2023: "2023"}
    found, _ = facts(kettle_reader, "Caldera 1.7 L Travel Kettle (Glass, White, CA41K...")
    assert "model_number" not in found
    found, _ = facts(kettle_reader, "Caldera 1.7 L Travel Kettle (Glass, Black...")
    assert "color" not in found
    found, _ = facts(kettle_reader, "Caldera Travel Kettle 2200 W...")
    assert "power" not in found


@pytest.mark.parametrize(
    ("title", "absent"),
    [
        ("Ferro Lid for 1.7 L Kettle", "volume"),
        ("Ferro Lid compatible with 2200 W Kettle", "power"),
        ("Ferro Travel Kettle, lighter than 1.7 L ones", "volume"),
        ("Ferro Kettle, compatible with Keep Warm", "keep_warm"),
        ("Ferro Travel Kettle (comes with 2200 W adapter)", "power"),
    ],
)
def test_guards(kettle_reader, title, absent):
    found, extraction = facts(kettle_reader, title)
    assert absent not in found
    assert [r.step for r in extraction.refusals] == ["guard"]


def test_a_denial_is_a_fact(kettle_reader):
    found, _ = facts(kettle_reader, "Ferro 1 L Travel Kettle (Non-WiFi, without Keep Warm)")
    assert found["wifi"] == {False: "Non-WiFi"}
    assert found["keep_warm"] == {False: "without Keep Warm"}


@pytest.mark.parametrize(
    ("value", "stated"), [("Yes", True), ("No", False), ("Not included", False), ("N/A", None)]
)
def test_a_pair_says_yes_or_no(kettle_reader, value, stated):
    found, _ = facts(kettle_reader, "Ferro 1 L Travel Kettle", description=f"Keep Warm: {value}")
    expected = {} if stated is None else {stated: f"Keep Warm: {value}"}
    assert found.get("keep_warm", {}) == expected


def test_refusals_are_as_few_as_facts(kettle_reader):
    title = "Ferro Travel Kettle, compatible with " + "Keep Warm " * 300
    document = Document(id="d", fields=(("title", title),))
    assert len(kettle_reader.extract(document).refusals) == 100


def test_a_denial_ends_before_what_it_does_not_deny(kettle_reader):
    found, _ = facts(kettle_reader, "Ferro Travel Kettle without Keep Warm and 1 L")
    assert found["keep_warm"] == {False: "without Keep Warm"}
    assert found["volume"] == {"1": "1 L"}


def test_a_number_sign_and_a_distant_denial_deny_nothing(kettle_reader):
    found, _ = facts(kettle_reader, "Ferro 1 L Travel Kettle No. 24H Keep Warm")
    assert found["keep_warm"] == {True: "Keep Warm"}
    found, _ = facts(kettle_reader, "Ferro 1 L Travel Kettle, no lid, Keep Warm")
    assert found["keep_warm"] == {True: "Keep Warm"}


def test_a_corpus_settles_what_a_ton_is_where_a_title_does_not():
    makers = ("Alveo", "Caldera", "Elmwick", "Ferro", "Grantham")
    said = [f"{m} {k}.5 Ton Window AC" for k in range(1, 5) for m in makers]
    documents = [Document(id=t, fields=(("title", t),)) for t in said]
    reader = reader_of(documents)
    assert dict(reader.knowledge.usual_readings) == {"ton": "ton_refrigeration"}
    found, _ = facts(reader, "Alveo Window 2 Ton")
    assert found["cooling_capacity"] == {"2": "2 Ton"}
    jacks = [Document(id=t, fields=(("title", t.replace("Window AC", "Jack")),)) for t in said]
    assert reader_of(jacks).knowledge.usual_readings == ()


def test_makers(kettle_reader):
    assert facts(kettle_reader, "BRUNT & SONS 1 L Travel Kettle")[0]["brand"] == {
        "brunt & sons": "BRUNT & SONS"
    }
    assert facts(kettle_reader, "Brunt and Sons 1 L Travel Kettle")[0]["brand"] == {
        "brunt & sons": "Brunt and Sons"
    }
    # Nobody has seen it, but it stands where makers stand.
    assert facts(kettle_reader, "Zorvex 1 L Travel Kettle")[0]["brand"] == {"zorvex": "Zorvex"}
    # The one it fits is not the one that made it.
    assert "brand" not in facts(kettle_reader, "Lid for Caldera Kettle")[0]


def test_numbers_are_converted_into_the_unit_of_the_property(kettle_reader):
    found, _ = facts(kettle_reader, "Ferro 800 ml 1.5 kW Travel Kettle")
    assert found["volume"] == {"0.8": "800 ml"}
    assert found["power"] == {"1500": "1.5 kW"}
    found, _ = facts(kettle_reader, "Ferro 1-1.5 L Travel Kettle")
    assert found["volume"] == {"1..1.5": "1-1.5 L"}


def test_the_shop_tells_its_thousands(kettle_reader, watch_reader):
    assert facts(kettle_reader, "Ferro 1,800 W Travel Kettle")[0]["power"] == {"1800": "1,800 W"}
    found, _ = facts(watch_reader, "Ferro Dial Watch", description="Weight: 1,500 g")
    assert found["weight"] == {"1.5": "1,500 g"}


def test_a_gadget_is_no_product_with_modes(kettle_reader):
    assert "brewing_modes" not in facts(kettle_reader, "Ferro 3-in-1 Travel Kettle")[0]


def test_pairs_and_headings(watch_reader):
    description = (
        "Dial shape: square\nCase diameter: 38 mm\nStrap width: 20 mm\nWeight: 62,5 g\n"
        "Watch care\nWipe with a soft cloth\nWarranty: 2 years"
    )
    found, extraction = facts(watch_reader, "Ferro Men Dial Watch", description=description)
    assert extraction.product_class.endswith("Watch")
    assert found["dial_shape"] == {"square": "square"}
    assert found["watch_care"] == {"wipe with a soft cloth": "Wipe with a soft cloth"}
    assert found["weight"] == {"62.5": "62,5 g"}
    assert found["warranty"] == {"2": "2 years"}


# ---- a schema that a person wrote, and no study at all


def by_hand(*properties, classes=()):
    base = Ontology().classes
    return Reader(Knowledge(), Ontology(classes=(*base, *classes), properties=properties))


COOLING = PropertyDef(
    name="capacity", datatype="decimal", dimension="power", unit="ton_refrigeration"
)
LOAD = PropertyDef(name="load", datatype="decimal", dimension="mass", unit="kilogram")


def test_the_dimension_of_the_property_decides_what_a_ton_is():
    assert facts(by_hand(COOLING), "AC 1.5 Ton")[0] == {"capacity": {"1.5": "1.5 Ton"}}
    assert facts(by_hand(COOLING), "AC 12000 BTU/h")[0] == {"capacity": {"1": "12000 BTU/h"}}
    assert facts(by_hand(LOAD), "Jack 2 Ton")[0] == {"load": {"2000": "2 Ton"}}
    both = by_hand(COOLING, LOAD)
    assert facts(both, "Split AC 1.5 Ton")[0] == {"capacity": {"1.5": "1.5 Ton"}}
    assert facts(both, "Jack 2 Ton")[0] == {"load": {"2000": "2 Ton"}}


def test_decibels_are_not_weighted_decibels():
    noise = PropertyDef(name="noise", datatype="decimal", dimension="sound_level", unit="decibel_a")
    assert facts(by_hand(noise), "Fan 20 dB")[0] == {}
    assert facts(by_hand(noise), "Fan 20 dB(A)")[0] == {"noise": {"20": "20 dB(A)"}}


def test_efficiency_ratios_do_not_mix():
    cop = PropertyDef(
        name="cop",
        datatype="decimal",
        dimension="coefficient_of_performance",
        unit="watt_per_watt",
    )
    assert facts(by_hand(cop), "AC EER 12.5")[0] == {}
    assert facts(by_hand(cop), "AC COP 3.2")[0] == {"cop": {"3.2": "COP 3.2"}}


def test_composite_lengths_and_named_sides():
    sides = [
        PropertyDef(name=n, datatype="decimal", dimension="length", unit="inch")
        for n in ("height", "width")
    ]
    assert facts(by_hand(*sides), "Door, height: 6 ft 9 in")[0] == {"height": {"81": "6 ft 9 in"}}
    found, _ = facts(by_hand(*sides), 'Door 24" W x 80" H')
    assert {p: list(v) for p, v in found.items()} == {"width": ["24"], "height": ["80"]}


def test_options_features_and_classes_by_hand():
    finish = PropertyDef(name="finish", options=("brushed", "Polished"))
    ready = PropertyDef(name="smart_home", kind="feature", datatype="boolean")
    reader = by_hand(finish, ready, classes=(ClassDef(name="TableLamp"),))
    found, extraction = facts(reader, "Table Lamp polished, smart home")
    assert extraction.product_class == "TableLamp"
    assert found == {"finish": {"Polished": "polished"}, "smart_home": {True: "smart home"}}


def test_units_in_keys():
    weight = PropertyDef(name="weight", datatype="decimal", dimension="mass", unit="gram")
    found, _ = facts(by_hand(weight), "Lamp", description="Weight (kg): 1.5")
    assert found == {"weight": {"1500": "1.5"}}


def test_stars_and_years_are_no_amounts():
    star = PropertyDef(name="star_rating", datatype="integer")
    found, _ = facts(by_hand(star, COOLING), "AC 5 Star 2022 Model")
    assert found == {"star_rating": {5: "5 Star"}}


def test_confidence_ranks_what_is_plainer_higher(kettle_reader):
    document = Document(id="d", fields=(("title", "Zorvex 1 L Travel Kettle, Caldera"),))
    by_name = {f.property: f.confidence for f in kettle_reader.extract(document).facts}
    assert 0.5 <= by_name["brand"] < by_name["volume"] <= 1


def test_equal_amounts_are_one_fact(kettle_reader):
    document = Document(id="d", fields=(("title", "Ferro 1 L Travel Kettle (1.0 L, 1000 ml)"),))
    volumes = [f for f in kettle_reader.extract(document).facts if f.property == "volume"]
    assert [f.value for f in volumes] == [Amount(amount=Decimal(1))]
