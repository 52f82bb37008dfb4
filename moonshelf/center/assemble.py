"""The last step of an embedding job: shards -> table -> index -> manifest, then the cleaning up.

Each step appears whole, and the manifest, which names them, is replaced last: readers see the old
version or the new one. An interrupted finish is simply done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moonshelf import __version__
from moonshelf.center.index import build_index, choose_engine, open_index
from moonshelf.center.shards import remove_folder, shard_folders
from moonshelf.center.store import FORMAT, read_manifest, relative_to_store
from moonshelf.center.table import COLUMNS, Table, write_table
from moonshelf.errors import StoreError
from moonshelf.files import write_bytes_atomically, write_json_atomically

if TYPE_CHECKING:
    from moonshelf.center.embed import Finished, Job


def finish(
    job: Job,
    done: Finished,
    keys: list[bytes],
    *,
    embedded: int,
    index: str,
    run: Path | str | None,
    times: dict[str, float],
) -> None:
    """Makes the store current for the catalogue: row r of the table is row r of the catalogue.

    Args:
        keys: the work key of every catalogue row; all of them are in ``done``.
        embedded: rows embedded by this run.
    """
    previous = _previous(job.store)
    places = np.array([done.place[key] for key in keys], np.int64).reshape(-1, 2)
    errors = [done.error.get(key, "") for key in keys]
    failed = np.array([bool(error) for error in errors], bool)
    began = time.time()
    table_name, reused = _current_table(job, done, places, failed, previous, embedded)
    times["table_seconds"] = round(time.time() - began, 3)
    began = time.time()
    table = Table(job.store / "tables" / table_name)
    engine, note = choose_engine(index, int((~failed).sum()))
    url = _current_index(job.store, table, table_name, engine, previous if reused else None)
    times["index_seconds"] = round(time.time() - began, 3)
    times["finished"] = time.time()
    _write_failures(job, errors)
    removed = len(done.place) - len(set(keys))
    write_json_atomically(
        job.store / "manifest.json",
        {
            "format": FORMAT,
            "kind": "store",
            "moonshelf": __version__,
            "table": table_name,
            "index": url,
            "index_note": note,
            "dim": int(job.encoder.dim),
            "view": job.view.value,
            "fields": list(job.fields),
            "encoder": {"version": job.version, "path": relative_to_store(job.store, run)},
            "catalog": {
                "fingerprint": job.catalog.fingerprint,
                "path": relative_to_store(job.store, job.catalog.path),
            },
            "attributes": None if job.attributes is None else dict(job.attributes.facts),
            "counts": {
                "items": len(keys),
                "embedded": embedded,
                "reused": len(keys) - embedded,
                "failed": int(failed.sum()),
                "superseded": removed,
            },
            "times": times,
        },
    )
    _clean_up(job.store, table_name, url, set(places[:, 0].tolist()))


def _previous(store: Path) -> dict[str, Any] | None:
    try:
        return read_manifest(store)
    except StoreError:  # none yet, or unreadable: everything it names is derived and made anew
        return None


def _current_table(
    job: Job,
    done: Finished,
    places: np.ndarray,
    failed: np.ndarray,
    previous: dict[str, Any] | None,
    embedded: int,
) -> tuple[str, bool]:
    """The table's name, and whether it is the one that was there before."""
    tables, joined = job.store / "tables", job.attributes
    same = (
        previous is not None
        and not embedded
        and len(places) == previous["counts"].get("items")
        and previous["catalog"].get("fingerprint") == job.catalog.fingerprint
        and _sha256(previous.get("attributes")) == _sha256(joined and joined.facts)
    )
    if previous is not None and same:
        try:
            Table(tables / previous["table"])
            return previous["table"], True
        except StoreError:
            pass  # damaged; the shards have all it needs
    taken = [int(p.name) for p in tables.glob("*") if p.name.isdigit()]
    name = f"{max(taken, default=-1) + 1:06d}"
    columns = {column: job.catalog.column(column) for column in COLUMNS}
    if joined is not None:
        columns["attributes"] = joined.column
    write_table(
        tables / name,
        columns,
        int(job.encoder.dim),
        places[:, 0],
        places[:, 1],
        done.vectors,
        failed,
    )
    return name, False


def _sha256(attributes: Any) -> str | None:
    """Of the file that a manifest's attributes come from; None without one."""
    return attributes.get("sha256") if isinstance(attributes, Mapping) else None


def _current_index(
    store: Path, table: Table, name: str, engine: str, previous: dict[str, Any] | None
) -> str:
    if engine == "lance" and bool(np.asarray(table.missing).all()):
        engine = "exact"  # nothing to build a graph of; an empty search is exact anyway
    if previous and str(previous["index"]).startswith(f"{engine}://"):
        try:
            open_index(previous["index"], table, store)
            return str(previous["index"])
        except StoreError:
            pass  # half-built or damaged: this run is the cure
    return build_index(engine, table, store, name)


def _write_failures(job: Job, errors: list[str]) -> None:
    ids = job.catalog.column("id")
    lines = [
        json.dumps({"row": row, "id": ids[row].as_py(), "error": error}, ensure_ascii=False)
        for row, error in enumerate(errors)
        if error
    ]
    data = "".join(line + "\n" for line in lines).encode()
    write_bytes_atomically(job.store / "failed.jsonl", data)


def _clean_up(store: Path, table: str, url: str, live_shards: set[int]) -> None:
    """Removes what the new manifest no longer needs. A reader that has it mapped keeps it."""
    for folder in (store / "tables").glob("*"):
        if folder.name != table:
            remove_folder(folder)
    for folder in (store / "indexes").glob("*"):
        if not url.endswith(f"/{folder.name}"):
            remove_folder(folder)
    for folder in shard_folders(store):
        if int(folder.name) not in live_shards:
            remove_folder(folder)
