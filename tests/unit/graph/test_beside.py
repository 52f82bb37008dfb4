"""Reviews and pictures beside listings: read, tied to their product, overruled by its text."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from moonshelf.catalog.reference_attributes import (
    AttributeFile,
    ImageSupport,
    KeyFacts,
    ProductAttributes,
    ReferenceValue,
    TextSupport,
    write_attributes,
)
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.attributes import export_attributes
from moonshelf.graph.beside import from_pictures, from_reviews, together
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.conflicts import conflicts
from moonshelf.graph.documents import Source, Unread, from_documents
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.pictures import PictureReader
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import (
    Document,
    Fact,
    Kind,
    PictureEvidence,
    Shown,
    Span,
    TextEvidence,
)
from moonshelf.graph.state import State
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import ToyBackend

INLINE = BuildSettings(workers=1)
HASH = "ab" * 16


def document(name: str, title: str, kind: Kind = "listing", product: str = "") -> Document:
    return Document(id=name, fields=(("title", title),), kind=kind, product=product)


SHOP = [
    document("a", "Fan 20 W red AB100"),
    document("b", "Lamp 30 W"),
    document("c", "nothing"),
    document("d", "nothing more"),
]


def table(tmp_path: Path, text: str, name: str = "reviews.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def pictures(path: Path, told: dict[str, dict[str, list[tuple[str, float]]]]) -> Path:
    keys = list(dict.fromkeys(key for found in told.values() for key in found))
    records = [
        ProductAttributes(
            product=name,
            attributes={
                key: tuple(
                    ReferenceValue(
                        value=word,
                        support=(ImageSupport(picture=HASH, encoder="v1", confidence=sure),),
                    )
                    for word, sure in values
                )
                for key, values in found.items()
            },
        )
        for name, found in told.items()
    ]
    write_attributes(path, [KeyFacts(key=key) for key in keys], {}, records, len(records))
    return path


def made(out: Path, source: Source, **settings: object) -> Summary:
    return build(source, ToyBackend(), out, BuildSettings(workers=1, **settings))  # type: ignore[arg-type]


def rows(out: Path, sparql: str) -> list[tuple[str, ...]]:
    with GraphStore.open(out / "store", read_only=True) as store:
        return [tuple(t.value for t in row if t is not None) for row in store.query(sparql).rows]


# ---- reviews


def test_reviews_need_a_product_and_words_and_no_more(tmp_path: Path) -> None:
    path = table(tmp_path, 'product_id,text\na,"Hums at 30 W, mine is green"\nb,\nz,blue\n,x\n')
    found = list(from_reviews(path, {}))
    first, empty, other, broken = found
    assert isinstance(first, Document) and isinstance(empty, Document)
    assert (first.kind, first.about) == ("review", "a")
    assert first.fields == (("text", "Hums at 30 W, mine is green"),)
    assert first.id.startswith("review of a: ") and empty.fields == ()
    assert isinstance(other, Document) and other.about == "z"
    assert isinstance(broken, Unread) and "names no product" in broken.error.what
    assert broken.error.where == "reviews.csv row 5"
    again = table(tmp_path, 'product_id,text\nz,blue\na,"Hums at 30 W, mine is green"\n', "r2.csv")
    assert {d.id for d in from_reviews(again, {}).documents()} == {first.id, other.id}


def test_columns_of_reviews_are_named_or_found(tmp_path: Path) -> None:
    path = table(tmp_path, "asin,review_id,summary,reviewText,body\na,1,Loud,It is loud,other\n")
    (found,) = from_reviews(path, {"text": "body"}).documents()
    assert (found.id, found.about) == ("review 1", "a"), "never taken for the listing 1"
    assert found.fields == (("title", "Loud"), ("text", "other"))
    with pytest.raises(UsageError, match="no column 'bdy'"):
        from_reviews(path, {"text": "bdy"})
    with pytest.raises(UsageError, match="did you mean text"):
        from_reviews(path, {"txt": "body"})
    with pytest.raises(UsageError, match="looks like the product"):
        from_reviews(table(tmp_path, "x,text\n1,2\n", "x.csv"), {})
    whole = tmp_path / "r.parquet"
    pq.write_table(pa.table({"product": [7.0], "text": ["red"], "blob": [b"\x00"]}), whole)
    assert [d.about for d in from_reviews(whole, {}).documents()] == ["7"]


@pytest.mark.parametrize(
    "words", ["\x00\x01", "=1+1", "<b>&amp;", "\u202eder", "x" * 200_000, '"; DROP --', "\ufffe"]
)
def test_hostile_reviews_cost_at_most_themselves(tmp_path: Path, words: str) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"product": ["a", "b", words], "text": [words, "red", "blue"]}), path)
    source = together(from_documents(SHOP), [from_reviews(path, {})])
    found = made(tmp_path / "out", source)
    assert (found.ledger.documents, found.ledger.lost, found.sound) == (7, (), True)
    assert found.ledger.quarantined == 1, "it is about no listing"
    assert rows(tmp_path / "out", "SELECT ?c { GRAPH ?g { ?x p:color ?c } } ORDER BY ?c") == [
        ("red",),
        ("red",),
    ]


def test_reviews_beside_listings_make_one_product_and_give_way(tmp_path: Path) -> None:
    path = table(tmp_path, 'product,text\na,"Mine is green, and 40 W"\nb,"Lovely red, 30 W"\n')
    out = tmp_path / "out"
    found = made(out, together(from_documents(SHOP), [from_reviews(path, {})]))
    assert found.ledger.graph == 4 and found.refused == {"conflict": 2}
    values = rows(
        out, "SELECT DISTINCT ?l ?c { GRAPH ?g {?x p:color ?c} GRAPH ?h {?x rdfs:label ?l} }"
    )
    assert sorted(values) == [("Fan 20 W red AB100", "red"), ("Lamp 30 W", "red")]
    kinds = rows(out, "SELECT ?k { GRAPH ?g { ?d v:kind ?k ; v:about ?x } } ORDER BY ?k")
    assert [k for (k,) in kinds] == ["listing"] * 2 + ["review"] * 2
    export_attributes(out, tmp_path / "a.jsonl")
    told = {r.product: r for r in AttributeFile.open(tmp_path / "a.jsonl")}
    (support,) = told["b"].attributes["color"][0].support
    assert isinstance(support, TextSupport) and support.source == "review"


def test_the_same_review_of_two_products_does_not_make_them_one(tmp_path: Path) -> None:
    path = table(tmp_path, "product,text\nc,Fan 10 W red AB100\nd,Fan 10 W red AB100\n")
    found = made(tmp_path / "out", together(from_documents(SHOP), [from_reviews(path, {})]))
    assert (found.ledger.graph, found.same, found.variants) == (4, 0, 0)


def test_reviews_that_are_all_gone_are_pruned_and_those_of_no_file_are_not(tmp_path: Path) -> None:
    """An empty file says that there are none left; no file says nothing."""
    head, out = "product,text\n", tmp_path / "out"
    path = table(tmp_path, head + "a,It is blue\n")
    listings = from_documents(SHOP)

    def run(source: Source, prune: bool) -> Summary:
        return build(source, ToyBackend(), out, BuildSettings(workers=1, prune=prune))

    assert run(together(listings, [from_reviews(path, {})]), False).ledger.documents == 5
    found = run(listings, True)
    assert (found.pruned, found.gone) == (0, 0), "nobody named a file of reviews"
    table(tmp_path, head)
    empty = together(listings, [from_reviews(path, {})])
    assert empty.kinds == {"review"}
    found = run(empty, False)
    assert (found.pruned, found.gone) == (0, 1)
    found = run(empty, True)
    assert (found.pruned, found.gone, found.sound) == (1, 0, True)
    with State.open(out) as state:
        assert set(state.kinds().values()) == {"listing"}


def test_what_is_about_no_listing_is_told_or_with_a_limit_left_out(tmp_path: Path) -> None:
    beside = [from_reviews(table(tmp_path, "product,text\na,red\nz,red\nb,red\n"), {})]
    found = list(together(from_documents(SHOP), beside))
    assert len(found) == 7
    (unread,) = [item for item in found if isinstance(item, Unread)]
    assert "'z', which is no listing" in unread.error.what and "reviews.csv" in unread.error.where
    first = together(from_documents(SHOP).first(1), beside, limited=True)
    assert next(item.id for item in first) == "a" and len(list(first)) == 2
    assert together(from_documents(SHOP), []).facts == {}


# ---- pictures


def shown(key: str, value: str, score: float = 0.9) -> Shown:
    return Shown(key=key, value=value, picture=HASH, encoder="v1", score=score)


def picture(*found: Shown) -> Document:
    return Document(id="pictures of a", kind="picture", fields=(), product="a", shown=found)


COLOR = PropertyDef(name="base_color", label="Colour", synonyms=("shade",), options=("red", "blue"))
SHINY = PropertyDef(name="shiny", datatype="boolean", kind="feature")
SIZE = PropertyDef(name="size", datatype="integer")
READER = PictureReader(Ontology(properties=(COLOR, SHINY, SIZE)))


@pytest.mark.parametrize("key", ["base_color", "Base Color", "colour", "SHADE"])
def test_keys_of_pictures_find_their_property_by_any_of_its_names(key: str) -> None:
    found = READER.outcome(picture(shown(key, "Red", 0.75)), "Product")
    (fact,) = found.facts
    assert (fact.property, fact.value, fact.confidence) == ("base_color", "red", 0.75)
    assert fact.evidence == PictureEvidence(picture=HASH, encoder="v1", score=0.75)
    assert (found.status, found.product_class) == ("done", "Product")


@pytest.mark.parametrize(
    ("key", "value", "step"),
    [
        ("season", "winter", "vocabulary"),
        ("colour", "green", "option"),
        ("size", "9", "vocabulary"),
        ("shiny", "very", "vocabulary"),
        ("colour", "\ud800", "json"),
        ("", "red", "vocabulary"),
    ],
)
def test_what_fits_no_property_is_refused_with_a_reason(key: str, value: str, step: str) -> None:
    found = READER.outcome(picture(shown(key, value)), "NoSuchClass")
    assert (found.status, found.facts, [r.step for r in found.refusals]) == ("empty", (), [step])
    assert READER.outcome(picture(shown("shiny", "Yes")), "Product").facts[0].value is True


def test_documents_are_texts_or_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="a picture has what it shows"):
        Document(id="a", fields=(("title", "x"),), shown=(shown("a", "b"),), kind="picture")
    with pytest.raises(ValidationError, match="a picture has what it shows"):
        Document(id="a", fields=(), kind="picture")
    with pytest.raises(ValidationError, match="a picture has what it shows"):
        Document(id="a", fields=(), shown=(shown("a", "b"),))
    # The digest of a text is what it was before there were pictures: nothing is done again.
    assert SHOP[0].digest == "ed90013e823aebc674760796f9fae750d190b7345012555dfbb63ff84d473018"
    with pytest.raises(DataError, match="no such file"):
        from_pictures(tmp_path / "none.jsonl")


def fact(document: str, value: str, sure: float, seen: bool = False, name: str = "color") -> Fact:
    text = TextEvidence(span=Span(field="title", start=0, end=1), raw="x")
    look = PictureEvidence(picture=HASH, encoder="v1", score=sure)
    return Fact(
        document=document,
        property=name,
        value=value,
        evidence=look if seen else text,
        confidence=sure,
    )


@pytest.mark.parametrize("many", [False, True])
def test_pictures_confirm_or_fill_in_and_never_contradict_the_listing(many: bool) -> None:
    color = PropertyDef(name="color", many=many)
    documents = [document("a", "x"), picture(shown("color", "blue"))]
    name = documents[1].id
    says = [(fact("a", "red", 0.1), color)]
    assert set(conflicts([*says, (fact(name, "blue", 1, True), color)], documents)) == {1}
    assert conflicts([*says, (fact(name, "red", 1, True), color)], documents) == {}
    assert conflicts([(fact(name, "blue", 1, True), color)], documents) == {}
    review = [documents[0], document("r", "y", "review", "a"), documents[1]]
    kept = conflicts([(fact("r", "red", 0.1), color), (fact(name, "blue", 1, True), color)], review)
    assert set(kept) == (set() if many else {0}), "between others, the surer one stands"


def test_pictures_enter_the_graph_with_evidence_of_their_own(tmp_path: Path) -> None:
    told = {
        "a": {"color": [("blue", 0.95)]},
        "b": {"Color": [("blue", 0.9), ("green", 0.8)], "season": [("summer", 0.9)]},
        "c": {"color": [("red", 0.7)]},
        "z": {"color": [("red", 0.7)]},
    }
    told["b"]["color"] = told["b"].pop("Color")
    path = pictures(tmp_path / "p.jsonl", told)
    out, source = tmp_path / "out", together(from_documents(SHOP), [from_pictures(path)])
    found = made(out, source)
    assert (found.ledger.documents, found.ledger.lost, found.sound) == (8, (), True)
    assert found.refused == {"conflict": 2, "vocabulary": 1}
    assert found.ledger.quarantined == 1, "z is no listing"
    query = (
        "SELECT ?d ?p ?e ?s { GRAPH ?g { ?x a v:PictureEvidence ; v:picture ?p ; v:encoder ?e ;"
        " v:score ?s ; prov:wasDerivedFrom/dcterms:identifier ?d } } ORDER BY ?d"
    )
    assert rows(out, query) == [
        ("pictures of b", HASH, "v1", "0.9"),
        ("pictures of c", HASH, "v1", "0.7"),
    ]
    export_attributes(out, tmp_path / "a.jsonl")
    record = {r.product: r for r in AttributeFile.open(tmp_path / "a.jsonl")}["b"]
    (value,) = record.attributes["color"]
    assert value.modalities == {"image"} and value.confidence == 0.9
    assert made(out, source).extracted == 0, "nothing is done twice"
    pictures(path, {**told, "c": {"color": [("green", 0.7)]}})
    assert made(out, together(from_documents(SHOP), [from_pictures(path)])).extracted == 1


def test_pictures_teach_no_schema_and_follow_their_listings_class(tmp_path: Path) -> None:
    class Watching(ToyBackend):
        def propose(self, batch, ontology):  # type: ignore[no-untyped-def]
            seen.update(one.kind for one in batch)
            return super().propose(batch, ontology)

    path = pictures(tmp_path / "p.jsonl", {"a": {"color": [("red", 0.9)]}})
    out, backend, seen = tmp_path / "out", Watching(), set[str]()
    source = together(from_documents(SHOP), [from_pictures(path)])
    assert build(source, backend, out, INLINE).new_since_learned == 0
    assert seen == {"listing"} and "pictures of a" not in backend.extracted
    with State.open(out) as state:
        found = state.outcome("pictures of a")
    assert found is not None and found.product_class == "Fan"
    changed = [document("a", "Lamp 20 W"), *SHOP[1:]]
    build(together(from_documents(changed), [from_pictures(path)]), backend, out, INLINE)
    with State.open(out) as state:
        found = state.outcome("pictures of a")
    assert found is not None and found.product_class == "Lamp"
