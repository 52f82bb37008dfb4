"""A build from documents to a graph: ledger, quarantine, updates, schema, and what stops it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonshelf.errors import DataError, StoreError, UsageError
from moonshelf.files import lock_folder
from moonshelf.graph import writing
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import Source, Unread, from_documents
from moonshelf.graph.extraction import FAILED_IN_A_ROW, BatchStopped
from moonshelf.graph.manifest import read_manifest
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology
from moonshelf.graph.quarantine import read_quarantine
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document
from moonshelf.graph.schema.history import History
from moonshelf.graph.state import State
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import COLOR, POWER, ToyBackend, reply_error

INLINE = BuildSettings(workers=1)


def document(name: str, title: str, **more: str) -> Document:
    return Document(id=name, fields=(("title", title),), **more)  # type: ignore[arg-type]


SHOP = [
    document("a", "Fan 20 W red AB100"),
    document("b", "Lamp 30 W blue"),
    document("c", "Kettle 2 kW green"),
    document("d", "nothing to see"),
]


def made(
    out: Path,
    documents: list[Document] | None = None,
    backend: ToyBackend | None = None,
    **settings: object,
) -> Summary:
    source = from_documents(SHOP if documents is None else documents)
    chosen = BuildSettings.model_validate({"workers": 1, **settings})
    return build(source, backend or ToyBackend(), out, chosen)


def dump(out: Path) -> bytes:
    with GraphStore.open(out / "store", read_only=True) as store:
        store.dump(out.parent / f"{out.name}.nq")
    return (out.parent / f"{out.name}.nq").read_bytes()


def rows(out: Path, sparql: str) -> list[tuple[str, ...]]:
    with GraphStore.open(out / "store", read_only=True) as store:
        answer = store.query(sparql)
    return [tuple("" if term is None else term.value for term in row) for row in answer.rows]


def test_documents_become_a_graph(tmp_path: Path) -> None:
    found = made(tmp_path / "out")
    assert (found.ledger.documents, found.ledger.graph, found.ledger.no_facts) == (4, 3, 1)
    assert (found.ledger.quarantined, found.ledger.lost, found.sound) == (0, (), True)
    assert (found.facts, found.extracted, found.used_properties) == (7, 4, 3)
    assert found.shapes.checked == 3 and found.shapes.violations == 0
    powers = rows(
        tmp_path / "out",
        "SELECT ?p ?w { GRAPH ?g { ?x a ?c; p:power ?w; rdfs:label ?p } } ORDER BY ?p",
    )
    assert powers == [
        ("Fan 20 W red AB100", "20"),
        ("Kettle 2 kW green", "2000"),
        ("Lamp 30 W blue", "30"),
    ]
    raws = rows(tmp_path / "out", "SELECT ?r { GRAPH ?g { ?s v:raw ?r; rdf:object 2000.0 } }")
    assert raws == [("2 kW",)]
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["status"], manifest["summary"]["facts"]) == ("complete", 7)
    names = {path.name for path in (tmp_path / "out" / "ontology").iterdir()}
    assert names == {"log.jsonl", "ontology.ttl", "shapes.ttl"}
    assert b"c:Kettle" in (tmp_path / "out" / "ontology" / "ontology.ttl").read_bytes()


def test_a_document_that_explodes_goes_to_the_quarantine_and_stops_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    backend = ToyBackend(explode={"b": reply_error(), "c": ZeroDivisionError("oops")}, wrong=["a"])
    found = made(out, backend=backend)
    assert (found.ledger.graph, found.ledger.quarantined, found.ledger.lost) == (1, 2, ())
    assert found.refused == {"span": 1}
    b, c = read_quarantine(out / "quarantine.jsonl")
    assert (b.document, b.step, b.reply, b.errors) == ("b", "extract", "```json {", ("cut short",))
    assert (c.kind, c.what) == ("ZeroDivisionError", "oops")
    # They are not tried again unless asked for, and leave the list when they work.
    assert made(out).extracted == 0
    again = made(out, retry=True)
    assert (again.extracted, again.ledger.quarantined) == (2, 0)
    assert list(read_quarantine(out / "quarantine.jsonl")) == []
    plain = tmp_path / "plain"
    made(plain)
    assert dump(out) == dump(plain)


def test_rows_that_are_no_documents_and_ids_that_come_twice_are_in_the_ledger(
    tmp_path: Path,
) -> None:
    items = [
        SHOP[0],
        Unread("items.csv row 3", DataError("no id", where="items.csv row 3")),
        document("a", "Lamp 5 W"),
        document("e", "Lamp 6 W", product="\ud800"),
        SHOP[1],
    ]
    source = from_documents(items)
    found = build(source, ToyBackend(), tmp_path / "out", INLINE)
    assert (found.ledger.documents, found.ledger.graph, found.ledger.quarantined) == (5, 2, 3)
    listed = {one.document: one.what for one in read_quarantine(tmp_path / "out/quarantine.jsonl")}
    assert listed["items.csv row 3"] == "no id"
    assert "taken" in listed["a (again, item 3)"]
    assert "no text" in listed["e"]
    # The first of two stays, and rows that were mended leave the list.
    assert b"Fan 20 W" in dump(tmp_path / "out")
    mended = build(from_documents(SHOP[:2]), ToyBackend(), tmp_path / "out", INLINE)
    assert (mended.ledger.documents, mended.ledger.quarantined) == (2, 0)
    assert list(read_quarantine(tmp_path / "out/quarantine.jsonl")) == []
    with pytest.raises(BatchStopped, match="no id"):
        build(source, ToyBackend(), tmp_path / "new", BuildSettings(on_error="stop"))


def test_stopping_at_the_first_bad_document_keeps_what_is_done(tmp_path: Path) -> None:
    out, backend = tmp_path / "out", ToyBackend(explode={"c": reply_error()})
    with pytest.raises(BatchStopped, match="no JSON") as caught:
        made(out, backend=backend, on_error="stop")
    assert "--on-error quarantine" in caught.value.cure
    assert read_manifest(out)["status"] == "building"
    found = made(out, retry=True)
    assert (found.extracted, found.unchanged, found.ledger.graph) == (2, 2, 3)
    made(tmp_path / "plain")
    assert dump(out) == dump(tmp_path / "plain")


def test_what_did_not_change_is_not_done_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(out)
    backend = ToyBackend()
    assert made(out, backend=backend).unchanged == 4
    assert backend.extracted == []
    changed = [document("a", "Fan 25 W red AB100"), *SHOP[1:]]
    found = made(out, changed, backend)
    assert (found.extracted, backend.extracted) == (1, ["a"])
    fresh = tmp_path / "fresh"
    made(fresh, changed)
    assert dump(out) == dump(fresh)
    backend.version = "2"
    assert made(out, changed, backend).extracted == 4, "another backend does all again"


def test_documents_that_are_gone_are_told_and_deleted_on_demand(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(out)
    kept = made(out, SHOP[1:])
    assert (kept.gone, kept.pruned, kept.ledger.documents) == (1, 0, 3)
    assert b"Fan 20 W" in dump(out)
    found = made(out, SHOP[1:], prune=True)
    assert (found.gone, found.pruned) == (0, 1)
    assert b"Fan 20 W" not in dump(out)
    # A document that comes back is done again.
    assert made(out).extracted == 1
    made(tmp_path / "fresh")
    assert dump(out) == dump(tmp_path / "fresh")


def test_processes_give_the_graph_of_one(tmp_path: Path) -> None:
    shop = [
        document(f"d{k:03}", f"{('Fan', 'Lamp')[k % 2]} {k % 7 + 1} W {('red', 'blue')[k % 2]}")
        for k in range(240)
    ]
    one, two = made(tmp_path / "one", shop), made(tmp_path / "two", shop, workers=2)
    assert one.ledger == two.ledger and one.refused == two.refused
    assert dump(tmp_path / "one") == dump(tmp_path / "two")


def test_the_order_of_the_source_does_not_change_a_known_schema(tmp_path: Path) -> None:
    base = Ontology(
        classes=(ClassDef(name=ROOT, parent=None), ClassDef(name="Fan", locked=True)),
        properties=(POWER.model_copy(update={"locked": True}), COLOR),
    )
    frozen = BuildSettings(workers=1, learn="never")
    for name, shop in (("one", SHOP), ("two", SHOP[::-1])):
        backend = ToyBackend()
        found = build(from_documents(shop), backend, tmp_path / name, frozen, ontology=base)
        assert (found.classes, found.properties, found.ontology) == (2, 2, 0)
    assert dump(tmp_path / "one") == dump(tmp_path / "two")
    # Only its own kind is known; what has no class is a product.
    kinds = {
        kind for (kind,) in rows(tmp_path / "one", "SELECT ?c { GRAPH ?g { ?x a ?c; p:power ?w } }")
    }
    assert {kind.rpartition("/")[2] for kind in kinds} == {"Fan", "Product"}


def test_a_users_ontology_grows_but_its_locked_elements_stay(tmp_path: Path) -> None:
    locked = POWER.model_copy(update={"locked": True, "guidance": "ours"})
    base = Ontology(properties=(locked,))
    build(from_documents(SHOP), ToyBackend(), tmp_path / "out", INLINE, ontology=base)
    history = History.open(tmp_path / "out" / "ontology")
    assert history.ontology().property_of("power") == locked
    assert {"Fan", "Lamp", "Kettle"} <= {c.name for c in history.ontology().classes}
    with pytest.raises(UsageError, match="another base"):
        build(from_documents(SHOP), ToyBackend(), tmp_path / "out", INLINE, ontology=Ontology())


def test_a_schema_is_learned_once_unless_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(out)
    more = [*SHOP, document("e", "Toaster 800 W red")]
    found = made(out, more)
    assert (found.extracted, found.classes, found.new_since_learned) == (1, 4, 1)
    found = made(out, more, learn="again")
    assert (found.classes, found.new_since_learned) == (5, 0)
    assert found.extracted == 5, "any document might be of the new class"
    with pytest.raises(UsageError, match="no schema to keep"):
        made(tmp_path / "new", learn="never")


def test_changes_wait_for_a_person(tmp_path: Path) -> None:
    out, review = tmp_path / "out", tmp_path / "review.toml"
    found = build(from_documents(SHOP), ToyBackend(), out, INLINE, review=review)
    assert (found.learned.waiting, found.properties) == (1, 4)  # type: ignore[union-attr]
    review.write_text(review.read_text().replace('decision = "pending"', 'decision = "accept"'))
    found = build(from_documents(SHOP), ToyBackend(), out, INLINE, review=review)
    assert found.properties == 3
    assert found.extracted == 4, "the slice of all of them changed"


def test_reviews_and_their_listing_make_one_product(tmp_path: Path) -> None:
    shop = [
        document("r", "Fan 30 W red, says who bought it", kind="review", product="l"),
        document("l", "Fan 20 W"),
    ]
    found = made(tmp_path / "out", shop)
    assert (found.ledger.graph, found.shapes.violations) == (2, 0)
    assert found.refused == {"conflict": 1}
    values = rows(
        tmp_path / "out",
        "SELECT ?l ?w ?c { GRAPH ?g {?x p:power ?w; rdfs:label ?l} GRAPH ?h {?x p:color ?c}}",
    )
    assert values == [("Fan 20 W", "20", "red")], "the listing has the last word on its power"
    other = [document("k", "Fan 10 W"), shop[0]]
    without = made(tmp_path / "out", other, prune=True)
    assert (without.ledger.graph, without.pruned, without.refused) == (2, 1, {})
    made(tmp_path / "fresh", other)
    assert dump(tmp_path / "out") == dump(tmp_path / "fresh")


def test_a_graph_that_breaks_a_shape_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation should make this impossible; here it is switched off."""
    monkeypatch.setattr(writing, "conflicts", lambda facts, documents: {})
    shop = [
        document("r", "Fan 30 W", kind="review", product="l"),
        document("l", "Fan 20 W"),
        SHOP[1],
    ]
    found = made(tmp_path / "out", shop)
    assert found.shapes.violations == 1
    assert (found.ledger.graph, found.ledger.quarantined, found.ledger.lost) == (1, 2, ())
    assert not found.sound
    first, _ = read_quarantine(tmp_path / "out" / "quarantine.jsonl")
    assert (first.step, first.errors[0].split(":")[0]) == ("shacl", "power")
    assert b"Fan" not in dump(tmp_path / "out").replace(b"class/Fan", b"").replace(b'"fan"', b"")


def test_a_lost_store_is_made_again_from_the_state(tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    made(out)
    wanted = dump(out)
    shutil.rmtree(out / "store")
    assert made(out).extracted == 0
    assert dump(out) == wanted


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("dear")
    with pytest.raises(StoreError, match=r"mine\.txt"):
        made(tmp_path / "letters")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file of this name"):
        made(tmp_path / "file")
    with pytest.raises(DataError, match="no document"):
        made(tmp_path / "out", [])
    with (
        lock_folder(tmp_path / "busy", StoreError("x")),
        pytest.raises(StoreError, match="another"),
    ):
        made(tmp_path / "busy")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text(json.dumps({"kind": "run", "format": 1}))
    with pytest.raises(StoreError, match="a run of format 1"):
        made(tmp_path / "other")
    with pytest.raises(StoreError, match="no graph"):
        read_manifest(tmp_path)


class Paid(ToyBackend):
    def costs(self) -> dict[str, float]:
        return {"calls": float(len(self.extracted))}


def test_a_backend_with_costs_stops_when_nothing_works(tmp_path: Path) -> None:
    shop = [document(f"d{k:03}", "Fan 20 W") for k in range(FAILED_IN_A_ROW + 40)]
    base = Ontology(classes=(ClassDef(name=ROOT, parent=None),), properties=(POWER,))
    frozen = BuildSettings(workers=2, learn="never")
    backend = Paid(explode={one.id: reply_error() for one in shop})
    with pytest.raises(BatchStopped, match="in a row") as caught:
        build(from_documents(shop), backend, tmp_path / "out", frozen, ontology=base)
    assert "--retry" in caught.value.cure
    assert len(backend.extracted) < FAILED_IN_A_ROW + 30
    working = Paid()
    again = frozen.model_copy(update={"retry": True})
    found = build(from_documents(shop), working, tmp_path / "out", again, ontology=base)
    assert found.ledger.graph == len(shop) and found.costs == {"calls": len(shop)}
    # A backend without costs goes on: every document has its say.
    free = ToyBackend(explode={one.id: reply_error() for one in shop})
    found = build(from_documents(shop), free, tmp_path / "free", frozen, ontology=base)
    assert found.ledger.quarantined == len(shop)


def test_a_wrong_call_is_no_documents_fault(tmp_path: Path) -> None:
    backend = ToyBackend(explode={"b": UsageError("no such model", cure="name another")})
    with pytest.raises(UsageError, match="no such model"):
        build(
            from_documents(SHOP),
            backend,
            tmp_path / "out",
            BuildSettings(workers=1, learn="never"),
            ontology=Ontology(properties=(POWER,)),
        )


def test_a_source_is_read_anew_for_every_build(tmp_path: Path) -> None:
    reads: list[int] = []

    def read():
        reads.append(1)
        return iter(SHOP)

    build(Source("counted", read, len(SHOP)), ToyBackend(), tmp_path / "out", INLINE)
    assert len(reads) == 1, "the rest comes from the state"
    with State.open(tmp_path / "out") as state:
        assert [one.id for one in state.documents()] == ["a", "b", "c", "d"]
