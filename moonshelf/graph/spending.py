"""What builds took: calls and tokens of a model, seconds by stage, memory; a row for every run.

The row of a run is written as the run goes on, so that what a killed run cost stays in the sum.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.backend import Backend, Costly
from moonshelf.graph.stages import Clock, Stages
from moonshelf.graph.state_file import StateFile
from moonshelf.progress import Progress

# A kill loses what was counted since the last time it was written down.
EVERY_S = 0.25


class Spent(Config):
    """What one run took, or several together."""

    runs: int = 0
    costs: Mapping[str, float] = Field(default_factory=dict)
    """As the backend counts them; none where it costs nothing."""
    seconds: Mapping[str, float] = Field(default_factory=dict)
    """Wall clock by stage."""
    peak_memory: int = 0
    """Bytes: the most that one process held, of all runs."""


class SpendingTable(StateFile):
    """The table ``spent`` of a state: a row a run, those of killed runs too."""

    def begin_spending(self) -> int:
        """A new row, and its number."""
        found = self._db.execute(
            "INSERT INTO spent (costs, seconds, memory) VALUES ('{}', '{}', 0)"
        )
        assert found.lastrowid is not None
        return found.lastrowid

    def spend(self, run: int, spent: Spent) -> None:
        """What run number ``run`` took so far."""
        self._db.execute(
            "UPDATE spent SET costs = ?, seconds = ?, memory = ? WHERE run = ?",
            (json.dumps(spent.costs), json.dumps(spent.seconds), spent.peak_memory, run),
        )

    def spent(self) -> Spent:
        """All runs together; none where the state is older than this table."""
        if not self._ids("SELECT 1 FROM sqlite_master WHERE name = 'spent'"):
            return Spent()
        rows = self._db.execute("SELECT costs, seconds, memory FROM spent ORDER BY run").fetchall()
        costs, seconds = Counter[str](), Counter[str]()
        for cost, second, _ in rows:
            costs.update(json.loads(cost))
            seconds.update(json.loads(second))
        return Spent(
            runs=len(rows),
            costs={name: round(value, 6) for name, value in costs.items()},
            seconds={name: round(value, 3) for name, value in seconds.items()},
            peak_memory=max((memory for *_, memory in rows), default=0),
        )


class Meter:
    """Counts one run and writes it down every ``EVERY_S`` seconds while there is progress.

    Args:
        table: of the graph's state.
        backend: whose costs are counted from now on.
    """

    def __init__(self, table: SpendingTable, backend: Backend) -> None:
        self.clock = Clock()
        self._table, self._backend = table, backend
        self._before = self._costs()
        self._run = table.begin_spending()
        self._written = time.monotonic()

    def this_run(self) -> Spent:
        """What this run took until now."""
        now, before = self._costs(), self._before
        return Spent(
            runs=1,
            costs={name: round(value - before.get(name, 0), 6) for name, value in now.items()},
            seconds=self.clock.until_now(),
            peak_memory=peak_memory(),
        )

    def note(self) -> None:
        """Writes down what this run took until now."""
        self._table.spend(self._run, self.this_run())
        self._written = time.monotonic()

    def watching(self, stages: Stages) -> Stages:
        """The same stages; their progress is when things are written down."""

        @contextlib.contextmanager
        def watched(label: str) -> Iterator[Progress]:
            with stages(label) as shown:

                def progress(done: int, total: int | None = None, **facts: object) -> None:
                    shown(done, total, **facts)
                    if time.monotonic() - self._written >= EVERY_S:
                        self.note()

                yield progress

        return watched

    def _costs(self) -> Mapping[str, float]:
        return dict(self._backend.costs()) if isinstance(self._backend, Costly) else {}


def peak_memory() -> int:
    """Bytes: the most that this process or the largest of its finished children has held."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    most = max(resource.getrusage(kind).ru_maxrss for kind in kinds)
    return most if sys.platform == "darwin" else most * 1024
