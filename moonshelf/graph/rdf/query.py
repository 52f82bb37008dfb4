"""SPARQL for people: read-only, bounded in time, rows and memory, and blind to the network.

pyoxigraph cannot be interrupted, and its ``SERVICE`` asks any address that a query names (``FROM``
and ``LOAD`` do not: the first only picks graphs of the store, the second is no query). So a query
runs in a process of its own, which an alarm ends, and the word SERVICE is refused wherever a parser
might read it as one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moonshelf.errors import StoreError, UsageError
from moonshelf.graph.rdf.folder import REMAKE
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.literals import escape

TIMEOUT, LIMIT = 10.0, 10_000
LONGEST_QUERY = 1 << 20
MEMORY = 2 << 30
"""Bytes that a query may take beside what the library holds."""
BYTES = 64 << 20
"""Bytes of an answer."""

# SERVICE may not stand where it could be a keyword. Parsers differ in where one token ends and the
# next begins (`trueSERVICE`, `SERVICE:x`, `?a<?b)SERVICE`), so this looks at no tokens: the word is
# fine only inside what every parser must read as one variable, local name or plain address.
_FINE = re.compile(
    r"[?$][A-Za-z0-9_]*service[A-Za-z0-9_]*"
    r"|:[A-Za-z0-9_]?[A-Za-z0-9_-]*?service[A-Za-z0-9_-]*"
    r"|<[a-z][a-z0-9+.-]*:[a-z0-9_.~:/%-]*service[a-z0-9_.~:/%-]*>",
    re.IGNORECASE | re.ASCII,
)
# A query runs over all graphs at once, which makes the library ignore FROM in silence.
_FROM = re.compile(r"(?<![?$:\w-])FROM(\s|#.*\n)*(NAMED(\s|#.*\n)*)?(<|[\w-]*:)", re.IGNORECASE)
_READS = re.compile(r"\s*(#.*\n\s*)*(SELECT|ASK|CONSTRUCT|DESCRIBE|PREFIX|BASE)\b", re.IGNORECASE)
_DECLARED = re.compile(r"\bPREFIX\s+([\w-]*):", re.IGNORECASE)
_PREFIXED = re.compile(r"(?<![?$<\w-])([A-Za-z][\w-]*):[^\s/]*$")
_PLACE = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


@dataclass(frozen=True)
class Term:
    """One value of an answer; ``datatype`` is empty for an IRI."""

    value: str
    datatype: str = ""
    language: str = ""

    @property
    def is_iri(self) -> bool:
        return not self.datatype


@dataclass(frozen=True)
class Answer:
    """What a query found. ``truth`` answers ASK; CONSTRUCT and DESCRIBE have the variables
    ``subject``, ``predicate``, ``object``. ``truncated``: there was more than the bounds allow."""

    kind: Literal["select", "ask", "triples"]
    variables: tuple[str, ...] = ()
    rows: tuple[tuple[Term | None, ...], ...] = ()
    truth: bool | None = None
    truncated: bool = False
    seconds: float = 0.0


def refuse_service(sparql: str) -> None:
    """Lets a query through only if no parser can find a SERVICE clause in it.

    Raises:
        UsageError: it may hold one. Some harmless queries are refused too (the word in a string);
            the cure names the way around.
    """
    for text in (sparql, _ESCAPE.sub(_decoded, sparql)):
        if "service" in _FINE.sub(" ", text).lower():
            raise UsageError(
                "SERVICE, or the word in a place where it might be read as one, is not allowed: "
                "a query reads this store and asks no other",
                cure="rename what is called so; pass a text that holds the word with bind",
            )


def _decoded(found: re.Match[str]) -> str:
    number = int(found[1] or found[2], 16)
    return chr(number) if number < 0x110000 else found[0]


class Queries:
    """Runs queries on the store in ``folder`` through a process that is kept between them.

    Args:
        folder: of the store.
        names: its IRIs; their prefixes need no declaration in a query.
        snapshot: copies the database for the process to read while this one writes; None where
            nobody writes and it may read the database itself.
    """

    def __init__(self, folder: Path, names: Names, snapshot: Callable[[Path], None] | None) -> None:
        self._folder, self._snapshot = folder, snapshot
        self._prefixes = names.query_prefixes()
        self._copies = 0
        self._copy: Path | None = None
        self._worker: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    def run(
        self,
        sparql: str,
        timeout_s: float = TIMEOUT,
        *,
        limit: int = LIMIT,
        bind: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answers SELECT, ASK, CONSTRUCT or DESCRIBE over all graphs at once, or by GRAPH.

        A statement that several graphs hold counts once for each of them: count DISTINCT.

        Args:
            sparql: the query. Prefixes are declared: ``c:`` classes, ``p:`` properties, ``e:``
                classes of entities, ``v:`` evidence, ``product:``, ``document:``, ``unit:``,
                ``prov:``, ``rdfs:`` and the like; see :meth:`Names.query_prefixes`.
            timeout_s: wall-clock seconds, at most an hour.
            limit: rows.
            bind: values, plain texts, of variables that a SELECT selects. What a user typed goes
                here, never into the query.

        Raises:
            UsageError: no query, an update, SERVICE; out of time or memory; a bound out of range.
            StoreError: the store cannot be read.
        """
        if not 0 < timeout_s <= 3600 or not 1 <= limit <= 10_000_000:
            raise UsageError(
                f"timeout {timeout_s} s or limit {limit} is out of range",
                cure="allow up to 3,600 seconds and up to 10,000,000 rows",
            )
        if len(sparql) > LONGEST_QUERY:
            raise UsageError("a query is at most 1 MiB long", cure="shorten it")
        refuse_service(sparql)
        if _FROM.search(sparql):
            raise UsageError(
                "FROM is not supported: a query runs over all graphs at once",
                cure="name a graph with GRAPH <...> { ... }; pass texts with bind",
            )
        order = {
            "sparql": sparql,
            "prefixes": self._prefixes,
            "bind": {name: escape(value) for name, value in (bind or {}).items()},
            "seconds": timeout_s,
            "limit": limit,
            "bytes": BYTES,
        }
        started = time.monotonic()
        with self._turn:
            reply = self._ask(order)
        return _answer(reply, time.monotonic() - started, sparql, self._prefixes)

    def outdate(self) -> None:
        """What the process reads is no longer the present state; the next query starts anew."""
        if self._copy is not None:
            self.close()

    def close(self) -> None:
        """Ends the process and deletes its copy of the database. Harmless when repeated."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        copy, self._copy = self._copy, None
        if copy is not None:
            shutil.rmtree(copy, ignore_errors=True)

    # ---- the process

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        worker = self._worker or self._start()
        assert worker.stdin is not None and worker.stdout is not None
        line = ""
        try:
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.write(json.dumps(order) + "\n")
                worker.stdin.flush()
                line = worker.stdout.readline()
        except BaseException:
            # Interrupted: an answer that nobody read must not be taken for the next query's.
            self.close()
            raise
        if line.endswith("\n"):
            return json.loads(line)
        code = worker.wait()
        self.close()
        if code == -14:  # SIGALRM, which the process sets for itself
            raise UsageError(
                f"the query took more than {order['seconds']:g} s",
                cure="narrow it (name a class or a property), or allow more time",
            )
        raise UsageError(
            f"the query ended its process (exit {code}); it may have needed too much memory",
            cure="narrow it, or add a LIMIT inside",
        )

    def _start(self) -> subprocess.Popen[str]:
        data = self._folder / "data"
        if self._snapshot is not None:
            self._copies += 1
            data = self._folder / f"snapshot-{os.getpid()}-{self._copies}"
            self._snapshot(data)
            self._copy = data
        command = [
            sys.executable,
            "-P",  # -m alone would look for modules in the folder that the command runs in
            "-m",
            "moonshelf.graph.rdf.query_process",
            str(data),
            str(MEMORY),
        ]
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        return self._worker


def _answer(
    reply: Mapping[str, Any], seconds: float, sparql: str, known: Collection[str]
) -> Answer:
    if "error" in reply:
        if reply["error"] == "query":
            raise _no_query(reply["what"], sparql, known)
        raise StoreError(
            f"the query cannot be answered: {reply['what']}",
            cure=f"check the disk; {REMAKE}",
        )
    return Answer(
        kind=reply["kind"],
        variables=tuple(reply["variables"]),
        rows=tuple(tuple(_term(cell) for cell in row) for row in reply["rows"]),
        truth=reply["truth"],
        truncated=reply["truncated"],
        seconds=seconds,
    )


def _no_query(said: str, sparql: str, known: Collection[str]) -> UsageError:
    """What the library says of a query, in one line: where it stopped, without its grammar."""
    forms = "write SELECT, ASK, CONSTRUCT or DESCRIBE; a store is changed by put and drop"
    place = _PLACE.match(said)
    if place is None:
        return UsageError(f"not a query that can be answered: {said}", cure=forms)
    if not _READS.match(sparql):
        return UsageError("not a query", cure=forms)
    line, column = int(place[1]), int(place[2])
    lines = [*sparql.split("\n"), ""]
    before, after = lines[line - 1][: column - 1].split(), lines[line - 1][column - 1 :].strip()
    told = [f"behind {before[-1][-40:]!r}"] if before else []
    told += [f"before {after[:40]!r}" if after else "at its end"]
    reason = "" if place[3].startswith("expected") else f": {place[3]}"
    declared = {*known, *_DECLARED.findall(sparql)}
    strange = _PREFIXED.search(before[-1]) if before else None
    if strange is not None and strange[1] not in declared:
        reason = f": the prefix {strange[1]}: is not declared"
    return UsageError(
        f"not a query that can be read{reason}",
        where=f"line {line}, character {column}: {', '.join(told)}",
        cure="look for a word, prefix or bracket that is wrong or missing right there; "
        "`moonshelf graph query --help` lists the prefixes",
    )


def _term(cell: Sequence[str] | None) -> Term | None:
    return None if cell is None else Term(*cell)
