"""Documents that could not be done: which, at what step, with what reply. A list for a person.

The truth is in the state (``state.py``); ``quarantine.jsonl`` is written from it, whole, so that it
never disagrees with it, however a run ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from moonshelf.config import Config
from moonshelf.errors import MoonshelfError
from moonshelf.files import write_bytes_atomically

FILE = "quarantine.jsonl"
Step = Literal["read", "extract", "validate", "shacl"]
_LONGEST_REPLY = 100_000


class Quarantined(Config):
    """Why one document has no facts in the graph."""

    document: str
    step: Step
    what: str
    where: str = ""
    cure: str = ""
    kind: str = ""
    """Class of the error."""
    reply: str | None = None
    """What the backend said, verbatim, where it said anything."""
    errors: tuple[str, ...] = ()
    """Every single complaint about that reply."""
    digest: str = Field(default="")
    """Of the document as it was when it failed."""


def quarantined(document: str, step: Step, error: BaseException, digest: str = "") -> Quarantined:
    """``error`` as a record; a backend's error may carry ``reply`` and ``errors``."""
    reply = getattr(error, "reply", None)
    if isinstance(error, MoonshelfError):
        what, where, cure = error.what, error.where, error.cure
    else:
        what, where = str(error) or "no message", ""
        cure = "this is a defect of the backend: report it with this document"
    return Quarantined(
        document=document,
        step=step,
        what=_written(what),
        where=_written(where),
        cure=_written(cure),
        kind=type(error).__name__,
        reply=None if reply is None else _written(str(reply)[:_LONGEST_REPLY]),
        errors=tuple(_written(str(one)) for one in _complaints(error)),
        digest=digest,
    )


def write_quarantine(path: Path, records: Iterable[Quarantined]) -> int:
    """One JSON object a line, by document; returns how many. An empty list is an empty file."""
    lines = [
        json.dumps(record.model_dump(mode="json"), ensure_ascii=True)
        for record in sorted(records, key=lambda one: one.document)
    ]
    write_bytes_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    return len(lines)


def read_quarantine(path: Path) -> Iterator[Quarantined]:
    """What :func:`write_quarantine` wrote."""
    with path.open(encoding="ascii") as file:
        for line in file:
            yield Quarantined.model_validate_json(line)


def _complaints(error: BaseException) -> Iterable[object]:
    found = getattr(error, "errors", ())
    if callable(found):  # pydantic's ValidationError
        found = found()
    return found if isinstance(found, list | tuple) else ()


def _written(text: str) -> str:
    """``text`` that any file can hold: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()
