"""The frame: verbs found lazily, errors in three lines, exit codes, quick help."""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from moonshelf.cli import main as frame
from moonshelf.cli.main import main
from moonshelf.errors import DataError, UsageError

Run = Callable[[argparse.Namespace], int]
Install = Callable[[Run], None]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a verb ``probe`` that does what it is given."""

    def install(run: Run) -> None:
        module = types.ModuleType("moonshelf.cli.probe")

        def add_arguments(parser: argparse.ArgumentParser) -> None:
            inner = parser.add_subparsers(dest="inner")
            inner.add_parser("deep").add_argument("--number", type=int)

        module.__dict__.update(NAME="probe", HELP="a probe", add_arguments=add_arguments, run=run)
        monkeypatch.setitem(sys.modules, "moonshelf.cli.probe", module)
        monkeypatch.setitem(frame.VERBS, "probe", ("moonshelf.cli.probe", "a probe"))

    monkeypatch.setenv("MOONSHELF_DEBUG", "")
    return install


def failing(error: BaseException) -> Run:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_a_data_error_is_three_lines_and_exit_1(verb: Install, capsys: Captured) -> None:
    verb(failing(DataError("bad\x1b[31m price", where="a.csv row 2", cure="correct it")))
    assert main(["probe"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: bad\ufffd[31m price",
        "where: a.csv row 2",
        "cure:  correct it",
    ]


def test_json_error_object(verb: Install, capsys: Captured) -> None:
    verb(failing(DataError("bad", where="a.csv row 2", cure="correct it")))
    assert main(["probe", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == {
        "kind": "DataError",
        "error": "bad",
        "where": "a.csv row 2",
        "cure": "correct it",
    }


def test_common_options_work_at_every_depth(verb: Install) -> None:
    seen: list[bool] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args.json)
        return 0

    verb(run)
    for words in (["--json", "probe"], ["probe", "--json", "deep"], ["probe", "deep", "--json"]):
        assert main(words) == 0
    assert main(["probe", "deep"]) == 0
    assert seen == [True, True, True, False]


@pytest.mark.parametrize(
    "words",
    [
        ["prob"],
        ["probe", "deep", "--number", "x"],
        ["probe", "deep", "--nope"],
        [],
        ["--nope", "probe"],
    ],
)
def test_wrong_use_is_exit_2_without_traceback(
    verb: Install, words: list[str], capsys: Captured
) -> None:
    verb(lambda args: 0)
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_misspelled_verb_names_the_nearest(capsys: Captured) -> None:
    assert main(["catlog"]) == 2
    assert "did you mean `moonshelf catalog`?" in capsys.readouterr().err


def test_usage_error_from_a_verb_is_exit_2(verb: Install) -> None:
    verb(failing(UsageError("no")))
    assert main(["probe"]) == 2


def test_interrupt_is_130(verb: Install, capsys: Captured) -> None:
    verb(failing(KeyboardInterrupt()))
    assert main(["probe"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_surprises_are_named_and_traced_only_on_demand(
    verb: Install, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb(failing(ZeroDivisionError("oh")))
    assert main(["probe"]) == 1
    plain = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: oh" in plain
    assert "Traceback" not in plain
    assert main(["probe", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("MOONSHELF_DEBUG", "1")
    assert main(["probe"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_os_errors_name_the_file(verb: Install, capsys: Captured) -> None:
    verb(failing(OSError(errno.ENOSPC, "No space left on device", "out.bin")))
    assert main(["probe"]) == 1
    err = capsys.readouterr().err
    assert "where: out.bin" in err
    assert "free space" in err


def test_an_import_error_inside_a_verb_is_not_hidden(
    verb: Install, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "probe_broken.py").write_text("import there_is_no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(frame.VERBS, "probe", ("probe_broken", "broken"))
    assert main(["probe"]) == 1
    assert "there_is_no_such_module" in capsys.readouterr().err


def test_openmp_is_calmed_only_when_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that teardown restores what was there
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.2, 0.0, 0.0))
    frame.calm_openmp()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    frame.calm_openmp()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    frame.calm_openmp()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"  # the user's word counts


def python(*words: str) -> list[str]:
    return [sys.executable, *words]


@pytest.mark.parametrize("words", [["--help"], ["catalog", "--help"], ["catalog", "import", "-h"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from moonshelf.cli.main import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'pyarrow', 'numpy', 'PIL', 'rich', 'pydantic'} & set(sys.modules);"
        "sys.exit(code or (3 if heavy else 0))"
    )
    done = subprocess.run(python("-c", code, *words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: moonshelf" in done.stdout


def test_a_reader_that_goes_away_makes_no_noise() -> None:
    code = (
        "from moonshelf.cli import main as m; import types, sys;"
        "v = types.ModuleType('v'); v.HELP = ''; v.add_arguments = lambda p: None;"
        "v.run = lambda a: [print('x' * 1000) for _ in range(10000)] and 0;"
        "sys.modules['v'] = v; m.VERBS['v'] = ('v', ''); sys.exit(m.main(['v']))"
    )
    with subprocess.Popen(
        python("-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 1
