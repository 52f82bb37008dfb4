"""The state: what is due, what the store lacks, and nothing lost by whatever way it ended."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from moonshelf.errors import DataError, StoreError
from moonshelf.files import DiskFullError
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome, packed, slice_digest
from moonshelf.graph.quarantine import Quarantined, quarantined, read_quarantine, write_quarantine
from moonshelf.graph.records import Amount, Document, Fact, Refusal, Span, TextEvidence
from moonshelf.graph.state import State
from moonshelf.graph.state_file import FILE


def document(name: str, title: str = "Fan 20 W") -> Document:
    return Document(id=name, fields=(("title", title),))


def fact(name: str, amount: str = "20") -> Fact:
    evidence = TextEvidence(span=Span(field="title", start=4, end=8), raw="20 W")
    value = Amount(amount=Decimal(amount))
    return Fact(
        document=name, property="power", value=value, unit="W", evidence=evidence, confidence=0.9
    )


def outcome(one: Document, status: str = "done", **facts: object) -> Outcome:
    given = {"fingerprint": "f", "slice": "s", "version": 3, "product_class": "Fan", **facts}
    return Outcome.model_validate(
        {"document": one.id, "status": status, "digest": one.digest, **given}
    )


def always(_: str) -> str:
    return "s"


def test_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    one = document("a")
    refused = Refusal(document="a", step="span", reason="no", candidate="{}")
    problem = quarantined("b", "extract", DataError("bad reply", cure="look"), "d")
    with State.open(tmp_path) as state:
        state.finish(
            packed(o)
            for o in (
                outcome(one, facts=(fact("a"),), refusals=(refused,)),
                outcome(document("b"), "quarantined", problem=problem),
            )
        )
    with State.open(tmp_path, create=False) as state:
        back = state.outcome("a")
        assert back == outcome(one, facts=(fact("a"),), refusals=(refused,))
        assert [o.document for o in state.outcomes()] == ["a", "b"]
        assert [o.problem for o in state.outcomes("quarantined")] == [problem]
        assert state.ids("done") == {"a"}
        assert state.outcome("c") is None


def test_due_is_what_is_new_changed_or_made_otherwise(tmp_path: Path) -> None:
    ones = [document(name) for name in "cab"]
    with State.open(tmp_path) as state:
        run = state.begin()
        state.see(enumerate(ones), run)
        assert state.to_do(run, "f", always) == ["c", "a", "b"], "in the order of the source"
        state.finish(packed(outcome(one)) for one in ones[:2])
        assert state.to_do(run, "f", always) == ["b"]
        state.finish([packed(outcome(ones[2], "quarantined"))])
        assert state.to_do(run, "f", always) == []
        assert state.to_do(run, "f", always, retry=True) == ["b"]
        assert state.to_do(run, "other backend", always) == ["c", "a", "b"]
        assert state.to_do(run, "f", lambda name: "t" if name == "Fan" else "s") == ["c", "a", "b"]
        run = state.begin()
        changed = document("a", "Fan 30 W")
        state.see([(0, changed), (1, ones[0])], run)
        assert state.to_do(run, "f", always) == ["a"]
        assert state.gone(run) == ["b"]
        assert state.seen(run) == {"a", "c"}
        assert state.settled("done") == {"c"}, "the outcome of an older text is none"
        assert state.document("a") == changed
        assert [one.id for one in state.documents(run)] == ["a", "c"]


def test_the_store_lacks_what_is_new_and_holds_what_is_gone(tmp_path: Path) -> None:
    one, other = document("a"), document("b")
    with State.open(tmp_path) as state:
        state.see(enumerate([one, other]), state.begin())
        outcomes = [outcome(one, facts=(fact("a"),)), outcome(other, facts=(fact("b"),))]
        state.finish(map(packed, outcomes))
        assert state.to_put() == ["a", "b"]
        state.put("ab")
        assert state.to_put() == state.to_drop() == []
        state.finish([packed(outcome(one, facts=(fact("a", "21"),)))])
        assert state.to_put() == ["a"]
        state.finish([packed(outcome(one, "empty"))])
        state.forget(["b"])
        assert (state.to_put(), state.to_drop()) == ([], ["a", "b"])
        state.dropped(["a", "b"])
        assert state.to_drop() == []
        assert state.document("b") is None


@pytest.mark.parametrize(
    "update", [{"product": "p"}, {"kind": "review"}, {"fields": (("title", "Fan 20 W new"),)}]
)
def test_the_store_lacks_what_is_called_or_about_something_else(
    tmp_path: Path, update: dict[str, object]
) -> None:
    one = document("a")
    with State.open(tmp_path) as state:
        for version in (one, Document.model_validate({**one.model_dump(), **update})):
            state.see([(0, version)], state.begin())
            state.finish([packed(outcome(version, facts=(fact("a"),)))])
            assert state.to_put() == ["a"]
            before = state.fingerprint()
            state.put("a")
            assert state.to_put() == []
        state.see([(0, one)], state.begin())
        state.finish([packed(outcome(one, facts=(fact("a"),)))])
        assert state.fingerprint() != before


def test_what_the_source_lacks_is_due_when_its_slice_changed(tmp_path: Path) -> None:
    ones = [document(name) for name in "abc"]
    with State.open(tmp_path) as state:
        run = state.begin()
        state.see(enumerate(ones), run)
        state.finish(packed(outcome(one)) for one in ones[:2])
        run = state.begin()
        state.see([(0, ones[1])], run)
        assert state.to_do(run, "f", always) == ["c"], "nobody has read it yet"
        assert state.to_do(run, "other backend", always) == ["c", "b"]
        assert state.to_do(run, "f", lambda name: "t") == ["a", "c", "b"]
        state.finish([packed(outcome(ones[2], "quarantined"))])
        assert state.to_do(run, "f", always, retry=True) == []


def test_a_row_that_is_no_document_now_is_neither_done_nor_deleted(tmp_path: Path) -> None:
    """Its name may be that of a document from before."""
    ones = [document(name) for name in "ab"]
    with State.open(tmp_path) as state:
        state.see(enumerate(ones), state.begin())
        state.finish(packed(outcome(one)) for one in ones)
        run = state.begin()
        state.forget_unread()
        state.see([(0, ones[0])], run)
        unread = {"digest": "", "slice": "", "fingerprint": "", "version": 0}
        for name in ("b", "items.csv row 3"):
            state.finish([packed(outcome(document(name), "quarantined", **unread))])
        assert state.to_do(run, "f", lambda name: "t") == ["a"]
        assert state.gone(run) == ["b"]
        assert state.settled("quarantined") == {"b", "items.csv row 3"}, "though b is known"
        state.forget(state.gone(run))
        assert state.settled("quarantined") == {"b", "items.csv row 3"}
        assert state.document("b") is None


def test_a_source_answers_for_the_kinds_that_it_holds(tmp_path: Path) -> None:
    listing = document("l")
    reviews = [document(name).model_copy(update={"kind": "review"}) for name in "rs"]
    with State.open(tmp_path) as state:
        state.see(enumerate([listing, *reviews]), state.begin())
        assert state.kinds() == {"l": "listing", "r": "review", "s": "review"}
        run = state.begin()
        state.see([(0, reviews[0])], run)
        assert state.gone(run) == ["s"], "reviews that come alone say nothing of listings"
        run = state.begin()
        state.see([(0, listing), (1, reviews[0])], run)
        assert state.gone(run) == ["s"]
        run = state.begin()
        state.see([(0, listing)], run)
        assert state.gone(run) == []
        assert state.gone(run, {"review"}) == ["r", "s"], "the source says that there are none"
        assert state.gone(run, {"picture"}) == []


def test_reading_writes_nothing(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        state.see([(0, document("a"))], state.begin())
    path = tmp_path / "state.sqlite"
    before = path.read_bytes()
    with State.open(tmp_path, create=False) as state:
        assert state.kinds() == {"a": "listing"}
    assert path.read_bytes() == before


def test_texts_that_came_after_the_schema_are_counted_one_by_one(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        run = state.begin()
        state.see(enumerate(map(document, "abc")), run)
        state.learn_from(run)
        assert state.unlearned(run) == 0
        run = state.begin()
        state.see(enumerate(map(document, "cde")), run)
        assert state.unlearned(run) == 2, "as many as left"


def test_a_full_disk_is_told_although_the_transaction_is_gone(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:

        def rows() -> object:
            yield packed(outcome(document("a")))
            state._db.execute("ROLLBACK")  # as SQLite does by itself then
            raise sqlite3.OperationalError("database or disk is full")

        with pytest.raises(DiskFullError):
            state.finish(rows())  # type: ignore[arg-type]
        state.finish([packed(outcome(document("b")))])
        assert [one.document for one in state.outcomes()] == ["b"]


def test_documents_of_one_product_may_overrule_each_other(tmp_path: Path) -> None:
    ones = [
        Document(id=name, fields=(("title", "Fan 20 W"),), product=product)
        for name, product in (("r1", "l"), ("l", ""), ("other", ""), ("r2", "l"), ("x", "y"))
    ]
    with State.open(tmp_path) as state:
        state.see(enumerate(ones), state.begin())
        state.finish(packed(outcome(one, facts=(fact(one.id),))) for one in ones)
        assert state.shared_products() == [["l", "r1", "r2"]], "the listing itself comes first"
        state.put(state.to_put())
        state.checked()
        assert state.to_put() == state.to_check() == []
        state.overrule({"r1": {0: "the listing says otherwise"}, "r2": {}})
        assert state.overruled() == {"r1": {0: "the listing says otherwise"}}
        assert state.to_put() == ["r1"]
        state.put(["r1"])
        assert (state.to_put(), state.to_check()) == ([], ["r1"])
        state.overrule({})
        assert state.to_put() == ["r1"]
        state.checked(False)
        assert state.to_check() == ["l", "other", "r1", "r2", "x"]


def test_an_outcome_differs_where_the_graph_would() -> None:
    one = outcome(document("a"), facts=(fact("a"),))
    for other in ({"product_class": "Lamp"}, {"version": 4}, {"facts": (fact("a", "21"),)}):
        assert one.content != outcome(document("a"), **{"facts": (fact("a"),), **other}).content


def test_a_failed_write_leaves_all_as_it_was(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:

        def two() -> object:
            yield packed(outcome(document("a")))
            raise RuntimeError("killed here")

        with pytest.raises(RuntimeError):
            state.finish(two())  # type: ignore[arg-type]
        assert list(state.outcomes()) == []
        state.finish([packed(outcome(document("b")))])
    with State.open(tmp_path) as state:
        assert [o.document for o in state.outcomes()] == ["b"]


def test_memory_outlives_the_process(tmp_path: Path) -> None:
    with State.open(tmp_path) as state:
        assert state.recall("x") is None
        state.remember("x", {"a": [1]})
    with State.open(tmp_path) as state:
        assert state.recall("x") == {"a": [1]}


def test_what_is_no_state_is_refused_with_a_cure(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="moonshelf graph build"),
        State.open(tmp_path, create=False),
    ):
        pass
    (tmp_path / FILE).write_bytes(b"not a database, and long enough to be read as one" * 9)
    with pytest.raises(StoreError, match="damaged"), State.open(tmp_path):
        pass
    (tmp_path / FILE).unlink()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="format 99"), State.open(tmp_path):
        pass


def test_a_slice_changes_with_what_the_document_could_hold() -> None:
    def ontology(*properties: PropertyDef, classes: tuple[str, ...] = ("Fan", "Lamp")) -> Ontology:
        return Ontology(
            classes=(ClassDef(name=ROOT, parent=None), *(ClassDef(name=c) for c in classes)),
            properties=properties,
        )

    power, lumen = PropertyDef(name="power"), PropertyDef(name="lumen", domain="Lamp")
    plain = slice_digest(ontology(power), "Fan")
    assert slice_digest(ontology(power, lumen), "Fan") == plain, (
        "a lamp's property is not the fan's"
    )
    assert slice_digest(ontology(power, lumen), "Lamp") != plain
    locked = power.model_copy(update={"locked": True})
    assert slice_digest(ontology(locked), "Fan") == plain
    many = power.model_copy(update={"many": True})
    assert slice_digest(ontology(many), "Fan") != plain
    assert slice_digest(ontology(power, classes=("Fan",)), "Fan") != plain
    assert slice_digest(ontology(power), "Unknown") == slice_digest(ontology(power), "Unknown")


def test_the_quarantine_holds_any_reply(tmp_path: Path) -> None:
    class Bad(DataError):
        reply = "```json\n{\ud800" + "x" * 10
        errors = ("not JSON", "half \udfff")

    records = [
        quarantined("b", "extract", Bad("no JSON", cure="try another model"), "d1"),
        quarantined("a", "validate", ZeroDivisionError("division by zero")),
    ]
    path = tmp_path / "quarantine.jsonl"
    assert write_quarantine(path, records) == 2
    back = list(read_quarantine(path))
    assert back == [records[1], records[0]]
    assert isinstance(back[1], Quarantined)
    assert back[1].reply == "```json\n{\\ud800xxxxxxxxxx"
    assert (back[1].errors, back[1].kind) == (("not JSON", "half \\udfff"), "Bad")
    assert "report it" in back[0].cure
    with pytest.raises(ValidationError) as caught:
        Document(id="", fields=())
    assert "id" in quarantined("c", "extract", caught.value).errors[0]
    assert write_quarantine(path, []) == 0
    assert path.read_text() == ""
