"""What is known of every document: seen, done, empty or quarantined, and its facts. One file.

The state is the truth of a build. The RDF store, the quarantine list and the summary are made from
it, so that whatever was killed when, running again ends in the same graph. A crash loses at most
the documents in flight.

    document      what the source held when it was last read
    outcome       what became of it, under (document digest, slice digest, backend fingerprint)
    learned_from  ids of the texts that were there when the schema was learned
    overruled     facts of a document that another one about the same product contradicts
    stored        which outcome the RDF store holds, and whether its shapes were checked
    spent         what every run took, those of killed runs too
    memory        what else must outlive the process (what a backend learned, how far a build is)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from moonshelf.graph.outcome import Outcome, Packed, Status, outcome_of
from moonshelf.graph.records import Document
from moonshelf.graph.spending import SpendingTable

# What the store should hold of a document: its outcome, less what others overrule.
_HELD = "outcome o LEFT JOIN overruled r ON r.id = o.id"
# The document's digest, too: its title names the product, and it may come to be about another.
_CONTENT = "o.content || o.digest || coalesce(r.places, '')"
_KIND = "json_extract(body, '$.kind')"
_COLUMNS = "id, status, class, digest, slice, fingerprint, version, facts, refusals, problem"


class State(SpendingTable):
    """The state of one graph folder, in the file that :meth:`open` opens."""

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

    def gone(self, run: int, kinds: Collection[str] = ()) -> list[str]:
        """Ids known from before that run ``run`` should have found and did not, in order.

        A source answers for the kinds of documents that it holds, and for ``kinds`` even where it
        holds none: reviews that come alone say nothing of the listings. Rows that are no documents
        are of this run, and not gone.
        """
        marks = ",".join("?" * len(kinds))
        return sorted(
            self._ids(
                f"SELECT id FROM document WHERE run < ? AND ({_KIND} IN ({marks}) OR {_KIND} IN "
                f"(SELECT DISTINCT {_KIND} FROM document WHERE run = ?))",
                *(run, *kinds, run),
            )
            | self._ids(
                "SELECT id FROM outcome WHERE digest != '' AND id NOT IN (SELECT id FROM document)"
            )
        )

    def kinds(self) -> dict[str, str]:
        """Kind of every known document."""
        return dict(self._db.execute(f"SELECT id, {_KIND} FROM document"))

    def pictures(self) -> list[str]:
        """Ids of all documents without text, in the order of the source; see :meth:`to_do` for
        those left out."""
        query = (
            f"SELECT id FROM document WHERE {_KIND} = 'picture' "
            "AND id NOT IN (SELECT id FROM outcome WHERE digest = '') ORDER BY run, place, id"
        )
        return [name for (name,) in self._db.execute(query)]

    def learn_from(self, run: int) -> None:
        """The schema is learned from the texts of this run."""
        with self._transaction():
            self._db.execute("DELETE FROM learned_from")
            self._db.execute(
                "INSERT INTO learned_from "
                f"SELECT id FROM document WHERE run = ? AND {_KIND} != 'picture'",
                (run,),
            )

    def unlearned(self, run: int) -> int:
        """How many texts of this run came after the schema was learned."""
        query = (
            f"SELECT count(*) FROM document WHERE run = ? AND {_KIND} != 'picture' "
            "AND id NOT IN (SELECT id FROM learned_from)"
        )
        return self._db.execute(query, (run,)).fetchone()[0]

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

    def about(self, product: str) -> list[str]:
        """Ids of the documents about a product, in order."""
        return sorted(self._ids("SELECT id FROM document WHERE product = ?", product))

    def named_like(self, name: str, most: int) -> list[str]:
        """A few ids that hold ``name``, whatever the case."""
        query = "SELECT id FROM document WHERE instr(lower(id), lower(?)) ORDER BY id LIMIT ?"
        return [row[0] for row in self._db.execute(query, (name, most))]

    def to_do(
        self, run: int, fingerprint: str, slice_of: Callable[[str], str], retry: bool = False
    ) -> list[str]:
        """Ids of the documents whose outcome is missing or outdated, in source order.

        Those that the source holds no longer are among them where their text was not read or their
        slice changed: what stays in the graph is of the present schema. Another backend is no
        reason to read them again, nor is ``retry``. A row that came as no document this time is
        left out.

        Args:
            run: as :meth:`begin` gave it.
            fingerprint: of the backend.
            slice_of: class name -> slice digest now.
            retry: quarantined documents are to be done again, too.
        """
        found = []
        for name, last, digest, status, owner, old, part, by in self._db.execute(
            "SELECT d.id, d.run, d.digest, o.status, o.class, o.digest, o.slice, o.fingerprint "
            "FROM document d LEFT JOIN outcome o ON o.id = d.id "
            "WHERE o.digest IS NULL OR o.digest != '' ORDER BY d.run, d.place, d.id"
        ):
            read = status is not None and old == digest and part == slice_of(owner)
            again = by != fingerprint or (retry and status == "quarantined")
            if not read or (last == run and again):
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
        """Ids with this status whose outcome is of the document, or of the row, as it is now."""
        query = (
            "SELECT o.id FROM outcome o LEFT JOIN document d ON d.id = o.id "
            "WHERE o.status = ? AND (d.digest IS NULL OR o.digest IN (d.digest, ''))"
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
        """Deletes documents and their outcomes; ``stored`` goes when the store has dropped them.

        A row that is no document now keeps its outcome, whatever was of its name before.
        """
        rows = [(name,) for name in ids]
        with self._transaction():
            self._db.executemany("DELETE FROM outcome WHERE id = ? AND digest != ''", rows)
            self._db.executemany("DELETE FROM document WHERE id = ?", rows)

    # ---- what the RDF store holds

    def shared_products(self) -> list[list[str]]:
        """Documents that share their product with others, a list a product: the listing, then the
        others by id, so that no order of the source decides which of them is believed."""
        query = (
            "SELECT d.product, d.id FROM document d JOIN outcome o ON o.id = d.id "
            "WHERE o.status = 'done' AND d.product IN "
            "(SELECT product FROM document GROUP BY product HAVING count(*) > 1) "
            "ORDER BY d.product, d.id != d.product, d.id"
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

    def fingerprint(self) -> str:
        """SHA-256 of all that the store is made from: equal ones give equal graphs."""
        digest = hashlib.sha256()
        query = f"SELECT o.id, {_CONTENT} FROM {_HELD} WHERE o.status = 'done' ORDER BY o.id"
        for row in self._rows(query, ()):
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

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


def _document(body: str) -> Document:
    return Document.model_validate(json.loads(body))
