"""Good answers by the hash of what was asked: asking again costs nothing and says the same.

One SQLite file, safe to kill at any time. Only answers that passed their check are kept, so a bad
one is never repeated. The key holds model, prompt, schema, dialect and every setting that is sent;
it does not hold the address, so a moved server finds its answers again, nor any API key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from moonshelf.errors import StoreError
from moonshelf.files import full_disk_is_an_error

VERSION = 1


def question_key(question: Mapping[str, Any]) -> str:
    """64 hex digits of everything that decides an answer."""
    text = json.dumps(question, ensure_ascii=True, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Answers on disk, or nowhere (``path`` None). Threads may share it."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        with self._guard():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, isolation_level=None, timeout=30, check_same_thread=False
            )
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, VERSION):
                raise StoreError(
                    f"the cache is of format {found}, this version reads {VERSION}",
                    where=str(path),
                    cure="delete it, or name another file",
                )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS answer"
                " (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
            )
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def get(self, key: str) -> str | None:
        """The answer kept under ``key``."""
        if self._db is None:
            return None
        with self._guard():
            row = self._db.execute("SELECT text FROM answer WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, text: str) -> None:
        """Keeps an answer, whatever becomes of this process."""
        if self._db is None:
            return
        # Half a surrogate pair has no UTF-8: such an answer is not kept.
        with contextlib.suppress(UnicodeEncodeError), self._guard():
            self._db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?)", (key, text))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        assert self._path is not None
        try:
            with self._lock, full_disk_is_an_error(self._path):
                yield
        except sqlite3.Error as error:
            raise StoreError(
                f"the cache cannot be used: {error}",
                where=str(self._path),
                cure="delete it, or name another file",
            ) from error
