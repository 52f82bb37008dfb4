"""``moonshelf encoder attributes``: what the pictures of a catalogue show, where it is sure."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console

if TYPE_CHECKING:
    from moonshelf.evaluation.picture_attributes import KeyReport, PictureKey
    from moonshelf.evaluation.suite import Suite

ABOUT = "write what pictures show, as attributes: answers where the encoder is sure enough"


def add_attributes(verb: Any) -> None:
    """The arguments of the verb, besides the encoder's folder."""
    verb.add_argument("--catalog", metavar="DIR", type=Path, required=True, help="the catalogue")
    verb.add_argument("--to", metavar="FILE", type=Path, required=True, help="JSON Lines")
    verb.add_argument(
        "--key",
        metavar="ATTRIBUTE[=NAME]",
        action="append",
        default=[],
        dest="keys",
        help="attribute of the catalogue, and what to call it (its name in a graph); may be "
        "repeated (default: the attributes of the suite)",
    )
    verb.add_argument(
        "--suite", metavar="NAME|FILE", help="how values are worded (default: the catalogue's)"
    )
    verb.add_argument(
        "--precision",
        type=float,
        default=0.9,
        help="wished share of right answers on validation products (default: 0.9)",
    )


def run_attributes(args: argparse.Namespace, console: Console) -> int:
    """Exit code 0 also where every key abstains: then the file holds no product."""
    from moonshelf.catalog.reference_attributes import write_attributes
    from moonshelf.catalog.store import Catalog
    from moonshelf.cli.evaluate import default_suite
    from moonshelf.encoder import encoder_version, load_encoder
    from moonshelf.evaluation import EncoderEmbedder
    from moonshelf.evaluation.picture_attributes import read_pictures
    from moonshelf.evaluation.suite import load_suite

    catalog = Catalog.open(args.catalog)
    keys = picture_keys(args.keys, load_suite(args.suite or default_suite(catalog)))
    version = encoder_version(args.folder)
    embedder = EncoderEmbedder(load_encoder(args.folder), args.folder.name)
    with console.progress("reading pictures") as progress:
        found, shelf = read_pictures(
            embedder,
            catalog,
            keys,
            version=version,
            precision=args.precision,
            progress=progress,
        )
    told = [_told(one) for one in found.reports]
    source = {
        "encoder": version,
        "catalog": catalog.fingerprint,
        "precision": args.precision,
        "calibration": told,
    }
    write_attributes(args.to, found.keys(), source, found.records(shelf), len(found.found))
    _show(found.reports, console)
    console.say(f"{args.to}: {len(found.keys())} keys of {len(found.found):,} products")
    console.result({"file": args.to, "products": len(found.found), **source})
    return 0


def picture_keys(words: list[str], suite: Suite) -> list[PictureKey]:
    """What ``--key`` names, worded as the suite words it; without words, all that the suite has.

    Raises:
        UsageError: a word that names nothing, or two keys of one name.
    """
    from moonshelf.catalog.reference_attributes import key_form
    from moonshelf.errors import UsageError
    from moonshelf.evaluation.picture_attributes import PictureKey
    from moonshelf.evaluation.suite import AttributeTask

    known = {task.key: task for task in suite.tasks if isinstance(task, AttributeTask)}
    found = []
    for word in words or list(known):
        attribute, equals, name = word.partition("=")
        if not attribute.strip() or (equals and not name.strip()):
            raise UsageError(
                f"--key {word!r} is not ATTRIBUTE[=NAME]", cure="e.g. base_colour=color"
            )
        task = known.get(attribute) or AttributeTask(
            kind="attribute", name=attribute[:80], key=attribute
        )
        found.append(PictureKey(task, name.strip() or attribute))
    names = [key_form(one.name) for one in found]
    twice = next((one.name for one in found if names.count(key_form(one.name)) > 1), None)
    if twice is not None:
        raise UsageError(f"two keys are called {twice!r}", cure="give each a name of its own")
    if not found:
        raise UsageError(
            f"suite {suite.name} has no attributes", cure="name some: --key color --key pattern"
        )
    return found


def _told(one: KeyReport) -> dict[str, Any]:
    return {
        "attribute": one.attribute,
        "key": one.key,
        "values": one.values,
        "categories": one.categories,
        "threshold": one.threshold,
        "val": {**vars(one.val), "precision": one.val.precision, "coverage": one.val.coverage},
        "test": {**vars(one.test), "precision": one.test.precision, "coverage": one.test.coverage},
        "written": one.written,
    }


def _show(reports: list[KeyReport], console: Console) -> None:
    rows = [
        (
            one.key,
            one.values,
            "abstains" if one.threshold is None else f"{one.threshold:.4f}",
            *(_share(value) for value in (one.val.precision, one.val.coverage)),
            *(_share(value) for value in (one.test.precision, one.test.coverage)),
            one.written,
        )
        for one in reports
    ]
    columns = ("key", "values", "margin", "val precision", "coverage", "test precision")
    console.table(rows, (*columns, "coverage", "products"))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
