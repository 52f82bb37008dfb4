"""Files that appear whole or not at all: atomic JSON, atomic folders, one word for a full disk."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from moonshelf.errors import MoonshelfError

_ASKED_AGAIN_S = 0.1
# Open files whose locks this process holds.
_LOCKED: list[IO[bytes]] = []


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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A large file written piece by piece: beside ``path``, whose name it takes when the block
    succeeds.

    Raises:
        DiskFullError: no room; an existing ``path`` is as it was.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with full_disk_is_an_error(path):
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            fsync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Writes beside ``path``, fsyncs, renames: readers see the old file or the new one."""
    with whole_file(path) as file:
        file.write(data)


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
    with (folder / ".lock").open("a+b") as file, locked(file, busy):
        yield


@contextlib.contextmanager
def one_makes(path: Path) -> Iterator[None]:
    """One process at a time makes ``path``; the others wait, however long that takes, and then look
    at what is there. The lock is an empty file beside it, which stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock").open("ab")
    busy = MoonshelfError("is being made", where=str(path), cure="wait until it is done")
    with file, locked(file, busy, wait_s=math.inf):
        yield


@contextlib.contextmanager
def locked(
    file: IO[bytes], busy: MoonshelfError, *, shared: bool = False, wait_s: float = 0.0
) -> Iterator[None]:
    """Holds the lock of an open file, alone or ``shared``; processes that are forked meanwhile do
    not hold it, so that it falls with this one.

    Args:
        file: opened for it, and closed by the caller.
        busy: raised where another process holds it.
        shared: with all who ask for it so.
        wait_s: how long to wait for another process, in seconds.

    Raises:
        MoonshelfError: ``busy``.
    """
    if os.name == "posix":  # moonshelf supports POSIX systems; elsewhere there is no lock
        import fcntl

        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise busy from error
                time.sleep(_ASKED_AGAIN_S)
    _LOCKED.append(file)
    try:
        yield
    finally:
        _LOCKED.remove(file)


def _let_go() -> None:
    """In a forked process: its copies of the files would keep the locks of a parent that died."""
    while _LOCKED:
        _LOCKED.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
