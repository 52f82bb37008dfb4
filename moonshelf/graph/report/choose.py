"""Which documents a report shows: the same ones for the same graph, whatever the order of work."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection

from moonshelf.graph.outcome import Outcome
from moonshelf.graph.report.findings import Why

# How many of each are shown, in this order.
WANTED: tuple[tuple[Why, int], ...] = (
    ("most facts", 3),
    ("turned down", 6),
    ("drawn by hash", 8),
    ("without facts", 3),
)


def lot(document: str) -> int:
    """What a document draws: 64 bits of the hash of its id."""
    data = document.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


class Chooser:
    """Sees every outcome once and keeps the names of a few."""

    def __init__(self) -> None:
        self._best = {why: _Best(most) for why, most in WANTED}

    def add(self, outcome: Outcome, overruled: int = 0) -> None:
        """``overruled``: facts of it that another document has the last word on."""
        name, draw = outcome.document, lot(outcome.document)
        if outcome.status == "empty":
            self._best["without facts"].add((draw,), name)
        if outcome.status != "done":
            return
        self._best["drawn by hash"].add((draw,), name)
        self._best["most facts"].add((len(outcome.facts), draw), name)
        turned = len(outcome.refusals) + overruled
        if turned:
            # Of many steps first: each shows another reason.
            steps = len({one.step for one in outcome.refusals}) + bool(overruled)
            self._best["turned down"].add((steps, turned, draw), name)

    def chosen(self) -> list[tuple[str, Why]]:
        """Documents with the first reason to show them, none of them twice."""
        found: dict[str, Why] = {}
        for why, _ in WANTED:
            for name in self._best[why].names():
                found.setdefault(name, why)
        return list(found.items())


class _Best:
    """The names with the highest ranks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[tuple[int, ...], str]] = []

    def add(self, rank: tuple[int, ...], name: str) -> None:
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (rank, name))
        else:
            heapq.heappushpop(self._heap, (rank, name))

    def names(self) -> Collection[str]:
        return [name for _, name in sorted(self._heap, reverse=True)]
