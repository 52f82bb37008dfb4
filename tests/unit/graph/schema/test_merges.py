"""When two elements become one, and when they do not."""

from __future__ import annotations

import pytest

from moonshelf.graph.edits import (
    Drop,
    Merge,
    Rename,
    Retype,
)
from moonshelf.graph.ontology import PropertyDef
from tests.unit.graph.schema.base import BASE, decide, keeper, used

MERGE = Merge(names=("colour", "color"), into="color", reason="same")
COLORS = {"color": used("color"), "colour": used("colour")}


def test_a_merge_of_like_names_and_values_leaves_alias_trail_and_wording(tmp_path) -> None:
    gate, decision = decide(tmp_path, MERGE, COLORS)
    assert decision.accepted, decision.reason
    assert (decision.before_version, decision.after_version) == (0, 1)
    merged = gate.ontology.property_of("colour")
    assert merged.name == "color" and merged.domain == "Cooling"
    assert "colour" in merged.synonyms
    assert gate.ontology.aliases == (("colour", "color"),)
    assert [d.edit for d in gate.history.trail("color")] == [MERGE]


REFUSED_MERGES = {
    "two products would hold two values": (
        MERGE,
        {**COLORS, "colour": used("colour", clashes=(("color", 2),))},
        "2 products hold different values",
    ),
    "the other side counted the clash": (
        MERGE,
        {"color": used("color", clashes=(("colour", 1),)), "colour": used("colour")},
        "1 products hold",
    ),
    "nobody counted clashes": (
        MERGE,
        {"color": used("color", clashes=None), "colour": used("colour", clashes=None)},
        "nobody counted",
    ),
    "other values": (
        MERGE,
        {**COLORS, "colour": used("colour", values=(("cotton", 10),))},
        "values of 'color' and 'colour' are alike by 0.00",
    ),
    "values of two documents only": (
        MERGE,
        {**COLORS, "colour": used("colour", documents=2, values=(("red", 2),))},
        "is in 2 documents",
    ),
    "names that differ": (
        Merge(names=("color", "grade"), into="color", reason="x"),
        {"color": used("color"), "grade": used("grade")},
        "names 'color' and 'grade' are alike",
    ),
    "another dimension": (
        Merge(names=("power", "powers"), into="power", reason="x"),
        {},
        "differ in dimension",
    ),
    "another kind": (
        Merge(names=("wifi", "color"), into="color", reason="x"),
        {},
        "differ in kind",
    ),
    "classes with nothing in common": (
        Merge(names=("color", "colors"), into="color", reason="x"),
        {"color": used("color"), "colors": used("colors")},
        "Cooling and Shoe have nothing in common",
    ),
    "a locked class": (
        Merge(names=("Fixed", "Shoe"), into="Shoe", reason="x"),
        {},
        "'Fixed' is locked",
    ),
    "a locked property swallowed": (
        Merge(names=("brand", "brands"), into="brands", reason="x"),
        {"brand": used("brand"), "brands": used("brands")},
        "'brand' is locked",
    ),
    "class names that differ": (
        Merge(names=("SplitUnit", "WindowUnit"), into="SplitUnit", reason="x"),
        {},
        "names are alike",
    ),
    "classes far apart": (
        Merge(names=("SplitUnit", "Shoe"), into="Shoe", reason="x"),
        {},
        "neither siblings nor",
    ),
    "a name that is not there": (
        Merge(names=("hue", "color"), into="color", reason="x"),
        {},
        "there is no 'hue'",
    ),
    "into a third": (Merge(names=("a", "b"), into="color", reason="x"), {}, "must be one of"),
    "into the root": (
        Merge(names=("Product", "Shoe"), into="Shoe", reason="x"),
        {},
        "Product is the root",
    ),
}


@pytest.mark.parametrize("case", REFUSED_MERGES)
def test_a_merge_is_refused(case, tmp_path) -> None:
    edit, usage, complaint = REFUSED_MERGES[case]
    gate, decision = decide(tmp_path, edit, usage)
    assert decision.outcome == "refused"
    assert complaint in decision.reason
    assert gate.ontology == BASE
    assert gate.history.decisions == (decision,), "refusals are written down too"


def test_a_person_stands_in_for_evidence_but_not_for_data(tmp_path) -> None:
    usage = {"color": used("color"), "grade": used("grade", values=(("a", 10),))}
    edit = Merge(names=("color", "grade"), into="color", reason="I know")
    assert decide(tmp_path / "a", edit, usage, by="person")[1].accepted
    usage["grade"] = used("grade", clashes=(("color", 1),))
    assert not decide(tmp_path / "b", edit, usage, by="person")[1].accepted
    assert not decide(tmp_path / "c", Drop(name="color", reason="x"), usage, "person")[1].accepted


def test_merging_into_a_locked_property_leaves_it_letter_by_letter(tmp_path) -> None:
    edit = Merge(names=("brand", "brands"), into="brand", reason="same")
    gate, decision = decide(tmp_path, edit, {"brand": used("brand"), "brands": used("brands")})
    assert decision.accepted, decision.reason
    assert gate.ontology.property_of("brands") == BASE.property_of("brand")


def test_a_many_valued_side_makes_the_whole_many_valued(tmp_path) -> None:
    base = BASE.model_copy(update={"properties": (*BASE.properties, PropertyDef(name="tag"))})
    gate = keeper(tmp_path, base)
    usage = {"tag": used("tag", clashes=(("tags", 3),)), "tags": used("tags", several=2)}
    (decision,) = gate.submit([Merge(names=("tag", "tags"), into="tag", reason="x")], usage, "a")
    assert decision.accepted, decision.reason
    assert gate.ontology.property_of("tags").many


def test_the_data_of_a_merged_property_still_counts_in_the_same_batch(tmp_path) -> None:
    gate = keeper(tmp_path)
    edits = [
        MERGE,
        Rename(name="color", to="shade", reason="x"),
        Drop(name="shade", reason="x"),
        Retype(name="shade", options=("red",), reason="x"),
    ]
    found = gate.submit(edits, COLORS, "agent")
    assert [d.outcome for d in found] == ["accepted", "accepted", "refused", "refused"]
    assert "20 documents use 'shade'" in found[2].reason
    assert "leave out 'blue'" in found[3].reason
    assert gate.ontology.present("colour") == "shade"


def test_clashes_follow_a_rename_in_the_same_batch(tmp_path) -> None:
    gate = keeper(tmp_path)
    usage = {"color": used("color"), "colour": used("colour", clashes=(("color", 1),))}
    rename = Rename(name="color", to="colors_of", reason="x")
    merge = Merge(names=("colour", "colors_of"), into="colour", reason="x")
    found = gate.submit([rename, merge], usage, "person")
    assert [d.outcome for d in found] == ["accepted", "refused"]
    assert "1 products hold different values" in found[1].reason
