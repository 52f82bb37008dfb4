"""``moonshelf catalog crops``: finds the core product in every main picture of a catalogue."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console, duration
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.crops.detector import Detector
    from moonshelf.catalog.crops.looking import Found

_EPILOG = """\
examples:
  moonshelf catalog crops cat --html crops.html
  moonshelf catalog crops cat --detector grounding --set model=Qwen2.5-VL-7B-Instruct \\
      --set base_url=http://localhost:8000/v1
"""


def add_crops(verbs: Any) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "crops",
        help="find the core product in every main picture, of products and of queries",
        description="Find the core product in the first picture of every product and query. Only "
        "pictures that are new are looked at; boxes are kept in the catalogue's folder.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("catalog", metavar="DIR", type=Path, help="the catalogue folder")
    parser.add_argument(
        "--detector",
        choices=("foreground", "center", "random", "grounding"),
        default="foreground",
        help="foreground (default): by color, needs no weights; center, random: controls of the "
        "same size; grounding: a model behind a server, given picture and title",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="of the grounding model: model, base_url, api_key_env, coordinates, side, ...",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="pictures looked at at once (2; grounding: 8)"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="look at all pictures again; what is kept stays until that is done",
    )
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="also write a page with boxes to look at"
    )


def run_crops(args: argparse.Namespace) -> int:
    from moonshelf.catalog.crops.looking import look_at_pictures
    from moonshelf.catalog.store import Catalog

    console = Console.of(args)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads {args.threads} does nothing", cure="give 1 or more")
    catalog = Catalog.open(args.catalog)
    detector, threads, ledger = _detector(args)
    with console.progress("looking at pictures") as progress:
        found = look_at_pictures(
            catalog,
            detector,
            replace=args.replace,
            threads=args.threads or threads,
            progress=progress,
        )
    _show(console, args.catalog, found)
    if args.html is not None:
        from moonshelf.catalog.crops.page import write_crops_page

        write_crops_page(catalog, found.table, args.html)
        console.note(f"boxes to look at: {args.html}")
    console.result(
        {
            "catalog": args.catalog,
            "detector": found.table.detector,
            "version": found.table.version,
            "pictures": len(found.table),
            "counts": found.table.counts(),
            "looked": found.looked,
            "put_off": found.put_off,
            "seconds": round(found.seconds, 3),
            "requests": None if ledger is None else ledger.totals(),
        }
    )
    return 0


def _detector(args: argparse.Namespace) -> tuple[Detector, int | None, Any]:
    """The detector, threads by default (None: as the computer has), and what requests cost."""
    if args.detector != "grounding":
        if args.settings:
            raise UsageError(
                "--set is about the grounding model", cure="leave it out, or --detector grounding"
            )
        from moonshelf.catalog.crops.detector import embedded

        return embedded(args.detector), None, None
    from moonshelf.catalog.crops.grounding import Grounding, GroundingSettings
    from moonshelf.config import load_config, with_overrides

    settings = with_overrides({}, args.settings)
    found = Grounding(load_config(GroundingSettings, settings, where="--set"))
    return found, 8, found.ledger


def _show(console: Console, catalog: Path, found: Found) -> None:
    total = max(len(found.table), 1)
    rows = [(why, n, f"{100 * n / total:.1f} %") for why, n in found.table.counts().items()]
    console.table(rows, ("found", "pictures", "share"))
    if found.put_off:
        console.note(
            f"{found.put_off:,} pictures put off because the server failed: run it again for them"
        )
    each = f" ({1000 * found.seconds / found.looked:.1f} ms each)" if found.looked else ""
    console.say(
        f"{catalog}: {found.looked:,} pictures looked at now{each}, "
        f"{len(found.table) - found.looked:,} known; {duration(found.seconds)}"
    )
