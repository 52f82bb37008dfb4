"""The simulated model errs as told, and each check stops what it is there for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import _graph_model
from benchmarks._graph_arms import pooled
from benchmarks._graph_model import ALL, PLAIN, Bench, Checks
from benchmarks._simulated_model import Faults, invented, shifted
from tests.unit.labelled_shop import GOLD, GOLD_SET, SHOP


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench([document for document, _ in SHOP], GOLD_SET)


@pytest.fixture(autouse=True)
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_graph_model, "SEEDS", 1)
    yield


def scores(bench: Bench, faults: Faults, checks: Checks = PLAIN) -> dict[str, Any]:
    runs = bench.runs(faults, checks)
    return bench.row(runs, pooled([run.counts for run in runs]))


def test_a_model_without_errors_is_right_whatever_is_checked(bench: Bench) -> None:
    for checks in (PLAIN, Checks(says=False), Checks(place=False, says=False), Checks(retry=False)):
        row = scores(bench, Faults(), checks)
        assert row["F1"]["value"] == 1, checks
        assert row["nowhere"] == row["quarantined"] == row["second tries"] == 0


def test_the_span_check_keeps_inventions_out(bench: Bench) -> None:
    faults = Faults(invented=0.5)
    checked = scores(bench, faults)
    place_only = scores(bench, faults, Checks(says=False))
    trusted = scores(bench, faults, Checks(place=False, says=False))
    assert checked["precision"]["value"] == place_only["precision"]["value"] == 1
    assert checked["nowhere"] == place_only["nowhere"] == 0
    assert trusted["precision"]["value"] < 0.7 and trusted["nowhere"] > 5
    assert trusted["calls"] == checked["calls"], "the same errors, the same questions"
    assert trusted["recall"]["value"] == checked["recall"]["value"]


def test_words_that_say_another_value_are_caught_by_what_they_say(bench: Bench) -> None:
    faults = Faults(shifted=1)
    checked = scores(bench, faults)
    place_only = scores(bench, faults, Checks(says=False))
    # The words stand in the text, so their place tells nothing.
    assert checked["nowhere"] == place_only["nowhere"] == 0
    assert checked["facts"] < place_only["facts"] and checked["refused"] > place_only["refused"]
    assert place_only["right words"] < 0.5


def test_a_retry_saves_documents_and_calls(bench: Bench) -> None:
    faults = Faults(broken=0.4)
    with_retry = scores(bench, faults)
    without_retry = scores(bench, faults, Checks(retry=False))
    assert with_retry["quarantined"] < without_retry["quarantined"]
    assert with_retry["second tries"] > 0 == without_retry["second tries"]
    assert with_retry["F1"]["value"] > without_retry["F1"]["value"]


def test_errors_come_from_the_seed_alone(bench: Bench) -> None:
    once, again, other = (bench.run(ALL, PLAIN, seed) for seed in (3, 3, 4))
    assert once.counts == again.counts and once.costs["calls"] == again.costs["calls"]
    assert once.outcomes == again.outcomes != other.outcomes


def test_words_are_shifted_by_one() -> None:
    text = "Acme 1.5 Ton White"
    found = {shifted(text, 5, 12, random.Random(k)) for k in range(9)}
    assert found == {"Acme 1.5", "Ton White"}
    assert shifted("Acme", 0, 4, random.Random(0)) == "Acme"
    said = invented("cooling_capacity", GOLD["cooling_capacity"], random.Random(0))
    assert said["raw"] == f"{said['value']} ton"


def test_the_kind_is_the_class_unless_it_is_asked_for(bench: Bench) -> None:
    assert "product_type" not in {p.name for p in bench.ontology.properties}
    assert bench.kinds["d0"] == "SplitAc"
    assert {c.name for c in bench.ontology.classes} >= {"SplitAc", "WindowAc"}
    run = bench.run(Faults(), PLAIN, 0)
    assert {one.product_class for one in run.outcomes} == {"SplitAc"}
    assert sum(wanted for _, _, wanted in run.counts) == 8 * 5
    both = Bench(bench.documents, GOLD_SET, kind_as_option=True)
    assert sum(wanted for _, _, wanted in both.run(Faults(), PLAIN, 0).counts) == 8 * 6
