"""What a model says becomes a fact only with words of the text, and numbers that code reads."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from moonshelf.graph.llm.facts import AGREED, SAID, found_facts, read_fields
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Extraction, Fact, Range, Refusal, TextEvidence
from moonshelf.graph.validate import check
from tests.unit.graph.growth import least_seconds

TITLE = "Voltas 1.5 Ton 3 Star Split AC, rojo, 16-30 °C, Wi-Fi, fits 24 inch stands"
MORE = "Weight (kg): 12,5\nNo heater\nSizes 30 x 20 cm\nCodes AB-1 and CD-2\nWi-Fi again"
DOCUMENT = Document(id="d", fields=(("title", TITLE), ("description", MORE)))
FIELDS = read_fields(DOCUMENT)
WATT = {"datatype": "decimal", "dimension": "power", "unit": "watt"}
CELSIUS = {"datatype": "decimal", "dimension": "temperature", "unit": "celsius"}
GRAM = {"datatype": "decimal", "dimension": "mass", "unit": "gram"}


def one(said: dict, **form) -> Any:
    owned = PropertyDef(name="x", **form)
    (found,) = found_facts(DOCUMENT, FIELDS, owned, said)
    if isinstance(found, Fact):
        ontology = Ontology(properties=(owned,))
        extraction = Extraction(document="d", product_class="Product", facts=(found,))
        kept, refusals = check(extraction, DOCUMENT, ontology)
        assert kept and not refusals, "what is a fact here holds in the ladder too"
        assert isinstance(found.evidence, TextEvidence)
        span = found.evidence.span
        assert DOCUMENT.field(span.field)[span.start : span.end] == found.evidence.raw
    return found


def test_words_are_kept_as_the_text_has_them() -> None:
    found = one({"raw": "VOLTAS "})
    assert (found.value, found.evidence.raw, found.confidence) == ("voltas", "Voltas", AGREED)


def test_the_first_place_is_the_evidence() -> None:
    found = one({"raw": "wi-fi", "value": True}, datatype="boolean", label="Wi-Fi")
    assert found.value is True and found.evidence.span.field == "title"


def test_a_quantity_is_read_by_code_whatever_the_model_computes() -> None:
    found = one({"raw": "1.5 ton", "value": 1500, "unit": "kW"}, **WATT)
    assert found.value == Amount(amount=Decimal("5275.2792631"))
    assert (found.unit, found.confidence) == ("Ton", AGREED)


@pytest.mark.parametrize(
    ("title", "raw", "said", "expected"),
    [
        # Digits that the lexer leaves may be part of the number.
        ("Heater 1 500 W, 2 kW", "1 500 W, 2 kW", (1500, "W"), (1500, SAID)),
        ("Heater 1,500/2 kW", "1,500/2 kW", (1.5, "kW"), (1500, SAID)),
        ("Heater 2 kW R32", "2 kW R32", (2, "kW"), (2000, AGREED)),
        ("Heater 2 kW R32", "2 kW R32", (None, None), (2000, AGREED)),
        # Nothing is left: the lexer has read all of it.
        ("Heater 12 000 W", "12 000 W", (0, "W"), (12000, AGREED)),
    ],
)
def test_code_overrules_a_model_only_where_it_read_all_digits(title, raw, said, expected) -> None:
    document = Document(id="d", fields=(("title", title),))
    owned = PropertyDef(name="x", **WATT)
    value, unit = said
    told = {"raw": raw, "value": None if value is None else Decimal(str(value)), "unit": unit}
    (found,) = found_facts(document, read_fields(document), owned, told)
    assert isinstance(found, Fact) and isinstance(found.value, Amount)
    assert (found.value.amount, found.confidence) == expected


def test_half_a_number_is_not_in_the_text() -> None:
    document = Document(id="d", fields=(("title", "Klima 12 000 W"),))
    said = {"raw": "000 W", "value": 0, "unit": "W"}
    owned = PropertyDef(name="x", **WATT)
    (found,) = found_facts(document, read_fields(document), owned, said)
    assert isinstance(found, Refusal) and found.step == "span"


def test_a_long_field_is_folded_once() -> None:
    """Not once for each of the words that are looked for in it."""
    phrases = [f"é{number} red" for number in range(50)]
    document = Document(id="d", fields=(("text", "é " * 50_000 + "; ".join(phrases)),))
    owned = PropertyDef(name="codes", many=True)
    fields = read_fields(document)
    assert len(found_facts(document, fields, owned, {"raw": phrases})) == 50
    once = least_seconds(lambda: read_fields(document))
    every = least_seconds(lambda: found_facts(document, fields, owned, {"raw": phrases}))
    assert every < 2 * once + 0.2


def test_a_range_is_read_by_code() -> None:
    found = one({"raw": "16-30 °C", "value": 16, "unit": "°C"}, **CELSIUS)
    assert found.value == Range(low=Decimal(16), high=Decimal(30))


def test_a_unit_elsewhere_in_the_text_is_the_models_reading() -> None:
    found = one({"raw": "12,5", "value": Decimal("12.5"), "unit": "kg"}, **GRAM)
    assert found.value == Amount(amount=Decimal("12500.0"))
    assert (found.unit, found.confidence) == ("kg", SAID)


def test_options_are_matched_by_code_or_chosen_by_the_model() -> None:
    assert one({"raw": "Rojo", "value": None}, options=("rojo", "azul")).confidence == AGREED
    found = one({"raw": "3 Star", "value": "3 stars"}, options=("3 stars", "5 stars"))
    assert (found.value, found.confidence) == ("3 stars", SAID)


def test_several_words_are_several_facts() -> None:
    owned = PropertyDef(name="codes", many=True)
    found = found_facts(DOCUMENT, FIELDS, owned, {"raw": ["AB-1", "CD-2", "AB-1", " ", "EF-3"]})
    assert [f.value for f in found if isinstance(f, Fact)] == ["ab-1", "cd-2"]
    (refused,) = (f for f in found if isinstance(f, Refusal))
    assert refused.step == "span" and json.loads(refused.candidate)["raw"] == "EF-3"


def test_a_translation_stands_beside_the_words() -> None:
    found = one({"raw": "rojo", "english": "Red"})
    assert (found.value, found.evidence.raw, found.translation) == ("red", "rojo", "Red")
    assert found.confidence == SAID


@pytest.mark.parametrize(
    ("raw", "value", "form", "expected"),
    [
        ("3 Star", 3, {"datatype": "integer"}, 3),
        ("3 Star", None, {"datatype": "integer"}, 3),
        ("12,5", None, {"datatype": "decimal"}, Amount(amount=Decimal("12.5"))),
    ],
)
def test_plain_numbers(raw, value, form, expected) -> None:
    found = one({"raw": raw, "value": value}, **form)
    assert (found.value, found.confidence) == (expected, AGREED)


def test_no_is_a_value_where_the_text_denies() -> None:
    found = one({"raw": "No heater", "value": False}, datatype="boolean", label="heater")
    assert found.value is False


REFUSED = {
    "invented": ({"raw": "Rolex"}, {}, "span"),
    "half a word": ({"raw": "olta"}, {}, "span"),
    "half a number": ({"raw": "5 Ton", "value": 5, "unit": "ton"}, WATT, "span"),
    "denied": ({"raw": "heater", "value": True}, {"datatype": "boolean"}, "guard"),
    "of something else": (
        {"raw": "24 inch", "value": 24, "unit": "inch"},
        {"datatype": "decimal", "dimension": "length", "unit": "meter"},
        "guard",
    ),
    "another dimension": ({"raw": "1.5 Ton", "value": None, "unit": None}, CELSIUS, "unit"),
    "no such unit": ({"raw": "12,5", "value": 12.5, "unit": "horsefly"}, GRAM, "unit"),
    "two numbers": ({"raw": "30 x 20", "value": None}, {"datatype": "integer"}, "range"),
    "no option": ({"raw": "Voltas", "value": None}, {"options": ("lg", "daikin")}, "option"),
    "no whole number": ({"raw": "12,5", "value": None}, {"datatype": "integer"}, "range"),
    "a number too large": (
        {"raw": "3 Star", "value": Decimal("1E+999999")},
        {"datatype": "integer"},
        "range",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case) -> None:
    said, form, step = REFUSED[case]
    found = one(said, **form)
    assert isinstance(found, Refusal) and found.step == step, found
    assert found.document == "d" and json.loads(found.candidate)["property"] == "x"


@pytest.mark.parametrize("raw", [None, [], "", "  ", [" "]])
def test_nothing_said_is_no_fact(raw) -> None:
    assert found_facts(DOCUMENT, FIELDS, PropertyDef(name="x", many=True), {"raw": raw}) == []


def test_a_title_cut_short_is_not_trusted_at_its_end() -> None:
    cut = Document(id="d", fields=(("title", "Voltas 1.5 Ton Split AC, Whi..."),))
    found = found_facts(cut, read_fields(cut), PropertyDef(name="x"), {"raw": "Whi"})
    assert isinstance(found[0], Refusal) and "cut short" in found[0].reason


def test_half_a_character_breaks_nothing() -> None:
    odd = Document(id="d", fields=(("title", "Voltas \ud800 AC"),))
    found = found_facts(odd, read_fields(odd), PropertyDef(name="x"), {"raw": "\ud800"})
    assert all(isinstance(one, Fact | Refusal) for one in found)
