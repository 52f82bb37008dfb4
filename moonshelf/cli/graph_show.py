"""``moonshelf graph show``: one document with its facts at their words, whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.report.one import One

ABOUT = "one document: facts at their words, what was turned down and why, conflicts, links"


def add_show(show: Any) -> None:
    show.add_argument("id", metavar="ID", help="id of a document, as the source has it")
    show.add_argument("--html", metavar="FILE", type=Path, help="write it as a page, too")


def run_show(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.files import write_bytes_atomically
    from moonshelf.graph.report.one import one_page, read_one

    if args.html is not None and args.html.is_dir():
        raise UsageError("there is a folder of this name", where=str(args.html), cure="name a file")
    found = read_one(args.graph, args.id)
    if args.html is not None:
        write_bytes_atomically(args.html, one_page(found).encode())
    _head(found, console)
    _facts(found, console)
    _beside(found, console)
    if args.html is not None:
        console.say(f"{args.html}: {args.html.stat().st_size:,} bytes")
    console.result(_record(found))
    return 0


def _head(found: One, console: Console) -> None:
    from moonshelf.graph.report.one import marked_text

    document, outcome = found.document, found.outcome
    kind = "a row that is no document" if document is None else document.kind
    what = "not read yet" if outcome is None else outcome.status
    told = [kind, what]
    if outcome is not None and outcome.status == "done":
        told += [outcome.product_class, f"ontology version {outcome.version}"]
    console.say(f"{found.id}: {', '.join(told)}")
    if outcome is not None and outcome.problem is not None:
        console.say(f"quarantined at step {outcome.problem.step}: {outcome.problem.what}")
        for line in outcome.problem.errors:
            console.say(f"  {line}")
    facts = found.facts()
    for name, text in () if document is None else document.fields:
        console.say(f"{name}:")
        for line in marked_text(text, name, facts).split("\n"):
            console.say(f"  {line}")


def _facts(found: One, console: Console) -> None:
    from moonshelf.graph.report.one import source_of
    from moonshelf.graph.report.refused import candidate
    from moonshelf.graph.report.sections.values import value_of

    rows = [
        (f"#{number}", fact.property, value_of(fact, found.definition(fact)), source_of(fact),
         fact.confidence, found.overruled.get(place, ""))
        for number, (place, fact) in enumerate(found.facts(), start=1)
    ]  # fmt: skip
    if rows:
        console.table(rows, ("", "property", "value", "where", "confidence", "gave way"))
    for refusal in () if found.outcome is None else found.outcome.refusals:
        fact = candidate(refusal)
        what = refusal.candidate if fact is None else f"{fact.property} {value_of(fact, None)}"
        console.say(f"turned down ({refusal.step}): {what}: {refusal.reason}")


def _beside(found: One, console: Console) -> None:
    for name in found.beside:
        console.say(f"about the same product: {name}")
    for link in found.links:
        why = f": {'; '.join(link.differences)}" if link.differences else ""
        console.say(f"{link.left} {link.relation} {link.right}, score {link.score:.2f}{why}")


def _record(found: One) -> dict[str, Any]:
    outcome = found.outcome
    return {
        "id": found.id,
        "document": None if found.document is None else found.document.model_dump(mode="json"),
        "status": None if outcome is None else outcome.status,
        "class": None if outcome is None else outcome.product_class,
        "facts": [
            {**fact.model_dump(mode="json"), "gave_way": found.overruled.get(place)}
            for place, fact in found.facts()
        ],
        "refusals": []
        if outcome is None
        else [one.model_dump(mode="json") for one in outcome.refusals],
        "problem": None
        if outcome is None or outcome.problem is None
        else outcome.problem.model_dump(mode="json"),
        "beside": found.beside,
        "links": [one.model_dump(mode="json") for one in found.links],
    }
