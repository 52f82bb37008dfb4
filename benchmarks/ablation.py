"""One switch at a time: a recipe against itself, on the same data, seeds and steps.

    python -m benchmarks.ablation align --data DIR --budget-steps 200 --seeds 0 1 2

A file in ``ablations/`` names the recipe and its variants, each some ``key=value`` of it, or a
table (_variants.py: stages beside ``align``, which take their share out of the same budget, and
cleaned pairs). The plain recipe is an arm like the others. The default budget is in steps, so that
a variant that is only cheaper does not win by learning longer; ``--budget-core-seconds`` asks what
it is worth at equal time. Runs on the val split: these tables choose what a recipe holds, and test
reports it once.

The table shows the plain arm, and of every variant the mean difference from it over seeds (variant
minus plain, percentage points), paired by seed, with its standard deviation. A difference is marked
where all seeds agree in sign. With three seeds that still happens to one in four by chance alone.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._cells import ROOT, Budget, add_options, budget_of, exit_code, run_cells
from benchmarks._tables import COLUMN_NOTE, COLUMNS, publish
from benchmarks._variants import PLAIN, Ablation
from moonshelf.errors import UsageError


def differences(cells: Sequence[Mapping[str, Any]], data: str) -> dict[str, dict[str, Any]]:
    """Variant -> column -> plain's value or the paired differences from it, one a seed."""
    by_seed: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell in cells:
        (name, columns), *_ = cell["figures"].items()
        by_seed.setdefault(name, {})[cell["seed"]] = columns
    plain = by_seed.get(PLAIN, {})
    found: dict[str, dict[str, Any]] = {}
    for name, seeds in by_seed.items():
        for column in (c.name for c in COLUMNS[data]):
            values = [
                columns[column]["value"] - (plain[seed][column]["value"] if name != PLAIN else 0)
                for seed, columns in seeds.items()
                if column in columns and column in plain.get(seed, {})
            ]
            if values:
                found.setdefault(name, {})[column] = {
                    "mean": statistics.fmean(values),
                    "std": statistics.stdev(values) if len(values) > 1 else 0.0,
                    "values": values,
                }
    return found


def markdown(found: Mapping[str, Mapping[str, Any]], data: str, heading: str) -> str:
    """The table: plain as it is, the others as differences, ``*`` where every seed agrees."""
    columns = [c.name for c in COLUMNS[data] if any(c.name in row for row in found.values())]
    lines = [f"## {heading}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in found.items():
        shown = [_figure(row.get(column), name == PLAIN) for column in columns]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", f"* every seed agrees in sign. {COLUMN_NOTE}", ""])


def _figure(spread: Mapping[str, Any] | None, plain: bool) -> str:
    if spread is None:
        return ""
    values = spread["values"]
    agree = len(values) > 1 and (min(values) > 0 or max(values) < 0)
    sign, mark = ("", "") if plain else ("+", "*" if agree else "")
    text = f"{spread['mean']:{sign}.1f}"
    return (f"{text} ± {spread['std']:.1f}" if len(values) > 1 else text) + mark


# ---- the command -------------------------------------------------------------------------------
def main(argv: Sequence[str] | None = None) -> int:
    return exit_code(compare, parser().parse_args(argv))


def compare(args: argparse.Namespace) -> int:
    """Every cell, then the tables."""
    ablation, budget = Ablation.read(args.ablation), budget_of(args, Budget("steps", 200))
    wanted = [PLAIN, *args.only] if args.only else list(ablation.variants)
    if unknown := sorted(set(wanted) - set(ablation.variants)):
        raise UsageError(
            f"no such variant: {', '.join(unknown)}",
            where=ablation.name,
            cure=f"choose from {', '.join(ablation.variants)}",
        )
    cells = ablation.cells(args.sets, args.seeds, budget)
    done, code = run_cells([cell for cell in cells if cell.variant in wanted], args)
    for data, finished in done.items():
        if not finished:
            continue
        found = differences(finished, data)
        heading = (
            f"{ablation.name}: {data}, {args.split} split, {budget.label}, seeds {args.seeds}, "
            "difference from plain"
        )
        if budget.key == "steps" and any(v.shares for v in ablation.variants.values()):
            heading += " (steps of other stages cost more or less than those of align)"
        name = f"{ablation.name}-{data}-{args.split}-{budget.label}"
        text = markdown(found, data, heading)
        publish(args.results, name, text, {"heading": heading, "rows": found})
    return code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(prog="ablation", description=(__doc__ or "").splitlines()[0])
    found.add_argument("ablation", help="a name in benchmarks/ablations, or a .toml file")
    add_options(found, ROOT / "benchmarks" / "results" / "ablation")
    found.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help="beside plain")
    found.set_defaults(split="val")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
