"""How long work tells how far it is: one callable, known to every room, drawn only by ``cli``."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then with what is done so far; cheap enough to call on every item.

    ``done`` counts from the start of the work (not since the last call), ``total`` is None when
    nobody knows. ``facts`` are shown beside the bar as they are: ``loss=2.31``, ``rate="410/s"``.
    """

    def __call__(self, done: int, total: int | None = None, **facts: object) -> None: ...


def silent(done: int, total: int | None = None, **facts: object) -> None:
    """Shows nothing; the default where a caller gives no progress."""
