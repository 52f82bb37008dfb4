"""Whose store a folder is: one encoder, view and text, and one catalogue through all its states.

Vectors are found again by item id and content hash, so those of another catalogue would not be
wrong; but the store follows the catalogue of the last job, and loses every item that one lacks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from moonshelf.center.store import read_manifest
from moonshelf.errors import StoreError
from moonshelf.files import write_json_atomically

if TYPE_CHECKING:
    from moonshelf.center.embed import Job


def refuse_foreign_folder(store: Path) -> None:
    """Raises StoreError where ``store`` is neither a store nor free to become one."""
    if store.exists() and not store.is_dir():
        raise StoreError("is a file, not a folder", where=str(store), cure="choose another --to")
    if store.is_dir() and not (store / "identity.json").exists():
        others = sorted(p.name for p in store.iterdir() if not p.name.startswith("."))
        if others:
            raise StoreError(
                f"the folder holds other things ({others[0]}, ...) and is not a store",
                where=str(store),
                cure="choose an empty or new folder",
            )


def check_identity(job: Job, another_catalog: bool) -> None:
    """The first job fixes what the store's vectors are, and of which catalogue; later ones agree.

    Args:
        another_catalog: the store may pass to the job's catalogue.

    Raises:
        StoreError: encoder version, width, view, fields or catalogue differ, or what the first job
            wrote cannot be read.
    """
    file = job.store / "identity.json"
    if not file.exists():
        write_json_atomically(file, {**job.identity, "catalog": job.catalog.origin})
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"the store's identity cannot be read: {error}",
            where=str(file),
            cure="embed into a new folder",
        ) from error
    found = found if isinstance(found, dict) else {}
    for key, wanted in job.identity.items():
        if found.get(key) != wanted:
            name = key.replace("_", " ")
            raise StoreError(
                f"the store was made with {name} {found.get(key)!r}, this run has {wanted!r}",
                where=str(job.store),
                cure="embed into a new folder: one store never mixes two kinds of vectors",
            )
    _check_catalog(job, found.get("catalog"), another_catalog)
    if found.get("catalog") != job.catalog.origin:
        write_json_atomically(file, {**job.identity, "catalog": job.catalog.origin})


def _check_catalog(job: Job, origin: str | None, another_catalog: bool) -> None:
    # Stores made before the origin was kept know the state of their catalogue only.
    known = origin or _last_fingerprint(job.store)
    if not another_catalog and known not in (job.catalog.origin, job.catalog.fingerprint):
        raise StoreError(
            f"the store holds another catalogue (origin {str(known)[:12]}), not "
            f"{job.catalog.path} (origin {job.catalog.origin[:12]}) or an earlier state of it",
            where=str(job.store),
            cure="pass another --to, or --another-catalog to give this store over to the new one",
        )


def _last_fingerprint(store: Path) -> str | None:
    """The state of the catalogue that a finished store holds; None where it is not finished."""
    try:
        return read_manifest(store)["catalog"].get("fingerprint")
    except StoreError:
        return None
