"""``moonshelf pairs``: query-item pairs of a catalogue and its log; build them, look at them."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.cli.pairs_clean import add_cleaning
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.pair_set import PairSet
    from moonshelf.catalog.store import Catalog

NAME = "pairs"
HELP = "Turn a catalogue's log into query-item pairs to train on; look at them."
EXAMPLES = 8
PICTURED = 24  # pairs of each kind of query on a page
_LEVELS = ("click", "cart", "purchase")
_EPILOG = """\
examples:
  moonshelf pairs build --catalog shop --out shop-pairs
  moonshelf pairs build --catalog hm --out hm-pairs --before 2020-07-01 --levels purchase
  moonshelf pairs show shop-pairs --catalog shop --html pairs.html
  moonshelf train moon --catalog shop --out run data.pairs=shop-pairs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="pairs_verb", required=True)
    _add_build(verbs)
    _add_show(verbs)
    add_cleaning(verbs)


def run(args: argparse.Namespace) -> int:
    return args.run_pairs(args, Console.of(args))


def _add_build(verbs: Any) -> None:
    about = "pair queries and products of the train split by what users did"
    make = verbs.add_parser(
        "build",
        help=about,
        description=f"{about[0].upper()}{about[1:]}: searches, judgments and purchase sessions.",
    )
    make.add_argument("--catalog", type=Path, required=True, metavar="DIR", help="the catalogue")
    make.add_argument("--out", type=Path, required=True, metavar="PAIRS", help="the new pair set")
    make.add_argument("--before", metavar="DATE", help="only what happened before this date")
    make.add_argument(
        "--levels",
        default=",".join(_LEVELS),
        help="levels a pair may have, by the strongest act seen (default: click,cart,purchase)",
    )
    make.add_argument(
        "--least-grade",
        type=float,
        metavar="G",
        help="from which grade on a judgment is a pair (default: the best of the train queries)",
    )
    make.add_argument(
        "--window-days",
        type=float,
        default=30,
        metavar="D",
        help="longest time between two purchases that make a product pair (30)",
    )
    make.add_argument(
        "--following", type=int, default=1, metavar="N", help="next purchases paired with each (1)"
    )
    make.set_defaults(run_pairs=run_build)


def _add_show(verbs: Any) -> None:
    about = "how many pairs of which kind there are, how they were made, and a few of them"
    look = verbs.add_parser("show", help=about, description=f"{about[0].upper()}{about[1:]}.")
    look.add_argument("pairs", metavar="PAIRS", type=Path, help="folder made by `pairs build`")
    look.add_argument("--catalog", type=Path, required=True, metavar="DIR", help="the catalogue")
    look.add_argument(
        "--examples", type=int, default=EXAMPLES, metavar="N", help=f"pairs to print ({EXAMPLES})"
    )
    look.add_argument("--html", metavar="FILE", type=Path, help="also write a page with pictures")
    look.add_argument("--seed", type=int, default=0, help="of the choice of examples (0)")
    look.set_defaults(run_pairs=run_show)


def run_build(args: argparse.Namespace, console: Console) -> int:
    """Builds and writes; says how many pairs there are and why others are none."""
    from moonshelf.catalog.pair_building import build_pairs
    from moonshelf.catalog.store import Catalog

    if args.following < 1 or not 0 < args.window_days < math.inf:
        raise UsageError(
            "--following and --window-days must be above 0", cure="leave them out for 1 and 30"
        )
    catalog = Catalog.open(args.catalog)
    with console.progress("building pairs") as progress:
        built = build_pairs(
            catalog,
            before=args.before,
            levels=[word.strip() for word in args.levels.split(",") if word.strip()],
            least_grade=args.least_grade,
            window_days=args.window_days,
            following=args.following,
            progress=progress,
        )
    pairs = built.pairs.write(
        args.out,
        step="build",
        options=built.pairs.options,
        before=built.seen,
        facts={"left_out": built.left_out},
    )
    for why, count in built.left_out.items():
        if count:
            console.note(f"left out {count:,} pairs {why}")
    _print_counts(pairs, console)
    console.say(f"\npairs: {args.out}")
    console.result({"pairs": str(args.out), **facts(pairs)})
    return 0


def run_show(args: argparse.Namespace, console: Console) -> int:
    """Counts, history and examples."""
    import numpy as np

    from moonshelf.catalog.pair_set import PairSet
    from moonshelf.catalog.store import Catalog

    catalog = Catalog.open(args.catalog)
    pairs = PairSet.open(args.pairs, catalog)
    _print_counts(pairs, console)
    rows = [
        (line["step"], line["before"], line["after"], _options(line["options"]))
        for line in pairs.history
    ]
    console.say()
    console.table(rows, ("step", "before", "after", "options"))
    count = max(0, min(args.examples, len(pairs)))
    chosen = np.sort(np.random.default_rng(args.seed).choice(len(pairs), count, replace=False))
    examples = [example(pairs, catalog, int(place)) for place in chosen]
    console.say()
    console.table(
        [tuple(one.values()) for one in examples], ("query", "item", "level", "count", "similarity")
    )
    if args.html is not None:
        _write_page(pairs, args.html, PICTURED, args.seed)
        console.note(f"pairs with pictures: {args.html}")
    console.result({"pairs": str(args.pairs), **facts(pairs), "examples": examples})
    return 0


def facts(pairs: PairSet) -> dict[str, Any]:
    """What a machine wants to know of a pair set."""
    return {**pairs.counts(), "options": pairs.options, "history": pairs.history}


def example(pairs: PairSet, catalog: Catalog, place: int) -> dict[str, Any]:
    """One pair in words."""
    from moonshelf.catalog.pair_set import LEVELS

    item, similarity = catalog[int(pairs.item[place])], float(pairs.similarity[place])
    text, pictures, product = _asked(pairs, catalog, place)
    marks = (text, "[photo]" if pictures and not product else "")
    return {
        "query": ("product: " if product else "") + " ".join(mark for mark in marks if mark),
        "item": item.title or item.id,
        "level": LEVELS[pairs.level[place]],
        "count": int(pairs.count[place]),
        "similarity": None if math.isnan(similarity) else similarity,
    }


def _asked(pairs: PairSet, catalog: Catalog, place: int) -> tuple[str, tuple[bytes, ...], bool]:
    """(words, pictures, whether it is a product) of the query of a pair."""
    from moonshelf.catalog.pair_set import PRODUCT_QUERY

    row = int(pairs.query[place])
    if pairs.query_kind[place] == PRODUCT_QUERY:
        return catalog[row].title or catalog[row].id, catalog[row].images, True
    return catalog.query(row).text, catalog.query(row).images, False


def _print_counts(pairs: PairSet, console: Console) -> None:
    from moonshelf.catalog.pair_set import TYPES

    counts = pairs.counts()
    rows = [(k, TYPES[int(k)], count) for k, count in counts["by_type"].items()]
    rows.append(("", "of none of them", counts["of_no_type"]))
    console.table(rows, ("type", "query -> item", "pairs"))
    for title, name in (("by level", "by_level"), ("by query", "by_query")):
        told = ", ".join(f"{key} {count:,}" for key, count in counts[name].items() if count)
        console.say(f"{title}: {told}")
    console.say(f"in all: {counts['total']:,} (a pair can be shown as several types)")


def _options(options: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items() if value is not None)


def _write_page(pairs: PairSet, path: Path, count: int, seed: int) -> None:
    """A page with some pairs of each kind of query, drawn evenly, side by side."""
    import numpy as np

    from moonshelf.catalog.pair_set import PRODUCT_QUERY
    from moonshelf.report.page import write_report
    from moonshelf.report.pair_examples import pair_section

    words, picture = pairs.asked_by()
    kinds = {
        "Typed queries": words,
        "Photos": picture & ~words,
        "Products": pairs.query_kind == PRODUCT_QUERY,
    }
    rng = np.random.default_rng(seed)
    sections = []
    for title, mask in kinds.items():
        places = np.sort(rng.permutation(np.flatnonzero(mask))[:count]).tolist()
        if places:
            lead = f"{len(places):,} of {np.count_nonzero(mask):,} pairs, drawn evenly."
            sections.append(pair_section(title, lead, pairs, places))
    lead = " \u2192 ".join(f"{line['step']} {line['after']:,}" for line in pairs.history)
    write_report(path, f"Pairs of {pairs.catalog.path.name}", lead, sections)
