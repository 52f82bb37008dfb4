"""Immutable pieces of embedding work: a folder of fp16 vectors and the rows they belong to.

A shard appears whole (written beside, synced, renamed) and never changes. Its rows name the item,
its content hash and, where embedding failed, the error; its metadata names the encoder version.
That makes the work resumable after any interruption and idempotent by (item id, content hash,
encoder version) (methods.md 3.9).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.errors import StoreError
from moonshelf.files import atomic_folder, lock_folder

FORMAT = 1
_DEAD = ".dead"


@dataclass(frozen=True, slots=True)
class Row:
    """What was embedded: item, hash of its content, and why there is no vector ("" = there is)."""

    id: str
    content_hash: str
    error: str = ""


def row_key(item_id: str, content_hash: str) -> bytes:
    """16 bytes that identify a row of work inside one store."""
    return hashlib.blake2b(f"{item_id}\0{content_hash}".encode(), digest_size=16).digest()


def shard_folders(store: Path) -> list[Path]:
    """All complete shards, oldest first."""
    folder = store / "shards"
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and p.name.isdigit())


def write_shard(store: Path, rows: list[Row], vectors: np.ndarray, version: str) -> Path:
    """Writes one shard and returns its folder.

    Args:
        rows: one per vector.
        vectors: float [n, d]; the rows that failed are zero.
        version: encoder version, kept in the shard's metadata.
    """
    import pyarrow as pa

    existing = shard_folders(store)
    target = store / "shards" / f"{int(existing[-1].name) + 1 if existing else 0:08d}"
    table = pa.table(
        {
            "id": pa.array([row.id for row in rows], pa.large_string()),
            "content_hash": pa.array([row.content_hash for row in rows], pa.string()),
            "error": pa.array([row.error for row in rows], pa.large_string()),
        }
    ).replace_schema_metadata({"moonshelf": str(FORMAT), "encoder_version": version})
    with atomic_folder(target) as folder:
        np.save(folder / "vectors.npy", vectors.astype(np.float16))
        write_arrow(folder / "rows.arrow", table)
        sync_files(folder)
    return target


def read_rows(shard: Path, version: str) -> Any:
    """The shard's rows as a pyarrow table (id, content_hash, error).

    Raises:
        StoreError: unreadable, or made by another encoder version than ``version``.
    """
    import pyarrow as pa

    try:
        table = read_arrow(shard / "rows.arrow")
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(shard, error) from error
    found = (table.schema.metadata or {}).get(b"encoder_version", b"").decode()
    if found != version:
        raise StoreError(
            f"holds vectors of encoder version {found or 'unknown'}, expected {version}",
            where=str(shard),
            cure="embed into a new folder: versions never mix in one store",
        )
    return table


def read_vectors(shard: Path, rows: int) -> np.ndarray:
    """fp16 [rows, d], memory-mapped.

    Raises:
        StoreError: unreadable or of another length.
    """
    try:
        vectors = load_array(shard / "vectors.npy")
    except (OSError, ValueError) as error:
        raise _damaged(shard, error) from error
    if vectors.ndim != 2 or len(vectors) != rows or vectors.dtype != np.float16:
        raise _damaged(shard, ValueError(f"vectors are {vectors.dtype}{list(vectors.shape)}"))
    return vectors


def _damaged(shard: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the shard is damaged: {error}",
        where=str(shard),
        cure="delete this folder and run `moonshelf embed` again: only its rows are embedded anew",
    )


def remove_folder(folder: Path) -> None:
    """Removes a folder so that it is either there whole or not under its name at all."""
    dead = folder.with_name(folder.name + _DEAD)
    shutil.rmtree(dead, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(dead)
    shutil.rmtree(dead, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what an interrupted run left in ``folder``: half-written and half-removed folders.

    Only while holding :func:`only_writer`, since another writer's work looks the same.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if (path.name.startswith(".") and ".partial" in path.name) or path.name.endswith(_DEAD):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def only_writer(store: Path) -> Iterator[None]:
    """Holds the store for writing; the lock falls with the process, also with a killed one.

    Raises:
        StoreError: another process is writing.
    """
    busy = StoreError(
        "another process is embedding into this store",
        where=str(store),
        cure="wait for it, or choose another folder",
    )
    with lock_folder(store, busy):
        yield


def load_array(path: Path) -> np.ndarray:
    """A read-only memory map of a .npy file (an empty array has nothing to map)."""
    array = np.load(path, mmap_mode=None if _is_empty(path) else "r", allow_pickle=False)
    return np.asarray(array) if not isinstance(array, np.memmap) else array


def _is_empty(path: Path) -> bool:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, _ = read(file)
    return 0 in shape


def write_arrow(path: Path, table: Any) -> None:
    """An Arrow IPC file in batches of 65,536 rows, to be memory-mapped."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1 << 16)


def read_arrow(path: Path) -> Any:
    """The table of an Arrow IPC file, memory-mapped."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def sync_files(folder: Path) -> None:
    """Makes the contents of the files below ``folder`` durable before the folder gets its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
