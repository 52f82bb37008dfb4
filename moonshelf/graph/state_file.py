"""The file of a state: its tables, its version, its transactions, and what damage is called."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from moonshelf.errors import StoreError
from moonshelf.files import full_disk_is_an_error

FILE = "state.sqlite"
VERSION = 2
# Format 1 is the same without the table `spent`, which the next build adds.
_OLDER = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL, product TEXT NOT NULL, body TEXT NOT NULL,
  run INTEGER NOT NULL, place INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (
  id TEXT PRIMARY KEY, status TEXT NOT NULL, class TEXT NOT NULL, digest TEXT NOT NULL,
  slice TEXT NOT NULL, fingerprint TEXT NOT NULL, version INTEGER NOT NULL,
  content TEXT NOT NULL, facts TEXT NOT NULL, refusals TEXT NOT NULL, problem TEXT);
CREATE TABLE IF NOT EXISTS learned_from (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS overruled (id TEXT PRIMARY KEY, places TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stored (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, checked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
  run INTEGER PRIMARY KEY AUTOINCREMENT, costs TEXT NOT NULL, seconds TEXT NOT NULL,
  memory INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS document_place ON document (run, place);
CREATE INDEX IF NOT EXISTS document_product ON document (product);
"""


class StateFile:
    """One SQLite file. Made by :meth:`open`; one process writes at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db, self.path = connection, path

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, *, create: bool = True) -> Iterator[Self]:
        """The state in ``folder``.

        Raises:
            StoreError: none there (without ``create``), damaged, or of another version.
        """
        path = folder / FILE
        if not create and not path.is_file():
            raise StoreError(
                "this folder holds no graph",
                where=str(folder),
                cure="make one with `moonshelf graph build`",
            )
        with full_disk_is_an_error(path), _damage_is_an_error(path):
            db = sqlite3.connect(path, isolation_level=None, timeout=30)
            try:
                # A kill never damages it; a power cut may cost the last documents, no more.
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                _check_version(db, path, create)
                yield cls(db, path)
            finally:
                db.close()

    def _ids(self, query: str, *values: object) -> set[str]:
        return {row[0] for row in self._db.execute(query, values)}

    def _rows(self, query: str, values: tuple[object, ...]) -> Iterator[Any]:
        """Rows in pieces through a cursor of their own, so that writing may go on meanwhile."""
        cursor = self._db.cursor()
        cursor.arraysize = 256
        cursor.execute(query, values)
        while rows := cursor.fetchmany():
            yield from rows

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with full_disk_is_an_error(self.path), _damage_is_an_error(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _check_version(db: sqlite3.Connection, path: Path, create: bool) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, _OLDER, VERSION):
        raise StoreError(
            f"the state is of format {found}, this version of moonshelf reads {VERSION}",
            where=str(path),
            cure="build the graph anew in another folder",
        )
    if found == 0 or (
        found < VERSION and create
    ):  # a file that is in order is not written by who reads it
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def _damage_is_an_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "disk is full" in str(error):
            raise OSError(28, "no space left on device", str(path)) from error
        raise StoreError(
            f"the state cannot be used: {error}",
            where=str(path),
            cure="check the disk, its permissions, and that no other process uses it",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the state is damaged: {error}",
            where=str(path),
            cure="build the graph anew in another folder",
        ) from error
