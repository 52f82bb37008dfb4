"""Starting is instant: `import moonshelf` under 0.2 s, every `--help` under 0.5 s, without torch.

Bounds are on CPU time and on the quickest of several fresh processes: waiting for a core is not
counted, and a busy machine can only make a process slower, so the quickest is the closest to the
code's own cost.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from moonshelf.cli.main import VERBS
from tests.invariants.sources import ROOT, module, package_files

HEAVY = {"torch", "transformers", "numpy", "pyarrow", "PIL", "rich", "pydantic", "matplotlib"}
TRIES = 3


def cpu_seconds(*arguments: str) -> float:
    """User and system time of one fresh interpreter, start of Python included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def loaded_by(code: str) -> set[str]:
    """Top-level modules in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    code += "\nimport json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_takes_under_a_fifth_of_a_second() -> None:
    assert min(cpu_seconds("-c", "import moonshelf") for _ in range(TRIES)) < 0.2


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_by("import moonshelf").intersection(HEAVY)


@pytest.mark.parametrize("verb", [[], *([verb] for verb in VERBS)], ids=" ".join)
def test_help_takes_under_half_a_second(verb: list[str]) -> None:
    assert min(cpu_seconds("-m", "moonshelf", *verb, "--help") for _ in range(TRIES)) < 0.5


@pytest.mark.parametrize("room", ["catalog", "cli"])
def test_no_module_of_the_room_pulls_in_torch(room: str) -> None:
    names = [m for m in map(module, package_files()) if m.split(".")[1:2] == [room]]
    assert names, f"moonshelf/{room} holds no modules"
    loaded = loaded_by("\n".join(f"import {n}" for n in names))
    assert not loaded.intersection({"torch", "transformers"})
