"""What the store answers, against counting the facts by hand."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Amount, Fact, Span, TextEvidence
from moonshelf.graph.report.asking import MOST_WORDS, TOGETHER, ask
from moonshelf.progress import silent

KINDS = [f"Kind{n}" for n in range(TOGETHER + 3)]
KNOWN = Ontology(
    classes=(ClassDef(name="Product", parent=None), *(ClassDef(name=name) for name in KINDS)),
    properties=(
        PropertyDef(name="weight", datatype="decimal", dimension="mass", unit="kilogram"),
        PropertyDef(name="brand", kind="object"),
        PropertyDef(name="color", many=True),
        PropertyDef(name="unused"),
    ),
)


def fact(document: str, name: str, value: Any) -> Fact:
    evidence = TextEvidence(span=Span(field="title", start=0, end=1), raw="x")
    return Fact(document=document, property=name, value=value, evidence=evidence, confidence=0.9)


def entries() -> list[Entry]:
    """40 documents; each fourth says the same of the product of the one before."""
    made = []
    for n in range(40):
        name = f"d{n}"
        about = n - 1 if n % 4 == 3 else n
        facts = [
            fact(name, "weight", Amount(amount=Decimal(about % 5))),
            fact(name, "brand", f"<b>maker {about % 3}</b>"),
            *(fact(name, "color", f"color {k}") for k in range(about % 12)),
        ]
        kind = KINDS[about % len(KINDS)]
        made.append(Entry(name, tuple(facts), kind, product=f"d{about}", label=f"title {about}"))
    return made


def test_counts_are_those_of_products_and_every_query_is_timed(tmp_path: Path) -> None:
    made = entries()
    with GraphStore.open(tmp_path / "store") as store:
        assert not store.put_many(made, KNOWN)
        told: list[int] = []
        answers = ask(store, KNOWN, True, lambda done, total=None, **facts: told.append(done))
        quads = len(store)
    products = {one.product: one for one in made}.values()
    assert answers.quads == quads
    assert answers.classes == Counter(one.product_class for one in products)
    stated = Counter(f.property for one in products for f in one.facts)
    assert answers.statements == stated
    brands = Counter(str(f.value) for one in products for f in one.facts if f.property == "brand")
    assert Counter(dict(answers.values["brand"])) == brands
    colors = Counter(str(f.value) for one in products for f in one.facts if f.property == "color")
    assert [n for _, n in answers.values["color"]] == sorted(colors.values())[::-1][:MOST_WORDS]
    assert all(colors[value] == n for value, n in answers.values["color"])
    weights = Counter(
        int(f.value.amount) for one in products for f in one.facts if isinstance(f.value, Amount)
    )
    assert {int(Decimal(v)): n for v, n in answers.values["weight"]} == weights
    assert answers.values["unused"] == ()
    # 16 classes in two queries, four properties in one, and one for each property.
    assert len(answers.questions) == 2 + 1 + len(KNOWN.properties)
    assert all(one.milliseconds > 0 for one in answers.questions)
    assert told == [1, 2, 3, 4]


def test_queries_are_narrow(tmp_path: Path) -> None:
    """Each names the classes or properties that it counts, so none walks the evidence."""
    with GraphStore.open(tmp_path / "store") as store:
        store.put_many(entries(), KNOWN)
        questions = ask(store, KNOWN, False, silent).questions
    for one in questions:
        assert "VALUES ?x {" in one.sparql or "<ontology/property/" in one.sparql, one.sparql
        assert "?s ?p ?o" not in one.sparql
    assert any("{ 12 names }" in one.sparql for one in questions), "long lists are told shortly"
