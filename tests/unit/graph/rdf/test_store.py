"""Documents in, documents out: what the store holds after each change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.errors import DataError, StoreError
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import unescape
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import DCTERMS, PROV, RDF, XSD
from moonshelf.graph.records import Document, Extraction, PictureEvidence
from tests.unit.graph.rdf.cases import ONTOLOGY, amount, fact, held, span, split, values


@pytest.fixture
def store(tmp_path):
    with GraphStore.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two stores for many examples, as opening one takes a tenth of a second; each cleans up."""
    folder = tmp_path_factory.mktemp("kept")
    with GraphStore.open(folder / "a") as one, GraphStore.open(folder / "b") as other:
        yield one, other


def test_a_document_has_two_graphs(store) -> None:
    assert store.put_many([split()], ONTOLOGY) == []
    names = store.names
    graphs = {graph.value for graph in store.database.named_graphs()}
    assert graphs == {names.facts("d1"), names.evidence("d1"), names.entities}
    product = names.product("d1")
    facts = held(store, names.facts("d1"))
    assert {s for s, _, _ in facts} == {product}
    assert (product, f"{RDF}type", names.product_class("SplitAirConditioner")) in facts
    assert values(store, "d1", "color") == {"red", 'white "gloss"'}
    assert values(store, "d1", "cooling_capacity") == {"5.2"}
    assert values(store, "d1", "wifi") == {"true"}
    assert values(store, "d1", "brand") == {names.entity("brand", "lg")}
    entity = (names.entity("brand", "lg"), f"{RDF}type", names.entity_class("brand"))
    assert entity in held(store, names.entities)


def test_every_statement_has_its_evidence(store) -> None:
    entry = split()
    store.put_many([entry], ONTOLOGY)
    names = store.names
    evidence = held(store, names.evidence("d1"))
    text = names.term("TextEvidence")
    nodes = {s for s, p, o in evidence if p == f"{RDF}type" and o == text}
    assert len(nodes) == len(entry.facts)
    for node in nodes:
        said = {p: o for s, p, o in evidence if s == node}
        assert said[f"{RDF}subject"] == names.product("d1")
        assert said[f"{PROV}wasDerivedFrom"] == names.document("d1")
        statement = (said[f"{RDF}subject"], said[f"{RDF}predicate"], said[f"{RDF}object"])
        assert statement in held(store, names.facts("d1"))
        start, end = int(said[names.term("start")]), int(said[names.term("end")])
        assert end - start == len(said[names.term("raw")])
        assert said[names.term("confidence")] == "0.9"
        activity = said[f"{PROV}wasGeneratedBy"]
        did = {p: o for s, p, o in evidence if s == activity}
        assert did[f"{PROV}used"] == names.document("d1")
        assert did[names.term("ontologyVersion")] == "7"
        agent = did[f"{PROV}wasAssociatedWith"]
        assert (agent, names.term("fingerprint"), "builtin 1") in evidence


def test_ranges_have_two_ends_and_their_pair_in_the_evidence(store) -> None:
    facts = [fact("d1", "sets", span("1", "5")), fact("d1", "sets", span("2.0", "9"))]
    store.put("d1", facts, ONTOLOGY)
    assert values(store, "d1", "sets", "min") == {"1", "2"}
    assert values(store, "d1", "sets", "max") == {"5", "9"}
    pairs = {(int(r.low), int(r.high)) for r in store.ranges(store.names.facts("d1"), "sets")}
    assert pairs == {(1, 5), (2, 9)}


def test_a_picture_is_evidence_of_its_own_kind(store) -> None:
    seen = PictureEvidence(picture="ab" * 32, encoder="v3", score=0.25)
    store.put("d1", [fact("d1", "note", "striped", evidence=seen)], ONTOLOGY)
    names = store.names
    evidence = held(store, names.evidence("d1"))
    types = {o for s, p, o in evidence if p == f"{RDF}type" and "Evidence" in o}
    assert types == {names.term("PictureEvidence")}
    assert names.term("raw") not in {p for _, p, _ in evidence}
    assert any(p == names.term("score") and o == "0.25" for _, p, o in evidence)


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("nothing", "x", "vocabulary"),
        ("cooling_capacity", "12,5", "unit"),
        ("cooling_capacity", True, "unit"),
        ("cooling_capacity", amount("101"), "range"),
        ("cooling_capacity", amount("1E+999999"), "range"),
        ("weight", amount("1E-999999"), "range"),
        ("cooling_capacity", span("1", "101"), "range"),
        ("stars", amount("4.5"), "unit"),
        ("stars", 6, "range"),
        ("sets", 10**100, "range"),
        ("sets", amount("1E+99999999999"), "range"),
        ("color", "blue", "option"),
        ("color", "", "unit"),
        ("note", 5, "unit"),
        ("note", span("1", "2"), "unit"),
        ("brand", amount("3"), "unit"),
        ("wifi", "yes", "unit"),
        ("wifi", 1, "unit"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_rest_is_written(store, name, value, step) -> None:
    entry = split()
    entry = split(facts=(*entry.facts, fact("d1", name, value)))
    (refusal,) = store.put_many([entry], ONTOLOGY)
    assert (refusal.document, refusal.step) == ("d1", step)
    assert json.loads(refusal.candidate)["property"] == name
    assert values(store, "d1", "stars") == {"5"}
    store.drop("d1")
    assert store.put_many([split()], ONTOLOGY) == []


def test_a_fact_of_another_class_is_refused(store) -> None:
    refused = store.put("k", [fact("k", "wifi", True)], ONTOLOGY, product_class="Kettle")
    assert [r.step for r in refused] == ["vocabulary"]


def test_a_class_that_is_none_is_told(store) -> None:
    refused = store.put("k", [fact("k", "stars", 3)], ONTOLOGY, product_class="Ufo")
    assert [r.step for r in refused] == ["vocabulary"] and "Ufo" in refused[0].reason
    assert values(store, "k", "stars") == {"3"}


def test_a_fact_of_another_document_is_an_error(store) -> None:
    with pytest.raises(DataError):
        store.put("d1", [fact("d2", "stars", 3)], ONTOLOGY)
    assert len(store) == 0


def test_one_document_twice_in_a_batch_is_an_error(store) -> None:
    with pytest.raises(StoreError, match="twice"):
        store.put_many([split(), split()], ONTOLOGY)
    assert len(store) == 0


def test_an_entry_of_records(store) -> None:
    document = Document(
        id="r1", fields=(("title", "LG"), ("text", "ok")), product="p", kind="review"
    )
    found = Extraction(document="r1", product_class="Kettle", facts=(fact("r1", "stars", 1),))
    store.put_many([Entry.of(document, found, "b")], ONTOLOGY)
    facts = held(store, store.names.facts("r1"))
    assert (store.names.product("p"), f"{DCTERMS}identifier", "p") in facts
    assert {o for _, p, o in facts if p.endswith("#label")} == {"LG"}


def test_putting_again_replaces(store) -> None:
    store.put_many([split(), split("d2", "bosch")], ONTOLOGY)
    before = set(store.database)
    store.put("d1", [fact("d1", "stars", 2)], ONTOLOGY)
    assert values(store, "d1", "stars") == {"2"} and not values(store, "d1", "color")
    assert held(store, store.names.facts("d2"))
    store.put_many([split()], ONTOLOGY)
    assert set(store.database) == before


def test_putting_the_same_writes_nothing(store, monkeypatch) -> None:
    from moonshelf.graph.rdf import store as module

    store.put_many([split(), split("d2")], ONTOLOGY)
    changes = []
    monkeypatch.setattr(module, "apply", lambda *change: changes.append(change))
    store.put_many([split("d2"), split()], ONTOLOGY)
    assert [change[1:3] for change in changes] == [([], [])]


def test_entities_live_as_long_as_something_refers_to_them(store) -> None:
    brands = lambda: {o for _, p, o in held(store, store.names.entities) if "label" in p}  # noqa: E731
    store.put_many([split("d1"), split("d2"), split("d3", "bosch")], ONTOLOGY)
    assert brands() == {"lg", "bosch"}
    store.drop("d1")
    assert brands() == {"lg", "bosch"}
    store.put_many([split("d2", "bosch")], ONTOLOGY)
    assert brands() == {"bosch"}
    store.put_many([split("d3", "lg"), split("d2", "lg")], ONTOLOGY)
    assert brands() == {"lg"}
    assert store.drop_many(["d2", "d3", "unknown"]) == 2
    assert brands() == set() and len(store) == 0


def test_a_swap_in_one_batch_keeps_both_entities(store) -> None:
    store.put_many([split("d1", "a"), split("d2", "b")], ONTOLOGY)
    before = set(store.database)
    entities = held(store, store.names.entities)
    store.put_many([split("d1", "b"), split("d2", "a")], ONTOLOGY)
    assert held(store, store.names.entities) == entities and len(entities) == 4
    store.put_many([split("d1", "a"), split("d2", "b")], ONTOLOGY)
    assert set(store.database) == before


def test_dropping_leaves_no_graph_behind(store) -> None:
    store.put_many([split()], ONTOLOGY)
    assert store.drop("d1") and not store.drop("d1")
    names = {g.value for g in store.database.named_graphs()}
    assert store.names.facts("d1") not in names and store.names.evidence("d1") not in names
    assert "d1" not in store and list(store.documents()) == []


def test_odd_ids_come_back(store) -> None:
    ids = ["a b", "\x00", "\ud800", "\\u{0}", "<>", "東京", '"', "x" * 500, "\\u{D800}", " "]
    store.put_many([Entry(one, (fact(one, "stars", 1),)) for one in ids], ONTOLOGY)
    assert sorted(store.documents()) == sorted(ids)
    assert all(one in store for one in ids)


def test_a_collision_is_an_error_and_not_a_mixture(tmp_path, monkeypatch) -> None:
    from moonshelf.graph.rdf import iris

    monkeypatch.setattr(iris, "digest", lambda text: "a" * 16)
    with GraphStore.open(tmp_path / "s") as store:
        store.put("d 1", [fact("d 1", "stars", 1)], ONTOLOGY)
        with pytest.raises(StoreError, match="one IRI"):
            store.put("d-1", [fact("d-1", "stars", 2)], ONTOLOGY)
        assert values(store, "d 1", "stars") == {"1"}


def test_the_ontology_is_replaced_whole(store) -> None:
    store.put_ontology(ONTOLOGY)
    first = len(store)
    store.put_ontology(ONTOLOGY.model_copy(update={"properties": ()}))
    assert 0 < len(store) < first
    store.put_ontology(ONTOLOGY)
    assert len(store) == first


def test_links(store) -> None:
    from moonshelf.graph.resolve import Link

    link = Link(left="d1", right="d2", relation="isVariantOf", score=0.9, parts=())
    store.put_links([link, link.model_copy(update={"right": "d3", "relation": "sameAs"})])
    links = {(s[-18:], p.rpartition("/")[2]) for s, p, _ in held(store, store.names.links)}
    assert {p for _, p in links} == {"isVariantOf", "owl#sameAs"}
    store.put_links([])
    assert held(store, store.names.links) == set()


BATCH = st.dictionaries(
    st.sampled_from(["d1", "d2", "d3", "d4"]), st.sampled_from(["lg", "bosch", ""])
)


@settings(max_examples=40, deadline=None)
@given(st.lists(BATCH, min_size=1, max_size=6))
def test_any_sequence_of_changes_is_as_if_made_at_once(kept, batches) -> None:
    """A model of the store, a dictionary, tells what should be in it; no brand is a drop."""
    store, fresh = kept
    wanted: dict[str, str] = {}
    for batch in batches:
        store.put_many([split(o, b) for o, b in batch.items() if b], ONTOLOGY)
        store.drop_many([one for one, brand in batch.items() if not brand])
        wanted = {o: b for o, b in {**wanted, **batch}.items() if b}
    fresh.put_many([split(o, b) for o, b in wanted.items()], ONTOLOGY)
    assert set(store.database) == set(fresh.database)
    for one in kept:
        one.drop_many(wanted)
        assert len(one) == 0 and list(one.database.named_graphs()) == left(one)


def left(store: GraphStore) -> list:
    """The shared graph keeps its name when it is empty."""
    shared = oxigraph().NamedNode(store.names.entities)
    return [graph for graph in store.database.named_graphs() if graph == shared]


ANY = st.text(st.characters(exclude_categories=()), max_size=30)


@pytest.mark.filterwarnings("ignore:Dataset.default_context")
@settings(max_examples=100, deadline=None)
@given(ANY.filter(bool), ANY.filter(bool), ANY, st.decimals(allow_nan=False, allow_infinity=False))
def test_whatever_the_texts_the_graph_is_valid(kept, one, brand, label, number) -> None:
    import rdflib

    store, _ = kept
    facts = (
        fact(one, "note", brand, raw=one),
        fact(one, "brand", brand, unit=label, translation=label),
        fact(one, "weight", {"amount": number}),
    )
    store.put(one, facts, ONTOLOGY, label=label, backend=label)
    here = set(store.database)
    path = store.folder.parent / "dump.nq"
    try:
        assert {unescape(v) for v in values(store, one, "note")} == {brand}
        assert list(store.documents()) == [one]
        store.dump(path)
    finally:
        store.drop(one)
    library = oxigraph()
    assert set(library.parse(path=path, format=library.RdfFormat.N_QUADS)) == here
    dataset = rdflib.Dataset().parse(path, format="nquads")
    assert sum(len(graph) for graph in dataset.graphs()) == len(here)


def test_ill_typed_literals_are_taken_by_both_libraries_so_we_check_before() -> None:
    """The reason for the lexical check: nobody else refuses this."""
    library = oxigraph()
    odd = library.Literal("12,5", datatype=library.NamedNode(f"{XSD}decimal"))
    store, node = library.Store(), library.NamedNode("http://a.example/")
    store.add(library.Quad(node, node, odd, node))
    assert len(store) == 1
