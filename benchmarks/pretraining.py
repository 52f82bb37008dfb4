"""Does learning to answer questions first help alignment, at equal compute?

    python -m benchmarks.pretraining --data DIR --budget-core-seconds 1200 --seeds 0 1 2

The plain arm spends the whole budget on alignment; every other one gives a share of it to stage
``pretrain`` and the rest to alignment, from the same recipe (``recipes/pretrain.toml``), data and
seeds. Differences are paired by seed, as in ablation.py. On the val split: this chooses a share.

Two things besides the order of learning differ: an arm with questions has a tokenizer of the same
size that has also read descriptions and attributes, and its schedule of alignment is shorter.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks._cells import ROOT, Budget, Cell, add_options, budget_of, exit_code, run_cells
from benchmarks._tables import publish
from benchmarks.ablation import PLAIN, differences, markdown
from moonshelf.errors import UsageError

RECIPE = "pretrain"


def cells(
    data: Sequence[str], seeds: Sequence[int], budget: Budget, shares: Sequence[float]
) -> list[Cell]:
    """Plain and each share, seed by seed; a cell's own budget is that of its alignment."""
    found = []
    for name in data:
        for seed in seeds:
            found.append(Cell(name, RECIPE, seed, budget, ("stages.pretrain=",), PLAIN))
            for share in shares:
                first = f"stages.pretrain.{budget.key}={budget.amount * share:g}"
                rest = Budget(budget.key, budget.amount * (1 - share))
                found.append(Cell(name, RECIPE, seed, rest, (first,), f"pretraining-{share:g}"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    return exit_code(compare, parser().parse_args(argv))


def compare(args: argparse.Namespace) -> int:
    """Every cell, then the tables."""
    budget = budget_of(args, Budget("core_seconds", 1200))
    if budget.key == "steps":
        raise UsageError(
            "a step of questions is another thing than a step of pairs",
            where="--budget-steps",
            cure="give both the same core-seconds or minutes",
        )
    if not all(0 < share < 1 for share in args.shares):
        raise UsageError("a share is above 0 and below 1", where="--shares", cure="mend it")
    done, code = run_cells(cells(args.sets, args.seeds, budget, args.shares), args)
    for data, finished in done.items():
        if not finished:
            continue
        found = differences(finished, data)
        heading = (
            f"pretraining: {data}, {args.split} split, {budget.label} in all, seeds {args.seeds}, "
            "difference from alignment alone (plain)"
        )
        name = f"{data}-{args.split}-{budget.label}"
        text = markdown(found, data, heading)
        spent = [{k: cell[k] for k in ("seed", "budget", "spent")} for cell in finished]
        publish(args.results, name, text, {"heading": heading, "rows": found, "spent": spent})
    return code


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(prog="pretraining", description=(__doc__ or "").splitlines()[0])
    add_options(found, ROOT / "benchmarks" / "results" / "pretraining")
    found.add_argument(
        "--shares",
        nargs="+",
        type=float,
        default=[0.2, 0.5],
        help="of the budget, for questions (default: 0.2 0.5)",
    )
    found.set_defaults(split="val")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
