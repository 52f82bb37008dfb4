"""``moonshelf evaluate``: runs and controls on one suite, as a table with intervals."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.errors import DataError, UsageError

if TYPE_CHECKING:
    from moonshelf.evaluation import Embedder, Results

NAME = "evaluate"
HELP = (
    "Measure one run (or several) on a catalogue: retrieval, photo and text search, zero-shot "
    "labels, each with a bootstrap interval and its chance level; --controls adds what can be "
    "had without learning. Writes metrics.json, table.md and table.html."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="run or encoder folders; several share one table"
    )
    parser.add_argument("--catalog", required=True, metavar="DIR", help="the catalogue folder")
    parser.add_argument(
        "--suite",
        metavar="NAME|FILE",
        help="a suite of the package or a .toml file (default: that of the catalogue's source, "
        "else 'any')",
    )
    parser.add_argument(
        "--split",
        choices=("test", "val", "train"),
        default="test",
        help="val to choose anything by, test to report (default: test)",
    )
    parser.add_argument(
        "--controls", action="store_true", help="add random, TF-IDF, color and pixel controls"
    )
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        default=[],
        metavar="D",
        help="also measure the first D numbers of each run's vectors (stages.align.matryoshka)",
    )
    parser.add_argument("--seed", type=int, default=0, help="added to the suite's seed")
    parser.add_argument(
        "--out", metavar="DIR", help="where to write (default: RUN/evaluation/SUITE-SPLIT)"
    )


def run(args: argparse.Namespace) -> int:
    if not args.runs and not args.controls:
        raise UsageError("there is nothing to evaluate", cure="name a run folder or --controls")
    if len(args.runs) != 1 and not args.out:
        raise UsageError(
            "which folder shall hold the tables?", cure="pass --out DIR (one RUN needs none)"
        )
    from moonshelf.catalog.store import Catalog
    from moonshelf.evaluation.controls import controls
    from moonshelf.evaluation.report import to_json, to_markdown
    from moonshelf.evaluation.suite import load_suite
    from moonshelf.evaluation.tasks import evaluate

    console = Console.of(args)
    catalog = Catalog.open(Path(args.catalog))
    suite = load_suite(args.suite or default_suite(catalog))
    refuse_empty_split(catalog, args.split)
    embedders: list[Embedder] = list(_encoders(args.runs, args.widths))
    if args.controls:
        embedders += controls(catalog)
    results: list[Results] = []
    for embedder in embedders:
        with console.progress(f"evaluating {embedder.name}") as progress:
            results.append(
                evaluate(
                    embedder,
                    catalog,
                    suite,
                    seed=args.seed,
                    split=args.split,
                    progress=progress,
                )
            )
    folder = (
        Path(args.out)
        if args.out
        else Path(args.runs[0]) / "evaluation" / f"{suite.name}-{args.split}"
    )
    write(results, folder)
    console.say(to_markdown(results))
    console.note(f"written to {folder}")
    console.result({"out": folder, **to_json(results)})
    return 0


def write(results: list[Results], folder: Path) -> None:
    """Writes ``metrics.json``, ``table.md`` and ``table.html`` into ``folder``."""
    from moonshelf.evaluation.report import to_html, to_json, to_markdown
    from moonshelf.files import write_bytes_atomically, write_json_atomically

    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomically(folder / "metrics.json", to_json(results))
    write_bytes_atomically(folder / "table.md", to_markdown(results).encode())
    write_bytes_atomically(folder / "table.html", to_html(results).encode())


def refuse_empty_split(catalog: Any, split: str) -> None:
    """A table in which every task was skipped is no answer.

    Raises:
        DataError: the split has neither products nor queries.
    """
    if not len(catalog.split_rows(split)) and not catalog.queries(split):
        raise DataError(
            f"split {split!r} has no products and no queries: there is nothing to measure",
            where=str(catalog.path),
            cure="pass another --split, or import 10 products or more anew with --splits draw",
        )


def default_suite(catalog: Any) -> str:
    """The suite named like the reader the catalogue came from, else the general one."""
    from moonshelf.evaluation.suite import suite_names

    readers = {
        (generation.get("source") or {}).get("reader", "")
        for generation in catalog.manifest["generations"]
    }
    name = readers.pop() if len(readers) == 1 else ""
    return name if name in suite_names() else "any"


def _encoders(folders: Iterable[str], widths: Iterable[int]) -> Iterable[Embedder]:
    from moonshelf.encoder import load_encoder, prefix
    from moonshelf.evaluation import EncoderEmbedder

    names: set[str] = set()
    for folder in folders:
        name = Path(folder).resolve().name
        name = name if name not in names else folder
        names.add(name)
        encoder = load_encoder(Path(folder))
        yield EncoderEmbedder(encoder, name)
        for width in sorted({*widths} - {encoder.dim}, reverse=True):
            yield EncoderEmbedder(prefix(encoder, width), f"{name}, first {width}")
