"""What the gatekeeper lets through, what it refuses, and what it says."""

from __future__ import annotations

import pytest

from moonshelf.graph.edits import (
    AddClass,
    AddProperty,
    Drop,
    Edit,
    Merge,
    Proposal,
    Rename,
    Retype,
    Split,
)
from moonshelf.graph.ontology import ClassDef, PropertyDef
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from tests.unit.graph.schema.base import BASE, WATT, decide, keeper, unused, used

REFUSED = {
    "drop in use": (Drop(name="grade", reason="x"), {"grade": used("grade", 1)}, "1 documents use"),
    "drop a class in use": (
        Drop(name="WindowUnit", reason="x"),
        {"WindowUnit": used("WindowUnit")},
        "10 documents use",
    ),
    "drop a parent": (Drop(name="Cooling", reason="x"), {}, "still needed by SplitUnit"),
    "drop the root": (Drop(name="Product", reason="x"), {}, "root"),
    "drop a locked one": (Drop(name="brand", reason="x"), {}, "locked"),
    "rename a locked one": (Rename(name="brand", to="maker", reason="x"), {}, "locked"),
    "rename the class of a locked one": (Rename(name="Fixed", to="Free", reason="x"), {}, "locked"),
    "rename to a taken name": (Rename(name="color", to="grade", reason="x"), {}, "there already"),
    "rename to no name": (Rename(name="color", to="Not A Name", reason="x"), {}, "is named like"),
    "retype a locked one": (Retype(name="brand", many=True, reason="x"), {}, "locked"),
    "retype to nothing new": (Retype(name="color", many=False, reason="x"), {}, "that already"),
    "options that leave data out": (
        Retype(name="grade", options=("a",), reason="x"),
        {"grade": used("grade", values=(("a", 9), ("b", 1)))},
        "leave out 'b'",
    ),
    "options, where not all values are known": (
        Retype(name="grade", options=("a", "b"), reason="x"),
        {"grade": used("grade", values=(("a", 9), ("b", 1)), more=1)},
        "1 further values",
    ),
    "another type under data": (
        Retype(name="grade", datatype="integer", reason="x"),
        {"grade": used("grade")},
        "10 documents hold",
    ),
    "a narrower class under data": (
        Retype(name="color", domain="SplitUnit", reason="x"),
        {"color": used("color")},
        "narrower",
    ),
    "one value where products have several": (
        Retype(name="tags", many=False, reason="x"),
        {"tags": used("tags", several=2)},
        "2 products have several",
    ),
    "a unit of another dimension": (
        Retype(name="power", unit="kilogram", reason="x"),
        {},
        "no unit of 'power'",
    ),
    "split into another class": (
        Split(
            name="color",
            into=(PropertyDef(name="a", domain="Shoe"), PropertyDef(name="b")),
            reason="x",
        ),
        {},
        "nothing in common",
    ),
    "split into a narrower heir": (
        Split(
            name="color",
            into=(PropertyDef(name="a", domain="SplitUnit"), PropertyDef(name="b")),
            reason="x",
        ),
        {},
        "must be as wide",
    ),
    "an unknown unit": (
        AddProperty(
            element=PropertyDef(name="x", datatype="decimal", dimension="power", unit="horsefly"),
            reason="x",
        ),
        {},
        "'horsefly' is no unit",
    ),
    "an unknown parent": (
        AddClass(element=ClassDef(name="X", parent="Nowhere"), reason="x"),
        {},
        "unknown class 'Nowhere'",
    ),
    "an unknown domain": (
        AddProperty(element=PropertyDef(name="x", domain="Nowhere"), reason="x"),
        {},
        "unknown class 'Nowhere'",
    ),
    "half a character": (
        AddProperty(element=PropertyDef(name="x", guidance="\ud800"), reason="x"),
        {},
        "no text",
    ),
    "a control character": (
        AddProperty(element=PropertyDef(name="x", examples=("\x1b[2J",)), reason="x"),
        {},
        "no text",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, tmp_path) -> None:
    edit, usage, complaint = REFUSED[case]
    gate, decision = decide(tmp_path, edit, usage)
    assert decision.outcome == "refused", decision
    assert complaint in decision.reason
    assert gate.ontology == BASE


@pytest.mark.parametrize(
    "edit",
    [
        Drop(name="grade", reason="x"),
        Drop(name="WindowUnit", reason="x"),
        Retype(name="grade", options=("a",), reason="x"),
        Merge(names=("colour", "color"), into="color", reason="x"),
    ],
    ids=lambda edit: edit.op,
)
def test_not_counted_is_not_unused(edit, tmp_path) -> None:
    (decision,) = keeper(tmp_path).submit([edit], {}, "person")
    assert decision.outcome == "refused"
    assert "nobody counted" in decision.reason


@pytest.mark.parametrize(
    "edit",
    [
        Drop(name="grade", reason="x"),
        Rename(name="Cooling", to="Cooler", reason="x"),
        Retype(name="grade", options=("a", "b", "c", "d"), reason="x"),
        Retype(name="colour", domain="Product", reason="x"),
        Split(name="grade", into=(PropertyDef(name="g1"), PropertyDef(name="g2")), reason="x"),
        AddProperty(element=PropertyDef(name="wattage", domain="Shoe", **WATT), reason="x"),
        AddClass(element=ClassDef(name="Boot", parent="Shoe"), reason="x"),
    ],
    ids=lambda edit: edit.op,
)
def test_allowed(edit, tmp_path) -> None:
    gate, decision = decide(tmp_path, edit)
    assert decision.accepted, decision.reason
    assert gate.ontology.version == 1


def test_children_and_properties_follow_a_renamed_or_merged_class(tmp_path) -> None:
    gate = keeper(tmp_path)
    gate.submit([Rename(name="Cooling", to="Cooler", reason="x")], unused(), "agent")
    assert gate.ontology.class_of("SplitUnit").parent == "Cooler"
    assert gate.ontology.property_of("color").domain == "Cooler"
    assert gate.ontology.class_of("Cooling").synonyms == ("cooling",)
    merge = Merge(names=("SplitUnit", "Cooler"), into="SplitUnit", reason="x")
    (decision,) = gate.submit([merge], unused(), "person")
    assert decision.accepted, decision.reason
    assert gate.ontology.class_of("Cooling").name == "SplitUnit"
    assert gate.ontology.lineage("WindowUnit") == ("WindowUnit", "SplitUnit", "Product")
    assert {p.name for p in gate.ontology.slice("WindowUnit")} >= {"color", "colour", "power"}


def test_a_former_name_is_never_used_again_until_its_element_is_dropped(tmp_path) -> None:
    gate = keeper(tmp_path)
    edits: list[Edit] = [Rename(name="grade", to="quality", reason="x")]
    edits.append(AddProperty(element=PropertyDef(name="grade"), reason="x"))
    found = gate.submit(edits, unused(), "person")
    assert [d.accepted for d in found] == [True, False]
    assert "former name of 'quality'" in found[1].reason
    gate.submit([Drop(name="quality", reason="x")], unused(), "person")
    assert gate.ontology.aliases == ()
    assert gate.submit(edits[1:], unused(), "person")[0].accepted


def test_a_proposal_adds_what_is_new_parents_first(tmp_path) -> None:
    gate = Gatekeeper(History.open(tmp_path))
    proposal = Proposal(
        classes=(ClassDef(name="Split", parent="Ac"), ClassDef(name="Ac")),
        properties=(
            PropertyDef(name="ton", domain="Split", locked=True),
            PropertyDef(name="hue", domain="Ac", synonyms=("shade", "color")),
        ),
    )
    assert all(decision.accepted for decision in gate.propose(proposal, "agent"))
    assert gate.ontology.lineage("Split") == ("Split", "Ac", "Product")
    assert not gate.ontology.property_of("ton").locked, "agents set no locks"
    again = gate.propose(
        Proposal(
            classes=(
                ClassDef(name="Fan"),
                ClassDef(name="Loop", parent="Pool"),
                ClassDef(name="Pool", parent="Loop"),
            ),
            properties=(
                PropertyDef(name="hue", domain="Ac"),
                PropertyDef(name="color", domain="Split"),
                PropertyDef(name="hue", domain="Fan"),
                PropertyDef(name="ton", domain="Fan", datatype="integer"),
            ),
        ),
        "agent",
    )
    assert [d.outcome for d in again] == [
        *("accepted", "refused", "refused"),
        *("refused", "refused", "accepted", "refused"),
    ]
    assert "another wording of 'hue'" in again[4].reason
    assert again[5].edit == Retype(name="hue", domain="Product", reason="also of Fan")
    assert gate.ontology.property_of("hue").domain == "Product"


def test_nothing_happens_where_the_log_cannot_be_written(tmp_path, monkeypatch) -> None:
    gate = keeper(tmp_path)
    before = (tmp_path / "log.jsonl").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="disk is full"):
        gate.submit([Drop(name="grade", reason="x")], unused(), "agent")
    assert gate.ontology == BASE and gate.history.decisions == ()
    assert (tmp_path / "log.jsonl").read_bytes() == before
    monkeypatch.undo()
    assert gate.submit([Drop(name="grade", reason="x")], unused(), "agent")[0].accepted
