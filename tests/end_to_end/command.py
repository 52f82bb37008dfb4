"""Runs the command in a process of its own, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.forked import command, end_of, fork

ROOT = Path(__file__).resolve().parents[2]


def start(*words: object) -> subprocess.Popen[str]:
    """A new interpreter, as a shell starts it: in a process group of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "moonshelf", *map(str, words)],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def said(*words: object, limit: float = 120, fresh: bool = False) -> str:
    """What the command printed; it must succeed. ``fresh``: in a new interpreter, not a fork of one
    that has the libraries loaded."""
    told = [*map(str, words)]
    if fresh:
        process = start(*told)
        try:
            out, err = process.communicate(timeout=limit)
        finally:
            process.kill()
        code = process.returncode
    else:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "out"), Path(folder, "err")
            code = end_of(fork(command, told, *files), limit)
            out, err = (file.read_text(encoding="utf-8") for file in files)
    assert code == 0, f"moonshelf {' '.join(told)}: {err}"
    return out


def answer(*words: object, limit: float = 120, fresh: bool = False) -> Any:
    """The one JSON object that ``--json`` promises on stdout."""
    return json.loads(said(*words, "--json", limit=limit, fresh=fresh))
