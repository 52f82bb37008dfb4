"""A bare T is tons where the catalogue says tons of this kind of product, and nothing elsewhere."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.induce import induce
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.quantities import quantities
from moonshelf.graph.builtin.spelled import Spelled, bounds_by_kind, bounds_for, trusted
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Range, TextEvidence

MAKERS = ("Alveo", "Caldera", "Elmwick", "Ferro", "Grantham", "Hollis")
# Amounts that two makers each state: from 2 to 10 tons.
JACKS = [f"{maker} {tons} Ton Floor Jack" for maker in MAKERS for tons in (2, 5, 10)]
BLADES = [f"{maker} {teeth}T Circular Blade" for maker in MAKERS for teeth in (2, 5, 40)]


def documents(titles: list[str]) -> list[Document]:
    return [Document(id=f"d{k}", fields=(("title", title),)) for k, title in enumerate(titles)]


def reader_of(titles: list[str]) -> Reader:
    known = induce(documents(titles))
    classes = (*Ontology().classes, *known.classes)
    return Reader(known, Ontology(classes=classes, properties=known.properties))


def tons(reader: Reader, title: str) -> list[tuple[str, str]]:
    """(raw words, value) of all numbers."""
    found = []
    for fact in reader.extract(documents([title])[0]).facts:
        assert isinstance(fact.evidence, TextEvidence)
        if isinstance(fact.value, Amount):
            found.append((fact.evidence.raw, str(fact.value.amount)))
        elif isinstance(fact.value, Range):
            found.append((fact.evidence.raw, f"{fact.value.low}..{fact.value.high}"))
    return found


@pytest.fixture(scope="module")
def shop() -> Reader:
    return reader_of([*JACKS, *BLADES])


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Ferro 3T Floor Jack", [("3T", "3")]),
        ("Ferro 3-5T Floor Jack", [("3-5T", "3..5")]),
        ("Ferro 1T Floor Jack", []),
        ("Ferro 40T Floor Jack", []),
        ("Ferro 5-40T Floor Jack", []),
        ("Ferro 5T Circular Blade", []),
        ("Ferro 5T", []),
        ("Ferro 40 Ton Floor Jack", [("40 Ton", "40")]),
    ],
)
def test_the_letter_counts_for_its_kind_and_within_what_is_spelled(
    shop: Reader, title: str, expected: list[tuple[str, str]]
) -> None:
    assert tons(shop, title) == expected


@pytest.mark.parametrize("size", ["5T", "2T", "4 T"])
def test_sizes_of_toddlers_make_no_property_of_tons(size: str) -> None:
    reader = reader_of([f"{maker} Boys {size} Woven Shirt" for maker in MAKERS])
    assert not [p for p in reader.ontology.properties if p.dimension is not None]
    assert reader.knowledge.spelled == ()


def test_what_a_person_calls_its_class_does_not_matter(shop: Reader) -> None:
    """The evidence is of the corpus, whatever schema is read by."""
    load = PropertyDef(name="load", datatype="decimal", dimension="mass", unit="ton")
    other = Reader(shop.knowledge, Ontology(properties=(load,)))
    assert tons(other, "Ferro 3T Floor Jack") == [("3T", "3")]
    assert tons(other, "Ferro 5T Circular Blade") == []
    unread = Reader(Knowledge(), Ontology(properties=(load,)))
    assert tons(unread, "Ferro 3T Floor Jack") == []
    assert tons(unread, "Ferro 3 Ton Floor Jack") == [("3 Ton", "3")]


def test_bounds_are_amounts_that_two_documents_state() -> None:
    spelled = Spelled()
    for amount in (1, 1, 2, 3, 3, 90):
        spelled.add("Jack", "ton", Decimal(amount))
    assert spelled.rows({}, 6) == [("Jack", "ton", Decimal(1), Decimal(3))]
    assert spelled.rows({}, 7) == [], "too few documents"
    spelled.add("Jack", "ton_refrigeration", Decimal(90))
    (row,) = spelled.rows({"ton": "ton_refrigeration"}, 7)
    assert row == ("Jack", "ton_refrigeration", Decimal(1), Decimal(90)), "both mean the same here"
    lone = Spelled()
    for amount in (1, 2, 3):
        lone.add("Jack", "ton", Decimal(amount))
    assert lone.rows({}, 1) == []


def test_a_product_of_no_kind_must_speak_for_the_unit() -> None:
    rows = [(ROOT, "ton", Decimal(1), Decimal(2)), (ROOT, "ton_refrigeration", *[Decimal(1)] * 2)]
    by_kind = bounds_by_kind([*rows, ("Jack", "ton", Decimal(1), Decimal(2))])
    assert set(bounds_for("Jack", (), by_kind)) == {"ton"}
    assert bounds_for(ROOT, ("shackle",), by_kind) == {}
    assert set(bounds_for(ROOT, ("inverter",), by_kind)) == {"ton_refrigeration"}
    assert set(bounds_for(ROOT, ("a c",), by_kind)) == {"ton_refrigeration"}
    assert bounds_for("Lamp", ("inverter",), by_kind) == {}


def test_only_doubtful_forms_are_doubted() -> None:
    (spelled,), (letter,) = quantities("2 Ton"), quantities("2T")
    assert trusted(spelled, {}) is spelled
    assert trusted(letter, {}) is None
    assert trusted(quantities("2 kg")[0], {}) is not None
    bounds = {"ton_refrigeration": (Decimal(1), Decimal(2))}
    kept = trusted(letter, bounds)
    assert kept is not None and kept.readings == ("ton_refrigeration",)
    assert kept.unit == "ton_refrigeration"
    assert trusted(quantities("2.5T")[0], bounds) is None
    assert trusted(quantities("1-3T")[0], bounds) is None
