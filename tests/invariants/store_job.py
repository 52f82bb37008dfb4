"""What test_store runs in processes of its own: embeds, logs what it embeds, dies where told."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.catalog.product import Content
from moonshelf.center.embed import embed_catalog
from tests.unit.center.fakes import FakeCatalog, FakeEncoder, draw_products

ITEMS, SHARD = 80, 10


def job(store: Path, operation: int, pause: float, index: str) -> None:
    """Embeds into ``store``; dies at that file operation (0: never); sleeps ``pause`` seconds a
    batch, and at the last one while there is a file STORE.hold. STORE.log lists what was embedded,
    STORE.count says how many operations it took."""
    count = 0
    log, hold = store.with_suffix(".log"), store.with_suffix(".hold")

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return call

    class Logging(FakeEncoder):
        def embed(self, contents: Sequence[Content], batch_size: int | None = None) -> np.ndarray:
            time.sleep(pause)
            with log.open("a") as lines:
                lines.writelines(f"{content.text}\n" for content in contents)
            found = super().embed(contents)
            while len(self.seen) == ITEMS and hold.exists():
                time.sleep(0.01)
            return found

    for owner, name in (
        *((Path, name) for name in ("rename", "replace", "mkdir")),
        (shutil, "rmtree"),
        (os, "fsync"),
    ):
        setattr(owner, name, mortal(getattr(owner, name)))
    catalog = FakeCatalog(draw_products(ITEMS))
    embed_catalog(Logging(), catalog, store, shard_rows=SHARD, batch_size=5, index=index)
    store.with_suffix(".count").write_text(str(count))
