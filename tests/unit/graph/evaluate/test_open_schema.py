"""Keys are paired by values; neither one key for all nor a key for each value can win."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moonshelf.graph.evaluate.claims import CLASS
from moonshelf.graph.evaluate.open_schema import Stated, open_scores, stated
from tests.unit.graph.evaluate import shop

COLORS = ("red", "blue", "green", "gray")
MAKERS = ("Acme", "Borea", "Cirrus")
SLOTS = [
    {"Brand": [MAKERS[k % 3]], "Color": [COLORS[k % 4]], "Size": [f"{k + 1} cm"], "Lid": []}
    for k in range(12)
]


def texts(*keys: tuple[str, str]) -> list[Stated]:
    """Texts in which each (key, attribute) states what the attribute holds."""
    made = []
    for slots in SLOTS:
        found: dict[str, list[tuple[str]]] = {}
        for key, name in keys:
            found.setdefault(key, []).extend((value,) for value in slots[name])
        made.append(Stated(found, slots))
    return made


PERFECT = texts(("maker", "Brand"), ("shade", "Color"), ("length", "Size"))


def test_a_perfect_schema_under_other_names() -> None:
    scores = open_scores(PERFECT, PERFECT)
    assert {(p.induced, p.gold) for p in scores.pairs} == {
        ("maker", "Brand"), ("shade", "Color"), ("length", "Size")
    }  # fmt: skip
    assert (scores.keys.precision, scores.keys.recall) == (1, 1)
    assert (scores.acceptance, scores.compression, scores.coverage, scores.harmonic) == (1,) * 4
    assert scores.values.score.f1 == 1
    assert scores.gold == 3  # nobody ever has a lid


def test_one_key_for_everything_is_accepted_by_nothing() -> None:
    made = [
        Stated({f"all {k}": [(v[0],)] for k, (n, v) in enumerate(s.wanted.items()) if v}, s.wanted)
        for s in PERFECT
    ]
    assert open_scores(made, made).harmonic == 1
    # a third of its values are of each attribute
    merged = [
        Stated({"all": [found[list(found)[k % 3]][0]]}, wanted)
        for k, (found, wanted) in enumerate(PERFECT)
    ]
    scores = open_scores(merged, merged)
    assert (scores.acceptance, scores.harmonic) == (0, 0)
    assert scores.keys.matched <= 1


def test_a_key_for_each_value_is_not_compressed() -> None:
    split = [
        Stated({f"is {wanted['Color'][0]}": found["shade"], "maker": found["maker"]}, wanted)
        for found, wanted in PERFECT
    ]
    scores = open_scores(split, split)
    assert scores.induced == 5
    assert scores.acceptance == 1
    assert scores.compression == pytest.approx(2 / 5)
    assert scores.coverage == pytest.approx(2 / 3)
    assert scores.harmonic == pytest.approx(3 / (1 + 5 / 2 + 3 / 2), abs=1e-6)
    # one to one: a color of four is no third of them; the maker is whole
    assert ("maker", "Brand") in {(p.induced, p.gold) for p in scores.pairs}
    assert scores.keys.precision <= 2 / 5


def test_unannotated_keys_are_wrong_and_rare_ones_left_out() -> None:
    more = [
        Stated({**found, "slogan": [("new",)], **({"rare": [("x",)]} if k < 2 else {})}, wanted)
        for k, (found, wanted) in enumerate(PERFECT)
    ]
    scores = open_scores(more, more)
    assert scores.induced == 4
    assert scores.keys.precision == 0.75 and scores.acceptance == 0.75
    assert scores.keys.recall == 1


def test_values_are_read_through_pairs_of_other_texts() -> None:
    swapped = texts(("shade", "Brand"), ("maker", "Color"))
    scores = open_scores(PERFECT, swapped)
    assert scores.values.score.matched == 0
    assert scores.keys.f1 == 1  # keys themselves are of the texts scored


def test_annotated_as_empty_is_judged_and_not_listed_is_not() -> None:
    lids = [Stated({**found, "lid": [("steel",)]}, wanted) for found, wanted in PERFECT]
    scores = open_scores(lids, lids)
    assert scores.acceptance == 0.75
    unlisted = [Stated(f, {n: v for n, v in w.items() if n != "Brand" or k < 4})
                for k, (f, w) in enumerate(PERFECT)]  # fmt: skip
    assert open_scores(unlisted, unlisted).keys.f1 == 1


def test_an_extraction_is_read_as_written_surest_first() -> None:
    doc = shop.document("d", "Acme split AC 5 W red")
    facts = (
        shop.fact(doc, "gas", "red", "red").model_copy(update={"confidence": 0.6}),
        shop.fact(doc, "gas", "Acme", "acme"),
        shop.fact(doc, "power", "5 W", Decimal(5), "W"),
    )
    read = stated(shop.extraction(doc, *facts, kind="SplitUnit"), shop.ONTOLOGY, {"Gas": ["red"]})
    assert read.found["gas"] == [("Acme",), ("red",)]
    assert read.found["power"] == [("5 W",)]
    assert "split ac" in read.found[CLASS][0]
    assert stated(None, shop.ONTOLOGY, {}).found == {}
