"""What test_graph_resume runs in processes of its own: a build that dies at an event, or does not.

RocksDB does not survive a fork, so these processes come from a fork server that never opens it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document
from moonshelf.graph.state import State
from tests.unit.graph.toy_backend import ToyBackend, reply_error

KINDS, COLORS = ("Fan", "Lamp", "Kettle"), ("red", "blue", "green")
SHOP = [
    Document(
        id=f"d{k:02}",
        fields=(("title", f"{KINDS[k % 3]} {k % 4 + 1}0 W {COLORS[k % 2]} AB{100 + k // 2}"),),
        kind="review" if k % 7 == 3 else "listing",
        product="d00" if k % 7 == 3 else "",
    )
    for k in range(24)
]
LATER = [
    *SHOP[2:12],
    *(
        one.model_copy(update={"fields": (("title", f"Toaster {one.id} 9 W"),)})
        for one in SHOP[12:]
    ),
]
SHOPS = {"first": SHOP, "later": LATER}


def job(
    out: Path, shop: str, fatal: int = 0, pause: float = 0.0, after: str = "", **settings: Any
) -> None:
    """Builds ``shop`` into ``out``, writes OUT.nq and OUT.count.

    Dies before that at event ``fatal``, or once the file ``after`` was put in its place.
    """
    events = Events(fatal, after)
    events.watch(pause)
    backend = ToyBackend(explode={"d05": reply_error()})
    chosen = BuildSettings.model_validate({"workers": 1, "prune": True, **settings})
    summary = build(from_documents(SHOPS[shop]), backend, out, chosen)
    assert summary.ledger.lost == () and summary.sound
    with GraphStore.open(out / "store", read_only=True) as store:
        store.dump(out.with_suffix(".nq"))
    assert not list(out.rglob("*.partial")), "nothing of a killed run is left behind"
    out.with_suffix(".count").write_text(str(events.count))


class Events:
    """Counts what happens on disk and kills this process at the event asked for."""

    def __init__(self, fatal: int, after: str) -> None:
        self.fatal, self.after, self.count = fatal, after, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, pause: float) -> None:
        """Before and after each transaction, change of the store, and file put in place."""
        transaction = State._transaction

        @contextmanager
        def counted(state: State) -> Iterator[None]:
            self()
            with transaction(state):
                yield
            self()

        State._transaction = counted  # type: ignore[method-assign]
        for owner, name in (
            *((GraphStore, name) for name in ("put_many", "drop_many", "put_links", "flush")),
            (Path, "replace"),
            (State, "remember"),
        ):
            setattr(owner, name, self._wrapped(getattr(owner, name), pause))

    def _wrapped(self, inner: Callable[..., Any], pause: float) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            self()
            time.sleep(pause)
            found = inner(*args, **kwargs)
            self()
            if self.after and str(args[-1]).endswith(self.after):
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return outer
