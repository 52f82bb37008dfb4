"""Processes of their own without the seconds that loading torch takes: a fork server has it loaded.

For tests that kill what they start, or start many. Those of the start itself, of hash seeds and of
memory need a new interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from moonshelf.cli.main import main

# Loaded once, before the first fork. None of them starts a thread or opens a store as it loads.
LOADED = (
    "moonshelf.training.run",
    "moonshelf.center.embed",
    "moonshelf.graph.build",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
    "rdflib",
    "pyshacl",
)


def fork(work: Callable[..., object], *arguments: Any, **more: Any) -> BaseProcess:
    """Starts ``work`` of a module in a process of its own; ``exitcode`` is -9 after ``kill()``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*LOADED])
    process = context.Process(target=work, args=arguments, kwargs=more)
    process.start()
    return process


def end_of(process: BaseProcess, seconds: float = 120) -> int:
    """Its exit code; it is killed when it takes longer."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"it took longer than {seconds:g} s")
    return process.exitcode


def command(words: list[str], out: Path, err: Path) -> None:
    """What ``python -m moonshelf WORDS`` does, as the work of :func:`fork`; prints into files."""
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.exit(main(words))
