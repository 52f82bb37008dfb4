"""Answers queries in a process of its own: a line of JSON in, a line of JSON out.

``python -m moonshelf.graph.rdf.query_process DATABASE MEMORY``; started by ``query.py`` alone. An
alarm without a handler ends it when a query runs out of time, whatever the library does then.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from moonshelf.graph.rdf.library import oxigraph


def main() -> None:
    database, memory = sys.argv[1:]
    store = oxigraph().Store.read_only(database)
    _bound_memory(int(memory))
    for line in sys.stdin:
        order = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, order["seconds"])
        try:
            reply = answer(store, order)
        except (SyntaxError, ValueError, RuntimeError, OSError) as error:
            damage = isinstance(error, OSError) or "Corruption" in str(error)
            reply = {"error": "store" if damage else "query", "what": str(error)[:500]}
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


def answer(store: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    """Rows until there are no more, or ``limit`` of them, or as many as fit ``bytes``."""
    library = oxigraph()
    found = store.query(
        order["sparql"],
        prefixes=order["prefixes"],
        use_default_graph_as_union=True,
        substitutions={
            library.Variable(name): library.Literal(value) for name, value in order["bind"].items()
        },
    )
    if isinstance(found, library.QueryBoolean):
        return _reply("ask", truth=bool(found))
    if isinstance(found, library.QueryTriples):
        names = ["subject", "predicate", "object"]
        rows = ([one.subject, one.predicate, one.object] for one in found)
        return _reply("triples", names, *_taken(rows, order))
    names = [variable.value for variable in found.variables]
    rows = ([row[name] for name in names] for row in found)
    return _reply("select", names, *_taken(rows, order))


def _taken(rows: Iterator[list[Any]], order: Mapping[str, Any]) -> tuple[list[Any], bool]:
    taken: list[Any] = []
    size = 0
    for row in rows:
        cells = [_cell(term) for term in row]
        size += sum(len(part) for cell in cells if cell for part in cell)
        if len(taken) == order["limit"] or size > order["bytes"]:
            return taken, True
        taken.append(cells)
    return taken, False


def _cell(term: Any) -> list[str] | None:
    library = oxigraph()
    if term is None:
        return None
    if isinstance(term, library.Literal):
        return [term.value, term.datatype.value, term.language or ""]
    return [term.value if isinstance(term, library.NamedNode) else str(term)]


def _reply(
    kind: str,
    variables: list[str] | None = None,
    rows: list[Any] | None = None,
    truncated: bool = False,
    truth: bool | None = None,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "variables": variables or [],
        "rows": rows or [],
        "truncated": truncated,
        "truth": truth,
    }


def _bound_memory(extra: int) -> None:
    """Lets the address space grow by ``extra`` bytes; where it cannot be bounded, it is not."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = used + extra
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


if __name__ == "__main__":
    main()
