"""``moonshelf search``: products by words, picture or both, with filters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from moonshelf.cli.console import Console

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog
    from moonshelf.center.store import Hit, Store
    from moonshelf.encoder import Encoder
    from moonshelf.encoder.narrow import PrefixEncoder

NAME = "search"
HELP = "Finds the products of a store that are nearest to words, a picture, or both."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", metavar="STORE", type=Path, help="store made by `moonshelf embed`")
    parser.add_argument("--text", help="what to search for, in words")
    parser.add_argument("--image", metavar="FILE", type=Path, help="a picture to search with")
    parser.add_argument(
        "--mix",
        type=float,
        metavar="0..1",
        help="interpolate the two vectors, 0 words to 1 picture (default: embed both as one)",
    )
    parser.add_argument("--k", type=int, default=10, help="how many results (default: 10)")
    parser.add_argument(
        "--where",
        metavar="EXPR",
        nargs="+",
        action="extend",
        default=[],
        help='filters that must all hold: "category=Apparel/Topwear" "color=Red|Blue" "price<=500" '
        '"power>=1.5 kW"',
    )
    parser.add_argument("--encoder", metavar="RUN", type=Path, help="default: as the store says")
    parser.add_argument("--catalog", metavar="DIR", type=Path, help="default: as the store says")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the results as a page")


def run(args: argparse.Namespace) -> int:
    from moonshelf.center.filters import parse_filter
    from moonshelf.center.search import check_version, query_vector, read_picture
    from moonshelf.center.store import Store

    console = Console.of(args)
    where = parse_filter(args.where)
    store = Store.open(args.store)
    picture = None if args.image is None else read_picture(args.image)
    # What costs seconds comes after everything that can be refused at once.
    catalog = _catalog(args, store) if args.html else None
    folder = _folder(args.encoder, store.run_path, store, "--encoder RUN")
    from moonshelf.encoder import encoder_version, load_encoder, prefix

    check_version(store, encoder_version(folder))
    encoder = prefix(load_encoder(folder), store.dim)
    original_only = picture is not None and not _can_crop(encoder, picture, args, store)
    if original_only:
        console.note(
            "the encoder is shown the core product of each picture, but only a model could find it "
            "in this one: it sees the whole picture alone"
        )
    vector = query_vector(encoder, args.text, picture, args.mix, original_only=original_only)
    hits = store.search(vector, args.k, where)
    if catalog is not None:
        _write_page(args, hits, catalog, picture)
        console.note(f"results written to {args.html}")
    _show(console, hits)
    console.result(
        {
            "store": args.store,
            "index": store.manifest["index"],
            "query": {"text": args.text, "image": args.image, "mix": args.mix, "k": args.k},
            "where": args.where,
            "hits": hits,
        }
    )
    return 0


def _can_crop(
    encoder: Encoder | PrefixEncoder, picture: bytes, args: argparse.Namespace, store: Store
) -> bool:
    """Whether the encoder gets all that it is shown of a picture."""
    cropper = getattr(encoder, "cropper", None)
    if cropper is None or cropper.can_show(picture):
        return True
    folder = args.catalog or store.catalog_path
    if folder is not None and folder.exists():  # the picture may be one of the catalogue's
        from moonshelf.catalog.store import Catalog

        cropper.use(Catalog.open(folder))
    return cropper.can_show(picture)


def _show(console: Console, hits: list[Hit]) -> None:
    if not hits:
        console.say("nothing matches")
        return
    rows = [
        (rank, hit.score, hit.id, hit.title, " > ".join(hit.category), hit.price)
        for rank, hit in enumerate(hits, start=1)
    ]
    console.table(rows, ("rank", "score", "id", "title", "category", "price"))


def _catalog(args: argparse.Namespace, store: Store) -> Catalog:
    from moonshelf.catalog.store import Catalog

    return Catalog.open(_folder(args.catalog, store.catalog_path, store, "--catalog DIR"))


def _folder(given: Path | None, remembered: Path | None, store: Store, option: str) -> Path:
    """The folder given, else the one the store remembers, which may have moved."""
    from moonshelf.errors import StoreError

    if given is not None:
        return given
    if remembered is None or not remembered.exists():
        raise StoreError(
            f"the store remembers {remembered or 'no folder'}, where there is none",
            where=str(store.path),
            cure=f"say where it is: {option}",
        )
    return remembered


def _write_page(
    args: argparse.Namespace, hits: list[Hit], catalog: Catalog, picture: bytes | None
) -> None:
    from moonshelf.center.strip import result_page, result_strip
    from moonshelf.files import write_bytes_atomically

    note = " and ".join(args.where)
    strip = result_strip(hits, catalog, text=args.text, picture=picture, note=note)
    write_bytes_atomically(args.html, result_page([strip]).encode())
