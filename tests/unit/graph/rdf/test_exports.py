"""schema.org as JSON-LD and Turtle, and the table."""

from __future__ import annotations

import csv
import html.parser
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import unescape
from moonshelf.graph.rdf.products import read_products
from moonshelf.graph.rdf.schema_org import (
    export_json_ld,
    export_turtle,
    is_gtin,
    json_ld,
    product_tree,
    script_tag,
)
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.summary import counts, summarize, top_values
from moonshelf.graph.rdf.table import export_csv, safe_cell
from moonshelf.graph.rdf.vocabulary import SCHEMA
from tests.unit.graph.rdf.cases import ONTOLOGY, amount, fact, span, split


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with GraphStore.open(tmp_path_factory.mktemp("exports") / "s") as opened:
        entry = split()
        more = (
            fact("d1", "weight", amount("10.25")),
            fact("d1", "ean", "4006381333931"),
            fact("d1", "sets", span("1", "2")),
            fact("d1", "sets", 7),
        )
        opened.put_many([split(facts=(*entry.facts, *more)), split("d2", "bosch")], ONTOLOGY)
        kettle = (fact("k", "ean", "123"), fact("k", "weight", span("0.5", "1")))
        opened.put("k", kettle, ONTOLOGY, product_class="Kettle")
        said = [fact("r", "note", "loud"), fact("r", "note", "silent")]
        opened.put("r", said, ONTOLOGY, product="d2")
        yield opened


def trees(store) -> dict:
    views = read_products(store, ONTOLOGY)
    return {view.id: product_tree(view, ONTOLOGY, store.names) for view in views}


def extra(tree, name: str) -> list[dict]:
    others = tree["additionalProperty"]
    return [
        one for one in (others if isinstance(others, list) else [others]) if one["name"] == name
    ]


def test_own_properties_of_schema_org_are_used(store) -> None:
    tree = trees(store)["d1"]
    assert tree["@type"] == "Product" and tree["name"] == "LG Dual"
    assert tree["category"] == "split air conditioner"
    assert (tree["brand"]["@type"], tree["brand"]["name"]) == ("Brand", "lg")
    assert tree["color"] == ["red", 'white "gloss"']
    assert tree["gtin"] == "4006381333931"
    weight = tree["weight"]
    assert (weight["value"], weight["unitCode"]) == (Decimal("10.25"), "KGM")


def test_everything_else_is_an_additional_property(store) -> None:
    tree = trees(store)["d1"]
    (cooling,) = extra(tree, "cooling capacity")
    assert cooling["@type"] == "PropertyValue" and cooling["value"] == Decimal("5.2")
    assert (cooling["unitCode"], cooling["unitText"]) == ("KWT", "kilowatt")
    assert cooling["propertyID"] == store.names.property("cooling_capacity")
    ranged, single = extra(tree, "sets")
    assert (ranged["minValue"], ranged["maxValue"], single["value"]) == (1, 2, 7)
    assert extra(tree, "wifi")[0]["value"] is True


def test_what_breaks_the_rules_of_a_property_goes_elsewhere(store) -> None:
    tree = trees(store)["k"]
    assert "gtin" not in tree and extra(tree, "ean")[0]["value"] == "123"
    assert tree["weight"]["minValue"] == Decimal("0.5") and "value" not in tree["weight"]
    assert tree["name"] == "k"


def test_documents_about_one_product_are_one_product(store) -> None:
    assert sorted(trees(store)) == ["d1", "d2", "k"]
    assert {one["value"] for one in extra(trees(store)["d2"], "note")} == {"silent", "loud"}


def test_files(store, tmp_path) -> None:
    assert export_json_ld(store, ONTOLOGY, tmp_path / "x.jsonld") == 3
    assert export_turtle(store, ONTOLOGY, tmp_path / "x.ttl") == 3
    data = json.loads((tmp_path / "x.jsonld").read_text())
    assert data["@context"] == "https://schema.org" and len(data["@graph"]) == 3
    assert export_json_ld(store, ONTOLOGY, tmp_path / "y.jsonld", ["r"]) == 1
    first = (tmp_path / "x.ttl").read_bytes()
    export_turtle(store, ONTOLOGY, tmp_path / "x.ttl")
    assert (tmp_path / "x.ttl").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.jsonld", "x.ttl", "y.jsonld"]


def test_both_forms_say_the_same(store, tmp_path) -> None:
    """Read by the library (the context put in place, as nothing is fetched) and by rdflib."""
    import rdflib

    export_json_ld(store, ONTOLOGY, tmp_path / "x.jsonld")
    export_turtle(store, ONTOLOGY, tmp_path / "x.ttl")
    text = (tmp_path / "x.jsonld").read_text()
    assert text.startswith('{"@context":"https://schema.org"')
    text = text.replace('"https://schema.org"', f'{{"@vocab":"{SCHEMA}"}}', 1)
    library = oxigraph()

    def statements(data, kind) -> set:
        found = set()
        for quad in library.parse(data, format=kind):
            assert not isinstance(quad.subject, library.BlankNode)
            value = quad.object.value
            if "XMLSchema#d" in str(quad.object) or "XMLSchema#i" in str(quad.object):
                value = Decimal(value).normalize()
            found.add((quad.subject.value, quad.predicate.value, value))
        return found

    by_json = statements(text, library.RdfFormat.JSON_LD)
    turtle = (tmp_path / "x.ttl").read_bytes()
    assert by_json == statements(turtle, library.RdfFormat.TURTLE) and len(by_json) > 60
    assert len(rdflib.Graph().parse(data=turtle, format="turtle")) == len(by_json)


class Page(html.parser.HTMLParser):
    """Collects tags and the text of scripts, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.script = ""

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_data(self, data) -> None:
        self.script += data


EVIL = ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "&lt;", "-->", '"}']
EVIL += ["\u2028", "\x00", "\ud800"]
TEXTS = st.lists(st.sampled_from(EVIL) | st.text(st.characters(exclude_categories=()), max_size=5))


@settings(max_examples=150, deadline=None)
@given(TEXTS.map("".join))
def test_no_value_ends_the_tag_or_is_lost(text) -> None:
    tree = {"@id": "https://a/", "@type": "Product", "name": text}
    page = Page()
    page.feed(script_tag(tree))
    page.close()
    assert page.tags == ["script"]
    found = json.loads(page.script)
    assert unescape(found["name"]) == text
    assert not set(page.script) & set("<>&\u2028\u2029")
    whole = json_ld([tree, tree]).encode("utf-8")
    assert [unescape(one["name"]) for one in json.loads(whole)["@graph"]] == [text, text]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("1", "1"),
        ("1.5", "1.5"),
        ("0.1", "0.1"),
        ("12345678901234567890", '"12345678901234567890"'),
    ],
)
def test_numbers_of_json_are_exact_or_texts(number, written) -> None:
    text = json_ld([{"@id": "a", "@type": "b", "value": Decimal(number)}])
    assert f'"value":{written}}}' in text


@pytest.mark.parametrize(
    ("text", "right"),
    [
        *(("4006381333931", True), ("4006381333932", False), ("96385074", True)),
        *(("036000291452", True), ("123", False), ("400638133393a", False), ("", False)),
        *(("٤٠٠٦٣٨١٣٣٣٩٣١", False), ("00012345600012", True)),
    ],
)
def test_gtin(text, right) -> None:
    assert is_gtin(text) is right


# ---- the table


def test_table(store, tmp_path) -> None:
    assert export_csv(store, ONTOLOGY, tmp_path / "x.csv") == 3
    data = (tmp_path / "x.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid,class,label,brand,color,")
    rows = {row["id"]: row for row in csv.DictReader(data.decode("utf-8-sig").splitlines())}
    assert rows["d1"]["weight [kilogram]"] == "10.25"
    assert rows["d1"]["sets"] == "1..2 | 7"
    assert rows["d1"]["wifi"] == "true" and rows["d1"]["class"] == "SplitAirConditioner"
    assert rows["d2"]["note"] == "loud | silent"
    assert rows["k"]["color"] == ""


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "=HYPERLINK(1)"),
        *("＝1", "＋1", "－1", "＠x", "|cmd", "%x", "'=1", '"=1"', "-A1", "- 5"),
    ],
)
def test_formulas_are_texts(text) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "-5", "-5.25", "5", "LG", "a=b", "1..2", "x-1", '24"', "ü"])
def test_what_is_no_formula_stays(text) -> None:
    assert safe_cell(text) == text


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20))
def test_any_text_survives_the_table(text) -> None:
    import io

    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\r\n").writerow([safe_cell(text), "end"])
    file.getvalue().encode("utf-8")
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert unescape(row[0].removeprefix("'")) == text.removeprefix("'") and row[1] == "end"


# ---- counts


def test_summary(store) -> None:
    found = summarize(store, ONTOLOGY)
    assert (found.documents, found.products, found.entities) == (4, 3, 2)
    assert found.quads == len(store)
    classes = dict(found.classes)
    # d2 is a plain product to the review that is about it
    assert classes == {"SplitAirConditioner": 2, "Kettle": 1, "Product": 1, "AirConditioner": 0}
    statements = dict(found.statements)
    assert statements["color"] == 4 and statements["sets"] == 2 and statements["note"] == 3
    assert found.statements[0][0] == "color"


def test_one_document_a_product_is_counted_alike(tmp_path) -> None:
    """The short way for such stores gives what counting distinct statements gives."""
    with GraphStore.open(tmp_path / "s") as store:
        store.put_many([split(f"d{n}", f"b{n}") for n in range(5)], ONTOLOGY)
        paths = [store.names.property(owned.name) for owned in ONTOLOGY.properties]
        plain = counts(store, "?s ?x ?o", paths, distinct=False)
        assert plain == counts(store, "?s ?x ?o", paths) and sum(plain.values()) == 35
        assert dict(summarize(store, ONTOLOGY).statements)["color"] == 10


def test_top_values(store) -> None:
    assert top_values(store, ONTOLOGY.property_of("color")) == [("red", 2), ('white "gloss"', 2)]
    assert top_values(store, ONTOLOGY.property_of("brand"), most=1) == [("bosch", 1)]
    assert top_values(store, ONTOLOGY.property_of("weight")) == [("10.25", 1)]
