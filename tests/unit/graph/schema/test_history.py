"""The log of a schema: replay, diff, damage, and crashes at every byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moonshelf.errors import StoreError, UsageError
from moonshelf.graph.edits import AddProperty, Drop, Merge, Proposal, Rename, Retype, Usage
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import FILE, History

BASE = Ontology(properties=(PropertyDef(name="brand", locked=True, low="1.50", high="1E+3"),))


def grown(folder: Path) -> History:
    """A history with accepted and refused decisions, five versions long."""
    history = History.open(folder, BASE)
    gate = Gatekeeper(history)
    gate.propose(
        Proposal(
            classes=(ClassDef(name="Fan", comment="ventilateur à pied ❄"),),
            properties=(PropertyDef(name="hue"), PropertyDef(name="size", domain="Fan")),
        ),
        "rules",
    )
    usage = {"hue": Usage(name="hue", documents=3), "size": Usage(name="size")}
    edits = [
        Rename(name="hue", to="color", reason="plainer"),
        Drop(name="color", reason="nobody needs it"),
        Drop(name="size", reason="nobody needs it"),
    ]
    found = gate.submit(edits, usage, "rules")
    assert [d.accepted for d in found] == [True, False, True]
    return history


def test_replay_gives_every_version_byte_for_byte(tmp_path) -> None:
    history = grown(tmp_path)
    again = History.open(tmp_path)
    assert again.decisions == history.decisions
    assert list(again.versions) == [0, 1, 2, 3, 4, 5]
    for version in again.versions:
        one, other = history.ontology(version), again.ontology(version)
        assert one.model_dump_json() == other.model_dump_json()
    assert again.replay().model_dump_json() == history.ontology().model_dump_json()
    assert again.ontology(0) == BASE


def test_the_same_decisions_give_the_same_bytes(tmp_path) -> None:
    for name in "ab":
        grown(tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_diff_names_every_change(tmp_path) -> None:
    history = grown(tmp_path)
    assert history.diff(0, 3) == [
        "+ class Fan (a Product)",
        "+ property hue (string, of Product)",
        "+ property size (string, of Fan)",
    ]
    assert history.diff(3, 5) == [
        "+ property color (string, of Product)",
        "> property hue is color now",
        "- property size",
    ]
    Gatekeeper(history).submit(
        [Retype(name="color", options=("red",), reason="few")], {"color": Usage(name="color")}, "r"
    )
    assert history.diff(5, 6) == ["~ property color: options [] -> ['red']"]
    assert history.diff(4, 4) == []
    with pytest.raises(UsageError, match="no version 9"):
        history.diff(0, 9)


def test_another_base_is_refused_and_the_same_is_not(tmp_path) -> None:
    grown(tmp_path)
    assert History.open(tmp_path, BASE).ontology().version == 5
    with pytest.raises(UsageError, match="another base"):
        History.open(tmp_path, Ontology())


def test_a_crash_at_a_byte_leaves_whole_decisions_and_heals(tmp_path) -> None:
    whole = grown(tmp_path)
    path = tmp_path / FILE
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    ends = [sum(map(len, lines[:k])) for k in range(1, len(lines) + 1)]
    near = {end + step for end in ends for step in (-1, 0, 1)}
    versions = set()
    for cut in sorted({*range(ends[0], len(data), 37), *near} & set(range(ends[0], len(data) + 1))):
        path.write_bytes(data[:cut])
        history = History.open(tmp_path)
        kept = data[:cut].count(b"\n")
        assert history.decisions == whole.decisions[: kept - 1]
        versions.add(history.ontology().version)
        if cut % 5 == 0 or cut in ends:
            Gatekeeper(history).propose(Proposal(properties=(PropertyDef(name="later"),)), "r")
            healed = History.open(tmp_path)
            assert healed.decisions == history.decisions
            assert healed.ontology().property_of("later")
            assert path.read_bytes().startswith(b"".join(lines[:kept]))
    assert versions == {0, 1, 2, 3, 4, 5}


def test_zeros_after_a_power_cut_are_a_torn_line(tmp_path) -> None:
    grown(tmp_path)
    path = tmp_path / FILE
    data = path.read_bytes()
    for junk in (b"\0" * 40, b"\0" * 9000 + b"abc\n"):
        path.write_bytes(data + junk)
        history = History.open(tmp_path)
        assert history.ontology().version == 5
        Gatekeeper(history).propose(Proposal(properties=(PropertyDef(name="later"),)), "r")
        assert History.open(tmp_path).ontology().version == 6
        assert path.read_bytes().endswith(b"}\n") and b"\0" not in path.read_bytes()


def test_reading_heals_nothing(tmp_path) -> None:
    grown(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes() + b'{"torn')
    before = path.read_bytes()
    History.open(tmp_path).diff(0, 5)
    assert path.read_bytes() == before


def changed(entry: dict, **more: object) -> bytes:
    return (json.dumps({**entry, **more}, sort_keys=True, separators=(",", ":")) + "\n").encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:2], changed(json.loads(lines[2]), reason="forged"), *lines[3:]],
        lambda lines: [*lines[:2], b"no json\n", *lines[3:]],
        lambda lines: [*lines[:2], b"[1]\n", *lines[3:]],
        lambda lines: [*lines[:2], lines[2], *lines[2:]],
        lambda lines: lines[1:],
        lambda lines: [b"\n", *lines],
        lambda lines: [*lines[:-1], changed(json.loads(lines[-1]), outcome="refused")],
        lambda lines: [b""],
    ],
)
def test_damage_is_an_error_with_a_cure(damage, tmp_path) -> None:
    grown(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(StoreError, match="damaged") as caught:
        History.open(tmp_path)
    assert str(path) in caught.value.where and "copy" in caught.value.cure


def test_replay_that_differs_is_an_error(tmp_path, monkeypatch) -> None:
    """As when a new release of moonshelf does an old edit otherwise."""
    grown(tmp_path)
    from moonshelf.graph.schema import history

    def other(ontology, edit):
        found = apply(ontology, edit)
        return found.model_copy(update={"aliases": (("old", "brand"), *found.aliases)})

    apply = history.apply
    monkeypatch.setattr(history, "apply", other)
    with pytest.raises(StoreError, match="replay gives another version 1"):
        History.open(tmp_path)


def test_a_second_writer_is_noticed(tmp_path) -> None:
    one, other = (Gatekeeper(h) for h in (grown(tmp_path), History.open(tmp_path)))
    proposal = Proposal(properties=(PropertyDef(name="later"),))
    one.propose(proposal, "r")
    with pytest.raises(StoreError, match="another process"):
        other.propose(proposal, "r")
    assert History.open(tmp_path).ontology() == one.ontology


def test_an_unknown_format_is_refused(tmp_path) -> None:
    from moonshelf.graph.schema.history import _line

    line, _ = _line({"format": 99, "base": Ontology().model_dump(mode="json")}, "")
    (tmp_path / FILE).write_bytes(line)
    with pytest.raises(StoreError, match="format 99"):
        History.open(tmp_path)


def test_the_trail_follows_former_names(tmp_path) -> None:
    history = grown(tmp_path)
    usage = {n: Usage(name=n, documents=0, clashes=()) for n in ("color", "brand")}
    gate = Gatekeeper(history)
    gate.submit(
        [
            AddProperty(element=PropertyDef(name="shade"), reason="x"),
            Merge(names=("shade", "color"), into="color", reason="y"),
        ],
        {**usage, "shade": Usage(name="shade", clashes=())},
        "person",
    )
    assert [d.edit.op for d in history.trail("color")] == [
        *("add_property", "rename", "add_property", "merge"),
    ]
    assert history.trail("brand") == []


KILLED = """
import sys, os
from pathlib import Path
from moonshelf.graph.edits import Proposal
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
gate = Gatekeeper(History.open(Path(sys.argv[1])))
for k in range(gate.ontology.version, 10_000):
    gate.propose(Proposal(properties=(PropertyDef(name=f"p{k}"),)), "r")
    os.write(1, f"{k}\\n".encode())
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path) -> None:
    """Killed while it writes, three times over: every acknowledged version is there."""
    for _ in range(3):
        job = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        )
        assert job.stdout is not None
        said = [job.stdout.readline() for _ in range(5)]
        job.kill()
        said += job.stdout.read().splitlines(keepends=True)
        job.wait()
        last = max(int(line) for line in said if line.endswith(b"\n"))
        names = {p.name for p in History.open(tmp_path).ontology().properties}
        assert {f"p{k}" for k in range(last + 1)} <= names


def test_readers_make_no_history(tmp_path) -> None:
    with pytest.raises(StoreError, match="no history") as caught:
        History.open(tmp_path / "ontology", create=False)
    assert caught.value.where == str(tmp_path / "ontology" / FILE) and caught.value.cure
    assert list(tmp_path.iterdir()) == []
    grown(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    assert History.open(tmp_path, create=False).ontology().version == 5
    assert (tmp_path / FILE).read_bytes() == before
