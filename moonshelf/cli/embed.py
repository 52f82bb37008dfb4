"""``moonshelf embed``: a catalogue and a run in, a searchable store out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from moonshelf.cli.console import Console, duration

if TYPE_CHECKING:
    from moonshelf.center.store import Store

NAME = "embed"
HELP = "Embeds what the store does not hold yet; interrupted, it goes on when run again."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="run or encoder folder")
    parser.add_argument("--catalog", metavar="DIR", type=Path, required=True, help="the catalogue")
    parser.add_argument("--to", metavar="STORE", type=Path, required=True, help="store folder")
    parser.add_argument(
        "--view", choices=("t", "i", "mm"), default="mm", help="what is fed (default: mm)"
    )
    parser.add_argument(
        "--fields",
        default="title",
        help="text fields, comma-separated: title,category,attributes,description",
    )
    parser.add_argument(
        "--width",
        type=int,
        metavar="D",
        help="keep the first D numbers of every vector (stages.align.matryoshka; default: all)",
    )
    parser.add_argument("--batch-size", type=int, help="items at once (default: the encoder's)")
    parser.add_argument("--shard-rows", type=int, default=2048, help="items a shard (2048)")
    parser.add_argument(
        "--index",
        choices=("auto", "exact", "lance"),
        default="auto",
        help="search engine; auto: exact below 50,000 items, then lance",
    )
    parser.add_argument(
        "--attributes",
        metavar="FILE",
        type=Path,
        help="more attributes to filter by, made by `graph export --format attributes`; where the "
        "catalogue has a key for a product, its own values stand",
    )
    parser.add_argument(
        "--another-catalog",
        action="store_true",
        help="the store may pass to a catalogue other than the one it holds",
    )


def run(args: argparse.Namespace) -> int:
    from moonshelf.catalog.store import Catalog
    from moonshelf.center.embed import embed_catalog
    from moonshelf.center.index import choose_engine

    console = Console.of(args)
    choose_engine(args.index, 0)  # before the seconds that loading takes
    catalog = Catalog.open(args.catalog)
    before = _attributes_before(args.to)
    from moonshelf.encoder import load_encoder, prefix

    encoder = prefix(load_encoder(args.run_folder), args.width)
    with console.progress("embedding") as progress:
        store = embed_catalog(
            encoder,
            catalog,
            args.to,
            view=args.view,
            run=args.run_folder,
            fields=tuple(name.strip() for name in args.fields.split(",") if name.strip()),
            shard_rows=args.shard_rows,
            batch_size=args.batch_size,
            index=args.index,
            another_catalog=args.another_catalog,
            attributes=args.attributes,
            progress=progress,
        )
    _tell_attributes(store, before, args, console)
    counts, times = store.manifest["counts"], store.manifest["times"]
    if store.manifest["index_note"]:
        console.note(f"note: {store.manifest['index_note']}")
    if counts["failed"]:
        console.note(f"{counts['failed']:,} items have no vector: {args.to / 'failed.jsonl'}")
    rate = ""
    if counts["embedded"] and times["embed_seconds"] > 0:
        rate = f" ({counts['embedded'] / times['embed_seconds']:,.0f}/s)"
    unused = f", {counts['superseded']:,} no longer used" if counts["superseded"] else ""
    console.say(
        f"{args.to}: {counts['items']:,} items, {counts['embedded']:,} embedded now"
        f"{rate}, {counts['reused']:,} kept{unused}, {counts['failed']:,} failed; "
        f"view {store.view}, width {store.dim}, index {store.manifest['index']}; "
        f"{duration(times['finished'] - times['began'])}"
    )
    console.result({"store": args.to, **store.manifest})
    return 0


def _attributes_before(store: Path) -> bool:
    """Whether the store that is there has attributes from beside its catalogue."""
    from moonshelf.center.store import read_manifest
    from moonshelf.errors import StoreError

    try:
        return bool(read_manifest(store).get("attributes"))
    except StoreError:  # none yet, or none that can be read: embedding says so
        return False


def _tell_attributes(
    store: Store, before: bool, args: argparse.Namespace, console: Console
) -> None:
    facts = store.manifest["attributes"]
    if facts is None:
        if before:
            console.note("the store has the catalogue's attributes alone now: no --attributes")
        return
    console.say(
        f"{args.attributes}: {facts['values']:,} values of {len(facts['keys']):,} keys added to "
        f"{facts['products']:,} products; {facts['gave_way']:,} times the catalogue has its own"
    )
    if facts["unknown"]:
        console.note(f"{facts['unknown']:,} of its products are not in the catalogue")
