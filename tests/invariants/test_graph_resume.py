"""A build may be killed with `kill -9` anywhere: running it again ends in the same graph, byte for
byte, and no document is lost."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from moonshelf.graph.state import State
from moonshelf.graph.workers import processes_work
from tests.forked import end_of, fork
from tests.invariants.graph_resume_job import job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not processes_work(), reason="this platform cannot fork"),
]


def lives(*words: Any, **more: Any) -> bool:
    """Whether a build came to its end; it may only end well or by its own kill."""
    code = end_of(fork(job, *words, **more))
    assert code in (0, -signal.SIGKILL)
    return code == 0


def dump(out: Path) -> bytes:
    return out.with_suffix(".nq").read_bytes()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The graphs of runs that nobody disturbed, and how many events they were made of."""
    out = tmp_path_factory.mktemp("calm") / "out"
    found: dict[str, Any] = {}
    for shop, learn in (("first", "once"), ("later", "again")):
        assert lives(out, shop, learn=learn)
        found[shop] = dump(out)
        found[f"{shop} events"] = int(out.with_suffix(".count").read_text())
    assert found["first"] != found["later"]
    return found


def test_a_first_build_killed_again_and_again(tmp_path: Path, calm: dict[str, Any]) -> None:
    """Every life gets a little further than the last one."""
    rng, out, deaths, event = random.Random(0), tmp_path / "out", 0, 1
    while not lives(out, "first", event):
        deaths += 1
        event += rng.randrange(2, 10)
    assert deaths >= 6
    assert dump(out) == calm["first"]


@pytest.mark.parametrize("place", range(5))
def test_one_death_at_any_place(tmp_path: Path, calm: dict[str, Any], place: int) -> None:
    event = random.Random(place).randrange(1, calm["first events"])
    assert not lives(tmp_path / "out", "first", event)
    assert lives(tmp_path / "out", "first")
    assert dump(tmp_path / "out") == calm["first"]


@pytest.mark.parametrize("place", range(5))
def test_an_update_that_learns_deletes_and_rewrites_may_die_too(
    tmp_path: Path, calm: dict[str, Any], place: int
) -> None:
    out = tmp_path / "out"
    assert lives(out, "first")
    log = out / "ontology" / "log.jsonl"
    before = log.read_bytes()
    event = random.Random(place).randrange(1, calm["later events"])
    assert not lives(out, "later", event, learn="again")
    # "again" anew would learn on top of what was learned; it is only repeated if it never began.
    with State.open(out) as state:
        begun = log.read_bytes() != before or state.recall("learning") is not None
    assert lives(out, "later", learn="once" if begun else "again")
    assert dump(out) == calm["later"]


def test_death_between_the_new_schema_and_the_note_that_it_is_learned(
    tmp_path: Path, calm: dict[str, Any]
) -> None:
    """It learns again from where it began, not on top of what nobody knows to be there."""
    out = tmp_path / "out"
    assert lives(out, "first")
    log = out / "ontology" / "log.jsonl"
    before = log.read_bytes()
    assert not lives(out, "later", learn="again", after="/ontology/log.jsonl")
    learned = log.read_bytes()
    assert learned.startswith(before) and learned != before
    assert lives(out, "later")
    assert log.read_bytes() == learned
    assert dump(out) == calm["later"]


def test_processes_killed_by_the_clock(tmp_path: Path, calm: dict[str, Any]) -> None:
    rng, out = random.Random(5), tmp_path / "out"
    for _ in range(4):
        process = fork(job, out, "first", pause=0.01, workers=2)
        time.sleep(rng.uniform(0.2, 1.5))
        process.kill()
        process.join()
    deadline = time.monotonic() + 20
    # The killed run's processes hold its lock until they notice that it is gone.
    while not _ends(out):
        assert time.monotonic() < deadline
    assert dump(out) == calm["first"]


def _ends(out: Path) -> bool:
    return end_of(fork(job, out, "first", workers=2)) == 0
