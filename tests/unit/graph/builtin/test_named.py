"""A quantity whose words name an attribute goes to a property of that, or to none."""

from __future__ import annotations

import pytest

from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.measures import names_of
from moonshelf.graph.builtin.named import attributes_of, is_of
from moonshelf.graph.builtin.quantities import quantities
from moonshelf.graph.builtin.reading import read_field
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Document, TextEvidence
from moonshelf.graph.validate import Validator


def measure(name, dimension, unit, *synonyms):
    return PropertyDef(
        name=name, datatype="decimal", dimension=dimension, unit=unit, synonyms=synonyms, many=True
    )


SEAT_DEPTH = measure("seat_depth", "length", "centimeter", "depth")
LENGTH = measure("length", "length", "centimeter")
WIDTH = measure("width", "length", "centimeter")
HEIGHT = measure("height", "length", "centimeter")
DEPTH = measure("depth", "length", "centimeter")
WEIGHT = measure("weight", "mass", "kilogram")
MAX_LOAD = measure("max_load", "mass", "kilogram", "maximum load", "max load")
COOLING = measure("cooling_capacity", "power", "btu_per_hour")
POWER = measure("power", "power", "watt")
EER = measure("eer", "energy_efficiency_ratio", "btu_per_watt_hour")
COP = measure("cop", "coefficient_of_performance", "watt_per_watt")
STORAGE = measure("storage_capacity", "data", "gigabyte")
SIDES = (WIDTH, HEIGHT, DEPTH)


def read(text, *properties):
    """(property -> amounts in the order of the text, reasons of refusals)."""
    ontology = Ontology(classes=Ontology().classes, properties=properties)
    document = Document(id="d", fields=(("title", "Thing"), ("description", text)))
    found = Reader(Knowledge(), ontology).extract(document)
    kept, refused = Validator(ontology).check(found, document)
    facts = {}

    def place(fact):
        assert isinstance(fact.evidence, TextEvidence)
        return fact.evidence.span.start

    for fact in sorted(kept, key=place):
        facts.setdefault(fact.property, []).append(str(getattr(fact.value, "amount", "range")))
    return facts, [r.reason for r in refused]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Height 75 cm", "height"),
        ("Height: 75 cm", "height"),
        ("adjustable height 45-55 cm", "height"),
        ("120 cm wide", "width"),
        ("120 cm (W)", "width"),
        ('10-1/4" H', "height"),
        ("10-1/4 in. H", "height"),
        ("180 cm tall", "height"),
        ("180cm high", "height"),
        ("7 mm Thick", "thickness"),
        ("7 mm thickness", "thickness"),
        ("1/2 in. T", "thickness"),
        ("80 cm diameter", "diameter"),
        ("80 cm dia.", "diameter"),
        ("5/8 in. radius hinge", "radius"),
        ("awning with 25 in. projection", "projection"),
        ("200 cm long", "length"),
        ("18.5 cm foot length", "length"),
        ("10000 mm water column", "water column"),
        ("Inseam: 32 inch", "inseam"),
    ],
)
def test_a_side_that_the_schema_has_not_is_refused_by_name(text, named):
    facts, reasons = read(text, SEAT_DEPTH)
    assert facts == {}
    assert reasons == [f"the words name {named!r}, which the schema has no property for"]


@pytest.mark.parametrize(
    "text", ["depth 92 cm", "Depth: 92 cm", "92 cm deep", "92 cm D", "seat depth of 92 cm"]
)
def test_what_a_person_calls_it_is_found(text):
    assert read(text, SEAT_DEPTH)[0] == {"seat_depth": ["92"]}


@pytest.mark.parametrize("text", ["depth 92 cm", "22 cm D", "7 mm Thick", "72 cm wide", "3 m high"])
def test_no_side_is_the_usual_length(text):
    assert read(text, LENGTH)[0] == {}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("a 50 cm hose", "50"),
        ("50 cm", "50"),
        ("Length 50 cm", "50"),
        ("50 cm long", "50"),
        ("50 cm L", "50"),
        ("2 m cable", "200"),
        ("6 in. T-handle wrench", "15.24"),
        ("6 in. D-shaped handle", "15.24"),
    ],
)
def test_unnamed_lengths_stay_lengths(text, amount):
    assert read(text, LENGTH)[0] == {"length": [amount]}


@pytest.mark.parametrize(
    "text",
    [
        "Max load 330 kg",
        "8 kg load",
        "8 kg load capacity",
        "Load: 8 kg",
        "each shelf holds 25 kg",
        "120 kg weight capacity",
        "weight limit 120 kg",
        "Weight capacity: 120 kg",
        "Capacity 9 kg",
        "payload of 30 kg",
        "it carries 30 kg",
    ],
)
def test_a_load_is_no_weight(text):
    facts, reasons = read(text, WEIGHT)
    assert facts == {} and len(reasons) == 1, reasons


def test_a_load_is_a_load():
    facts, _ = read("Max load 330 kg. Weight 38 kg", WEIGHT, MAX_LOAD)
    assert facts == {"max_load": ["330"], "weight": ["38"]}
    assert read("Weight 38 kg", WEIGHT)[0] == {"weight": ["38"]}
    assert read("Net weight: 38 kg", WEIGHT)[0] == {"weight": ["38"]}
    assert read("38 kg steel frame", WEIGHT)[0] == {"weight": ["38"]}
    assert read("Jack 2 Ton", MAX_LOAD)[0] == {"max_load": ["2000"]}


@pytest.mark.parametrize(
    "text", ["55-inch TV", "10.1 inch display", "Driver 40 mm", "a strap of 110 cm", "3.5 mm jack"]
)
def test_what_nothing_is_said_of_is_of_the_usual_attribute(text):
    """A seat depth must be named, though the schema has no other length; a length need not be."""
    assert read(text, SEAT_DEPTH) == ({}, [])
    assert set(read(text, LENGTH)[0]) == {"length"}
    assert read("5 kg", MAX_LOAD)[0] == {} and set(read("5 kg", WEIGHT)[0]) == {"weight"}


def test_the_only_property_takes_what_is_of_no_part():
    size = measure("screen_size", "length", "inch", "diagonal")
    assert read("55 inch TV", size)[0] == {"screen_size": ["55"]}
    assert read("80 inch cable", size)[0] == {}
    assert read("each shelf holds 25 kg", MAX_LOAD)[0] == {}


CHAINS = [
    "Depth 31 cm. Height 81 cm. Width 51 cm.",
    "Depth: 31 cm, Height: 81 cm, Width: 51 cm",
    "Depth 31 cm height 81 cm width 51 cm",
    "31 cm depth 81 cm height 51 cm width",
    "31 cm deep 81 cm high 51 cm wide",
    "31 cm D x 81 cm H x 51 cm W",
    "51 cm W x 31 cm D x 81 cm H",
    "31 cm deep, 81 cm tall and 51 cm wide",
    "(W x D x H) 51 x 31 x 81 cm",
]


@pytest.mark.parametrize("text", CHAINS)
def test_sides_in_turn_keep_their_numbers(text):
    facts, reasons = read(text, *SIDES)
    assert facts == {"depth": ["31"], "height": ["81"], "width": ["51"]} and not reasons


@pytest.mark.parametrize("text", CHAINS)
def test_a_missing_side_takes_no_other_property(text):
    """Leaving a property out of the schema moves no number to another one."""
    for left_out in SIDES:
        kept = [p for p in (*SIDES, LENGTH) if p is not left_out]
        expected = {"depth": ["31"], "height": ["81"], "width": ["51"]}
        del expected[left_out.name]
        assert read(text, *kept)[0] == expected


def test_parts_in_turn():
    strap = measure("strap_length", "length", "centimeter", "strap")
    facts, _ = read("Height 81 cm. Strap 30 cm.", HEIGHT, strap)
    assert facts == {"height": ["81"], "strap_length": ["30"]}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("EER 10.0", {"eer": ["10"]}),
        ("EER 10.1 BTU/h per W", {"eer": ["10.1"]}),
        ("EER: 10.1 BTU/Wh", {"eer": ["10.1"]}),
        ("10.1 EER", {"eer": ["10.1"]}),
        ("EER 3.1 W/W", {}),
        ("EER: 3.1 W/W", {}),
        ("EER rating of 3.1 W/W", {}),
        ("COP 4.1 W/W", {"cop": ["4.1"]}),
        ("COP 4.1", {"cop": ["4.1"]}),
        ("COP 10 BTU/Wh", {}),
        ("EER 10.1, 9000 BTU/h", {"eer": ["10.1"], "cooling_capacity": ["9000"]}),
        ("EER 3.1 W/W, COP 4.0", {"cop": ["4"]}),
    ],
)
def test_the_unit_behind_a_rating_agrees_with_it(text, facts):
    assert read(text, EER, COP, COOLING)[0] == facts


def test_heating_is_no_cooling_and_an_equivalent_no_power():
    assert read("Heating capacity 12000 BTU/h", COOLING)[0] == {}
    assert read("Cooling capacity 12000 BTU/h", COOLING)[0] == {"cooling_capacity": ["12000"]}
    assert read("40 W equivalent bulb", POWER)[0] == {}
    assert read("Power consumption 95 W", POWER)[0] == {"power": ["95"]}
    assert read("4 GB RAM, 64 GB storage", STORAGE)[0] == {"storage_capacity": ["64"]}


@pytest.mark.parametrize(
    "text", ["001 HP", '001"', "0012 kg", "365 001 W", "000 V", "model 007 m", "00125"]
)
def test_leading_zeros_count_nothing(text):
    assert not [q for q in quantities(text) if text[q.start : q.start + 2] == "00"]


@pytest.mark.parametrize(
    ("text", "low"), [("0.5 kg", "0.5"), ("05 kg", "5"), ("12 000 W", "12000"), ("100 W", "100")]
)
def test_zeros_of_numbers_count(text, low):
    assert [str(q.low) for q in quantities(text) if q.kind == "measure"] == [low]


def test_the_longest_phrase_names():
    reading = read_field("f", "120 kg weight capacity", False, None)
    names = list(names_of(reading, reading.words, 0))
    (load,) = attributes_of(names, "mass", None)
    assert is_of([("max", "load")], load) and is_of([("capacity",)], load)
    assert not is_of([("weight",)], load)
    # The same word is of another attribute in another dimension, or of none.
    assert attributes_of(names, "length", None) == []
    assert is_of([("cooling", "capacity")], attributes_of(names, "power", None)[0])
