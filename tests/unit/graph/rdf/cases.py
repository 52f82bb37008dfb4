"""A small ontology, facts for it, and a look into a store, for the tests of the RDF room."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Amount, Fact, Range, Span, TextEvidence

ONTOLOGY = Ontology(
    version=7,
    classes=(
        ClassDef(name="Product", parent=None, locked=True),
        ClassDef(name="AirConditioner", comment="Cools rooms.", synonyms=("ac",)),
        ClassDef(name="SplitAirConditioner", parent="AirConditioner"),
        ClassDef(name="Kettle"),
    ),
    properties=(
        PropertyDef(name="brand", kind="object", guidance="The maker."),
        PropertyDef(name="color", many=True, options=("red", 'white "gloss"', "it's\\blue")),
        PropertyDef(
            name="cooling_capacity",
            domain="AirConditioner",
            datatype="decimal",
            dimension="power",
            unit="kilowatt",
            low=Decimal(0),
            high=Decimal(100),
            guidance="Cooling power.",
        ),
        PropertyDef(name="ean"),
        PropertyDef(name="note", many=True),
        PropertyDef(name="sets", many=True, datatype="integer"),
        PropertyDef(name="stars", datatype="integer", low=Decimal(1), high=Decimal(5)),
        PropertyDef(name="weight", datatype="decimal", dimension="mass", unit="kilogram"),
        PropertyDef(name="wifi", kind="feature", datatype="boolean", domain="AirConditioner"),
    ),
    aliases=(("capacity", "cooling_capacity"), ("Aircon", "AirConditioner")),
)


def fact(document: str, name: str, value: Any, raw: str = "raw", **more: Any) -> Fact:
    evidence = TextEvidence(span=Span(field="title", start=2, end=2 + len(raw)), raw=raw)
    return Fact(
        **{
            "document": document,
            "property": name,
            "value": value,
            "evidence": evidence,
            "confidence": 0.9,
            **more,
        }
    )


def amount(number: str) -> Amount:
    return Amount(amount=Decimal(number))


def span(low: str, high: str) -> Range:
    return Range(low=Decimal(low), high=Decimal(high))


def split(document: str = "d1", brand: str = "lg", **more: Any) -> Entry:
    """A split air conditioner with one fact of every kind."""
    facts = (
        fact(document, "brand", brand, brand.upper()),
        fact(document, "color", "red"),
        fact(document, "color", 'white "gloss"'),
        fact(document, "capacity", amount("5.20"), "5.2 kW", unit="kW"),
        fact(document, "stars", 5),
        fact(document, "wifi", True, "with Wi-Fi"),
        fact(document, "note", "silent", "leise", translation="silent"),
    )
    return Entry(
        **{
            "document": document,
            "facts": facts,
            "product_class": "SplitAirConditioner",
            "label": "LG Dual",
            "backend": "builtin 1",
            **more,
        }
    )


def held(store: GraphStore, graph: str) -> set[tuple[str, str, str]]:
    """Subject, predicate and object of a graph, objects without their datatypes."""
    node = oxigraph().NamedNode
    quads = store.database.quads_for_pattern(None, None, None, node(graph))
    return {(q.subject.value, q.predicate.value, q.object.value) for q in quads}


def values(store: GraphStore, document: str, name: str, end: str = "") -> set[str]:
    path = store.names.property(name, end)
    return {o for _, p, o in held(store, store.names.facts(document)) if p == path}


def put_endlessly(folder: Path, first: int, begun: Path) -> None:
    """Puts batch after batch, ``begun`` after the first: six documents again and again, all with
    the same stars and brand, and 20 sets that come and go (updates of many quads and of few);
    in between six new ones, large enough for bulk files."""

    def sets(document: str, n: int, count: int) -> list[Fact]:
        return [fact(document, "sets", k, raw=f"{n} {k}") for k in range(count)]

    with GraphStore.open(folder) as store:
        for n in itertools.count(first):
            store.put_many(
                [
                    Entry(
                        d,
                        (
                            fact(d, "stars", n % 5 + 1),
                            fact(d, "brand", f"b{n}"),
                            *sets(d, n, 20 * (n % 2)),
                        ),
                    )
                    for d in map(str, range(6))
                ],
                ONTOLOGY,
            )
            if n % 3 == 0:
                new = [f"new {n} {k}" for k in range(6)]
                store.put_many([Entry(d, tuple(sets(d, n, 40))) for d in new], ONTOLOGY)
            begun.touch()
