"""What runs cost is added up, also of runs that stopped or were killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from moonshelf.graph import spending
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.evaluate.folder import evaluate_graph
from moonshelf.graph.extraction import BatchStopped
from moonshelf.graph.manifest import read_manifest
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document, Extraction
from moonshelf.graph.report.gather import gather
from moonshelf.graph.report.page import to_html
from moonshelf.graph.spending import Meter, Spent, peak_memory
from moonshelf.graph.stages import Clock
from moonshelf.graph.state import State
from moonshelf.graph.summary import Summary
from tests.unit.graph.toy_backend import ToyBackend, reply_error

SHOP = [Document(id=f"d{k}", fields=(("title", f"Fan {k + 1} W red"),)) for k in range(6)]


class Paid(ToyBackend):
    """Counts a call for every document that it is asked about."""

    def costs(self) -> Mapping[str, float]:
        return {"calls": len(self.extracted), "cost": 0.25 * len(self.extracted)}


def made(
    out: Path, backend: ToyBackend, documents: list[Document] = SHOP, **how: object
) -> Summary:
    settings = BuildSettings.model_validate({"workers": 1, **how})
    return build(from_documents(documents), backend, out, settings)


def test_an_unchanged_build_leaves_the_sum_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "g"
    first = made(out, Paid())
    calls = first.costs["calls"]
    assert calls >= len(SHOP) and first.in_all.costs["calls"] == calls
    again = made(out, Paid())
    assert again.costs["calls"] == 0 and again.in_all.runs == 2
    assert again.in_all.costs == first.costs
    for stage, seconds in first.seconds.items():
        assert again.in_all.seconds[stage] == pytest.approx(seconds + again.seconds[stage], abs=0.2)
    assert again.in_all.peak_memory >= again.peak_memory > 10 << 20
    assert read_manifest(out)["summary"]["in_all"]["costs"]["calls"] == calls
    found = evaluate_graph(out)
    assert (found.spent.costs["calls"], found.in_all.costs["calls"]) == (0, calls)
    page = to_html(gather(out))
    assert "What the model took, in 2 runs" in page and f"<b>{calls:.0f}</b>" in page


def test_a_backend_used_twice_is_not_counted_twice(tmp_path: Path) -> None:
    backend = Paid()
    first = made(tmp_path / "g", backend)
    more = [*SHOP, Document(id="new", fields=(("title", "Lamp 5 W"),))]
    again = made(tmp_path / "g", backend, more)
    assert again.costs["calls"] == 1 and again.costs["cost"] == 0.25
    assert again.in_all.costs["calls"] == first.costs["calls"] + 1 == len(backend.extracted)


def test_a_run_that_stops_is_in_the_sum(tmp_path: Path) -> None:
    stopped = Paid(explode={"d3": reply_error()})
    with pytest.raises(BatchStopped):
        made(tmp_path / "g", stopped, on_error="stop")
    found = made(tmp_path / "g", again := Paid())
    asked = len(stopped.extracted) + len(again.extracted)
    assert found.in_all.runs == 2 and found.in_all.costs["calls"] == asked


def test_a_run_that_is_killed_is_in_the_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = """
import os, signal, sys
from pathlib import Path
from moonshelf.graph import spending
from tests.unit.graph.test_spending import Deadly, made
spending.EVERY_S = 0.0
made(Path(sys.argv[1]), Deadly())
"""
    done = subprocess.run([sys.executable, "-c", job, str(tmp_path / "g")], check=False)
    assert done.returncode == -signal.SIGKILL
    with State.open(tmp_path / "g", create=False) as state:
        before = state.spent()
    # five were read before the deadly one; the last of them may not be written yet
    assert before.runs == 1 and before.costs["calls"] >= 4 and before.seconds["extract"] >= 0
    found = made(tmp_path / "g", again := Paid())
    assert found.in_all.runs == 2
    assert found.in_all.costs["calls"] == before.costs["calls"] + len(again.extracted)


class Deadly(Paid):
    """Kills the process of the build at its last document, once the schema is learned."""

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        if document.id == "d5" and self.extracted.count("d0") > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(document, ontology)


def test_a_state_without_the_table_is_read_and_gets_one_by_the_next_build(tmp_path: Path) -> None:
    out = tmp_path / "g"
    made(out, ToyBackend())
    with sqlite3.connect(out / "state.sqlite") as db:
        db.execute("DROP TABLE spent")
        db.execute("PRAGMA user_version = 1")
    before = (out / "state.sqlite").read_bytes()
    with State.open(out, create=False) as state:
        assert state.spent() == Spent() and len(list(state.documents())) == len(SHOP)
    assert (out / "state.sqlite").read_bytes() == before, "who reads writes nothing"
    assert made(out, ToyBackend()).in_all.runs == 1


def test_a_meter_writes_while_there_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending, "EVERY_S", 0.0)
    shown: list[int] = []

    def stages(label: str):
        import contextlib

        return contextlib.nullcontext(lambda done, total=None, **facts: shown.append(done))

    with State.open(tmp_path) as state:
        meter = Meter(state, ToyBackend())
        with meter.clock.timed("learn"), meter.watching(stages)("learning") as progress:
            progress(1, 2)
            assert state.spent().seconds.keys() == {"learn"} and shown == [1]
            assert state.spent().peak_memory <= peak_memory()


def test_a_clock_counts_what_is_still_going_on() -> None:
    clock = Clock()
    with clock.timed("a"):
        assert clock.until_now().keys() == {"a"} and clock.seconds == {}
    assert clock.until_now() == clock.seconds
