"""Tables of ``moonshelf graph evaluate`` that need what a person knows, and of what builds took."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from moonshelf.cli.console import Console
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.evaluate.pairs import PairScores
    from moonshelf.graph.evaluate.scores import Interval, Score, Scored
    from moonshelf.graph.evaluate.slot_labels import LabelScores
    from moonshelf.graph.evaluate.stability import Stability
    from moonshelf.graph.spending import Spent

MISSING: Mapping[str, str] = {
    "facts": "facts against the hand-made gold set: --gold (its listings must be in the graph)",
    "labels": "slots and open schema against labels of your own: --labels FILE (id, property, "
    "value)",
    "normalized": "normalized values: --labels FILE --set normalized=COLUMN",
    "pairs": "entity resolution against known groups: --pairs FILE (id, group; or two ids that are "
    "one). Without it the recall of `sameAs` is unknown",
    "stability": "stability of the schema over shuffled orders: --stability N",
}
"""What is not told, and what tells it."""


def shares(one: Score) -> tuple[float, float, float, int]:
    return round(one.precision, 3), round(one.recall, 3), round(one.f1, 3), one.wanted


def span(one: Interval) -> str:
    return f"{one.low:.3f} to {one.high:.3f}"


def stability_of(args: argparse.Namespace, console: Console) -> Stability:
    """Learns the schema again from shuffled orders, with new backends of the same kind.

    Raises:
        UsageError: fewer than two orders, or a backend that is paid for.
    """
    from moonshelf.graph.backends import make_backend
    from moonshelf.graph.evaluate.stability import stability
    from moonshelf.graph.manifest import read_complete
    from moonshelf.graph.state import State

    if args.stability < 2:
        raise UsageError("--stability compares two orders or more", cure="give e.g. 5")
    backend = read_complete(args.graph)["backend"]
    if backend != "builtin":
        raise UsageError(
            f"learning {args.stability} schemas more asks the {backend} backend again, for money",
            where=str(args.graph),
            cure="measure it with `moonshelf.graph.evaluate.stability` in a script of your own",
        )
    with State.open(args.graph, create=False) as state:
        documents = [one for one in state.documents() if one.kind != "picture"]
    with console.progress("learning schemas") as progress:
        return stability(
            documents, lambda: make_backend("builtin"), orders=args.stability, progress=progress
        )


def show_labels(found: LabelScores, console: Console) -> None:
    slots = found.slots
    console.say(f"labelled slots, one value each, as written, on {slots.products:,} texts")
    rows = [_row("listed-slot", slots.listed), _row("strict", slots.strict)]
    rows += [(f"  {name}", *shares(one), "") for name, one in slots.attributes.items()]
    console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))
    console.say(
        f"recall of values seen in the other half {slots.recall_seen:.3f} ({slots.seen:,}), unseen "
        f"{slots.recall_unseen:.3f} ({slots.unseen:,})"
    )
    if found.unknown:
        shown = ", ".join(found.unknown[:10])
        console.note(f"{len(found.unknown):,} labelled attributes have no property: {shown}")
    if (forms := found.normalized) is not None:
        console.say("values in normal form, conventions learned from the other half")
        rows = [_row("found and normalized", forms.found)]
        rows += [
            (label, *shares(one), "")
            for label, one in (
                ("found, as written", forms.as_written),
                ("words of the labels, normalized", forms.words_given),
                ("  of them never seen before", forms.words_unseen),
            )
        ]
        console.table(rows, ("", "precision", "recall", "F1", "labelled", "95 % of F1"))


def show_pairs(found: PairScores, lacking: int, console: Console) -> None:
    same = found.same
    console.say(
        f"entity resolution: {found.products:,} products, {found.groups:,} groups of two or more; "
        f"{found.variants:,} variants, {found.variants_that_are_one:,} of them one product"
    )
    row = ("sameAs, closed", *shares(same), same.matched, same.found)
    console.table([row], ("pairs", "precision", "recall", "F1", "true", "right", "found"))
    if lacking:
        console.note(f"{lacking:,} known products are not in this graph and were not judged")


def show_stability(found: Stability, console: Console) -> None:
    console.say(
        f"stability: mean Jaccard {found.jaccard:.3f} of {found.orders} schemas; properties "
        f"{', '.join(map(str, found.properties))}; classes {', '.join(map(str, found.classes))}"
    )


def show_spent(last: Spent, in_all: Spent, console: Console) -> None:
    if not in_all.runs:  # built before runs were added up
        in_all = last
    rows: list[tuple[str, float, float]] = [("runs", last.runs, in_all.runs)]
    rows += [(f"{name}, seconds", last.seconds.get(name, 0.0), value)
             for name, value in in_all.seconds.items()]  # fmt: skip
    rows += [(name.replace("_", " "), last.costs.get(name, 0), value)
             for name, value in in_all.costs.items()]  # fmt: skip
    rows.append(("largest process, MiB", last.peak_memory / 2**20, in_all.peak_memory / 2**20))
    console.table(rows, ("cost", "last build", "in all"))


def _row(label: str, one: Scored) -> tuple[str, float, float, float, int, str]:
    return (label, *shares(one.score), span(one.f1))


def split_settings(words: list[str], path: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """``--set``: columns of the labels, and those of the pairs, which begin with ``pairs.``."""
    from moonshelf.cli.catalog import parse_settings

    found = parse_settings(words)
    pairs = {k.removeprefix("pairs."): v for k, v in found.items() if k.startswith("pairs.")}
    if pairs and path is None:
        raise UsageError("--set pairs.KEY names columns of pairs", cure="pass --pairs FILE")
    return {k: v for k, v in found.items() if not k.startswith("pairs.")}, pairs
