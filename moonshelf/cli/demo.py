"""``moonshelf demo``: the whole system on the drawn shop, from pictures to ``report.html``.

    draw -> import -> train -> evaluate -> embed -> search -> report

Each step calls what the verb of the same name calls, on folders that stay there to be used with
the other verbs. An interrupted demo goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from moonshelf.cli.console import Console
from moonshelf.cli.overrides import add_overrides
from moonshelf.errors import UsageError

NAME = "demo"
HELP = (
    "Draws a shop, trains an encoder on it, measures it beside its controls, embeds and searches "
    "the catalogue, and writes report.html. A few minutes on two cores."
)
T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="(demo)")
    parser.add_argument("--products", type=int, default=4000, help="size of the shop (4000)")
    parser.add_argument("--recipe", default="demo", help="a named recipe or a TOML file (demo)")
    parser.add_argument("--seed", type=int, default=0, help="of the shop and of training (0)")
    parser.add_argument("--fresh", action="store_true", help="start over, if DIR holds a demo")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    console = Console.of(args)
    demo = Demo(args.out, console)
    if args.fresh:
        _clear(args.out)
    overrides = [f"seed={args.seed}", *args.overrides]
    catalog = demo.step("draw the shop", lambda: demo.draw(args.products, args.seed))
    demo.step("train", lambda: demo.train(args.recipe, overrides, catalog))
    results = demo.step("evaluate", lambda: demo.evaluate(catalog))
    store = demo.step("embed", lambda: demo.embed(catalog))
    report = demo.step("search and report", lambda: demo.report(catalog, results, store))
    console.say(f"\nreport: {report}")
    console.say(f'try:    moonshelf search {store.path} --text "red striped shirt"')
    console.result(
        {
            "report": report,
            "catalog": catalog.path,
            "run": demo.out / "run",
            "store": store.path,
            "seconds": demo.seconds,
            "peak_memory_mib": _peak(),
        }
    )
    return 0


class Demo:
    """The steps; each returns what the next needs, and ``seconds`` keeps how long it took."""

    def __init__(self, out: Path, console: Console) -> None:
        self.out, self.console = out, console
        self.seconds: dict[str, float] = {}

    def step(self, name: str, work: Callable[[], T]) -> T:
        self.console.note(f"== {name}")
        start = time.monotonic()
        made = work()
        self.seconds[name] = time.monotonic() - start
        return made

    def draw(self, products: int, seed: int) -> Any:
        from moonshelf.catalog.importing import import_records
        from moonshelf.catalog.store import Catalog
        from moonshelf.catalog.synthetic import draw_shop

        folder = self.out / "catalog"
        if folder.exists():
            return _same_shop(Catalog.open(folder), products, seed)
        with self.console.progress("drawing") as progress:
            import_records(
                draw_shop(products, seed),
                folder,
                source={"reader": "shop", "products": products, "seed": seed},
                progress=progress,
            )
        return Catalog.open(folder)

    def train(self, recipe: str, overrides: list[str], catalog: Any) -> Path:
        from moonshelf.training.recipe import load_recipe
        from moonshelf.training.run import train

        run = self.out / "run"
        with self.console.progress("training") as progress:
            return train(
                load_recipe(recipe, overrides),
                catalog,
                run,
                resume=run.exists(),
                progress=progress,
                note=self.console.note,
            )

    def evaluate(self, catalog: Any) -> list[Any]:
        from moonshelf.cli.evaluate import write
        from moonshelf.encoder import load_encoder
        from moonshelf.evaluation import EncoderEmbedder, evaluate, load_suite
        from moonshelf.evaluation.controls import controls

        suite = load_suite("shop")
        embedders = [EncoderEmbedder(load_encoder(self.out / "run"), "moonshelf")]
        results = []
        for embedder in [*embedders, *controls(catalog)]:
            with self.console.progress(f"evaluating {embedder.name}") as progress:
                results.append(evaluate(embedder, catalog, suite, progress=progress))
        write(results, self.out / "run" / "evaluation" / "shop-test")
        return results

    def embed(self, catalog: Any) -> Any:
        from moonshelf.center import embed_catalog
        from moonshelf.encoder import load_encoder

        run = self.out / "run"
        with self.console.progress("embedding") as progress:
            return embed_catalog(
                load_encoder(run), catalog, self.out / "store", run=run, progress=progress
            )

    def report(self, catalog: Any, results: list[Any], store: Any) -> Path:
        from moonshelf.encoder import load_encoder
        from moonshelf.report import sections, write_report

        encoder = load_encoder(self.out / "run")
        found = [
            sections.search_section(encoder, store, catalog),
            sections.neighbor_section(encoder, store, catalog),
            sections.evaluation_section(results),
            sections.training_section(self.out / "run"),
            sections.catalog_section(catalog),
        ]
        found.append(sections.time_section(self.seconds, _peak()))
        lead = (
            "A shop drawn by code, so every figure here shows that the system works, "
            "and none says how well it does on real products."
        )
        return write_report(self.out / "report.html", "Moonshelf: the drawn shop", lead, found)


def _peak() -> float:
    """Peak memory of this process in MiB."""
    import torch

    from moonshelf.training.tracking import peak_memory_mib

    return peak_memory_mib(torch.device("cpu"))


def _same_shop(catalog: Any, products: int, seed: int) -> Any:
    drawn = catalog.manifest["generations"][0]["source"]
    if (drawn.get("products"), drawn.get("seed")) != (products, seed):
        raise UsageError(
            f"this folder holds a demo of {drawn.get('products')} products, seed "
            f"{drawn.get('seed')}",
            where=str(catalog.path),
            cure="pass --fresh to start over, or another --out",
        )
    return catalog


def _clear(out: Path) -> None:
    """Removes an earlier demo, and refuses a folder that is something else."""
    if not out.exists():
        return
    ours = {"catalog", "run", "store", "report.html"}
    found = sorted(p.name for p in out.iterdir())
    strangers = [n for n in found if n not in ours and not n.endswith((".partial", ".old"))]
    if strangers:
        raise UsageError(
            f"{out} holds other things ({', '.join(strangers[:3])})",
            cure="pass another --out",
        )
    shutil.rmtree(out)
