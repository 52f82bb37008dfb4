"""``moonshelf train RECIPE --catalog DIR --out RUN [--resume] [key=value ...]``"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from moonshelf.cli.console import Console
from moonshelf.cli.overrides import add_overrides

NAME = "train"
HELP = "Train an encoder on a catalogue by a recipe; the run folder can be resumed and loaded."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a named recipe, or a TOML file")
    parser.add_argument("--catalog", type=Path, required=True, metavar="DIR", help="the catalogue")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder")
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run in RUN"
    )
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from moonshelf.catalog.store import Catalog
    from moonshelf.training.recipe import load_recipe

    console = Console.of(args)
    # The recipe first: a typo is told before torch takes its seconds to load.
    recipe = load_recipe(args.recipe, args.overrides)
    catalog = Catalog.open(args.catalog)
    from moonshelf.training.processes import follows
    from moonshelf.training.run import train

    if follows():  # one of several that torchrun started: the first one talks
        train(recipe, catalog, args.out, args.resume)
        return 0
    with console.progress("training") as progress:
        out = train(recipe, catalog, args.out, args.resume, progress, console.note)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    console.table(_rows(metrics), ("stage", "steps", "loss", "accuracy", "pairs/s", "minutes"))
    console.say(f"\nencoder: {out / 'encoder'}")
    console.result({"run": str(out), **metrics})
    return 0


def _rows(metrics: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            name,
            stage.get("steps"),
            stage.get("loss"),
            stage.get("accuracy"),
            stage.get("samples_per_s"),
            stage.get("seconds", 0.0) / 60,
        )
        for name, stage in metrics["stages"].items()
    ]
