"""The review file: what waits for a person, and what a person's word does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.errors import UsageError
from moonshelf.graph.edits import AddProperty, Drop, Edit, Merge, Proposal, Rename, Retype, Usage
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema import review
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from moonshelf.graph.schema.review import summary, toml_text

BASE = Ontology(properties=tuple(PropertyDef(name=n) for n in ("color", "colour", "size", "big")))
USAGE = {
    "color": Usage(name="color", documents=9, values=(("red", 9),), clashes=()),
    "colour": Usage(name="colour", documents=9, values=(("red", 9),), clashes=()),
    "size": Usage(name="size", clashes=()),
    "big": Usage(name="big", documents=4, values=(("xl", 4),), clashes=()),
}
MERGE = Merge(names=("color", "colour"), into="color", reason="the same")
ODD = Merge(names=("size", "big"), into="size", reason="perhaps")


def keeper(folder: Path) -> Gatekeeper:
    return Gatekeeper(History.open(folder, BASE), folder / "review.toml")


def write(folder: Path, old: str, new: str) -> None:
    path = folder / "review.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def read(folder: Path) -> list[dict]:
    return tomllib.loads((folder / "review.toml").read_text("utf-8")).get("edit", [])


def test_changes_wait_additions_do_not(tmp_path) -> None:
    gate = keeper(tmp_path)
    add = AddProperty(element=PropertyDef(name="age"), reason="new")
    edits: list[Edit] = [MERGE, ODD, add, Drop(name="color", reason="against the rules")]
    found = gate.submit(edits, USAGE, "agent")
    assert [d.outcome for d in found] == ["pending", "pending", "accepted", "refused"]
    assert gate.ontology.version == 1
    waiting = read(tmp_path)
    assert [w["summary"] for w in waiting] == ["merge colour into color", "merge big into size"]
    assert [w["decision"] for w in waiting] == ["pending", "pending"]
    assert waiting[0]["opinion"] == "within the rules"
    assert "names 'size' and 'big' are alike" in waiting[1]["opinion"]
    assert waiting[0]["reason"] == "the same" and waiting[0]["by"] == "agent"


def test_a_property_of_further_classes_is_an_addition(tmp_path) -> None:
    base = Ontology(
        classes=(*BASE.classes, ClassDef(name="Fan"), ClassDef(name="Lamp")),
        properties=(PropertyDef(name="age", domain="Fan"),),
    )
    gate = Gatekeeper(History.open(tmp_path, base), tmp_path / "review.toml")
    new = Proposal(properties=(PropertyDef(name="age", domain="Lamp"),))
    assert gate.propose(new, "agent")[0].accepted
    assert gate.ontology.property_of("age").domain == "Product"


def test_a_person_accepts_and_rejects(tmp_path) -> None:
    keeper(tmp_path).submit([MERGE, ODD], USAGE, "agent")
    write(tmp_path, 'decision = "pending"', 'decision = "reject"')
    write(tmp_path, 'decision = "pending"\nnote = ""', 'decision = "accept"\nnote = "I know them"')
    gate = keeper(tmp_path)
    found = gate.submit([MERGE], USAGE, "agent")
    assert [d.outcome for d in found] == ["refused", "accepted", "refused"]
    assert found[1].reason == "I know them" and found[1].decided_by == "person"
    assert found[1].by == "agent"
    assert found[2].reason == "a person rejected it before"
    assert gate.ontology.present("big") == "size"
    assert read(tmp_path) == []
    assert History.open(tmp_path).pending() == {}


def test_proposals_leave_what_a_person_wrote(tmp_path) -> None:
    keeper(tmp_path).submit([MERGE], USAGE, "agent")
    write(tmp_path, '"pending"', '"accept"')
    written = (tmp_path / "review.toml").read_text("utf-8")
    gate = keeper(tmp_path)
    assert gate.propose(Proposal(properties=(PropertyDef(name="age"),)), "agent")[0].accepted
    assert (tmp_path / "review.toml").read_text("utf-8") == written
    assert gate.submit([], USAGE, "agent")[0].decided_by == "person"


def test_a_form_that_is_held_is_written_when_asked(tmp_path) -> None:
    keeper(tmp_path).submit([MERGE], USAGE, "agent")
    write(tmp_path, '"pending"', '"accept"')
    written = (tmp_path / "review.toml").read_text("utf-8")
    gate = Gatekeeper(History.open(tmp_path), tmp_path / "review.toml", hold=True)
    assert gate.decide_pending(USAGE)[0].accepted
    assert gate.submit([ODD], USAGE, "agent")[-1].outcome == "pending"
    assert (tmp_path / "review.toml").read_text("utf-8") == written
    gate.write_form()
    assert [w["summary"] for w in read(tmp_path)] == ["merge big into size"]


def test_only_what_a_person_rejected_was_rejected(tmp_path) -> None:
    rename = Rename(name="size", to="extent", reason="x")
    keeper(tmp_path).submit([rename, MERGE], USAGE, "agent")
    write(tmp_path, '"pending"', '"accept"')
    write(tmp_path, '"pending"', '"accept"')
    clash = USAGE | {"color": USAGE["color"].model_copy(update={"clashes": (("colour", 1),)})}
    gate = keeper(tmp_path)
    done, against = gate.decide_pending(clash)
    assert (done.decided_by, against.decided_by) == ("person", "gatekeeper")
    assert gate.history.rejected() == set()
    back = gate.submit([Rename(name="extent", to="span", reason="x")], USAGE, "person")
    assert back[0].accepted
    again, merged = gate.submit([rename, MERGE], USAGE, "agent")
    assert "former name" in again.reason and again.decided_by == "gatekeeper"
    assert merged.outcome == "pending", "the data that spoke against it is gone"


def test_a_form_is_never_larger_than_what_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(review, "LARGEST", 4_000)
    names = [f"p{k}" for k in range(20)]
    base = Ontology(properties=tuple(PropertyDef(name=name) for name in names))
    usage = {name: Usage(name=name, clashes=()) for name in names}
    gate = Gatekeeper(History.open(tmp_path, base), tmp_path / "review.toml")
    long = Retype(name="p0", guidance="x" * 5_000, reason="x")
    drops: list[Edit] = [Drop(name=name, reason="unused") for name in names[1:]]
    gate.submit([long, *drops], usage, "agent")
    seen: list[str] = []
    while shown := read(tmp_path):
        text = (tmp_path / "review.toml").read_text("utf-8")
        assert len(text) < 4_000 and "more wait" in text
        seen += [one["summary"] for one in shown]
        (tmp_path / "review.toml").write_text(text.replace('"pending"', '"accept"'), "utf-8")
        gate.decide_pending(usage)
    assert seen == [f"drop {name}" for name in names[1:]]
    assert [one.edit for one in gate.history.pending().values()] == [long]


def test_what_waits_is_asked_once_and_survives_the_loss_of_the_file(tmp_path) -> None:
    keeper(tmp_path).submit([MERGE], USAGE, "agent")
    again = MERGE.model_copy(update={"reason": "said otherwise"})
    assert keeper(tmp_path).submit([again], USAGE, "agent") == []
    (tmp_path / "review.toml").unlink()
    gate = keeper(tmp_path)
    assert gate.decide_pending(USAGE) == []
    assert [w["reason"] for w in read(tmp_path)] == ["the same"]


def test_no_word_of_a_person_breaks_data(tmp_path) -> None:
    rename = Rename(name="size", to="extent", reason="x")
    gate = keeper(tmp_path)
    gate.submit([rename, MERGE], USAGE, "agent")
    write(tmp_path, '"pending"', '"accept"')
    write(tmp_path, '"pending"', '"accept"')
    clash = USAGE | {"color": USAGE["color"].model_copy(update={"clashes": (("colour", 1),)})}
    found = keeper(tmp_path).decide_pending(clash)
    assert [d.outcome for d in found] == ["accepted", "refused"]
    assert "1 products hold different values" in found[1].reason


def test_a_crash_between_log_and_file_decides_nothing_twice(tmp_path) -> None:
    keeper(tmp_path).submit([MERGE], USAGE, "agent")
    write(tmp_path, '"pending"', '"accept"')
    marked = (tmp_path / "review.toml").read_text("utf-8")
    assert keeper(tmp_path).decide_pending(USAGE)[0].accepted
    (tmp_path / "review.toml").write_text(marked, "utf-8")
    gate = keeper(tmp_path)
    assert gate.decide_pending(USAGE) == []
    assert gate.ontology.version == 1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"pending"', '"perhaps"', "decision"),
        ('"pending"', '"pending', "not valid TOML"),
        ("note =", "noet =", "noet"),
        ("colour", "size", "is not what was asked for"),
        ("[[edit]]", '[[edit]]\nid = "x"\n[[edit]]\nid = "x"\n[[edit]]', "is there twice"),
        ("[[edit]]", "[edit]", "edit"),
    ],
)
def test_a_spoilt_file_is_an_error_and_stays_as_it_is(old, new, complaint, tmp_path) -> None:
    keeper(tmp_path).submit([MERGE], USAGE, "agent")
    path = tmp_path / "review.toml"
    text = path.read_text("utf-8")
    changed = text.replace(old, new) if old == "colour" else text.replace(old, new, 1)
    path.write_text(changed, "utf-8")
    gate = keeper(tmp_path)
    with pytest.raises(UsageError, match=complaint) as caught:
        gate.submit([Drop(name="size", reason="x")], USAGE, "agent")
    assert str(path) in caught.value.where
    assert path.read_text("utf-8") == changed
    assert gate.ontology.version == 0


HOSTILE = [
    '"\ndecision = "accept"',
    "'''\n[[edit]]\nid = \"0\"",
    "\u202eesrever \u2028line\x00\x1b[31m",
    "\\u0041 \\",
    "a\nb\r\tc",
    "é漢字👍",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_reasons_stay_inside_their_quotes(text, tmp_path) -> None:
    gate = keeper(tmp_path)
    edit = MERGE.model_copy(update={"reason": text})
    assert gate.submit([edit], USAGE, text)[0].outcome == "pending"
    (waiting,) = read(tmp_path)
    assert waiting["decision"] == "pending"
    assert waiting["reason"] == waiting["by"] == text
    raw = (tmp_path / "review.toml").read_text("utf-8")
    assert all(c.isprintable() or c == "\n" for c in raw)
    assert raw.count("\n[[edit]]") == 1
    assert keeper(tmp_path).decide_pending(USAGE) == []


@given(st.text())
def test_toml_text_is_read_back(text: str) -> None:
    assert tomllib.loads(f"x = {toml_text(text)}")["x"] == text


def test_half_a_character_is_written_as_a_mark(tmp_path) -> None:
    assert toml_text("a\ud800") == '"a\\uFFFD"'
    gate = keeper(tmp_path)
    odd = Retype(name="size", guidance="\ud800", reason="x")
    assert gate.submit([odd], USAGE, "agent")[0].outcome == "refused"
    assert keeper(tmp_path).history.decisions == gate.history.decisions


def test_every_edit_has_a_summary() -> None:
    assert summary(Drop(name="a", reason="x")) == "drop a"
    assert summary(Rename(name="a", to="b", reason="x")) == "rename a to b"
    assert summary(AddProperty(element=PropertyDef(name="a"), reason="x")).startswith("add prop")
