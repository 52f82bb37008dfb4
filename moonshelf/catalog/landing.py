"""Where a catalogue is written before it appears: beside its place, then renamed in one step.

A new catalogue grows in a hidden folder beside ``path``; a further generation grows in a hidden
folder inside the catalogue, and replacing the manifest is what makes it exist.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moonshelf.catalog.manifest import (
    GENERATION,
    MANIFEST,
    generation_name,
    origin,
    read_manifest,
)
from moonshelf.errors import CatalogError, UsageError
from moonshelf.files import (
    fsync_folder,
    full_disk_is_an_error,
    lock_folder,
    write_json_atomically,
)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says while ``path`` is written into errors that name a cure."""
    with full_disk_is_an_error(path):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CatalogError(
                f"cannot be written ({error.strerror or error})",
                where=str(error.filename or path),
                cure="check the path and its permissions",
            ) from error


class Landing:
    """The folder one generation is written to, and how it becomes part of the catalogue.

    ``origin`` is that of the catalogue which is added to or replaced; None where there is none.

    Raises:
        UsageError: ``path`` holds a catalogue and neither ``append`` nor ``replace`` was asked.
        CatalogError: ``path`` holds something else, or another import is writing to it.
    """

    def __init__(self, path: Path, *, append: bool, replace: bool) -> None:
        self.path = path.absolute()
        self._lock: contextlib.ExitStack | None = None
        _sweep_beside(self.path)
        exists = (self.path / MANIFEST).exists()
        self.append, self._replace = append and exists, replace
        _check_target(self.path, exists, append=append, replace=replace)
        self.origin = _origin(self.path) if exists else None
        if self.append:
            self._lock = _locked(self.path)
            manifest = read_manifest(self.path)
            _sweep_inside(self.path, manifest)
            number = 1 + max(int(g["folder"][-6:]) for g in manifest["generations"])
            self.scratch = self.path / f".{generation_name(number)}.partial"
            self.folder = self.scratch
        else:
            number = 1
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.folder = self.scratch / generation_name(number)
        self.name = generation_name(number)
        self.folder.mkdir(parents=True)

    def publish(self, manifest: dict[str, Any]) -> None:
        """Makes the generation exist, all at once."""
        for file in self.folder.iterdir():
            _fsync(file)
        fsync_folder(self.folder)
        if self.append:
            self.folder.rename(self.path / self.name)
            fsync_folder(self.path)
            write_json_atomically(self.path / MANIFEST, manifest)
            _drop_old_tables(self.path, self.name)
            return
        write_json_atomically(self.scratch / MANIFEST, manifest)
        old = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
        if self.path.exists() and self._replace:
            self.path.rename(old)
        try:
            self.scratch.rename(self.path)
        except OSError:
            if old.exists():
                old.rename(self.path)
            raise
        for name in KEPT_FOLDERS:
            if (old / name).is_dir():
                (old / name).rename(self.path / name)
        fsync_folder(self.path.parent)
        shutil.rmtree(old, ignore_errors=True)

    def leave(self) -> None:
        """Removes what was not published and lets others write."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._lock is not None:
            # What the manifest on disk does not name was not published, however far it came.
            with contextlib.suppress(CatalogError):
                _sweep_inside(self.path, read_manifest(self.path))
            self._lock.close()
            self._lock = None


def _check_target(path: Path, exists: bool, *, append: bool, replace: bool) -> None:
    if append and replace:
        raise UsageError("append and replace exclude each other", cure="choose one")
    if exists and not (append or replace):
        raise UsageError(
            "there is a catalogue already",
            where=str(path),
            cure="add to it with --append, write it anew with --replace, or choose another folder",
        )
    if not exists and path.is_dir() and any(path.iterdir()):
        raise CatalogError(
            "the folder is not empty and holds no catalogue; nothing in it was touched",
            where=str(path),
            cure="choose another folder, or remove this one",
        )
    if path.exists() and not path.is_dir():
        raise CatalogError("there is a file here", where=str(path), cure="choose another folder")


def _origin(path: Path) -> str | None:
    try:
        return origin(read_manifest(path))
    except CatalogError:  # damaged: what replaces it begins anew
        return None


def _locked(path: Path) -> contextlib.ExitStack:
    busy = CatalogError(
        "another import is writing here", where=str(path), cure="wait until it has finished"
    )
    stack = contextlib.ExitStack()
    stack.enter_context(lock_folder(path, busy))
    return stack


def _sweep_inside(path: Path, manifest: dict[str, Any]) -> None:
    """Removes what a killed import left: folders that no manifest names. The lock is held."""
    named = {generation["folder"] for generation in manifest["generations"]}
    for folder in path.iterdir():
        plain = folder.name.removeprefix(".").removesuffix(".partial")
        if GENERATION.fullmatch(plain) and folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep_beside(path: Path) -> None:
    """Removes scratch folders of imports that were killed: those whose process is gone.

    A catalogue that a killed ``replace`` had set aside, and put nothing in its place, comes back.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.(partial|old)")
    for folder in path.parent.iterdir() if path.parent.is_dir() else ():
        if found := pattern.fullmatch(folder.name):
            try:
                os.kill(int(found.group(1)), 0)
            except ProcessLookupError:
                if found.group(2) == "old" and not path.exists():
                    folder.rename(path)
                else:
                    shutil.rmtree(folder, ignore_errors=True)
            except (OSError, OverflowError):
                continue


def _drop_old_tables(path: Path, newest: str) -> None:
    """The tables over all rows are written anew with each generation; older ones are garbage."""
    for folder in path.iterdir():
        if GENERATION.fullmatch(folder.name) and folder.name != newest:
            for name in CURRENT_FILES:
                with contextlib.suppress(OSError):
                    (folder / name).unlink(missing_ok=True)


KEPT_FOLDERS = ("crops",)
"""What a replaced catalogue leaves to the new one: boxes by picture hash, which cost something."""
CURRENT_FILES = ("ids.npy", "splits.npy", "query_splits.npy")


def _fsync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
