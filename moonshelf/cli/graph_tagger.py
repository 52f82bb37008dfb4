"""``moonshelf graph tagger``: teaches the builtin backend by labels, or by its own sure finds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import DataError, UsageError

if TYPE_CHECKING:
    from moonshelf.graph.builtin.teach import Examples
    from moonshelf.graph.evaluate.thresholds import Choice

ABOUT = "train a tagger on labels of the graph's texts, or on what the rules are sure of"
# Below so many labelled documents a fifth of them says too little to choose by.
LEAST_TO_CHOOSE = 50


def add_tagger(make: Any) -> None:
    make.add_argument(
        "--to", metavar="FOLDER", type=Path, required=True, help="the tagger's folder"
    )
    make.add_argument(
        "--labels",
        metavar="FILE",
        type=Path,
        help="a table with a row for a document id, a property and a value as it is written there "
        "(default: the facts of the graph that the rules are sure of)",
    )
    make.add_argument(
        "--set",
        metavar="KEY=COLUMN",
        action="append",
        default=[],
        dest="settings",
        help="columns of the labels: id, property, value; may be repeated",
    )
    make.add_argument(
        "--properties", metavar="A,B", default="", help="teach only these (default: all there are)"
    )
    make.add_argument(
        "--least",
        metavar="P",
        type=float,
        help="without labels: least confidence of a fact to learn from (default: 0.75)",
    )
    make.add_argument(
        "--by-category", action="store_true", help="a model for each category of documents"
    )


def run_tagger(args: argparse.Namespace, console: Console) -> int:
    """Trains, saves, and says how good it is where labels can tell."""
    from moonshelf.graph.builtin.tagger import Tagger
    from moonshelf.graph.builtin.tagger_files import save
    from moonshelf.graph.builtin.teach import LEAST_SURE, settings_of

    _check(args)
    examples = _examples(args)
    least = LEAST_SURE if args.least is None else args.least
    settings = settings_of(1.0 if args.labels is not None else least, args.by_category)
    choice = _choice(args, examples, settings, console)
    if choice is not None:
        settings = settings.model_copy(update={"threshold": choice.threshold})
    with console.progress("training") as progress:
        tagger = Tagger.train(examples.labelled, settings, progress)
    save(tagger, args.to)
    _show(args, examples, choice, console)
    console.result(
        {
            "tagger": args.to,
            "digest": tagger.digest,
            "documents": len(examples.labelled),
            "labels": examples.stated,
            "labels_nowhere": examples.nowhere,
            "unknown_documents": len(examples.unknown),
            "properties": tagger.taught,
            "settings": settings.model_dump(mode="json"),
            "choice": None if choice is None else choice.model_dump(mode="json"),
        }
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.labels is not None and args.least is not None:
        raise UsageError("--least is about facts of the rules", cure="leave it out with --labels")
    if args.labels is None and args.settings:
        raise UsageError("--set names columns of labels", cure="pass --labels FILE")
    if args.least is not None and not 0 < args.least <= 1:
        raise UsageError(f"--least {args.least} is no confidence", cure="give one in (0, 1]")


def _examples(args: argparse.Namespace) -> Examples:
    """
    Raises:
        DataError: nothing to learn from.
    """
    from moonshelf.cli.catalog import parse_settings
    from moonshelf.cli.graph_read import open_history
    from moonshelf.graph.builtin.teach import LEAST_SURE, of_labels, of_rules, read_labels
    from moonshelf.graph.state import State

    only = [name for name in map(str.strip, args.properties.split(",")) if name]
    ontology = open_history(args.graph).ontology()
    with State.open(args.graph, create=False) as state:
        if args.labels is None:
            least = LEAST_SURE if args.least is None else args.least
            documents, outcomes = state.documents(), state.outcomes("done")
            found = of_rules(documents, outcomes, ontology, least, only)
        else:
            labels = read_labels(args.labels, parse_settings(args.settings))
            if only:
                kept = {
                    d: {p: v for p, v in told.items() if p in only} for d, told in labels.items()
                }
                labels = {document: told for document, told in kept.items() if told}
            found = of_labels(state.documents(), labels)
    if not found.stated:
        raise DataError(
            "there is nothing to learn from: no label stands in a text of this graph",
            where=str(args.labels or args.graph),
            cure="write values as they stand there, under the ids of its documents",
        )
    return found


def _choice(
    args: argparse.Namespace, examples: Examples, settings: Any, console: Console
) -> Choice | None:
    """The threshold, where there are labels enough to choose it by."""
    from moonshelf.graph.evaluate.thresholds import choose

    if args.labels is None or len(examples.labelled) < LEAST_TO_CHOOSE:
        return None
    with console.progress("choosing how sure to be") as progress:
        return choose(examples.labelled, settings, progress)


def _show(
    args: argparse.Namespace, examples: Examples, choice: Choice | None, console: Console
) -> None:
    console.say(
        f"{args.to}: learned from {len(examples.labelled):,} documents, {examples.stated:,} values"
    )
    if choice is not None:
        listed, strict = choice.scores.listed.score, choice.scores.strict.score
        console.say(
            f"on {choice.held_out:,} of them, held out: F1 {listed.f1:.3f} of labelled slots, "
            f"{strict.f1:.3f} with values in other slots counted as wrong; a value is taken from "
            f"{choice.threshold:g} on"
        )
    if examples.nowhere:
        console.note(f"{examples.nowhere:,} labels stand nowhere in their text: they teach nothing")
    if examples.unknown:
        shown = ", ".join(examples.unknown[:5])
        console.note(f"{len(examples.unknown):,} ids are no document of this graph: {shown}")
    console.say(f"use it: moonshelf graph build ... --option tagger={args.to}")
