"""``moonshelf graph``: texts in, a product knowledge graph with evidence out; ask it, export it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from moonshelf.cli import graph_report, graph_show
from moonshelf.cli.console import Console
from moonshelf.cli.graph_evaluate import ABOUT, add_evaluate, run_evaluate
from moonshelf.cli.graph_tagger import ABOUT as ABOUT_TAGGER
from moonshelf.cli.graph_tagger import add_tagger, run_tagger

NAME = "graph"
HELP = "Build a product knowledge graph from descriptions; query, check, compare and export it."

_EPILOG = """\
examples:
  moonshelf graph build --from items.csv --set title=name --to shop-graph
  moonshelf graph build --catalog shop --fields title,description --to shop-graph
  moonshelf graph build --from items.csv --to g --backend llm --option model=qwen3 \\
      --option base_url=http://localhost:11434/v1
  moonshelf graph report shop-graph
  moonshelf graph query shop-graph 'SELECT ?x ?w { GRAPH ?g { ?x p:power ?w } }'
"""

_PREFIXES = """\
prefixes that need no declaration:
  c: classes           p: properties         e: classes of entities
  product:             document:             entity: (brands and the like, `entity:brand\\/ID`)
  facts: evidence: graph: agent:             named graphs, backends
  v: terms of evidence (about, field, start, end, raw, confidence, ...)
  unit: dimension: shape:                    the ontology's
  rdf: rdfs: xsd: owl: sh: prov: dcterms: skos: schema:
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="graph_verb", required=True)
    _add_build(verbs)
    _add_query(verbs)
    about = "check the whole graph against its SHACL shapes, its ontology and its state"
    check = _folder(verbs, "validate", about)
    check.add_argument("--most", type=int, default=20, help="violations shown (default: 20)")
    check.add_argument(
        "--repair",
        action="store_true",
        help="first make the store anew from the state of the graph; needs no source",
    )
    _add_export(verbs)
    add_evaluate(_folder(verbs, "evaluate", ABOUT))
    add_tagger(_folder(verbs, "tagger", ABOUT_TAGGER))
    graph_report.add_report(_folder(verbs, "report", graph_report.ABOUT))
    graph_show.add_show(_folder(verbs, "show", graph_show.ABOUT))
    about = "what changed between two versions of the ontology; without them, all versions"
    compare = _folder(verbs, "diff", about)
    compare.add_argument("old", metavar="V1", type=int, nargs="?", help="a version")
    compare.add_argument("new", metavar="V2", type=int, nargs="?", help="a later or an earlier one")


def run(args: argparse.Namespace) -> int:
    from moonshelf.cli import graph_read
    from moonshelf.cli.graph_build import run_build

    console = Console.of(args)
    verbs = {
        "build": run_build,
        "query": graph_read.run_query,
        "validate": graph_read.run_validate,
        "export": graph_read.run_export,
        "diff": graph_read.run_diff,
        "evaluate": run_evaluate,
        "report": graph_report.run_report,
        "show": graph_show.run_show,
        "tagger": run_tagger,
    }
    return verbs[args.graph_verb](args, console)


def _folder(verbs: Any, name: str, about: str) -> Any:
    """A verb about an existing graph."""
    found = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    found.add_argument("graph", metavar="GRAPH", type=Path, help="folder made by `graph build`")
    return found


def _add_build(verbs: Any) -> None:
    about = "read texts, learn or keep an ontology, extract facts, write and check the graph"
    make = verbs.add_parser(
        "build",
        help=about,
        description=f"{about[0].upper()}{about[1:]}. Run again, it goes on where it ended and does "
        "what is new or changed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = make.add_argument_group("where texts come from")
    one = source.add_mutually_exclusive_group(required=True)
    one.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        type=Path,
        help="a table: .csv .tsv .parquet .jsonl",
    )
    one.add_argument("--catalog", metavar="DIR", type=Path, help="a catalogue folder")
    source.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="columns of the table, e.g. title=name (of the reviews: reviews.text=body); may be "
        "repeated",
    )
    source.add_argument(
        "--fields",
        default="title,description",
        help="texts to read: title, category, attributes, description",
    )
    source.add_argument(
        "--kind", choices=("listing", "review"), default="listing", help="what the texts are"
    )
    source.add_argument(
        "--customer-reviews",
        metavar="FILE",
        type=Path,
        help="a table of reviews of these listings: product, text, and title or id where it has "
        "them; on conflict the listing has the last word",
    )
    source.add_argument(
        "--pictures",
        metavar="FILE",
        type=Path,
        help="what their pictures show, made by `moonshelf encoder attributes`; on conflict the "
        "listing's text has the last word",
    )
    source.add_argument("--limit", metavar="N", type=int, help="only the first N listings")
    make.add_argument("--to", metavar="GRAPH", type=Path, required=True, help="the graph's folder")
    _add_schema(make.add_argument_group("the ontology"))
    _add_manner(make.add_argument_group("how it is done"))


def _add_schema(schema: Any) -> None:
    schema.add_argument(
        "--ontology",
        metavar="FILE",
        type=Path,
        help="JSON of the ontology that a new graph starts from; its locked elements stay",
    )
    how = schema.add_mutually_exclusive_group()
    how.add_argument(
        "--frozen", action="store_true", help="learn nothing: keep the ontology as it is"
    )
    how.add_argument(
        "--learn",
        choices=("once", "again"),
        default="once",
        help="where there is an ontology: keep it (once), or learn further (again)",
    )
    schema.add_argument(
        "--review",
        metavar="FILE",
        type=Path,
        help="merges, renames, splits and drops wait in this file for a person",
    )
    schema.add_argument(
        "--samples", metavar="N", type=int, help="documents to learn from at most (default: 300)"
    )


def _add_manner(manner: Any) -> None:
    manner.add_argument(
        "--backend",
        choices=("builtin", "llm"),
        default="builtin",
        help="rules that need nothing (default), or a model behind an OpenAI-compatible server",
    )
    manner.add_argument(
        "--option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="options",
        help="setting of the backend, e.g. model=NAME base_url=ADDRESS; may be repeated",
    )
    manner.add_argument(
        "--workers", metavar="N", type=int, help="processes, or calls at once (default: the cores)"
    )
    manner.add_argument(
        "--on-error",
        choices=("quarantine", "stop"),
        default="quarantine",
        help="a document that fails is listed and left out (default), or stops the build",
    )
    manner.add_argument("--retry", action="store_true", help="try quarantined documents again")
    manner.add_argument(
        "--prune", action="store_true", help="delete documents that the source holds no longer"
    )
    manner.add_argument(
        "--no-resolve", action="store_true", help="do not look for the same product twice"
    )
    manner.add_argument(
        "--base", metavar="IRI", help="what all addresses of a new graph start with"
    )


def _add_query(verbs: Any) -> None:
    ask = _folder(verbs, "query", "answer a SPARQL query, read-only and bounded")
    ask.epilog, ask.formatter_class = _PREFIXES, argparse.RawDescriptionHelpFormatter
    ask.add_argument("sparql", metavar="SPARQL", nargs="?", help="the query")
    ask.add_argument("--file", metavar="FILE", type=Path, help="read the query from a file")
    ask.add_argument("--limit", metavar="N", type=int, default=100, help="rows (default: 100)")
    ask.add_argument(
        "--timeout", metavar="S", type=float, default=10.0, help="seconds (default: 10)"
    )
    ask.add_argument(
        "--bind",
        metavar="NAME=TEXT",
        action="append",
        default=[],
        help="value of a variable; may be repeated",
    )


def _add_export(verbs: Any) -> None:
    write = _folder(verbs, "export", "write the graph as a file for others")
    write.add_argument("--to", metavar="FILE", type=Path, required=True, help="the file")
    write.add_argument(
        "--format",
        choices=("nq", "ttl", "jsonld", "schema-ttl", "csv", "attributes"),
        help="nq: all, with evidence; ttl: ontology and products; jsonld, schema-ttl: schema.org; "
        "csv: a table; attributes: JSON Lines for `embed --attributes` (default: by the file's "
        "suffix)",
    )
