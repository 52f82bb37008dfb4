"""``moonshelf graph query | validate | export | diff``: what only reads a graph."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.rdf.query import Term
    from moonshelf.graph.rdf.store import GraphStore
    from moonshelf.graph.schema.history import History


def run_query(args: argparse.Namespace, console: Console) -> int:
    """Rows as a table, or as JSON with the kind of every term."""
    sparql = _sparql(args)
    with open_store(args.graph, console) as store:
        prefixes = store.names.prefixes()
        answer = store.query(sparql, args.timeout, limit=args.limit, bind=_bound(args.bind))
    if answer.kind == "ask":
        console.say("yes" if answer.truth else "no")
    else:
        rows = [[_shown(term, prefixes) for term in row] for row in answer.rows]
        console.table(rows, answer.variables)
    if answer.truncated:
        console.note(f"there is more: --limit {args.limit} ends here")
    console.result(
        {
            "variables": answer.variables,
            "rows": [
                {n: _plain(t) for n, t in zip(answer.variables, row, strict=True) if t is not None}
                for row in answer.rows
            ],
            "truth": answer.truth,
            "truncated": answer.truncated,
            "seconds": round(answer.seconds, 3),
        }
    )
    return 0


def run_validate(args: argparse.Namespace, console: Console) -> int:
    """Exit code 1 where a shape does not hold."""
    from moonshelf.graph.rdf.check import check

    ontology = open_history(args.graph).ontology()
    with open_store(args.graph, console) as store, console.progress("checking shapes") as progress:
        found = list(check(store, ontology, progress=progress))
        quads = len(store)
    rows = [
        (one.product, one.property, one.constraint, one.value, ", ".join(one.documents))
        for one in found[: args.most]
    ]
    if rows:
        console.table(rows, ("product", "property", "constraint", "value", "documents"))
    conforms = "every shape holds" if not found else f"{len(found):,} violations"
    console.say(f"{args.graph}: {quads:,} quads, ontology version {ontology.version}: {conforms}")
    first = [one.model_dump(mode="json") for one in found[: args.most]]
    console.result(
        {"graph": args.graph, "conforms": not found, "violations": len(found), "first": first}
    )
    return 1 if found else 0


def run_export(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.graph.exporting import FORMATS, export

    format = args.format or args.to.suffix.lstrip(".").lower()
    if format in ("attributes", "jsonl"):
        return _export_attributes(args, console)
    if format not in FORMATS:
        raise UsageError(
            f"cannot tell the format of {args.to.name!r}",
            cure=f"pass --format {', '.join((*FORMATS, 'attributes'))}",
        )
    ontology = open_history(args.graph).ontology()
    with open_store(args.graph, console) as store:
        count = export(store, ontology, args.to, format)
    what = "quads" if format == "nq" else "products"
    console.say(f"{args.to}: {count:,} {what} as {format}, {args.to.stat().st_size:,} bytes")
    console.result({"file": args.to, "format": format, what: count})
    return 0


def _export_attributes(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.graph.attributes import export_attributes

    found = export_attributes(args.graph, args.to)
    console.say(
        f"{args.to}: {found.keys:,} keys of {found.products:,} products as attributes, "
        f"{args.to.stat().st_size:,} bytes"
    )
    if found.left_out:
        console.note(f"{found.left_out:,} facts are too long to be attributes and were left out")
    console.result({"file": args.to, "format": "attributes", **vars(found)})
    return 0


def run_diff(args: argparse.Namespace, console: Console) -> int:
    history = open_history(args.graph)
    lines = history.diff(args.old, args.new)
    for line in lines:
        console.say(line)
    if not lines:
        console.say(f"versions {args.old} and {args.new} are the same")
    console.result({"old": args.old, "new": args.new, "changes": lines})
    return 0


def open_store(graph: Path, console: Console) -> GraphStore:
    """The RDF store of a graph folder, for reading; tells where it is not complete.

    Raises:
        StoreError: no graph, or one that is being built.
    """
    from moonshelf.graph.manifest import STORE, read_manifest
    from moonshelf.graph.rdf.store import GraphStore

    if read_manifest(graph)["status"] != "complete":
        console.note(f"{graph} is not complete: `moonshelf graph build` goes on where it ended")
    return GraphStore.open(graph / STORE, read_only=True)


def open_history(graph: Path) -> History:
    """The history of a graph's schema.

    Raises:
        StoreError: no graph, or none whose schema was learned yet.
    """
    from moonshelf.errors import StoreError
    from moonshelf.graph.manifest import ONTOLOGY, read_manifest
    from moonshelf.graph.schema.history import FILE, History

    read_manifest(graph)
    if not (graph / ONTOLOGY / FILE).is_file():
        raise StoreError(
            "this graph has no ontology yet",
            where=str(graph),
            cure="run `moonshelf graph build` again: it goes on where it ended",
        )
    return History.open(graph / ONTOLOGY)


def _sparql(args: argparse.Namespace) -> str:
    if (args.sparql is None) == (args.file is None):
        raise UsageError("name one query", cure="pass SPARQL, or --file FILE")
    if args.file is None:
        return args.sparql
    try:
        return args.file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"not UTF-8 at byte {error.start}", where=str(args.file), cure="save it as UTF-8"
        ) from error


def _bound(words: list[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(f"--bind {word!r} is not NAME=TEXT", cure="write e.g. brand=LG")
        found[name.lstrip("?$")] = text
    return found


def _shown(term: Term | None, prefixes: Mapping[str, str]) -> Any:
    """A term for a person: addresses short, numbers as they are."""
    if term is None:
        return None
    if not term.is_iri:
        return term.value
    for name, iri in sorted(prefixes.items(), key=lambda pair: -len(pair[1])):
        if term.value.startswith(iri):
            return f"{name}:{term.value.removeprefix(iri)}"
    return f"<{term.value}>"


def _plain(term: Term) -> dict[str, str]:
    if term.is_iri:
        return {"type": "iri", "value": term.value}
    found = {"type": "literal", "value": term.value, "datatype": term.datatype}
    return {**found, "language": term.language} if term.language else found
