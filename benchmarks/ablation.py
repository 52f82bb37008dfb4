"""One switch at a time: a recipe against itself, on the same data, seeds and steps.

    python -m benchmarks.ablation align --data DIR --budget-steps 200 --seeds 0 1 2

A file in ``ablations/`` names the recipe and its variants, each some ``key=value`` of it, or a
table (_variants.py: stages beside ``align``, which take their share out of the same budget, and
cleaned pairs). The plain recipe is an arm like the others. The default budget is in steps, so that
a variant that is only cheaper does not win by learning longer; ``--budget-core-seconds`` asks what
it is worth at equal time. Runs on the val split: these tables choose what a recipe holds, and test
reports it once.

The table shows the plain arm, and of every variant the mean difference from it over seeds (variant
minus plain, percentage points), paired by seed, with its standard deviation. A second table has the
differences from the arm that a variant names as its ``base``. A difference is marked where as many
seeds as plain has are there and all agree in sign. With three seeds that still happens to one in
four by chance alone; the table counts how many marks that makes.

The tables are of all finished cells that are still valid, whichever call made them: ``--only`` and
other seeds add to them.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._cells import ROOT, Budget, add_options, budget_of, exit_code, opened, run_cells
from benchmarks._tables import COLUMN_NOTE, COLUMNS, publish
from benchmarks._variants import PLAIN, Ablation
from moonshelf.errors import UsageError


def differences(
    cells: Sequence[Mapping[str, Any]], data: str, bases: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Variant -> column -> plain's value or the paired differences from it, one a seed; with
    ``bases``, of the variants named there, from the base of each. ``of`` is how many seeds plain
    has."""
    by_seed: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell in cells:
        (name, columns), *_ = cell["figures"].items()
        by_seed.setdefault(name, {})[cell["seed"]] = columns
    plain = by_seed.get(PLAIN, {})
    found: dict[str, dict[str, Any]] = {}
    for name in by_seed if bases is None else [name for name in bases if name in by_seed]:
        control = plain if bases is None else by_seed.get(bases[name], {})
        for column in (c.name for c in COLUMNS[data]):
            values = [
                columns[column]["value"] - (control[seed][column]["value"] if name != PLAIN else 0)
                for seed, columns in by_seed[name].items()
                if column in columns and column in control.get(seed, {})
            ]
            if values:
                found.setdefault(name, {})[column] = {
                    "mean": statistics.fmean(values),
                    "std": statistics.stdev(values) if len(values) > 1 else 0.0,
                    "values": values,
                    "of": sum(column in columns for columns in plain.values()),
                }
    return found


def markdown(found: Mapping[str, Mapping[str, Any]], data: str, heading: str) -> str:
    """The table: plain as it is, the others as differences, ``*`` where every seed agrees."""
    columns = [c.name for c in COLUMNS[data] if any(c.name in row for row in found.values())]
    lines = [f"## {heading}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in found.items():
        shown = [_figure(row.get(column), name == PLAIN) for column in columns]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", f"{_marks(found)} {COLUMN_NOTE}", ""])


def _marks(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What ``*`` and n mean, and how many ``*`` differences that are nothing would have."""
    spreads = [spread for name, row in found.items() if name != PLAIN for spread in row.values()]
    whole = [len(spread["values"]) for spread in spreads if _whole(spread)]
    text = "* every seed agrees in sign; n: not the seeds of plain, never marked."
    if not whole:
        return text
    chance = sum(0.5 ** (n - 1) for n in whole)
    return f"{text} By chance alone about {chance:.2g} of these {len(whole)} would be marked."


def _whole(spread: Mapping[str, Any]) -> bool:
    """Whether it has all the seeds that plain has, and more than one."""
    return len(spread["values"]) == spread["of"] > 1


def _figure(spread: Mapping[str, Any] | None, plain: bool) -> str:
    if spread is None:
        return ""
    values = spread["values"]
    text = f"{spread['mean']:{'' if plain else '+'}.1f}"
    text = f"{text} ± {spread['std']:.1f}" if len(values) > 1 else text
    if len(values) != spread["of"]:
        return f"{text} (n = {len(values)})"
    agree = _whole(spread) and (min(values) > 0 or max(values) < 0)
    return text + ("*" if agree and not plain else "")


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
        if finished:
            _report(ablation, data, budget, _valid(ablation, data, budget, finished, args), args)
    return code


def _valid(
    ablation: Ablation,
    data: str,
    budget: Budget,
    finished: Sequence[dict[str, Any]],
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    """What this call finished, and every other cell of the same table in the results that is
    still valid: of arms and seeds that this call was not asked for."""
    kept = opened(args)
    plain = ablation.cells([data], args.seeds[:1], budget)[0]
    seeds = [*args.seeds, *sorted(kept.seeds(plain) - {*args.seeds})]
    made = {(next(iter(cell["figures"])), cell["seed"]): cell for cell in finished}
    cells = ablation.cells([data], seeds, budget)
    found = [made.get((cell.variant, cell.seed)) or kept.known(cell) for cell in cells]
    return [cell for cell in found if cell]


def _report(
    ablation: Ablation,
    data: str,
    budget: Budget,
    cells: Sequence[dict[str, Any]],
    args: argparse.Namespace,
) -> None:
    seeds = sorted({cell["seed"] for cell in cells})
    about = f"{ablation.name}: {data}, {args.split} split, {budget.label}, seeds {seeds}"
    heading = f"{about}, difference from plain"
    if budget.key == "steps" and any(v.shares for v in ablation.variants.values()):
        heading += " (steps of other stages cost more or less than those of align)"
    rows, bases = differences(cells, data), ablation.bases(data)
    text = markdown(rows, data, heading)
    facts = {"heading": heading, "rows": rows}
    if controlled := differences(cells, data, bases):
        named = {f"{name} − {bases[name]}": row for name, row in controlled.items()}
        text += f"\n{markdown(named, data, f'{about}, difference from the arm named')}"
        facts["controlled"] = {
            name: {"base": bases[name], "columns": row} for name, row in controlled.items()
        }
    publish(args.results, f"{ablation.name}-{data}-{args.split}-{budget.label}", text, facts)


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
