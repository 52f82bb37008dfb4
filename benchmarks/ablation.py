"""One switch at a time: a recipe against itself, on the same data, seeds and steps.

    python -m benchmarks.ablation align --data DIR --budget-steps 200 --seeds 0 1 2

A file in ``ablations/`` names the recipe and its variants, each some ``key=value`` of it. The plain
recipe is an arm like the others. The default budget is in steps, so that a variant that is only
cheaper does not win by learning longer; ``--budget-core-seconds`` asks what it is worth at equal
time. Runs on the val split: these tables choose what a recipe holds, and test reports it once.

The table shows the plain arm, and of every variant the mean difference from it over seeds (variant
minus plain, percentage points), paired by seed, with its standard deviation. A difference is marked
where all seeds agree in sign. With three seeds that still happens to one in four by chance alone.
"""

from __future__ import annotations

import argparse
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._cells import ROOT, Budget, Cell, add_options, budget_of, exit_code, run_cells
from benchmarks._tables import COLUMN_NOTE, COLUMNS, publish
from moonshelf.errors import UsageError

FOLDER = ROOT / "benchmarks" / "ablations"
PLAIN = "plain"


@dataclass(frozen=True)
class Ablation:
    """A recipe and, by name, what each variant changes in it."""

    name: str
    recipe: str
    variants: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, asked: str) -> Ablation:
        """By the name of a file in ``ablations/``, or by its path.

        Raises:
            UsageError: no such file, or it is not made as this one needs it.
        """
        path = Path(asked) if asked.endswith(".toml") else FOLDER / f"{asked}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
            raise UsageError("no such ablation", where=str(path), cure=f"choose from {known}")
        held = tomllib.loads(path.read_text(encoding="utf-8"))
        recipe, variants = held.get("recipe"), held.get("variants")
        if not isinstance(recipe, str) or not isinstance(variants, dict) or not variants:
            raise UsageError(
                "needs recipe = NAME and a table [variants]", where=str(path), cure="see align.toml"
            )
        found = {name: tuple(words) for name, words in variants.items()}
        return cls(path.stem, recipe, {PLAIN: (), **found})

    def cells(self, data: Sequence[str], seeds: Sequence[int], budget: Budget) -> list[Cell]:
        """Seed by seed, so that an interrupted comparison has whole seeds."""
        from moonshelf.training.recipe import load_recipe

        for words in self.variants.values():
            load_recipe(self.recipe, words)  # a wrong word is told before hours of training
        return [
            Cell(name, self.recipe, seed, budget, words, variant)
            for name in data
            for seed in seeds
            for variant, words in self.variants.items()
        ]


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
