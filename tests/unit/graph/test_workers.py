"""Results in order, whatever dies, hangs or finishes first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from moonshelf.errors import StoreError
from moonshelf.files import lock_folder
from moonshelf.graph import workers
from moonshelf.graph.workers import CHUNK, in_processes, in_threads, processes_work

forks = pytest.mark.skipif(not processes_work(), reason="this platform cannot fork")


def lost(item: int, reason: str) -> str:
    return f"lost {item}: {reason}"


@forks
@pytest.mark.parametrize("workers", [1, 3])
def test_processes_keep_the_order(workers: int) -> None:
    count = 3 * CHUNK + 5

    def work(item: int) -> str:
        time.sleep(0.002 if item % 7 == 0 else 0)
        return f"{item} by {os.getpid()}"

    found = list(in_processes(range(count), work, lost, workers=workers))
    assert [one.split()[0] for one in found] == [str(k) for k in range(count)]
    by = {one.split()[-1] for one in found}
    assert str(os.getpid()) not in by and len(by) == workers


@forks
def test_a_dying_process_costs_the_document_it_was_at_and_no_other() -> None:
    def work(item: int) -> str:
        if item in (5, 6, 40):
            os.kill(os.getpid(), signal.SIGKILL)
        return f"done {item}"

    found = list(in_processes(range(100), work, lost, workers=2))
    assert len(found) == 100
    assert [k for k, one in enumerate(found) if one.startswith("lost")] == [5, 6, 40]
    assert "exit code -9" in found[5] and found[7] == "done 7"


@forks
def test_a_hanging_document_is_given_up() -> None:
    def work(item: int) -> str:
        if item == 3:
            time.sleep(60)
        return f"done {item}"

    start = time.monotonic()
    found = list(in_processes(range(20), work, lost, workers=2, limit_s=1))
    assert time.monotonic() - start < 20
    assert [k for k, one in enumerate(found) if one.startswith("lost")] == [3]
    assert "longer than 1 s" in found[3]


@forks
def test_time_in_which_all_was_stopped_counts_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z stops the whole group: what came before and after it is what an item took."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], sleep=time.sleep)
    monkeypatch.setattr(workers, "time", clock)

    def work(item: int) -> str:
        time.sleep(1.5 if item == 1 else 0)
        return f"done {item}"

    results = in_processes(range(3), work, lost, workers=1, limit_s=60)
    found = [next(results)]
    passed[0] += 1000
    assert [*found, *results] == ["done 0", "done 1", "done 2"]


PARENT = """
import sys, time
from moonshelf.errors import StoreError
from moonshelf.files import lock_folder
from moonshelf.graph.workers import in_processes
from pathlib import Path
def work(item):
    Path(sys.argv[1], "began").touch()
    time.sleep(600)
with lock_folder(Path(sys.argv[1]), StoreError("busy")):
    list(in_processes(range(4), work, print, workers=2))
"""


@forks
def test_a_killed_build_lets_go_of_its_lock_and_its_processes_end(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    while not (tmp_path / "began").exists():
        assert parent.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    pids = children.read_text().split() if children.exists() else []
    parent.kill()
    parent.wait()
    with lock_folder(tmp_path, StoreError("still held")):
        pass
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/stat").exists() and not _is_over(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_over(pid: str) -> bool:
    """Ended, and waiting for somebody to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@forks
def test_large_items_and_answers_do_not_lock_up() -> None:
    big = "x" * 400_000
    found = list(in_processes([big] * (2 * CHUNK + 1), str.upper, lost, workers=2))  # type: ignore[arg-type]
    assert found == [big.upper()] * (2 * CHUNK + 1)


@forks
def test_leaving_early_leaves_no_process_behind() -> None:
    results = in_processes(iter(range(10**9)), lambda item: os.getpid(), lost, workers=2)  # type: ignore[arg-type]
    pids = {next(results) for _ in range(3)}
    results.close()  # type: ignore[attr-defined]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_threads_keep_the_order_and_read_ahead_a_little() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for k in range(50):
            read.append(k)
            yield k

    def work(item: int) -> tuple[int, str]:
        time.sleep(0.003 * (item % 3))
        return item, threading.current_thread().name

    results = in_threads(items(), work, workers=4)
    assert next(results)[0] == 0
    assert len(read) <= 16
    rest = list(results)
    assert [item for item, _ in rest] == list(range(1, 50))
    assert len({name for _, name in rest}) > 1
