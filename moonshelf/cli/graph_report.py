"""``moonshelf graph report``: a graph as one page for a person."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.report.findings import Findings

ABOUT = "one page: the ontology as a picture, facts with their words, coverage, conflicts"


def add_report(report: Any) -> None:
    report.add_argument(
        "--out", metavar="FILE", type=Path, help="the page (default: GRAPH/report.html)"
    )


def run_report(args: argparse.Namespace, console: Console) -> int:
    """Exit code 1 where a document is lost or a shape does not hold: the page shows which."""
    from moonshelf.graph.report.page import FILE, write_report

    path = args.out or args.graph / FILE
    if path.is_dir():
        raise UsageError("there is a folder of this name", where=str(path), cure="name a file")
    found = write_report(args.graph, path, console.progress)
    units, segments = found.reach.total("units"), found.reach.total("segments")
    slowest = found.slowest
    console.say(
        f"{path}: {found.summary.ledger.documents:,} documents, {found.facts:,} facts, "
        f"{len(found.ontology.classes):,} classes, {len(found.ontology.properties):,} properties"
    )
    console.say(
        f"{100 * units.share:.1f} % of numbers with a unit and {100 * segments.share:.1f} % of "
        f"segments reach a fact; {len(found.shown):,} documents shown, "
        f"{path.stat().st_size:,} bytes"
    )
    if slowest is not None:
        console.say(
            f"{len(found.questions):,} SPARQL queries, the slowest {slowest.milliseconds:,.1f} ms"
        )
    console.result({"graph": args.graph, "report": path, **_figures(found)})
    return 0 if found.summary.sound else 1


def _figures(found: Findings) -> dict[str, Any]:
    """What the page says in numbers; no text of a document."""
    slowest = found.slowest
    return {
        "ledger": found.summary.ledger.model_dump(mode="json"),
        "sizes": found.sizes.model_dump(mode="json"),
        "facts": found.facts,
        "grounded": found.grounded,
        "quads": found.quads,
        "coverage": {
            "units": found.reach.total("units").model_dump(),
            "segments": found.reach.total("segments").model_dump(),
            "documents_read": found.reach.read,
        },
        "refused": {one.step: one.times for one in found.troubles.turned},
        "quarantined": dict(found.troubles.steps),
        "violations": found.summary.shapes.violations,
        "same": found.links.same,
        "variants": found.links.variants,
        "versions": found.story.versions,
        "pending": sum(one[3] for one in found.story.counts),
        "documents_shown": len(found.shown),
        "queries": {
            "count": len(found.questions),
            "slowest_ms": None if slowest is None else slowest.milliseconds,
            "slowest_cpu_ms": max((one.cpu_milliseconds for one in found.questions), default=None),
        },
    }
