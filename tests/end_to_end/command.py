"""Runs the real command in a process of its own, as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def start(*words: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "moonshelf", *map(str, words)],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(*words: object, limit: float = 120) -> str:
    """What the command printed; it must succeed."""
    process = start(*words)
    try:
        out, err = process.communicate(timeout=limit)
    finally:
        process.kill()
    assert process.returncode == 0, f"moonshelf {' '.join(map(str, words))}: {err}"
    return out


def answer(*words: object, limit: float = 120) -> Any:
    """The one JSON object that ``--json`` promises on stdout."""
    return json.loads(said(*words, "--json", limit=limit))
