"""``moonshelf graph query | validate | export | diff``: what only reads a graph."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console, Whole
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.rdf.check import Violation
    from moonshelf.graph.rdf.compare import Difference, Undeclared
    from moonshelf.graph.rdf.iris import Names
    from moonshelf.graph.rdf.query import Term
    from moonshelf.graph.rdf.store import GraphStore
    from moonshelf.graph.schema.history import Decision, History


def run_query(args: argparse.Namespace, console: Console) -> int:
    """Rows as a table, or as JSON with the kind of every term."""
    sparql = _sparql(args)
    with open_store(args.graph, console) as store:
        names = store.names
        answer = store.query(sparql, args.timeout, limit=args.limit, bind=_bound(args.bind))
    if answer.kind == "ask":
        console.say("yes" if answer.truth else "no")
    else:
        rows = [[_shown(term, names) for term in row] for row in answer.rows]
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
    """Exit code 1 where a shape does not hold, or the store is not what the graph is made of."""
    if args.repair:
        from moonshelf.graph.repair import repair

        written = repair(args.graph, console.progress)
        console.say(f"{args.graph}: the store was made anew: {written.quads:,} quads")
    return _validate(args, console)


def _validate(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.graph.manifest import read_manifest
    from moonshelf.graph.rdf.check import check
    from moonshelf.graph.rdf.compare import undeclared
    from moonshelf.graph.repair import differences

    ontology, most = open_history(args.graph).ontology(), max(0, args.most)
    with open_store(args.graph, console) as store:
        with console.progress("checking shapes") as progress:
            found = list(check(store, ontology, progress=progress))
        strange, differing = undeclared(store, ontology), []
        if compared := read_manifest(args.graph)["status"] == "complete":
            with console.progress("comparing with the state") as progress:
                differing = list(differences(args.graph, store, ontology, progress))
        quads = len(store)
    _tables(console, found[:most], strange[:most], differing[:most])
    conforms = "every shape holds" if not found else f"{len(found):,} violations"
    same = "the store is what the state says" if compared else "not compared with the state"
    if differing:
        same = f"{len(differing):,} graphs are not what the state says"
    told = f"{quads:,} quads, ontology version {ontology.version}: {conforms}; {same}"
    console.say(f"{args.graph}: {told}; {len(strange):,} undeclared properties and classes")
    if differing or strange:
        console.note(
            f"`moonshelf graph validate {args.graph} --repair` makes the store anew from the "
            "state; what somebody else wrote into it is lost"
        )
    sound = not (found or strange or differing)
    lists = {"first": found, "undeclared": strange, "differences": differing}
    console.result(
        {
            "graph": args.graph,
            "conforms": sound,
            "violations": len(found),
            "undeclared_elements": len(strange),
            "differing_graphs": len(differing) if compared else None,
            **{k: [one.model_dump(mode="json") for one in v[:most]] for k, v in lists.items()},
        }
    )
    return 0 if sound else 1


def _tables(
    console: Console,
    found: Sequence[Violation],
    strange: Sequence[Undeclared],
    differing: Sequence[Difference],
) -> None:
    """What is wrong, a table a kind."""
    rows = [(v.product, v.property, v.constraint, v.value, ", ".join(v.documents)) for v in found]
    if rows:
        console.table(rows, ("product", "property", "constraint", "value", "documents"))
    rows = [(Whole(one.name), one.kind, one.times, Whole(one.product)) for one in strange]
    if rows:
        console.table(rows, ("not in the ontology", "", "times", "for example"))
    rows = [(one.where, one.what, one.missing, one.foreign) for one in differing]
    if rows:
        console.table(rows, ("differs from the state", "", "missing", "foreign"))


def run_export(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.graph.exporting import FORMATS, export

    if not args.to.parent.is_dir():
        raise UsageError(
            "there is no such folder", where=str(args.to.parent), cure="make it, or name another"
        )
    if args.to.is_dir():
        raise UsageError("there is a folder of this name", where=str(args.to), cure="name a file")
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
    if args.old is None:
        return _versions(history, console)
    if args.new is None:
        raise UsageError(
            "one version alone", cure="give two; `moonshelf graph diff GRAPH` lists all versions"
        )
    lines = history.diff(args.old, args.new)
    for line in lines:
        console.say(line)
    if not lines:
        console.say(f"versions {args.old} and {args.new} are the same")
    console.result({"old": args.old, "new": args.new, "changes": lines})
    return 0


def _versions(history: History, console: Console) -> int:
    """All versions, each with the edit that made it."""
    accepted = [one for one in history.decisions if one.accepted]
    first = history.versions.start
    begun = history.ontology(first)
    classes, properties = len(begun.classes), len(begun.properties)
    console.say(f"{first}: began with {classes:,} classes, {properties:,} properties")
    for one in accepted:
        console.say(f"{one.after_version}: {_edit(one)} ({one.by}): {one.edit.reason}")
    console.result(
        {
            "first": first,
            "present": history.versions.stop - 1,
            "versions": [
                {"version": one.after_version, "edit": _edit(one), "by": one.by,
                 "decided_by": one.decided_by, "reason": one.edit.reason}
                for one in accepted
            ],
        }
    )  # fmt: skip
    return 0


def _edit(decision: Decision) -> str:
    """An edit in a few words: ``merge colour, color into color``."""
    edit = decision.edit.model_dump(mode="json")
    names = edit.get("names") or [edit.get("name") or edit.get("element", {}).get("name", "")]
    words = f"{edit['op'].replace('_', ' ')} {', '.join(names)}"
    into = edit.get("into") or edit.get("to")
    if isinstance(into, list):
        into = ", ".join(one["name"] for one in into)
    return f"{words} into {into}" if into else words


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
    return History.open(graph / ONTOLOGY, create=False)


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


def _shown(term: Term | None, names: Names) -> Any:
    """A term for a person: addresses short and whole, to be copied into the next query."""
    if term is None:
        return None
    return Whole(names.short(term.value)) if term.is_iri else term.value


def _plain(term: Term) -> dict[str, str]:
    if term.is_iri:
        return {"type": "iri", "value": term.value}
    found = {"type": "literal", "value": term.value, "datatype": term.datatype}
    return {**found, "language": term.language} if term.language else found
