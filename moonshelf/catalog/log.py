"""The behaviour log while a catalogue is written: columns in memory, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from moonshelf.catalog.product import Event
from moonshelf.catalog.tables import EVENTS, batch_of

CHUNK = 65_536


class EventLog:
    """Collects events; remembers the few whose item or query nobody has seen yet."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._chunks: list[pa.RecordBatch] = []
        self.count = 0
        self._pending: list[tuple[int, Event, str]] = []

    def add(self, event: Event, unresolved: str | None) -> None:
        """``unresolved`` is the event's place when its references are still to be looked up."""
        if unresolved is not None:
            self._pending.append((self.count, event, unresolved))
        price = None if event.price is None else float(event.price)
        names = (event.user, event.item, event.kind, event.query)
        self._rows.append((event.time, *names, event.position, price))
        self.count += 1
        if len(self._rows) == CHUNK:
            self._flush()

    def settle(self, accept: Callable[[Event, str, int], bool]) -> pa.Table:
        """The log sorted by time, without the unresolved events that ``accept`` (given event,
        place and number) turns down. Equal times keep the order in which they came."""
        self._flush()
        table = pa.Table.from_batches(self._chunks, schema=EVENTS)
        refused = [n for n, event, where in self._pending if not accept(event, where, n)]
        keep = np.ones(self.count, dtype=bool)
        keep[refused] = False
        times = table["time"].to_numpy()
        order = np.argsort(times, kind="stable")
        if len(refused) or not np.array_equal(order, np.arange(len(order))):
            table = table.take(pa.array(order[keep[order]]))
        return table

    def _flush(self) -> None:
        if self._rows:
            self._chunks.append(batch_of(self._rows, EVENTS))
            self._rows = []
