"""What every cleaning command writes and shows: the new pair set, counts, and pairs to look at."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console

if TYPE_CHECKING:
    from moonshelf.cli.pairs_clean import Step

_COLUMNS = ("why", "query", "item", "level", "count", "similarity")


def finish(step: Step, args: argparse.Namespace, console: Console) -> None:
    """Writes the outcome of a step with its history, then shows it."""
    cleaned = step.cleaned
    reasons = cleaned.counts()
    written = cleaned.pairs.write(
        args.out,
        step=step.name,
        options=step.options,
        before=len(cleaned.before),
        facts={"pairs": reasons, **cleaned.facts},
    )
    before, after = cleaned.before.counts(), written.counts()
    _show_counts(before, after, console)
    console.say()
    console.table(list(reasons.items()), ("what became of them", "pairs"))
    console.say()
    _show_facts(cleaned.facts, console)
    examples = _examples(step, args.examples, args.seed)
    if examples:
        rows = [tuple(one[name] for name in _COLUMNS) for one in examples]
        console.table(rows, _COLUMNS)
        console.say()
    if args.html is not None:
        _write_page(step, args.html, args.examples, args.seed)
        console.note(f"pairs with pictures: {args.html}")
    console.say(f"{len(cleaned.before):,} pairs before, {len(written):,} left: {args.out}")
    console.result(
        {
            "pairs": args.out,
            "step": step.name,
            "options": step.options,
            "before": before,
            "after": after,
            "reasons": reasons,
            "facts": cleaned.facts,
            "examples": examples,
        }
    )


def _show_counts(before: Mapping[str, Any], after: Mapping[str, Any], console: Console) -> None:
    from moonshelf.catalog.pair_set import TYPES

    rows = [("all", before["total"], after["total"])]
    for name, title in (("by_type", "type"), ("by_level", "level"), ("by_query", "query")):
        for key, count in before[name].items():
            if count:
                told = TYPES[int(key)] if name == "by_type" else key
                rows.append((f"{title}: {told}", count, after[name][key]))
    shares = [(*row, f"{row[2] / row[1]:.1%}" if row[1] else "-") for row in rows]
    console.table(shares, ("pairs", "before", "after", "left"))


def _show_facts(facts: Mapping[str, Any], console: Console) -> None:
    """Figures as a table, and each list of records as one of its own."""
    plain: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            plain += [(f"{name}: {key}", entry) for key, entry in value.items()]
        elif not isinstance(value, list):
            plain.append((name, value))
    if plain:
        console.table(plain, ("figure", ""))
        console.say()
    for name, value in facts.items():
        if isinstance(value, list) and value:
            columns = list(value[0])
            console.table([[entry[c] for c in columns] for entry in value], columns, name)
            console.say()


def _examples(step: Step, count: int, seed: int) -> list[dict[str, Any]]:
    """Pairs of every reason, in words, drawn evenly; the least similar first."""
    from moonshelf.cli.pairs import example

    cleaned = step.cleaned
    pairs = cleaned.before
    return [
        {"why": cleaned.reasons[code], **example(pairs, pairs.catalog, int(place))}
        for code in (*range(1, len(cleaned.reasons)), 0)
        for place in cleaned.drawn(code, count, seed)
    ]


def _write_page(step: Step, path: Path, count: int, seed: int) -> None:
    from moonshelf.report.page import write_report
    from moonshelf.report.pair_examples import pair_section

    cleaned, sections = step.cleaned, []
    counts = cleaned.counts()
    for code in (*range(1, len(cleaned.reasons)), 0):
        places = cleaned.drawn(code, count, seed)
        reason = cleaned.reasons[code]
        if counts[reason]:
            lead = f"{counts[reason]:,} pairs; {len(places):,} of them, drawn evenly."
            sections.append(
                pair_section(reason.capitalize(), lead, cleaned.before, places.tolist())
            )
    lead = f"{len(cleaned.before):,} pairs before, {len(cleaned.pairs):,} left."
    title = f"Pairs of {cleaned.before.catalog.path.name}: {step.name}"
    write_report(path, title, lead, sections)
