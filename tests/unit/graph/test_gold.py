"""The gold set of air-conditioner facts is what its rules say; no title is in it."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import moonshelf

GOLD = Path(moonshelf.__file__).parent / "graph" / "gold"
PROPERTIES: dict[str, dict] = tomllib.loads((GOLD / "properties.toml").read_text("utf-8"))
LINES = (GOLD / "air_conditioners.jsonl").read_text("utf-8").splitlines()
RECORDS: list[dict] = [json.loads(line) for line in LINES]
TYPES = {
    "string": (str,),
    "enum": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}
NUMERAL = re.compile(r"\d+(?:\.\d+)?")


def problems(record: dict) -> list[str]:
    """What is wrong with one line of the gold set, by the property table alone."""
    found = []
    if list(record) != ["id", "split", "text_sha256", "facts"]:
        found.append("keys of the line")
    if not re.fullmatch("[0-9a-f]{64}", record["text_sha256"]):
        found.append("digest")
    for fact in record["facts"]:
        found += fact_problems(fact)
    places = [(fact["start"], fact["end"]) for fact in record["facts"]]
    if places != sorted(places):
        found.append("order of facts")
    for name in {fact["property"] for fact in record["facts"]}:
        same = [fact for fact in record["facts"] if fact["property"] == name]
        if len(same) > 1 and not PROPERTIES.get(name, {}).get("multi"):
            found.append(f"{name} twice")
        if len({str(fact["value"]) for fact in same}) < len(same):
            found.append(f"{name}: equal values")
        spans = sorted((fact["start"], fact["end"]) for fact in same)
        if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
            found.append(f"{name}: spans overlap")
    return found


def fact_problems(fact: dict) -> list[str]:
    name, value = fact["property"], fact["value"]
    if name not in PROPERTIES:
        return [f"unknown property {name}"]
    found, rule = [], PROPERTIES[name]
    if set(fact) != {"property", "start", "end", "value"} | ({"unit"} if "unit" in rule else set()):
        found.append(f"{name}: keys")
    if not (type(fact["start"]) is type(fact["end"]) is int and 0 <= fact["start"] < fact["end"]):
        found.append(f"{name}: offsets")
    # type(), since a bool is an int to isinstance
    if type(value) not in TYPES[rule["kind"]]:
        found.append(f"{name}: type of {value!r}")
    elif isinstance(value, str) and (value != " ".join(value.lower().split()) or not value):
        found.append(f"{name}: normal form of {value!r}")
    if "values" in rule and value not in rule["values"]:
        found.append(f"{name}: {value!r} is not allowed")
    if "units" in rule and fact.get("unit") not in rule["units"]:
        found.append(f"{name}: unit")
    bounds = {"star_rating": (1, 5), "model_year": (2000, 2030), "cooling_capacity": (0.1, 60_000)}
    low, high = bounds.get(name, (1, 20))
    if rule["kind"] in ("number", "integer") and not (
        type(value) in TYPES["number"] and low <= value <= high
    ):
        found.append(f"{name}: range of {value!r}")
    return found


def test_the_property_table_is_sound() -> None:
    rules = (GOLD / "RULES.md").read_text("utf-8")
    assert 15 <= len(PROPERTIES) <= 20
    for name, rule in PROPERTIES.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert rule["kind"] in TYPES
        assert isinstance(rule["multi"], bool)
        assert rule["guidance"].strip()
        assert ("values" in rule) == (rule["kind"] == "enum"), name
        assert ("unit" in rule) == ("units" in rule) == (rule["kind"] == "number"), name
        assert rule.get("unit") in rule.get("units", [None]), name
        assert set(rule) <= {"kind", "multi", "guidance", "values", "unit", "units"}, name
        assert f"**{name}**" in rules, f"RULES.md does not explain {name}"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_every_line_is_valid(record: dict) -> None:
    assert problems(record) == []


def test_the_listings_are_the_drawn_ones_fifty_a_split() -> None:
    ids = np.array([f"ac{k:04d}" for k in range(600)])
    drawn = np.random.default_rng(2511).choice(ids, 100, replace=False).tolist()
    assert [record["id"] for record in RECORDS] == drawn
    assert len(set(drawn)) == len({record["text_sha256"] for record in RECORDS}) == 100
    assert [record["split"] for record in RECORDS] == ["dev"] * 50 + ["test"] * 50


def test_every_property_is_used_and_most_in_both_splits() -> None:
    uses = Counter(
        (record["split"], fact["property"]) for record in RECORDS for fact in record["facts"]
    )
    assert all(uses["dev", name] + uses["test", name] for name in PROPERTIES)
    shared = [name for name in PROPERTIES if uses["dev", name] and uses["test", name]]
    assert len(shared) >= 15


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda r: r.update(title="Acme 1 Ton"), "keys of the line"),
        (lambda r: r["facts"][0].update(raw="Voltas"), "brand: keys"),
        (lambda r: r.update(text_sha256="ab"), "digest"),
        (lambda r: r["facts"][0].update(property="maker"), "unknown property maker"),
        (lambda r: r["facts"][0].update(end=0), "brand: offsets"),
        (lambda r: r["facts"][0].update(value="Voltas"), "brand: normal form of 'Voltas'"),
        (lambda r: r["facts"][1].update(unit="kg"), "cooling_capacity: unit"),
        (lambda r: r["facts"][1].pop("unit"), "cooling_capacity: keys"),
        (lambda r: r["facts"][2].update(value=True), "star_rating: type of True"),
        (lambda r: r["facts"][2].update(value=6), "star_rating: range of 6"),
        (lambda r: r["facts"][3].update(value="yes"), "inverter: type of 'yes'"),
        (lambda r: r["facts"][4].update(value="ac"), "product_type: 'ac' is not allowed"),
        (lambda r: r["facts"].append(r["facts"][0]), "brand twice"),
        (lambda r: r["facts"].append(r["facts"][0]), "brand: spans overlap"),
        (lambda r: r["facts"].append(r["facts"][0]), "order of facts"),
    ],
)
def test_a_broken_line_is_noticed(change, complaint: str) -> None:
    record = copy.deepcopy(next(record for record in RECORDS if record["id"] == "ac0293"))
    assert problems(record) == []
    change(record)
    assert complaint in problems(record)


@pytest.fixture(scope="module")
def titles(shared_data: Path) -> dict[str, str]:
    table = pq.read_table(shared_data / "air_conditioners" / "listings.parquet")
    return dict(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True))


@pytest.mark.real_data
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_spans_carry_their_values(record: dict, titles: dict[str, str]) -> None:
    title = titles[record["id"]]
    assert hashlib.sha256(title.encode("utf-8")).hexdigest() == record["text_sha256"]
    last = len(title) - len("...") if title.endswith("...") else len(title) + 1
    for fact in record["facts"]:
        raw = title[fact["start"] : fact["end"]]
        kind = PROPERTIES[fact["property"]]["kind"]
        assert raw == raw.strip(), fact
        assert len(raw) == fact["end"] - fact["start"], fact
        assert fact["end"] < last, f"touches the cut: {fact}"
        if kind in ("number", "integer"):
            assert fact["value"] in [float(number) for number in NUMERAL.findall(raw)], fact
        # a span that begins or ends within a word is a slip of the annotator's tool
        around = title[: fact["start"]][-1:] + raw[0], raw[-1] + title[fact["end"] :][:1]
        assert not any(len(pair) == 2 and pair.isalnum() for pair in around), fact
        if fact["property"] in ("series", "model_number", "color"):
            assert letters(raw) == letters(str(fact["value"])), fact
        if kind == "boolean":
            assert fact["value"] == (re.search(r"\b(non|fixed|fix|only)\b", raw.lower()) is None)


def letters(text: str) -> str:
    return "".join(text.lower().split())


@pytest.mark.real_data
def test_no_title_is_in_the_files(titles: dict[str, str]) -> None:
    committed = [(GOLD / name).read_text("utf-8") for name in ("RULES.md", "properties.toml")]
    text = letters("\n".join([*LINES, *committed]))
    assert len(titles) == 600
    # titles as short as "Personal Air Cooler" are no more than a kind of product
    assert not [title for title in titles.values() if len(title) > 20 and letters(title) in text]
