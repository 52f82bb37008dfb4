"""What verbs print: notes and progress on stderr, results on stdout, strict JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from moonshelf.cli import console as module
from moonshelf.cli.console import Console, PlainProgress, duration, format_table, progress_line

Captured = pytest.CaptureFixture[str]


def test_json_mode_prints_the_result_and_nothing_else(capsys: Captured) -> None:
    @dataclass
    class Found:
        path: Path
        value: float

    console = Console(as_json=True)
    console.note("working")
    console.say("hello")
    console.table([("a", 1)], ("name", "count"))
    console.result(
        {"n": np.int64(3), "v": np.ones(2), "f": Found(Path("x"), float("nan")), "t": "é"}
    )
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "n": 3,
        "v": [1.0, 1.0],
        "f": {"path": "x", "value": None},
        "t": "é",
    }
    assert out.count("\n") == 1
    assert err == "working\n"


def test_human_mode_prints_no_json(capsys: Captured) -> None:
    console = Console()
    console.say("hello\x1b[2J")
    console.result({"a": 1})
    assert capsys.readouterr().out == "hello\ufffd[2J\n"


def test_tables_align_and_tame_hostile_cells() -> None:
    rows = [("shirt", 1200, 0.123456), ("\x1b[31m襯衫\n", 7, None)]
    lines = format_table(rows, ("name", "count", "share"), "Types").splitlines()
    assert lines[0] == "Types"
    assert lines[3].endswith("1,200  0.1235")
    assert "\x1b" not in "".join(lines)
    assert lines[4].endswith("-")
    # Each wide character takes two columns: the line is two characters shorter, not misaligned.
    assert len(lines[4]) == len(lines[3]) - 2
    assert "\u2026" in format_table([("x" * 500,)], ("a",))


def test_progress_line() -> None:
    line = progress_line("importing", 1200, 3000, 2.0, {"loss": 2.345678})
    assert line == "importing  1,200 of 3,000 (40 %)  600/s  3 s left  loss=2.346"
    assert progress_line("reading", 5, None, 0.0, {}) == "reading  5"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (65, "1 min 5 s"), (7800, "2 h 10 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_progress_speaks_rarely_and_ends_with_the_last_state(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    progress = PlainProgress("work", every_s=5)
    for second in range(13):
        now = float(second)
        progress(second, 13)
    progress(13, 13)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["5", "10", "13"]


def test_quick_work_shows_no_progress(capsys: Captured) -> None:
    with Console().progress("work") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with Console().progress("embedding") as progress:
        progress(1, 2, rate="[bold]3/s")
        progress(2, 2, rate="[bold]4/s")
    out, err = capsys.readouterr()
    assert out == ""
    assert "embedding" in err
    assert "2/2" in err
    assert "[bold]4/s" in err  # facts are text, not markup
