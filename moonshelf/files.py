"""Files that appear whole or not at all: atomic JSON, atomic folders, one word for a full disk."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moonshelf.errors import MoonshelfError


class DiskFullError(MoonshelfError):
    """The disk (or quota) has no room; nothing that existed before was touched."""


@contextlib.contextmanager
def full_disk_is_an_error(path: Path) -> Iterator[None]:
    """Turns ENOSPC / EDQUOT inside the block into a :class:`DiskFullError` naming ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                "the disk is full", where=str(path), cure="free space and run the command again"
            ) from error
        raise


def fsync_folder(folder: Path) -> None:
    """Makes renames inside ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Writes beside ``path``, fsyncs, renames: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with full_disk_is_an_error(path):
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            fsync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_json_atomically(path: Path, value: Any) -> None:
    """Indented, sorted JSON; see :func:`write_bytes_atomically`."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    write_bytes_atomically(path, (text + "\n").encode())


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A scratch folder beside ``path`` that takes its name when the block succeeds.

    An existing ``path`` is replaced only then; on any error the scratch folder goes away.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with full_disk_is_an_error(path):
        try:
            partial.mkdir()
            yield partial
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            if path.exists():
                path.rename(old)
            partial.rename(path)
            fsync_folder(path.parent)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def lock_folder(folder: Path, busy: MoonshelfError) -> Iterator[None]:
    """Holds ``folder`` for one process; the lock falls with the process, also with a killed one.

    Raises:
        MoonshelfError: ``busy``, when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+b") as file:
        if os.name == "posix":  # moonshelf supports POSIX systems; elsewhere there is no lock
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise busy from error
        yield
