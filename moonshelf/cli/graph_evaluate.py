"""``moonshelf graph evaluate``: how good a finished graph is, in tables and as one JSON record."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli import graph_scores
from moonshelf.cli.console import Console
from moonshelf.cli.graph_scores import shares, span
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.evaluate.facts import FactScores
    from moonshelf.graph.evaluate.folder import Evaluation
    from moonshelf.graph.evaluate.open_schema import OpenScores

ABOUT = "sizes beside the paper's, text coverage, soundness, redundancy, facts against gold labels"

MOST_CLASSES = 20
"""Classes shown by themselves; all of them are in the JSON."""


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
        help="slots, and the induced schema, against a table of labels: a row for a document id, "
        "a property and a value; with a column of values in normal form these, too",
    )
    evaluate.add_argument(
        "--pairs",
        metavar="FILE",
        type=Path,
        help="entity resolution against a table of known groups (id, group) or of pairs of ids "
        "that are one product",
    )
    evaluate.add_argument(
        "--stability",
        metavar="N",
        type=int,
        help="learn the schema N times from shuffled orders and compare (as long as N builds)",
    )
    evaluate.add_argument(
        "--set",
        metavar="KEY=COLUMN",
        action="append",
        default=[],
        dest="settings",
        help="columns of the labels: id, property, value, normalized; of the pairs: pairs.id, "
        "pairs.group, pairs.left, pairs.right (also pairs.left_prefix, pairs.right_prefix, "
        "pairs.delimiter); may be repeated",
    )
    evaluate.add_argument(
        "--missed", metavar="N", type=int, default=0, help="show N mentions that no fact stands on"
    )


def run_evaluate(args: argparse.Namespace, console: Console) -> int:
    """Exit code 0: sound; 1: a document is lost, a fact not grounded or a shape does not hold."""
    from moonshelf.graph.evaluate.folder import evaluate_graph
    from moonshelf.graph.evaluate.gold import read_gold

    columns, pair_columns = graph_scores.split_settings(args.settings, args.pairs)
    if columns and args.labels is None:
        raise UsageError("--set names columns of labels", cure="pass --labels FILE")
    gold = read_gold() if args.gold else None
    found = evaluate_graph(args.graph, gold, given=args.given)
    record = found.model_dump(mode="json")
    _show(found, args.graph, console)
    if found.facts is not None:
        _show_facts(found.facts, console)
    if args.labels is not None:
        record |= _labelled(args, columns, console)
    if args.pairs is not None:
        record["pairs"] = _paired(args, pair_columns, console)
    if args.stability is not None:
        stable = graph_scores.stability_of(args, console)
        graph_scores.show_stability(stable, console)
        record["stability"] = stable.model_dump(mode="json")
    graph_scores.show_spent(found.spent, found.in_all, console)
    for line in found.text.missed[: max(0, args.missed)]:
        console.say(f"  no fact: {line}")
    missing = {k: v for k, v in graph_scores.MISSING.items() if record.get(k) is None}
    for line in missing.values():
        console.say(f"not told: {line}")
    sound = found.soundness
    console.result({"graph": args.graph, **record, "missing": missing})
    broken = sound.lost or sound.invented or sound.violations or sound.grounding < 1
    return 1 if broken else 0


def _labelled(
    args: argparse.Namespace, columns: dict[str, str], console: Console
) -> dict[str, Any]:
    """Slots and normal forms by the names of attributes, and the schema by what its keys say."""
    from moonshelf.graph.builtin.teach import read_labels
    from moonshelf.graph.evaluate.folder import evaluate_labels
    from moonshelf.graph.evaluate.slot_labels import slot_labels

    form = columns.pop("normalized", None)
    labels = read_labels(args.labels, columns)
    forms = None if form is None else read_labels(args.labels, {**columns, "value": form})
    schema = evaluate_labels(args.graph, labels)
    slots = slot_labels(args.graph, labels, forms)
    graph_scores.show_labels(slots, console)
    _show_schema(schema, console)
    told = slots.model_dump(mode="json")
    return {"labels": schema.model_dump(mode="json"), "slots": told["slots"],
            "unknown_attributes": told["unknown"], "normalized": told["normalized"]}  # fmt: skip


def _paired(args: argparse.Namespace, columns: dict[str, str], console: Console) -> dict[str, Any]:
    from moonshelf.graph.evaluate.known_groups import known_pairs, read_known_groups

    scores, lacking = known_pairs(args.graph, read_known_groups(args.pairs, columns))
    graph_scores.show_pairs(scores, lacking, console)
    return {**scores.model_dump(mode="json"), "not_in_the_graph": lacking}


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
    by_class = sorted(sizes.instantiation_by_class.items(), key=lambda one: (-one[1], one[0]))
    console.table(by_class[:MOST_CLASSES], ("class", "schema instantiation"))
    rows = [
        (label, one.mentions, one.reached, one.share)
        for label, one in (
            ("numbers with a unit: an amount", text.units),
            ("the same, each by its own words", text.units_by_own_words),
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
        (name, *shares(one.score), span(one.f1))
        for name, one in (("listed-slot", facts.listed), ("strict", facts.strict))
    ]
    rows += [(f"  {name}", *shares(one), "") for name, one in facts.properties.items()]
    console.say(f"facts: {facts.protocol}")
    console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))


def _show_schema(found: OpenScores, console: Console) -> None:
    console.say(
        f"schema against labels, on {found.texts:,} texts: {found.induced} keys, {found.gold} "
        "labelled attributes; keys that nobody labelled count as wrong"
    )
    rows = [
        ("keys, one to one", *shares(found.keys), ""),
        ("values through them", *shares(found.values.score), span(found.values.f1)),
    ]
    console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))
    console.say(
        f"acceptance {found.acceptance:.3f}, compression {found.compression:.3f}, coverage "
        f"{found.coverage:.3f}: harmonic mean {found.harmonic:.3f}"
    )
    pairs = [(pair.induced, pair.gold, pair.texts, pair.dice) for pair in found.pairs]
    console.table(pairs, ("key", "attribute", "texts", "Dice"))
