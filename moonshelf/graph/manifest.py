"""What makes a folder a graph: its manifest, and what may lie beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from moonshelf.errors import StoreError
from moonshelf.graph.state_file import FILE as STATE

FORMAT = 1
MANIFEST, ONTOLOGY, STORE = "manifest.json", "ontology", "store"
PARTIAL = f".{ONTOLOGY}.partial"
"""Where a schema is learned before it is moved in place."""
REPLIES = "replies.sqlite"
"""Answers of a model, so that no question is paid for twice."""


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a graph folder.

    Raises:
        StoreError: there is none, or it is not one.
    """
    path = out / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["kind"] != "graph" or found["format"] != FORMAT:
            raise StoreError(
                f"a {found['kind']} of format {found['format']}, this version reads {FORMAT}",
                where=str(path),
                cure="build the graph anew in another folder",
            )
    except FileNotFoundError:
        raise StoreError(
            "this folder holds no graph",
            where=str(out),
            cure="make one with `moonshelf graph build`",
        ) from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StoreError(
            f"the manifest cannot be read: {error}",
            where=str(path),
            cure="build the graph anew in another folder",
        ) from error
    return found


def read_complete(out: Path) -> dict[str, Any]:
    """The manifest of a graph whose last build came to its end.

    Raises:
        StoreError: as :func:`read_manifest`, or the build has not ended.
    """
    manifest = read_manifest(out)
    if manifest["status"] != "complete":
        raise StoreError(
            "this graph is not complete",
            where=str(out),
            cure="run `moonshelf graph build` again: it goes on where it ended",
        )
    return manifest


def refuse_foreign(out: Path) -> None:
    """An existing folder must be empty, a graph, or one that a killed build began."""
    if not out.exists() or (out / MANIFEST).is_file():
        if out.exists():
            read_manifest(out)
        return
    if not out.is_dir():
        raise StoreError("there is a file of this name", where=str(out), cure="name a folder")
    databases = {
        f"{name}{end}" for name in (STATE, REPLIES) for end in ("", "-wal", "-shm", "-journal")
    }
    allowed = {".lock", *databases}
    left = {path.name for path in out.glob(f".{MANIFEST}.*.partial")}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in allowed | left)
    if foreign:
        raise StoreError(
            f"the folder holds {foreign[0]!r} and is no graph",
            where=str(out),
            cure="name an empty or a new folder",
        )


def sweep(out: Path) -> None:
    """Deletes what a killed build was writing. Needs the folder's lock."""
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    for folder in (out, out / ONTOLOGY):
        for left in folder.glob(".*.partial"):
            if left.is_file():
                left.unlink()
