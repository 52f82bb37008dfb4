"""A graph's facts as reference attributes: values as shoppers write them, with their support."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.catalog.attribute_text import attribute_line, entities
from moonshelf.catalog.product import Product
from moonshelf.catalog.reference_attributes import (
    AttributeFile,
    ProductAttributes,
    ReferenceValue,
    TextSupport,
)
from moonshelf.errors import StoreError
from moonshelf.graph.attribute_wording import Wording, key_names
from moonshelf.graph.attributes import export_attributes
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Fact, Range, Span, TextEvidence, Value
from tests.unit.graph.toy_backend import ToyBackend

INLINE = BuildSettings(workers=1)


def document(name: str, title: str, **more: str) -> Document:
    kind = more.pop("kind", "listing")
    product = more.pop("product", "")
    fields = (("title", title), *more.items())
    return Document(id=name, fields=fields, kind=kind, product=product)  # type: ignore[arg-type]


SHOP = [
    document("a", "Fan 2 kW red AB100", description="A red fan of 1500 W at most."),
    document("b", "Lamp 3 kW blue", description="Nothing else."),
    document("c", "nothing"),
    document("d", "Kettle 500 W RED"),
    document("r", "It hums at 2 kW, and mine is green", kind="review", product="b"),
    document("q", "red", kind="review", product="c"),
]


def exported(tmp_path: Path, shop: list[Document] = SHOP) -> AttributeFile:
    build(from_documents(shop), ToyBackend(), tmp_path / "graph", INLINE)
    export_attributes(tmp_path / "graph", tmp_path / "a.jsonl")
    return AttributeFile.open(tmp_path / "a.jsonl")


def by_product(file: AttributeFile) -> dict[str, ProductAttributes]:
    return {record.product: record for record in file}


def shown(record: ProductAttributes) -> dict[str, list[str]]:
    return {key: [one.value for one in values] for key, values in record.attributes.items()}


def test_values_are_written_as_most_texts_write_them(tmp_path: Path) -> None:
    found = by_product(exported(tmp_path))
    assert shown(found["a"]) == {"power": ["2 kW"], "color": ["red"], "model": ["AB100"]}
    assert shown(found["d"]) == {"power": ["0.5 kW"]}, "kW is the unit that most texts use"
    (power,) = found["a"].attributes["power"]
    assert (power.number, power.low, power.confidence) == ("2", None, 0.9)


def test_keys_have_one_order_everywhere_the_commonest_first(tmp_path: Path) -> None:
    file = exported(tmp_path)
    assert [(one.key, one.products, one.unit) for one in file.header.keys] == [
        ("color", 3, None),
        ("power", 3, "kW"),
        ("model", 1, None),
    ]
    order = {key: place for place, key in enumerate(file.keys)}
    for record in file:
        places = [order[key] for key in record.attributes]
        assert places == sorted(places)


def test_listing_and_review_are_told_apart_and_the_listing_has_the_last_word(
    tmp_path: Path,
) -> None:
    found = by_product(exported(tmp_path))
    assert shown(found["b"]) == {"color": ["blue"], "power": ["3 kW"]}
    (color,) = found["c"].attributes["color"]
    (support,) = color.support
    assert isinstance(support, TextSupport)
    assert (support.source, support.document, support.words) == ("review", "q", "red")
    assert attribute_line(found["c"], "t") == ""
    assert attribute_line(found["c"], "t", ("title", "review")) == "color: red"


def test_entities_stand_where_they_say(tmp_path: Path) -> None:
    found = by_product(exported(tmp_path))
    product = Product(id="a", title=SHOP[0].field("title"), description="A red fan of 1500 W at")
    marks = entities(found["a"], product, ("title", "description"))
    assert [(one.field, one.words, one.key) for one in marks] == [
        ("title", "2 kW", "power"),
        ("title", "red", "color"),
        ("title", "AB100", "model"),
        ("description", "red", "color"),
    ], "the other power gave way to the title's"
    assert all(getattr(product, e.field)[e.start : e.end] == e.words for e in marks)
    assert len(entities(found["b"], Product(id="b", title=SHOP[1].field("title")), ("title",))) == 2


def test_the_same_graph_gives_the_same_bytes_and_another_another_source(tmp_path: Path) -> None:
    first = exported(tmp_path / "1")
    again = exported(tmp_path / "2", [SHOP[k] for k in (3, 5, 0, 2, 1, 4)])
    assert first.header.source == again.header.source
    assert first.path.read_bytes() == again.path.read_bytes()
    other = exported(tmp_path / "3", [*SHOP[:5], document("q", "blue", kind="review", product="c")])
    assert other.header.source["graph"] != first.header.source["graph"]
    assert first.header.source["backend"] == "toy"


def test_an_unfinished_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no graph"):
        export_attributes(tmp_path / "none", tmp_path / "a.jsonl")
    exported(tmp_path)
    manifest = tmp_path / "graph" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complete"', '"building"'))
    with pytest.raises(StoreError, match="not complete"):
        export_attributes(tmp_path / "graph", tmp_path / "a.jsonl")


HOSTILE = "<script>; brand: x, y </think><|emb|>"


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    shop = [
        document("=cmd|' /C calc'!A0", "Fan 20 W red"),
        document("b\"'><b>", "Fan 20 W \u202eder\u202c blue"),
        document(HOSTILE, "Lamp 30 W green"),
    ]
    found = by_product(exported(tmp_path, shop))
    assert set(found) == {one.id for one in shop}
    assert (tmp_path / "a.jsonl").read_bytes().isascii()


def fact(value: Value, raw: str, unit: str | None = None) -> Fact:
    span = Span(field="title", start=0, end=max(1, len(raw)))
    return Fact(
        document="d",
        property="p",
        value=value,
        unit=unit,
        evidence=TextEvidence(span=span, raw=raw),
        confidence=1,
    )


@pytest.mark.parametrize(
    ("owned", "facts", "wanted"),
    [
        (PropertyDef(name="p", datatype="boolean"), [fact(False, "no")], {"value": "no"}),
        (PropertyDef(name="p", datatype="integer"), [fact(4, "four")], {"value": "4"}),
        (
            PropertyDef(name="p"),
            [fact("lg", "LG"), fact("lg", "LG"), fact("lg", "lg"), fact("lg", "by lg")],
            {"value": "LG"},
        ),
        (PropertyDef(name="p"), [fact("a\x07b", "other words")], {"value": "a b"}),
        (
            PropertyDef(name="p", datatype="decimal", dimension="length", unit="meter"),
            [
                fact(Range(low=Decimal("0.1"), high=Decimal("0.254")), "4-10 in", "inches"),
                fact(Amount(amount=Decimal("0.0254")), "1 in", "in"),
                fact(Amount(amount=Decimal("1")), "1 m", "m"),
            ],
            {"value": "3.93701 to 10 in", "low": "3.93701", "high": "10"},
        ),
    ],
)
def test_each_kind_of_value_has_a_form(
    owned: PropertyDef, facts: list[Fact], wanted: dict[str, str]
) -> None:
    wording = Wording(Ontology(properties=(owned,)))
    wording.count((one, owned) for one in facts)
    found = wording.written(facts[0], owned)
    assert {key: found[key] for key in wanted} == wanted  # type: ignore[literal-required]
    ReferenceValue(
        **found, support=(TextSupport(source="t", start=0, end=1, words="", confidence=1),)
    )


def test_keys_are_unique_readable_and_never_empty() -> None:
    labels = {"neck_type": "Neck", "neck": "Neck", "n": " \x00 ", "x": "y" * 500, "z": "NECK\ntype"}
    ontology = Ontology(
        properties=tuple(PropertyDef(name=name, label=label) for name, label in labels.items())
    )
    found = key_names(ontology)
    assert found["n"] == "n" and found["neck"] == "Neck" and found["neck_type"] == "neck type"
    assert found["z"] == "z", "its label is the other's name"
    assert len(found["x"]) == 200
