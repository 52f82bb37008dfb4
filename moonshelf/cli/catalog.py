"""``moonshelf catalog``: import products, queries and events; look into them, and at pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moonshelf.cli.catalog_crops import add_crops, run_crops
from moonshelf.cli.console import Console, duration
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.importing import ImportReport
    from moonshelf.catalog.readers import Item, Reader

NAME = "catalog"
HELP = "Bring products, queries and events into a checked catalogue folder; look into one."
PROBLEMS_SHOWN = 5

_EPILOG = """\
examples:
  moonshelf catalog import products.csv --to cat --set title=name --set image=photo
  moonshelf catalog import log.csv --kind events --to cat --append --set event_kind=purchase
  moonshelf catalog import hm/ --to cat --set images=required
  moonshelf catalog import products.csv --list-options
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="catalog_verb", required=True)
    _add_import(verbs)
    look = verbs.add_parser(
        "inspect",
        help="show counts, missing fields, splits, duplicates, sample pictures",
        description="Show counts, missing fields, splits and duplicates of a catalogue.",
    )
    look.add_argument("catalog", metavar="DIR", type=Path, help="the catalogue folder")
    look.add_argument(
        "--html", metavar="FILE", type=Path, help="also write a page with sample pictures"
    )
    add_crops(verbs)


def _add_import(verbs: Any) -> None:
    load = verbs.add_parser(
        "import",
        help="read a source, check every row, write a catalogue",
        description="Read a source, check every row, write a catalogue (whole or not at all).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    load.add_argument(
        "source",
        metavar="SOURCE",
        type=Path,
        help="table (.csv .tsv .parquet .jsonl), folder of pictures, or folder of a known set",
    )
    load.add_argument("--to", metavar="DIR", type=Path, help="the catalogue folder")
    load.add_argument(
        "--reader",
        metavar="NAME",
        help="table, folder, hm, myntra, grocery, homedepot (default: found by the source)",
    )
    load.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="option of the reader, e.g. title=name; may be repeated (see --list-options)",
    )
    load.add_argument(
        "--kind",
        choices=("products", "queries", "events"),
        help="what the rows of a table are (default: products); what to read of a set (all)",
    )
    load.add_argument(
        "--limit",
        metavar="N",
        type=int,
        help="only the first N products with the queries and events about them alone",
    )
    load.add_argument(
        "--list-options", action="store_true", help="show the reader's --set options and stop"
    )
    _add_import_rules(load)


def _add_import_rules(load: argparse.ArgumentParser) -> None:
    """What happens to a catalogue that is there, to bad rows, and to the splits."""
    load.add_argument("--append", action="store_true", help="add to the catalogue at DIR")
    load.add_argument("--replace", action="store_true", help="replace the catalogue at DIR")
    load.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="bad rows stop the import (default), or are left out and listed",
    )
    load.add_argument(
        "--splits",
        choices=("keep", "draw"),
        help="keep the source's splits, or draw 80/10/10 by group (default: the reader knows)",
    )
    load.add_argument(
        "--on-split-leak",
        choices=("stop", "fix"),
        default="stop",
        help="a group or picture in two splits stops the import (default), or is moved to one",
    )
    load.add_argument("--seed", type=int, default=0, help="of drawn splits (0)")


def run(args: argparse.Namespace) -> int:
    if args.catalog_verb == "crops":
        return run_crops(args)
    console = Console.of(args)
    return run_import(args, console) if args.catalog_verb == "import" else inspect(args, console)


# ---- import


def run_import(args: argparse.Namespace, console: Console) -> int:
    """Reads, checks and writes; the notes of the reader appear as they come."""
    from moonshelf.catalog.importing import import_records
    from moonshelf.catalog.readers import reader_for

    reader = reader_for(args.source, args.reader)
    if args.list_options:
        console.table(list(reader.options.items()), ("option", "what it does"))
        console.result({"reader": reader.name, "options": reader.options})
        return 0
    if args.to is None:
        raise UsageError("the catalogue folder is not named", cure="pass --to DIR")
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit {args.limit} leaves nothing", cure="give a number above 0")
    options = parse_settings(args.settings)
    if args.kind is not None:
        options = {**options, "kind": args.kind}
    console.note(f"reading {args.source} as {reader.name}")
    records: Iterable[Item] = opened(told(reader, args.source, options, console))
    splits = find_splits(args.splits, reader, args.source, console)
    total = reader.total(args.source)
    if args.limit is not None:
        one_kind = reader.name in ("table", "folder")
        records, total = first_records(records, args.limit, one_kind), None
    with console.progress("importing") as progress:
        report = import_records(
            records,
            args.to,
            on_error=args.on_error,
            source={"reader": reader.name, "path": str(args.source), "options": dict(options)},
            append=args.append,
            replace=args.replace,
            splits=splits,
            on_split_leak=args.on_split_leak,
            seed=args.seed,
            total=total,
            progress=progress,
        )
    show_report(report, console)
    console.result(
        {"reader": reader.name, "notes": reader.notes, "splits": splits, **report_fields(report)}
    )
    return 0


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """``["title=name", ...]`` as a mapping.

    Raises:
        UsageError: a setting without ``=``, or the same key twice.
    """
    found: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--set {setting!r} is not KEY=VALUE", cure="write e.g. --set title=name"
            )
        if key in found:
            raise UsageError(f"--set {key} is given twice", cure="give it once")
        found[key] = value
    return found


def told(
    reader: Reader, source: Path, options: Mapping[str, str], console: Console
) -> Iterator[Item]:
    """The reader's records; its notes are printed as soon as they appear."""
    shown = 0
    for item in reader.read(source, options):
        if len(reader.notes) > shown:
            for note in reader.notes[shown:]:
                console.note(note)
            shown = len(reader.notes)
        yield item
    for note in reader.notes[shown:]:
        console.note(note)


def opened(items: Iterator[Item]) -> Iterator[Item]:
    """The same records with the first one read already, so that the reader knows its columns."""
    first = list(islice(items, 1))
    return chain(first, items)


def find_splits(
    asked: Literal["keep", "draw"] | None, reader: Reader, source: Path, console: Console
) -> Literal["keep", "draw"]:
    """The splits asked for, else what the reader says of its source; told where there are none."""
    own = reader.splits(source)
    if own == "draw" and asked is None:
        console.note("the source has no splits: drawing 80/10/10 by group (--splits keep does not)")
    elif own == "draw" and asked == "keep":
        console.note("the source has no splits: every row is in train")
    return asked or own


def first_records(items: Iterable[Item], limit: int, one_kind: bool) -> Iterator[Item]:
    """The first ``limit`` products with the queries and events that are about them alone.

    Args:
        items: what a reader yields; products come first.
        limit: how many.
        one_kind: all records are of one kind, so reading stops as soon as there are enough.
    """
    from moonshelf.catalog.problem import Located, Problem
    from moonshelf.catalog.product import Event, Product, Query

    ids: set[str] = set()
    count = 0
    for item in items:
        record = item.record if isinstance(item, Located) else item
        if isinstance(record, Problem):
            yield item
            continue
        if one_kind or isinstance(record, Product):
            if count < limit:
                count += 1
                ids.add(getattr(record, "id", ""))
                yield item
            if one_kind and count == limit:
                return
        elif isinstance(record, Event) and record.item in ids:
            yield item
        elif isinstance(record, Query):
            kept = [k for k, positive in enumerate(record.positives) if positive in ids]
            if kept:
                positives = tuple(record.positives[k] for k in kept)
                grades = tuple(record.grades[k] for k in kept) if record.grades else ()
                small = replace(record, positives=positives, grades=grades)
                yield Located(item.where, small) if isinstance(item, Located) else small


def show_report(report: ImportReport, console: Console) -> None:
    for problem in report.problems[:PROBLEMS_SHOWN]:
        console.note(f"skipped {problem.where}: {problem.error.what}")
    if report.skipped:
        more = f", all listed in {report.skipped_path}" if report.skipped_path else ""
        console.note(f"{report.skipped:,} rows skipped{more}")
    if report.moved:
        console.note(f"{report.moved:,} products moved to another split to keep groups together")
    console.say(
        f"{report.path}: {report.products:,} products, {report.pictures:,} pictures, "
        f"{report.queries:,} queries, {report.events:,} events in {duration(report.seconds)}"
    )


def report_fields(report: ImportReport) -> dict[str, Any]:
    """The report for ``--json``."""
    return {
        "catalog": report.path,
        "products": report.products,
        "queries": report.queries,
        "events": report.events,
        "pictures": report.pictures,
        "skipped": report.skipped,
        "skipped_list": report.skipped_path,
        "problems": [{"where": p.where, "error": p.error.what} for p in report.problems],
        "moved": report.moved,
        "seconds": round(report.seconds, 3),
    }


# ---- inspect


def inspect(args: argparse.Namespace, console: Console) -> int:
    from moonshelf.catalog.inspect import inspect_catalog, write_inspection_html
    from moonshelf.catalog.store import Catalog

    catalog = Catalog.open(args.catalog)
    found = inspect_catalog(catalog)
    if args.html is not None:
        write_inspection_html(catalog, args.html, found)
        console.note(f"sample pictures: {args.html}")
    for title, section in found.items():
        if section:  # a catalogue without events has nothing to say about them
            show_section(title, section, console)
    console.result({"catalog": args.catalog, **found})
    return 0


def show_section(title: str, section: Any, console: Console) -> None:
    """One part of the inspection as a small table: scalars as rows, records as lines."""
    name = str(title).replace("_", " ")
    if isinstance(section, Mapping):
        values = list(section.items())
        if values and all(isinstance(v, Mapping) for _, v in values):
            columns = list(dict.fromkeys(k for _, v in values for k in v))
            rows = [[k, *(v.get(c) for c in columns)] for k, v in values]
            console.table(rows, (name, *map(str, columns)))
        else:
            console.table([[k, _short(v)] for k, v in values], (name, "value"))
    elif isinstance(section, list) and section and all(isinstance(v, Mapping) for v in section):
        columns = list(section[0])
        console.table([[_short(v.get(c)) for c in columns] for v in section], columns, name)
    else:
        console.say(f"{name}: {_short(section)}")
    console.say()


def _short(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value[:8])) + (" ..." if len(value) > 8 else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in list(value.items())[:8])
    return value
