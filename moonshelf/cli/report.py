"""``moonshelf report``: what a run learned, measured and finds, as one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from moonshelf.cli.console import Console

NAME = "report"
HELP = (
    "Writes report.html of a run: search strips, neighbors, evaluation tables, training curves. "
    "The page opens from disk and fetches nothing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument("--store", type=Path, required=True, metavar="STORE", help="its vectors")
    parser.add_argument("--catalog", type=Path, required=True, metavar="DIR", help="the catalogue")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/report.html")


def run(args: argparse.Namespace) -> int:
    from moonshelf.catalog.store import Catalog
    from moonshelf.center.store import Store

    console = Console.of(args)
    catalog, store = Catalog.open(args.catalog), Store.open(args.store)
    from moonshelf.center.search import check_version
    from moonshelf.encoder import encoder_version, load_encoder, prefix
    from moonshelf.report import sections, write_report

    check_version(store, encoder_version(args.run_folder))
    encoder = prefix(load_encoder(args.run_folder), store.dim)
    found = [
        sections.search_section(encoder, store, catalog),
        sections.neighbor_section(encoder, store, catalog),
        *sections.saved_evaluations(args.run_folder),
        sections.training_section(args.run_folder),
        sections.catalog_section(catalog),
    ]
    lead = f"Run {args.run_folder.name} on {args.catalog.name}."
    path = write_report(
        args.out or args.run_folder / "report.html",
        f"Moonshelf: {args.catalog.name}",
        lead,
        found,
    )
    console.say(f"report: {path}")
    console.result({"report": path})
    return 0
