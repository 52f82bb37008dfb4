"""``moonshelf pairs dedup | merge | rebalance | entities``: cleaning, one step a command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonshelf.cli.console import Console
from moonshelf.cli.pairs_cleaned import finish
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.cleaning.entities import EntityTagger
    from moonshelf.catalog.cleaning.outcome import Cleaned
    from moonshelf.catalog.pair_set import PairSet
    from moonshelf.catalog.store import Catalog

EXAMPLES = 5
_PURCHASE = "purchase"
_FEW = 0.1  # a step that leaves less than this is told loudly


@dataclass(frozen=True)
class Step:
    """What a command did: the word and the options for the history, and the outcome."""

    name: str
    options: Mapping[str, Any]
    cleaned: Cleaned


def add_cleaning(verbs: Any) -> None:
    """The cleaning commands, in the order in which they are meant to be used."""
    _add_dedup(verbs)
    _add_merge(verbs)
    _add_rebalance(verbs)
    _add_entities(verbs)


def _add(verbs: Any, name: str, about: str, run: Callable[..., Step]) -> Any:
    verb = verbs.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    verb.add_argument("pairs", metavar="PAIRS", type=Path, help="the pair set; stays as it is")
    verb.add_argument("--catalog", type=Path, required=True, metavar="DIR", help="the catalogue")
    verb.add_argument("--out", type=Path, required=True, metavar="NEW", help="the new pair set")
    verb.add_argument(
        "--examples",
        type=int,
        default=EXAMPLES,
        metavar="N",
        help=f"pairs to show, of those kept and of those left out for each reason ({EXAMPLES})",
    )
    verb.add_argument("--html", metavar="FILE", type=Path, help="also show them with pictures")
    verb.add_argument("--seed", type=int, default=0, help="of all that is drawn (0)")
    verb.set_defaults(run_pairs=lambda args, console: _run(args, console, run))
    return verb


def _add_dedup(verbs: Any) -> None:
    about = "of all queries of an item, keep the one that an encoder finds least like it"
    verb = _add(verbs, "dedup", about, run_dedup)
    verb.add_argument(
        "--encoder", metavar="RUN", type=Path, required=True, help="the previous model"
    )
    verb.add_argument(
        "--floor",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="lowest similarities of each kind of query that count as label noise (0.05)",
    )
    verb.add_argument(
        "--over",
        choices=("kind", "item"),
        default="kind",
        help="keep one pair of each kind of query an item (words, photo, product), or one in all",
    )
    verb.add_argument(
        "--item-view", choices=("t", "i", "mm"), default="mm", help="what of the items is fed (mm)"
    )
    verb.add_argument(
        "--fields", help="text fields of products, comma-separated (default: as the run was taught)"
    )


def _add_merge(verbs: Any) -> None:
    about = "make one sample of the pairs whose items are variants (SKUs) of one style (SPU)"
    verb = _add(verbs, "merge", about, run_merge)
    verb.add_argument(
        "--by",
        choices=("item", "query"),
        default="item",
        help="all pairs of one kind of query about the SPU (default), or those of one query alone",
    )


def _add_rebalance(verbs: Any) -> None:
    about = "leave pairs out until their categories are shared out as what users are shown"
    verb = _add(verbs, "rebalance", about, run_rebalance)
    verb.add_argument(
        "--depth",
        default="leaf",
        metavar="N",
        help="levels of the category path that count: 1 is the top (default: leaf)",
    )
    verb.add_argument(
        "--tolerate",
        type=float,
        default=0.05,
        metavar="TV",
        help="total variation between the shares that may remain (0.05)",
    )
    verb.add_argument(
        "--least",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="share of the pairs that stays, even if more difference remains (0.5)",
    )
    verb.add_argument(
        "--before",
        metavar="DATE",
        help="only what was shown before this date (default: as the pairs were built)",
    )


def _add_entities(verbs: Any) -> None:
    about = "leave out pairs whose query or title names too little"
    verb = _add(verbs, "entities", about, run_entities)
    verb.add_argument("--least", type=int, default=2, metavar="N", help="entities of a text (2)")
    verb.add_argument(
        "--fields",
        default="title",
        help="text of products that is read, comma-separated: title,category,attributes,"
        "description (default: title, as in the paper)",
    )
    verb.add_argument(
        "--attributes",
        metavar="FILE",
        type=Path,
        help="more values to know, made by `graph export --format attributes`",
    )
    verb.add_argument(
        "--tagger",
        metavar="NAME",
        help="a named-entity model of an installed package (entry point "
        "moonshelf.entity_taggers), in place of the catalogue's values",
    )


def _run(args: argparse.Namespace, console: Console, step: Callable[..., Step]) -> int:
    """Opens, cleans, writes, shows. The pairs that came in stay as they are."""
    from moonshelf.catalog.pair_set import LEVELS, PairSet
    from moonshelf.catalog.store import Catalog

    if args.out.resolve() == args.pairs.resolve():
        raise UsageError(
            "--out is the pair set that is cleaned",
            where=str(args.out),
            cure="give the new one a folder of its own, so that both can be compared",
        )
    if args.examples < 0:
        raise UsageError(f"--examples {args.examples}", cure="give 0 or more")
    catalog = Catalog.open(args.catalog)
    pairs = PairSet.open(args.pairs, catalog)
    others = int((pairs.level != LEVELS.index(_PURCHASE)).sum())
    if others:
        console.note(
            f"{others:,} of the pairs are no purchases; the paper cleans purchases alone "
            "(pairs build --levels purchase)"
        )
    done = step(args, console, catalog, pairs)
    finish(done, args, console)
    return 0


def run_dedup(args: argparse.Namespace, console: Console, catalog: Catalog, pairs: PairSet) -> Step:
    from moonshelf.catalog.cleaning.dedup import STEP, dedup, earlier_floors
    from moonshelf.encoder import encoder_version, load_encoder
    from moonshelf.training.pair_similarity import pair_similarities, run_fields
    from moonshelf.training.precision import pick_device

    fields = _fields(args.fields or "") or run_fields(args.encoder)
    same = {
        "encoder": encoder_version(args.encoder),
        "item_view": args.item_view,
        "fields": list(fields),
        "floor": args.floor,
    }
    floors = earlier_floors(pairs.history, same)
    if floors is not None:
        console.note("these pairs were deduplicated with this encoder: its floors stand")
    encoder = load_encoder(args.encoder).to(pick_device("auto"))
    with console.progress("embedding") as progress:
        similarity = pair_similarities(
            encoder, pairs, item_view=args.item_view, fields=fields, progress=progress
        )
    cleaned = dedup(
        pairs.with_similarity(similarity), floor=args.floor, over=args.over, floors=floors
    )
    return Step(STEP, {**same, "over": args.over}, cleaned)


def run_merge(args: argparse.Namespace, console: Console, catalog: Catalog, pairs: PairSet) -> Step:
    from moonshelf.catalog.cleaning.merge import STEP, merge
    from moonshelf.catalog.pairs import group_codes

    if not (group_codes(catalog) >= 0).any():
        console.note("the catalogue has no groups: every product is an SPU of its own")
    return Step(STEP, {"by": args.by}, merge(pairs, by=args.by))


def run_rebalance(
    args: argparse.Namespace, console: Console, catalog: Catalog, pairs: PairSet
) -> Step:
    from moonshelf.catalog.cleaning.exposure import exposure_of
    from moonshelf.catalog.cleaning.rebalance import STEP, rebalance
    from moonshelf.catalog.pairs import unix_time

    before = args.before or pairs.options.get("before")
    cut = None if before is None else unix_time(before)
    exposure = exposure_of(catalog, depth=_depth(args.depth), before=cut)
    if exposure.stands_in:
        console.note(
            f"WARNING: the log has no exposures; {exposure.source} stand in for what users "
            "are shown. What is shown and never bought is not seen."
        )
    cleaned = rebalance(pairs, exposure, tolerated=args.tolerate, least=args.least, seed=args.seed)
    if not cleaned.facts["within the tolerance"]:
        console.note(
            f"WARNING: the tolerance of {args.tolerate:g} is not met: --least {args.least:g} keeps "
            f"more than the {cleaned.facts['largest part within the tolerance']:,} pairs within it"
        )
    options = {
        "depth": args.depth,
        "tolerate": args.tolerate,
        "least": args.least,
        "before": before,
        "seed": args.seed,
    }
    return Step(STEP, options, cleaned)


def _fields(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())


def _depth(word: str) -> int:
    if word == "leaf":
        return 0
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"--depth {word!r} is no level", cure="give leaf, or 1 or more")
    return int(word)


def run_entities(
    args: argparse.Namespace, console: Console, catalog: Catalog, pairs: PairSet
) -> Step:
    from moonshelf.catalog.cleaning.entities import STEP, few_entities

    tagger, fields = _tagger(args, catalog), _fields(args.fields)
    with console.progress("finding entities") as progress:
        cleaned = few_entities(pairs, tagger, least=args.least, fields=fields, progress=progress)
    if len(cleaned.pairs) < _FEW * len(pairs):
        console.note(
            f"WARNING: of {len(pairs):,} pairs {len(cleaned.pairs):,} are left: the texts of this "
            "catalogue name too little for this step (--fields, --attributes, --least)"
        )
    options: dict[str, Any] = {
        "least": args.least,
        "fields": list(fields),
        "tagger": tagger.name,
    }
    if args.attributes is not None:
        from moonshelf.catalog.reference_attributes import AttributeFile

        options["attributes"] = AttributeFile.open(args.attributes).digest
    return Step(STEP, options, cleaned)


def _tagger(args: argparse.Namespace, catalog: Catalog) -> EntityTagger:
    """The tagger that is asked for; by default one of the catalogue's own values."""
    from moonshelf.catalog.cleaning.entities import CatalogTagger
    from moonshelf.catalog.cleaning.lexicon import learn_lexicon, reference_facts
    from moonshelf.catalog.cleaning.taggers import find_tagger
    from moonshelf.catalog.reference_attributes import AttributeFile

    if args.tagger is not None:
        if args.attributes is not None:
            raise UsageError(
                "--attributes teaches the tagger of the catalogue's values, not another",
                cure="leave out --attributes or --tagger",
            )
        return find_tagger(args.tagger, catalog)
    more = None if args.attributes is None else reference_facts(AttributeFile.open(args.attributes))
    return CatalogTagger(learn_lexicon(catalog, more))
