"""How a long work shows its stages: a label for each, and a progress within it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

from moonshelf.progress import Progress, silent

Stages: TypeAlias = Callable[[str], AbstractContextManager[Progress]]


@contextlib.contextmanager
def quiet(label: str) -> Iterator[Progress]:
    """Stages that nobody watches."""
    yield silent


class Clock:
    """Wall-clock seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to ``stage``."""
        self._open[stage] = time.monotonic()
        try:
            yield
        finally:
            self.seconds = self.until_now()
            del self._open[stage]

    def until_now(self) -> dict[str, float]:
        """``seconds``, with those of a stage that has not ended yet."""
        found, now = dict(self.seconds), time.monotonic()
        for stage, start in self._open.items():
            found[stage] = round(found.get(stage, 0.0) + now - start, 3)
        return found
