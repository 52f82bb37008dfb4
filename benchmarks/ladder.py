"""The comparison: our recipes, the CLIP-type peer and the plain controls at the same budget.

    python -m benchmarks.ladder --data DIR --budget-core-seconds 1800 --seeds 0 1 2

A second call does what is missing (_cells.py). ``--split val`` is for choosing anything, test for
reporting.

Figures are percent: the mean over seeds, their standard deviation, and (JSON) least and largest.
The peer chooses its learning rate on val with the first seed, beyond its budget.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._cells import (
    CONTROLS,
    PEER,
    ROOT,
    Budget,
    Cell,
    add_options,
    budget_of,
    exit_code,
    run_cells,
)
from benchmarks._tables import COLUMN_NOTE, markdown, publish, summarize
from moonshelf.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    return exit_code(compare, parser().parse_args(argv))


def compare(args: argparse.Namespace) -> int:
    """Every cell, then the tables; a failed cell is told and the others go on (exit code 1)."""
    budget = budget_of(args, Budget("core_seconds", 1800))
    if budget.key == "steps" and PEER in args.arms:
        raise UsageError(
            f"a step of {PEER} is another thing than a step of a recipe",
            where="--budget-steps",
            cure="give both the same core-seconds or minutes",
        )
    cells = [
        Cell(data, arm, seed, budget)
        for data in args.sets
        for arm in args.arms
        for seed in (args.seeds[:1] if arm == CONTROLS else args.seeds)
    ]
    done, code = run_cells(cells, args)
    _report(done, budget, args)
    return code


def _report(
    done: Mapping[str, list[dict[str, Any]]], budget: Budget, args: argparse.Namespace
) -> None:
    first = Path(args.arms[0]).stem
    for data, cells in done.items():
        if not cells:
            continue
        summary = summarize(cells, data)
        heading = f"{data}, {args.split} split, {budget.label} of training, seeds {args.seeds}"
        text = f"{markdown(summary, data, heading, first)}\n{COLUMN_NOTE}\n"
        name = f"{data}-{args.split}-{budget.label}"
        facts = {"heading": heading, "rows": summary, "spent": [_facts(cell) for cell in cells]}
        publish(args.results, name, text, facts)


def _facts(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {key: cell[key] for key in ("arm", "seed", "made_by", "catalog", "spent")}


def parser() -> argparse.ArgumentParser:
    """Options of the command; the first arm is the one whose lead is told."""
    found = argparse.ArgumentParser(prog="ladder", description=(__doc__ or "").splitlines()[0])
    add_options(found, ROOT / "benchmarks" / "results" / "ladder")
    found.add_argument(
        "--arms",
        nargs="+",
        default=["tiny", "fast", PEER, CONTROLS],
        help=f"recipes (names or .toml files), {PEER}, {CONTROLS}",
    )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
