"""Does the second post-training stage pay, at equal total compute?

    python -m benchmarks.post_training --data DIR --budgets 240 600 1650 --seeds 0 1 2

The plain arm spends the whole budget (core-seconds: 2, 5 and 15 minutes of two cores) on ``align``;
the other gives ``--share`` of it to ``refine``. Both are benchmarks/recipes/moon_arms.toml, whose
two stages hold the same terms with the same shares over the same pairs. What differs is what the
stage is: circle loss (g 64, m 0.25), one hard negative a pair, a queue of four batches, and a
quarter of the rate under a schedule of its own. Ablation ``moon`` takes these apart.

What the stages draw from: grocery, user photos of products (types 5 to 7) beside what the catalogue
pairs; hm, purchases (types 8 and 9: item -> item, no photos) beside it; the drawn shop, all nine
types beside it; myntra, which has no log, what the catalogue pairs alone.

The figure is image-based search recall: on grocery and the drawn shop with photos of users, on hm
and myntra with augmented photos, which no user took. The table has the other directions and labels
too. Resumable as the ladder is. Test split by default, for reports; ``--split val`` to choose.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._cells import ROOT, Budget, Cell, add_options, exit_code, run_cells
from benchmarks._data_sets import DRAWN, LOGGED
from benchmarks._tables import COLUMNS, publish, summarize
from benchmarks._variants import FOLDER, PLAIN, Ablation, Variant
from benchmarks.ablation import differences, markdown
from moonshelf.errors import UsageError
from moonshelf.files import write_bytes_atomically

SETS = ("grocery", "hm", "myntra", DRAWN)
REFINED = "refine"


def arms(share: float) -> tuple[str, dict[str, dict[str, Variant]]]:
    """The recipe, and by data set its two arms; the log's types are on where a set has a log."""
    found = Ablation.read(str(FOLDER / "moon.toml"))
    types = found.variants["nine types"].used
    made = {}
    for data in SETS:
        used = types if data in LOGGED else ()
        made[data] = {
            PLAIN: Variant(used=used),
            REFINED: Variant(used=used, shares={REFINED: share}),
        }
    return found.recipe, made


def cells(data: Sequence[str], seeds: Sequence[int], budget: float, share: float) -> list[Cell]:
    """Both arms of each data set, seed by seed; ``budget`` is the core-seconds of each."""
    recipe, made = arms(share)
    whole = Budget("core_seconds", budget)
    return [
        variant.cell(label, recipe, name, seed, whole)
        for name in data
        for seed in seeds
        for label, variant in made[name].items()
    ]


# ---- the command -------------------------------------------------------------------------------
def main(argv: Sequence[str] | None = None) -> int:
    return exit_code(compare, parser().parse_args(argv))


def compare(args: argparse.Namespace) -> int:
    """Every cell of every budget, then the tables and the plot."""
    if not 0 < args.share < 1:
        raise UsageError("a share is above 0 and below 1", where="--share", cure="mend it")
    if importlib.util.find_spec("matplotlib") is None:  # told now, not after hours of training
        raise UsageError("the plot needs matplotlib", cure="pip install 'moonshelf[bench]'")
    codes, told = [0], {}
    for budget in sorted(args.budgets):
        done, code = run_cells(cells(args.sets, args.seeds, budget, args.share), args)
        codes.append(code)
        for data, finished in done.items():
            if finished:
                told.setdefault(data, {})[budget] = finished
        if code == 130:
            break
    for data, budgets in told.items():
        _report(data, budgets, args)
    if told:
        plot(told, args.results / f"post_training-{args.split}.svg", args.split)
    return max(codes)


def _report(
    data: str, budgets: Mapping[float, list[dict[str, Any]]], args: argparse.Namespace
) -> None:
    texts, facts = [], {}
    for budget, finished in budgets.items():
        heading = (
            f"post-training: {data}, {args.split} split, {budget:g} core-seconds in all, "
            f"{args.share:g} of it for refine, seeds {args.seeds}, difference from align alone "
            "(plain)"
        )
        found = differences(finished, data)
        texts.append(markdown(found, data, heading))
        kept = ("seed", "made_by", "catalog", "budget", "spent", "figures")
        facts[f"{budget:g}"] = {
            "heading": heading,
            "rows": found,
            "cells": [{key: cell[key] for key in kept} for cell in finished],
        }
    publish(args.results, f"{data}-{args.split}", "\n".join(texts), {"budgets": facts})


def plot(told: Mapping[str, Mapping[float, list[dict[str, Any]]]], path: Path, split: str) -> None:
    """Image-based search recall @10 over the budget, a panel a data set, to ``path`` (SVG)."""
    import io

    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "moonshelf", "font.size": 9}):
        figure = Figure(figsize=(3 * len(told), 2.8), layout="constrained")
        for place, (data, budgets) in enumerate(told.items(), start=1):
            axes = figure.add_subplot(1, len(told), place)
            column = COLUMNS[data][1].name  # image search R@10, augmented where it is
            for arm in (PLAIN, REFINED):
                spread = {
                    b: summarize(c, data).get(arm, {}).get(column) for b, c in budgets.items()
                }
                known = {b: s for b, s in spread.items() if s}
                means, stds = ([s[k] for s in known.values()] for k in ("mean", "std"))
                label = "align" if arm == PLAIN else "align, then refine"
                axes.errorbar([*known], means, stds, marker="o", capsize=3, label=label)
            axes.set_title(f"{data}, {split}", loc="left", fontsize=10)
            axes.set_xlabel("core-seconds of training")
            axes.set_ylabel(f"{column}, %")
            axes.grid(alpha=0.25)
            axes.legend(frameon=False, fontsize=8)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_bytes_atomically(path, text.getvalue().encode())


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    doc = (__doc__ or "").splitlines()[0]
    found = argparse.ArgumentParser(prog="post_training", description=doc)
    add_options(found, ROOT / "benchmarks" / "results" / "post_training", SETS, budget=False)
    found.add_argument(
        "--budgets",
        nargs="+",
        type=float,
        default=[600.0],
        metavar="CORE_SECONDS",
        help="of each arm's training in all (default: 600; 240 600 1650 for the plot)",
    )
    found.add_argument(
        "--share", type=float, default=0.33, help="of the budget, for stage refine (0.33)"
    )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
