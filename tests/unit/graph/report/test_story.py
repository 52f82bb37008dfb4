"""The schema's growth is that of its versions, whatever edits made them."""

from __future__ import annotations

from pathlib import Path

from moonshelf.graph.edits import Drop, Merge, Proposal, Rename, Split, Usage
from moonshelf.graph.ontology import ClassDef, PropertyDef
from moonshelf.graph.report.story import LAST, story_of
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History


def grown(folder: Path) -> History:
    history = History.open(folder)
    gate = Gatekeeper(history)
    names = ("hue", "tint", "size_and_color", "size", "shape")
    gate.propose(
        Proposal(
            classes=(ClassDef(name="Fan"), ClassDef(name="Lamp")),
            properties=tuple(PropertyDef(name=name) for name in names),
        ),
        "rules",
    )
    usage = {name: Usage(name=name, clashes=()) for name in (*names, "Fan", "Lamp", "color")}
    edits = [
        Merge(names=("hue", "tint"), into="hue", reason="the same"),
        Rename(name="hue", to="color", reason="plainer"),
        Split(
            name="size_and_color",
            into=(PropertyDef(name="width"), PropertyDef(name="paint")),
            reason="two things",
        ),
        Drop(name="shape", reason="nobody needs it"),
        Drop(name="Lamp", reason="nobody needs it"),
        Drop(name="Product", reason="the root is refused"),
    ]
    found = gate.submit(edits, usage, "person")
    assert [one.accepted for one in found] == [True] * 5 + [False]
    return history


def test_growth_is_that_of_every_version(tmp_path: Path) -> None:
    history = grown(tmp_path)
    sizes = [
        len(found.classes) + len(found.properties)
        for found in map(history.ontology, history.versions)
    ]
    told = story_of(history)
    assert told.growth == tuple(sizes) and told.versions == len(sizes)
    assert max(sizes) > sizes[-1], "it did not only grow"
    assert ("drop", 2, 1, 0) in told.counts


def test_the_last_decisions_come_first_and_are_bounded(tmp_path: Path) -> None:
    history = grown(tmp_path)
    told = story_of(history)
    assert told.last == tuple(reversed(history.decisions))[:LAST]
    assert told.decisions == len(history.decisions)


def test_what_waits_for_a_person_is_told(tmp_path: Path) -> None:
    history = History.open(tmp_path / "schema")
    gate = Gatekeeper(history, tmp_path / "review.toml")
    gate.propose(Proposal(properties=(PropertyDef(name="hue"),)), "llm")
    usage = {"hue": Usage(name="hue")}
    gate.submit([Rename(name="hue", to="color", reason="plainer")], usage, "llm")
    told = story_of(history)
    assert [one.edit.reason for one in told.pending] == ["plainer"]
    assert ("rename", 0, 0, 1) in told.counts
