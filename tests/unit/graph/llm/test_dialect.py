"""From the text of a model to a checked object: what is taken off, what is refused, and how."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.llm.answers import errors_of, good_keys
from moonshelf.graph.llm.dialect import NoObject, read_object, response_format
from moonshelf.graph.llm.proposing import SCHEMA as PROPOSAL
from moonshelf.graph.llm.refining import SCHEMA as EDITS
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.schema.card import flat_object, json_schema
from tests.unit.graph.growth import assert_linear

SCHEMA = json_schema(
    [
        PropertyDef(name="color", options=("red", "blue")),
        PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
        PropertyDef(name="stars", datatype="integer"),
        PropertyDef(name="wifi", datatype="boolean"),
        PropertyDef(name="codes", many=True),
        PropertyDef(name="model_dump"),
    ]
)
NOTHING = dict.fromkeys(SCHEMA["properties"])
GOOD = NOTHING | {
    "color__raw": "Red",
    "color__value": "red",
    "power__raw": "1.5 kW",
    "power__value": 1.5,
    "power__unit": "kW",
    "stars__value": 3,
    "wifi__value": True,
    "codes__raw": ["A-1", "B-2"],
}
TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\n {TEXT}\n",
        f"```json\n{TEXT}\n```",
        f"```\n{json.dumps(GOOD, indent=2)}\n```\n",
        f"Sure:\n```json\n{TEXT}\n```\nDone.",
        json.dumps(GOOD | {"color__raw": "``` \n```json\n{}\n```"}),
    ],
)
def test_an_object_with_or_without_a_fence(text) -> None:
    found = read_object(text, SCHEMA)
    assert errors_of(found, SCHEMA) == []
    assert {**found, "color__raw": "Red", "power__value": 1.5} == GOOD
    assert found["power__value"] == Decimal("1.5"), "numbers stay exact"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (TEXT[:60], "it ends before the object does"),
        ("", "not valid JSON"),
        ("The color is red.", "not valid JSON"),
        (f"```json\n{TEXT}\n```\n```json\n{TEXT}\n```", "not valid JSON"),
        (TEXT + TEXT, "Extra data"),
        ("[1, 2]", "not an object"),
        ("null", "not an object"),
        (TEXT[:-1] + ', "color__raw": "Blue"}', "key 'color__raw' is there twice"),
        ('{"power__value": NaN}', "NaN is no JSON number"),
        ('{"power__value": -Infinity}', "-Infinity is no JSON number"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"stars__value": ' + "9" * 5000 + "}", "not valid JSON"),
        ("{'color__raw': 'Red'}", "not valid JSON"),
        (json.dumps(SCHEMA), "the JSON schema itself"),
        (json.dumps(SCHEMA["properties"]), "the JSON schema itself"),
        (json.dumps({"$schema": "x", "title": "y"}), "the JSON schema itself"),
        (json.dumps({"properties": GOOD}), "the JSON schema itself"),
    ],
)
def test_what_is_no_answer(text, complaint) -> None:
    with pytest.raises(NoObject, match=complaint):
        read_object(text, SCHEMA)


@pytest.mark.parametrize(
    "made",
    [
        lambda size: "x " + "```a\n" * size,
        lambda size: "x " + "```\n" * size,
        lambda size: "```" + " " * size,
        lambda size: '{"a":1,' + ",".join(f'"k{n}":1' for n in range(size)) + ',"k0":2}',
    ],
)
def test_the_time_grows_with_the_reply(made) -> None:
    def work(size: int) -> None:
        with pytest.raises(NoObject):
            read_object(made(size), SCHEMA)

    assert_linear(work, 5_000)


def test_an_answer_with_a_key_called_properties_is_no_echo() -> None:
    text = json.dumps({"classes": [], "properties": []})
    assert read_object(text, PROPOSAL) == {"classes": [], "properties": []}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"color__value": "green"}, "color__value: Input should be 'red', 'blue' or None"),
        ({"power__value": "1.5"}, "power__value: Input should be a number"),
        ({"power__value": True}, "power__value: Input should be a number"),
        ({"stars__value": 3.5}, "stars__value"),
        ({"stars__value": "3"}, "stars__value"),
        ({"stars__value": True}, "stars__value"),
        ({"wifi__value": 1}, "wifi__value"),
        ({"color__raw": 7}, "color__raw"),
        ({"color__raw": ["Red"]}, "color__raw"),
        ({"color__raw": "x" * 5000}, "color__raw"),
        ({"codes__raw": "A-1"}, "codes__raw"),
        ({"codes__raw": ["A-1", None]}, "codes__raw.1"),
        ({"codes__raw": ["A"] * 300}, "codes__raw"),
        ({"note": "hi"}, "note: no such key"),
    ],
)
def test_one_mistake_is_one_error_with_its_key(change, complaint) -> None:
    found = read_object(json.dumps(GOOD | change), SCHEMA)
    (error,) = errors_of(found, SCHEMA)
    assert complaint in error and len(error) < 500
    good = good_keys(found, SCHEMA)
    assert good == set(SCHEMA["properties"]) - set(change)


def test_a_missing_key_is_an_error_and_null_is_not() -> None:
    assert errors_of(NOTHING, SCHEMA) == []
    short = dict.fromkeys(list(NOTHING)[1:])
    assert errors_of(short, SCHEMA) == ["color__raw: the key is missing"]
    assert good_keys(short, SCHEMA) == set(short)


def test_errors_are_few_and_short() -> None:
    many = flat_object({f"k{n}": {"type": "string"} for n in range(100)})
    errors = errors_of({f"k{n}": {"x": "y" * 10_000} for n in range(100)}, many)
    assert len(errors) == 20 and max(map(len, errors)) < 500


def test_lists_of_objects_are_checked_inside() -> None:
    edit = {"op": "merge", "name": "a", "into": ["b"], "text": None, "reason": None}
    assert errors_of({"edits": [edit]}, EDITS) == []
    assert errors_of({"edits": None}, EDITS) == []
    wrong = {"edits": [edit, {**edit, "op": "erase", "more": 1}]}
    assert [e.split(":")[0] for e in errors_of(wrong, EDITS)] == ["edits.1.op", "edits.1.more"]


def test_response_formats() -> None:
    strict = response_format("json_schema", SCHEMA)
    assert strict is not None and strict["json_schema"]["strict"] is True
    assert strict["json_schema"]["schema"] == SCHEMA
    assert response_format("json_object", SCHEMA) == {"type": "json_object"}
    assert response_format("prompt", SCHEMA) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)


@given(st.one_of(st.text(max_size=200), JSON.map(json.dumps)))
def test_any_text_is_an_object_or_a_reason(text: str) -> None:
    try:
        found = read_object(text, SCHEMA)
    except NoObject as error:
        assert str(error)
        return
    assert isinstance(found, dict)
    assert all(isinstance(error, str) for error in errors_of(found, SCHEMA))
    assert good_keys(found, SCHEMA) <= set(SCHEMA["properties"])
