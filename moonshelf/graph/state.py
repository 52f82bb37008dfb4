"""What is known of every document: seen, done, empty or quarantined, and its facts. One file.

The state is the truth of a build. The RDF store, the quarantine list and the summary are made from
it, so that whatever was killed when, running again ends in the same graph. A crash loses at most
the documents in flight.

    document  what the source held when it was last read
    outcome   what became of it, under (document digest, slice digest, backend fingerprint)
    overruled facts of a document that another one about the same product contradicts
    stored    which outcome the RDF store holds, and whether its shapes were checked
    memory    what else must outlive the process (what a backend learned, how far a build is)
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from moonshelf.errors import StoreError
from moonshelf.files import full_disk_is_an_error
from moonshelf.graph.outcome import Outcome, Packed, Status, outcome_of
from moonshelf.graph.records import Document

FILE = "state.sqlite"
VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL, product TEXT NOT NULL, body TEXT NOT NULL,
  run INTEGER NOT NULL, place INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (
  id TEXT PRIMARY KEY, status TEXT NOT NULL, class TEXT NOT NULL, digest TEXT NOT NULL,
  slice TEXT NOT NULL, fingerprint TEXT NOT NULL, version INTEGER NOT NULL,
  content TEXT NOT NULL, facts TEXT NOT NULL, refusals TEXT NOT NULL, problem TEXT);
CREATE TABLE IF NOT EXISTS overruled (id TEXT PRIMARY KEY, places TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stored (
  id TEXT PRIMARY KEY, content TEXT NOT NULL, checked INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS document_place ON document (run, place);
CREATE INDEX IF NOT EXISTS document_product ON document (product);
"""
# What the store should hold of a document: its outcome, less what others overrule.
_HELD = "outcome o LEFT JOIN overruled r ON r.id = o.id"
_CONTENT = "o.content || coalesce(r.places, '')"
_COLUMNS = "id, status, class, digest, slice, fingerprint, version, facts, refusals, problem"


class State:
    """The state of one graph folder. Made by :meth:`open`; one process writes at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db, self.path = connection, path

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, *, create: bool = True) -> Iterator[State]:
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
                _check_version(db, path)
                yield cls(db, path)
            finally:
                db.close()

    # ---- memory

    def recall(self, key: str) -> Any:
        """What was remembered under ``key`` (JSON types), or None."""
        row = self._db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, key: str, value: Any) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO memory VALUES (?, ?)", (key, json.dumps(value, sort_keys=True))
        )

    # ---- documents

    def begin(self) -> int:
        """A new run: its number, one more than the last."""
        row = self._db.execute("SELECT max(run) FROM document").fetchone()
        return max(row[0] or 0, self.recall("run") or 0) + 1

    def see(self, documents: Iterable[tuple[int, Document]], run: int) -> None:
        """Takes in what the source holds now: (place in the source, document)."""
        rows = (
            (one.id, one.digest, one.about, json.dumps(one.model_dump(mode="json")), run, place)
            for place, one in documents
        )
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO document (id, digest, product, body, run, place) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self.remember("run", run)

    def seen(self, run: int) -> set[str]:
        """Ids that run ``run`` found in the source."""
        return self._ids("SELECT id FROM document WHERE run = ?", run)

    def gone(self, run: int) -> list[str]:
        """Ids known from before that run ``run`` did not find, in order."""
        return sorted(
            self._ids("SELECT id FROM document WHERE run < ?", run)
            | self._ids("SELECT id FROM outcome WHERE id NOT IN (SELECT id FROM document)")
        )

    def documents(self, run: int | None = None) -> Iterator[Document]:
        """Documents in the order of the source; of all runs, or of one."""
        where, values = ("", ()) if run is None else ("WHERE run = ?", (run,))
        query = f"SELECT body FROM document {where} ORDER BY run, place, id"
        for (body,) in self._rows(query, values):
            yield _document(body)

    def document(self, document_id: str) -> Document | None:
        return next(iter(self.documents_of([document_id])), None)

    def documents_of(self, ids: Iterable[str]) -> list[Document]:
        """Those of ``ids`` that are known, in their order. For a few hundred at once."""
        found = (
            self._db.execute("SELECT body FROM document WHERE id = ?", (name,)).fetchone()
            for name in ids
        )
        return [_document(row[0]) for row in found if row is not None]

    def to_do(
        self, run: int, fingerprint: str, slice_of: Callable[[str], str], retry: bool = False
    ) -> list[str]:
        """Ids of this run's documents whose outcome is missing or outdated, in source order.

        Args:
            run: as :meth:`begin` gave it.
            fingerprint: of the backend.
            slice_of: class name -> slice digest now.
            retry: quarantined documents are to be done again, too.
        """
        found = []
        for name, digest, status, owner, old, part, by in self._db.execute(
            "SELECT d.id, d.digest, o.status, o.class, o.digest, o.slice, o.fingerprint "
            "FROM document d LEFT JOIN outcome o ON o.id = d.id WHERE d.run = ? ORDER BY d.place",
            (run,),
        ):
            same = status is not None and old == digest and by == fingerprint
            if not same or part != slice_of(owner) or (retry and status == "quarantined"):
                found.append(name)
        return found

    # ---- outcomes

    def finish(self, outcomes: Iterable[Packed]) -> None:
        """Writes outcomes, all of them or none; they survive whatever comes next."""
        with self._transaction():
            self._db.executemany(f"INSERT OR REPLACE INTO outcome VALUES ({'?,' * 10}?)", outcomes)

    def outcome(self, document_id: str) -> Outcome | None:
        query = f"SELECT {_COLUMNS} FROM outcome WHERE id = ?"
        return next(map(outcome_of, self._db.execute(query, (document_id,))), None)

    def outcomes(self, status: Status | None = None) -> Iterator[Outcome]:
        """All outcomes by id, or those with one status."""
        where, values = ("", ()) if status is None else ("WHERE status = ?", (status,))
        query = f"SELECT {_COLUMNS} FROM outcome {where} ORDER BY id"
        return map(outcome_of, self._rows(query, values))

    def ids(self, status: Status) -> set[str]:
        return self._ids("SELECT id FROM outcome WHERE status = ?", status)

    def settled(self, status: Status) -> set[str]:
        """Ids with this status whose outcome is of the document as it is now."""
        query = (
            "SELECT o.id FROM outcome o LEFT JOIN document d ON d.id = o.id "
            "WHERE o.status = ? AND (d.digest IS NULL OR d.digest = o.digest)"
        )
        return self._ids(query, status)

    def counts(self) -> dict[str, int]:
        """Facts of all outcomes and refusals a step: ``facts``, ``refused span``, ..."""
        found = {"facts": 0}
        query = "SELECT coalesce(sum(json_array_length(facts)), 0) FROM outcome"
        found["facts"] = self._db.execute(query).fetchone()[0]
        query = (
            "SELECT json_extract(r.value, '$.step') AS step, count(*) "
            "FROM outcome, json_each(outcome.refusals) r GROUP BY step ORDER BY step"
        )
        found |= {f"refused {step}": count for step, count in self._db.execute(query)}
        return found

    def property_documents(self) -> dict[str, int]:
        """Property -> documents that have a fact of it."""
        query = (
            "SELECT json_extract(f.value, '$.property') AS name, count(DISTINCT outcome.id) "
            "FROM outcome, json_each(outcome.facts) f GROUP BY name ORDER BY name"
        )
        return dict(self._db.execute(query))

    def forget_unread(self) -> None:
        """Deletes the outcomes of rows that were no documents: the next reading tells anew."""
        with self._transaction():
            self._db.execute("DELETE FROM outcome WHERE digest = ''")

    def forget(self, ids: Iterable[str]) -> None:
        """Deletes documents and their outcomes; ``stored`` goes when the store has dropped them."""
        rows = [(name,) for name in ids]
        with self._transaction():
            self._db.executemany("DELETE FROM outcome WHERE id = ?", rows)
            self._db.executemany("DELETE FROM document WHERE id = ?", rows)

    # ---- what the RDF store holds

    def shared_products(self) -> list[list[str]]:
        """Documents that share their product with others: ids in source order, a list a product."""
        query = (
            "SELECT d.product, d.id FROM document d JOIN outcome o ON o.id = d.id "
            "WHERE o.status = 'done' AND d.product IN "
            "(SELECT product FROM document GROUP BY product HAVING count(*) > 1) "
            "ORDER BY d.product, d.id != d.product, d.place, d.id"
        )
        found: dict[str, list[str]] = {}
        for product, name in self._db.execute(query):
            found.setdefault(product, []).append(name)
        return list(found.values())

    def overrule(self, places: Mapping[str, Mapping[int, str]]) -> None:
        """Which facts of which documents give way to those of others: place -> reason."""
        rows = [
            (name, json.dumps(sorted(found.items()))) for name, found in places.items() if found
        ]
        with self._transaction():
            self._db.execute("DELETE FROM overruled")
            self._db.executemany("INSERT INTO overruled VALUES (?, ?)", rows)

    def overruled(self) -> dict[str, dict[int, str]]:
        """What :meth:`overrule` was given."""
        rows = self._db.execute("SELECT id, places FROM overruled ORDER BY id")
        return {name: dict(json.loads(places)) for name, places in rows}

    def to_put(self) -> list[str]:
        """Ids whose outcome the store does not hold yet, in order."""
        query = (
            f"SELECT o.id FROM {_HELD} LEFT JOIN stored s ON s.id = o.id "
            f"WHERE o.status = 'done' AND (s.content IS NULL OR s.content != {_CONTENT})"
        )
        return sorted(self._ids(query))

    def to_drop(self) -> list[str]:
        """Ids that the store holds and should not: gone, empty or quarantined, in order."""
        query = (
            "SELECT s.id FROM stored s LEFT JOIN outcome o ON o.id = s.id "
            "WHERE o.status IS NULL OR o.status != 'done'"
        )
        return sorted(self._ids(query))

    def put(self, ids: Iterable[str]) -> None:
        """The store holds these as they are now (call it after the store has them for certain)."""
        query = (
            f"INSERT OR REPLACE INTO stored SELECT o.id, {_CONTENT}, 0 FROM {_HELD} WHERE o.id = ?"
        )
        with self._transaction():
            self._db.executemany(query, [(name,) for name in ids])

    def dropped(self, ids: Iterable[str]) -> None:
        """The store holds these no longer."""
        with self._transaction():
            self._db.executemany("DELETE FROM stored WHERE id = ?", [(name,) for name in ids])

    def nothing_stored(self) -> None:
        """The store is a new one."""
        with self._transaction():
            self._db.execute("DELETE FROM stored")

    def to_check(self) -> list[str]:
        """Ids in the store whose shapes were not checked since they were put, in order."""
        return sorted(self._ids("SELECT id FROM stored WHERE checked = 0"))

    def checked(self, done: bool = True) -> None:
        """All that is stored conforms to its shapes; or, with False, has to be checked again."""
        with self._transaction():
            self._db.execute("UPDATE stored SET checked = ?", (int(done),))

    # ---- private

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
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def _document(body: str) -> Document:
    return Document.model_validate(json.loads(body))


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, VERSION):
        raise StoreError(
            f"the state is of format {found}, this version of moonshelf reads {VERSION}",
            where=str(path),
            cure="build the graph anew in another folder",
        )
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
