"""``moonshelf graph evaluate``: how good a finished graph is, in tables and as one JSON record."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.evaluate.facts import FactScores
    from moonshelf.graph.evaluate.folder import Evaluation
    from moonshelf.graph.evaluate.open_schema import OpenScores
    from moonshelf.graph.evaluate.scores import Interval, Score

ABOUT = "sizes beside the paper's, text coverage, soundness, redundancy, facts against gold labels"


def add_evaluate(evaluate: Any) -> None:
    evaluate.add_argument(
        "--gold",
        action="store_true",
        help="score facts against the hand-made gold set of air-conditioner listings, whose texts "
        "must be in the graph",
    )
    evaluate.add_argument(
        "--given",
        action="store_true",
        help="the graph was built with the gold set's own schema: compare names as they are",
    )
    evaluate.add_argument(
        "--labels",
        metavar="FILE",
        type=Path,
        help="compare the induced schema with a table of labels: a row for a document id, a "
        "property and a value",
    )
    evaluate.add_argument(
        "--set",
        metavar="KEY=COLUMN",
        action="append",
        default=[],
        dest="settings",
        help="columns of the labels: id, property, value; may be repeated",
    )
    evaluate.add_argument(
        "--missed", metavar="N", type=int, default=0, help="show N mentions that no fact stands on"
    )


def run_evaluate(args: argparse.Namespace, console: Console) -> int:
    """Exit code 0: sound; 1: a document is lost, a fact not grounded or a shape does not hold."""
    from moonshelf.cli.catalog import parse_settings
    from moonshelf.graph.builtin.teach import read_labels
    from moonshelf.graph.evaluate.folder import evaluate_graph, evaluate_labels
    from moonshelf.graph.evaluate.gold import read_gold

    if args.settings and args.labels is None:
        raise UsageError("--set names columns of labels", cure="pass --labels FILE")
    gold = read_gold() if args.gold else None
    found = evaluate_graph(args.graph, gold, given=args.given)
    labels = None
    if args.labels is not None:
        labels = evaluate_labels(
            args.graph, read_labels(args.labels, parse_settings(args.settings))
        )
    _show(found, args.graph, console)
    if found.facts is not None:
        _show_facts(found.facts, console)
    if labels is not None:
        _show_labels(labels, console)
    for line in found.text.missed[: max(0, args.missed)]:
        console.say(f"  no fact: {line}")
    sound = found.soundness
    record = found.model_dump(mode="json")
    if labels is not None:
        record["labels"] = labels.model_dump(mode="json")
    console.result({"graph": args.graph, **record})
    broken = sound.lost or sound.invented or sound.violations or sound.grounding < 1
    return 1 if broken else 0


def _show(found: Evaluation, graph: Path, console: Console) -> None:
    sizes, sound, text = found.sizes, found.soundness, found.text
    names = ("classes", "properties", "data_properties", "object_properties", "triples",
             "processed", "total", "schema_instantiation")  # fmt: skip
    rows = [(name.replace("_", " "), getattr(sizes, name), sizes.paper[name]) for name in names]
    console.say(f"{graph}: sizes; the paper's are of other texts and another schema")
    console.table(rows, ("", "here", "paper"))
    console.table(
        [(f"in at least {k}", share) for k, share in sizes.instantiation_at.items()],
        ("documents", "schema instantiation"),
    )
    rows = [
        (label, one.mentions, one.reached, one.share)
        for label, one in (
            ("numbers with a unit: an amount", text.units),
            ("the same: any fact", text.units_by_any_fact),
            ("the same by a plain pattern", text.plain_units),
            ("stars, modes, packs, years", text.counts),
            ("segments", text.segments),
            ("segments without a number", text.features),
        )
    ]
    console.table(rows, ("text coverage", "mentions", "reach a fact", "share"))
    console.say(
        f"{sound.facts:,} facts, {100 * sound.grounding:.1f} % grounded; {sound.documents:,} "
        f"documents: {sound.empty:,} without facts, {sound.quarantined:,} quarantined, "
        f"{len(sound.lost):,} lost; {sound.violations:,} shape violations; "
        f"{found.redundancy.duplicates:.1f} near-duplicate pairs a hundred properties"
    )


def _show_facts(facts: FactScores, console: Console) -> None:
    rows = [
        (name, *_shares(one.score), _span(one.f1))
        for name, one in (("listed-slot", facts.listed), ("strict", facts.strict))
    ]
    rows += [(f"  {name}", *_shares(one), "") for name, one in facts.properties.items()]
    console.say(f"facts: {facts.protocol}")
    console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))


def _show_labels(found: OpenScores, console: Console) -> None:
    console.say(
        f"schema against labels, on {found.texts:,} texts: {found.induced} keys, {found.gold} "
        "labelled attributes; keys that nobody labelled count as wrong"
    )
    rows = [
        ("keys, one to one", *_shares(found.keys), ""),
        ("values through them", *_shares(found.values.score), _span(found.values.f1)),
    ]
    console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))
    console.say(
        f"acceptance {found.acceptance:.3f}, compression {found.compression:.3f}, coverage "
        f"{found.coverage:.3f}: harmonic mean {found.harmonic:.3f}"
    )
    pairs = [(pair.induced, pair.gold, pair.texts, pair.dice) for pair in found.pairs]
    console.table(pairs, ("key", "attribute", "texts", "Dice"))


def _shares(one: Score) -> tuple[float, float, float, int]:
    return round(one.precision, 3), round(one.recall, 3), round(one.f1, 3), one.wanted


def _span(one: Interval) -> str:
    return f"{one.low:.3f} to {one.high:.3f}"
