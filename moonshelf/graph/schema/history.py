"""Every decision about the schema, one line each, appended and fsynced, never rewritten.

The first line holds the ontology that all began with; replaying the accepted edits gives every
version since, byte for byte: each line carries the digest of the version it led to. Lines are
chained by digest, so that a line changed, removed or put in between is noticed. There is no clock
in the file: the same decisions give the same bytes.

A crash can tear the last line. It was never acknowledged, so it is left out, and cut off by the
next append.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from moonshelf.config import Config
from moonshelf.errors import StoreError, UsageError
from moonshelf.files import full_disk_is_an_error, write_bytes_atomically
from moonshelf.graph.edits import Edit
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.schema.apply import EditError, apply
from moonshelf.graph.schema.difference import differences

FILE = "log.jsonl"
FORMAT = 1
PERSON = "person"
"""Who decides besides the gatekeeper."""
Outcome = Literal["accepted", "refused", "pending"]


class Decision(Config):
    """What became of one edit. ``pending``: it waits for a person, under ``review``."""

    edit: Edit
    outcome: Outcome
    reason: str
    """Why it was refused, or what speaks for and against it."""
    by: str
    """Who asked for it: a backend's name, or ``person``."""
    before_version: int = Field(ge=0)
    after_version: int = Field(ge=0)
    review: str | None = None
    """The place in the review file that it had, or has."""
    decided_by: str = "gatekeeper"

    @property
    def accepted(self) -> bool:
        return self.outcome == "accepted"


class History:
    """The log of one schema. Made by :meth:`open`; one process appends at a time."""

    def __init__(self, path: Path, base: Ontology) -> None:
        self.path, self._base, self._present = path, base, base
        self._decisions: list[Decision] = []
        self._digests: list[str] = []  # of the version after each accepted decision
        self._size, self._tail, self._chain = 0, b"", ""

    @classmethod
    def open(cls, folder: Path, base: Ontology | None = None, *, create: bool = True) -> History:
        """The history in ``folder``; a new one where there is none.

        Args:
            folder: holds ``log.jsonl``.
            base: what a new history starts from (locked elements and all); the bare root by
                default. Of a history that exists it must be the very same.

            create: a folder without history gets one; readers say False, and write nothing.

        Raises:
            StoreError: a line is damaged (other than a torn last one), missing or put in between;
                or there is no history, and none is to be made.
            UsageError: the history began with another ``base``.
        """
        path = folder / FILE
        if not path.is_file():
            if not create:
                raise StoreError(
                    "there is no history of a schema",
                    where=str(path),
                    cure="restore the file from a copy, or build the graph anew in another folder",
                )
            _begin(path, base or Ontology())
        found = _read(path)
        if base is not None and _text(base) != _text(found._base):
            raise UsageError(
                "the schema in this folder began with another base",
                where=str(path),
                cure="build in another folder, or leave the base away",
            )
        found._present = found.replay()
        return found

    # ---- reading

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All of them, oldest first, refused and pending ones too."""
        return tuple(self._decisions)

    @property
    def versions(self) -> range:
        return range(self._base.version, self._present.version + 1)

    def ontology(self, version: int | None = None) -> Ontology:
        """A version; the present one by default. UsageError where there is none of that number."""
        if version is None or version == self._present.version:
            return self._present
        if version not in self.versions:
            raise UsageError(
                f"there is no version {version} of the schema",
                where=str(self.path),
                cure=f"choose from {self.versions.start} to {self._present.version}",
            )
        return next(found for found in self._replay() if found.version == version)

    def diff(self, old: int, new: int) -> list[str]:
        """One line for each difference, in the order of names: ``+ property color (string)``."""
        return differences(self.ontology(old), self.ontology(new))

    def replay(self) -> Ontology:
        """The present version, made anew from the base and every accepted edit.

        Raises:
            StoreError: an edit cannot be applied, or gives another ontology than it did.
        """
        found = self._base
        for found in self._replay():  # noqa: B007 - the last one is wanted
            pass
        return found

    def pending(self) -> dict[str, Decision]:
        """Edits that wait for a person, by their place in the review file, oldest first."""
        waiting: dict[str, Decision] = {}
        for decision in self._decisions:
            if decision.review is None:
                continue
            if decision.outcome == "pending":
                waiting[decision.review] = decision
            else:
                waiting.pop(decision.review, None)
        return waiting

    def rejected(self) -> set[str]:
        """Places in the review file of what a person said no to."""
        return {
            d.review
            for d in self._decisions
            if d.review is not None and d.outcome == "refused" and d.decided_by == PERSON
        }

    def trail(self, name: str) -> list[Decision]:
        """Accepted decisions about an element under its present or any former name."""
        names = {name} | {a for a, _ in self._present.aliases if self._present.present(a) == name}
        return [d for d in self._decisions if d.accepted and names & set(_names(d.edit))]

    def _replay(self) -> Iterator[Ontology]:
        found = self._base
        yield found
        accepted = (decision for decision in self._decisions if decision.accepted)
        for decision, digest in zip(accepted, self._digests, strict=True):
            found = _applied(found, decision, self.path)
            if _digest(_text(found)) != digest:
                reason = f"replay gives another version {found.version} than was written"
                raise _damaged(str(self.path), ValueError(reason))
            yield found

    # ---- writing

    def append(self, decisions: Sequence[Decision]) -> Ontology:
        """Writes decisions down, all of them or none; the version they led to is the present one.

        Raises:
            StoreError: a decision does not follow from the present version, or another process
                wrote to the log meanwhile; nothing was written.
        """
        present, chain, data, digests = self._present, self._chain, b"", []
        for decision in decisions:
            entry = decision.model_dump(mode="json")
            if decision.accepted:
                present = _applied(present, decision, self.path)
                digests.append(_digest(_text(present)))
                entry["ontology"] = digests[-1]
            line, chain = _line(entry, chain)
            data += line
        if data:
            _append(self.path, self._size, self._tail, data)
            self._size, self._tail, self._chain = self._size + len(data), b"", chain
        self._decisions += decisions
        self._digests += digests
        self._present = present
        return present


# ---- lines


def _line(entry: dict[str, Any], chain: str) -> tuple[bytes, str]:
    body = _json(entry)
    chain = _digest(chain + body)
    return (_json({**entry, "chain": chain}) + "\n").encode("ascii"), chain


def _begin(path: Path, base: Ontology) -> None:
    line, _ = _line({"format": FORMAT, "base": base.model_dump(mode="json")}, "")
    write_bytes_atomically(path, line)


def _append(path: Path, size: int, tail: bytes, data: bytes) -> None:
    """Appends after ``size`` bytes. Only the torn ``tail`` may stand there, and is cut off."""
    with full_disk_is_an_error(path), path.open("r+b") as file:
        file.seek(size)
        if file.read() != tail:
            raise StoreError(
                "another process wrote to the history of the schema",
                where=str(path),
                cure="run one build at a time, then run this one again",
            )
        try:
            file.truncate(size)
            file.seek(size)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                os.truncate(path, size)
            raise


def _read(path: Path) -> History:
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    size = len(data)
    if lines and _is_torn(lines[-1]):
        size -= len(lines.pop())
    found: History | None = None
    chain = ""
    for number, line in enumerate(lines, start=1):
        where = f"{path} line {number}"
        try:
            entry = json.loads(line)
            said = entry.pop("chain")
            chain = _digest(chain + _json(entry))
            if said != chain:
                raise ValueError("it does not follow from the line before")
            if found is None:
                found = History(path, _base(entry, where))
                continue
            if (digest := entry.pop("ontology", None)) is not None:
                found._digests.append(digest)
            found._decisions.append(Decision.model_validate(entry))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(where, error) from error
    if found is None:
        raise _damaged(str(path), ValueError("its first line is missing"))
    found._size, found._tail, found._chain = size, data[size:], chain
    return found


def _is_torn(line: bytes) -> bool:
    """A crash leaves the start of a line, or blocks of zeros where a line was to be."""
    return not line.endswith(b"\n") or b"\0" in line


def _base(entry: dict[str, Any], where: str) -> Ontology:
    if entry.get("format") != FORMAT:
        raise StoreError(
            f"the history is of format {entry.get('format')!r}, this version reads {FORMAT}",
            where=where,
            cure="build the graph anew in another folder",
        )
    return Ontology.model_validate(entry["base"])


def _applied(ontology: Ontology, decision: Decision, path: Path) -> Ontology:
    try:
        found = apply(ontology, decision.edit)
    except EditError as error:
        raise _damaged(str(path), error) from error
    if (ontology.version, found.version) != (decision.before_version, decision.after_version):
        raise _damaged(str(path), ValueError(f"version {found.version} is out of its order"))
    return found


def _damaged(where: str, error: Exception) -> StoreError:
    reason = "not in the form of a decision" if isinstance(error, ValidationError) else str(error)
    return StoreError(
        f"the history of the schema is damaged: {reason}",
        where=where,
        cure="restore the file from a copy, or build the graph anew in another folder",
    )


def _names(edit: Edit) -> Iterator[str]:
    """Every element that an edit names."""
    for value in (getattr(edit, "name", None), getattr(edit, "to", None)):
        if value is not None:
            yield value
    if (element := getattr(edit, "element", None)) is not None:
        yield element.name
    yield from getattr(edit, "names", ())
    into = getattr(edit, "into", ())
    yield from (one.name for one in into if not isinstance(into, str))


def _text(ontology: Ontology) -> str:
    return _json(ontology.model_dump(mode="json"))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
