"""The folder of a graph store: its identity, its lock, and what a killed process left there."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from moonshelf.errors import StoreError
from moonshelf.files import locked, write_json_atomically
from moonshelf.graph.rdf.iris import DEFAULT_BASE, Names

FORMAT = 1
REMAKE = (
    "`moonshelf graph validate GRAPH --repair` makes the store anew from the state of the graph"
)


def names(folder: Path, base: str | None, read_only: bool) -> Names:
    """The names of the store in ``folder``; writes ``store.json`` for a new one."""
    path = folder / "store.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["kind"] != "graph store" or told["format"] != FORMAT:
            raise StoreError(
                f"a {told['kind']} of format {told['format']}, this version reads {FORMAT}",
                where=str(folder),
                cure="build the graph again",
            )
        found = Names.under(told["base"])
    except FileNotFoundError:
        if read_only:
            raise StoreError(
                "no graph store here", where=str(folder), cure="run `moonshelf graph build`"
            ) from None
        if (folder / "data").exists():
            raise StoreError(
                "a graph store without its store.json",
                where=str(folder),
                cure=REMAKE,
            ) from None
        found = Names.under(base or DEFAULT_BASE)
        told = {"kind": "graph store", "format": FORMAT, "base": found.base}
        write_json_atomically(path, told)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StoreError(
            f"store.json cannot be read: {error}",
            where=str(folder),
            cure=REMAKE,
        ) from error
    if base is not None and Names.under(base) != found:
        raise StoreError(
            f"its IRIs begin with {found.base}, not {base}",
            where=str(folder),
            cure="leave the base out, or build the graph in another folder",
        )
    return found


def refuse(folder: Path, base: str | None, wait_s: float) -> None:
    """What opening the store in ``folder`` to write would refuse, without opening it.

    Raises:
        StoreError: it is of another format or base, or in use for ``wait_s`` seconds.
        UsageError: a base that is none.
    """
    if base is not None:
        Names.under(base)
    if (folder / "store.json").is_file():
        with lock(folder, shared=False, wait_s=wait_s):
            names(folder, base, read_only=True)


def sweep(folder: Path) -> None:
    """Deletes what a killed process left: files of a bulk load, snapshots. Needs the lock."""
    for left in (folder / "data").glob("bulk-*.sst"):
        left.unlink(missing_ok=True)
    for left in folder.glob("snapshot-*"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def lock(folder: Path, shared: bool, wait_s: float = 0.0) -> Iterator[None]:
    """One writer or many readers; the lock falls with the process, also with a killed one."""
    try:
        file = (folder / ".lock").open("rb" if shared else "a+b")
    except FileNotFoundError:
        raise StoreError(
            "no graph store here", where=str(folder), cure="run `moonshelf graph build`"
        ) from None
    busy = StoreError(
        "another process uses this graph store", where=str(folder), cure="wait until it is done"
    )
    with file, locked(file, busy, shared=shared, wait_s=wait_s):
        yield


@contextlib.contextmanager
def disk_trouble(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RocksDB tells damage by the latter
        raise StoreError(
            f"the graph store cannot be used: {error}",
            where=str(folder),
            cure=f"check the disk; {REMAKE}",
        ) from error
