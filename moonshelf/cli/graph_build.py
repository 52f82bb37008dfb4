"""``moonshelf graph build``: settings in, a build, and what it did in a few lines."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moonshelf.cli.console import Console, duration
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.graph.backend import Backend
    from moonshelf.graph.build import BuildSettings
    from moonshelf.graph.documents import Source
    from moonshelf.graph.ontology import Ontology
    from moonshelf.graph.spending import Spent
    from moonshelf.graph.summary import Summary

_LARGEST_ONTOLOGY = 16 << 20
# A share of documents that came after the schema was learned, above which that is worth a word.
MANY_NEW = 0.1
_OF_REVIEWS = "reviews."


def run_build(args: argparse.Namespace, console: Console) -> int:
    """Exit code 0: every document is accounted for and every shape holds; 1 otherwise."""
    from moonshelf.graph.build import build

    settings = build_settings(args)
    ontology = None if args.ontology is None else read_ontology(args.ontology)
    source = open_source(args)
    for note in source.notes:
        console.note(note)
    with open_backend(args) as backend:
        summary = build(
            source,
            backend,
            args.to,
            settings,
            ontology=ontology,
            review=args.review,
            stages=console.progress,
        )
    show(summary, args.to, console)
    console.result({"graph": args.to, **summary.model_dump(mode="json"), "sound": summary.sound})
    return 0 if summary.sound else 1


def build_settings(args: argparse.Namespace) -> BuildSettings:
    """
    Raises:
        UsageError: a number that is none.
    """
    from moonshelf.graph.build import BuildSettings
    from moonshelf.graph.learn import LearnSettings
    from moonshelf.graph.schema.sample import Stopping

    for name, value in (("--workers", args.workers), ("--samples", args.samples)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value} leaves nothing", cure="give a number above 0")
    learning = LearnSettings()
    if args.samples is not None:
        batches = -(-args.samples // learning.batch)
        stopping = Stopping(most=batches, at_least=min(batches, Stopping().at_least))
        learning = LearnSettings(stopping=stopping, samples=args.samples)
    return BuildSettings(
        learn="never" if args.frozen else args.learn,
        learning=learning,
        prune=args.prune,
        retry=args.retry,
        on_error=args.on_error,
        workers=args.workers,
        resolve=not args.no_resolve,
        base=args.base,
    )


@contextlib.contextmanager
def open_backend(args: argparse.Namespace) -> Iterator[Backend]:
    """The backend that the command line names, closed at the end.

    Replies of a model are kept in the graph's folder unless ``--option cache=FILE`` says otherwise:
    a question is paid for once.
    """
    from moonshelf.config import with_overrides
    from moonshelf.graph.backends import make_backend
    from moonshelf.graph.manifest import REPLIES, refuse_foreign

    options = with_overrides({}, args.options)
    if args.backend == "llm" and "cache" not in options:
        refuse_foreign(args.to)
        args.to.mkdir(parents=True, exist_ok=True)
        options["cache"] = str(args.to / REPLIES)
    backend = make_backend(args.backend, options)
    try:
        yield backend
    finally:
        close = getattr(backend, "close", None)
        if close is not None:
            close()


def open_source(args: argparse.Namespace) -> Source:
    """The documents that the command line names: listings (or reviews alone) and what stands
    beside them.

    Raises:
        UsageError: an option or column that there is not.
        DataError: a file that cannot be read.
    """
    from moonshelf.cli.catalog import parse_settings
    from moonshelf.graph.beside import from_pictures, from_reviews, together

    found = parse_settings(args.settings)
    of_reviews = {k.removeprefix(_OF_REVIEWS): v for k, v in found.items() if _reviews(k)}
    options = {key: value for key, value in found.items() if not _reviews(key)}
    if of_reviews and args.customer_reviews is None:
        raise UsageError(
            f"--set {_OF_REVIEWS}KEY names columns of --customer-reviews", cure="pass that file"
        )
    source = _listings(args, options)
    if args.limit is not None:
        source = source.first(args.limit)
    beside = []
    if args.customer_reviews is not None:
        beside.append(from_reviews(args.customer_reviews, of_reviews))
    if args.pictures is not None:
        beside.append(from_pictures(args.pictures))
    return together(source, beside, limited=args.limit is not None)


def _reviews(key: str) -> bool:
    return key.startswith(_OF_REVIEWS)


def _listings(args: argparse.Namespace, options: dict[str, str]) -> Source:
    from moonshelf.graph.beside import from_reviews
    from moonshelf.graph.documents import from_catalog, from_table

    fields = args.fields.split(",")
    if args.catalog is None:
        if args.kind == "review":
            return from_reviews(args.source, options)
        return from_table(args.source, options, fields)
    from moonshelf.catalog.store import Catalog

    if args.kind == "review":
        raise UsageError(
            "a catalogue holds listings", cure="leave --kind out, or pass --customer-reviews FILE"
        )
    if options:
        raise UsageError("--set names columns of a table", cure="leave it out, or pass --from FILE")
    return from_catalog(Catalog.open(args.catalog), fields)


def read_ontology(path: Path) -> Ontology:
    """A user's ontology: the JSON of :class:`~moonshelf.graph.ontology.Ontology`.

    Raises:
        UsageError: it cannot be read, or is not one; names what is wrong.
    """
    import json

    from moonshelf.config import load_config
    from moonshelf.graph.ontology import Ontology

    try:
        if path.stat().st_size > _LARGEST_ONTOLOGY:
            raise UsageError("is larger than 16 MiB", where=str(path), cure="pass an ontology")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise UsageError(what, where=str(path), cure="check the path") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}", where=str(path), cure="mend it") from error
    if not isinstance(found, dict):
        raise UsageError("not a JSON object", where=str(path), cure="write an ontology")
    return load_config(Ontology, found, where=str(path))


def show(summary: Summary, out: Path, console: Console) -> None:
    """A few lines on stdout; what needs a person on stderr."""
    from moonshelf.graph.spending import Spent

    ledger = summary.ledger
    console.say(
        f"{out}: {ledger.documents:,} documents: {ledger.graph:,} in the graph, "
        f"{ledger.no_facts:,} without facts, {ledger.quarantined:,} quarantined, "
        f"{len(ledger.lost):,} lost; {summary.extracted:,} done now, "
        f"{summary.unchanged:,} unchanged"
    )
    console.say(
        f"ontology version {summary.ontology}: {summary.classes:,} classes, "
        f"{summary.properties:,} properties ({summary.used_properties:,} used); "
        f"{summary.facts:,} facts, {summary.quads:,} quads"
    )
    turned = ", ".join(f"{count:,} {step}" for step, count in summary.refused.items())
    console.say(
        f"{sum(summary.refused.values()):,} candidates refused{f' ({turned})' if turned else ''}; "
        f"{summary.same:,} same products, {summary.variants:,} variants; "
        f"{summary.shapes.violations:,} shape violations"
    )
    now = Spent(costs=summary.costs, seconds=summary.seconds, peak_memory=summary.peak_memory)
    console.say(f"this run: {spent_words(now)}")
    if summary.in_all.runs > 1:
        console.say(f"all {summary.in_all.runs:,} runs: {spent_words(summary.in_all)}")
    for note in notes(summary, out):
        console.note(note)


def spent_words(spent: Spent) -> str:
    """Seconds, calls, tokens and memory in a line."""
    costs = [f"{value:,.0f} {name.replace('_', ' ')}" for name, value in spent.costs.items()
             if name != "cost"]  # fmt: skip
    costs += [f"{spent.costs['cost']:,.4f} of money"] if "cost" in spent.costs else []
    memory = (
        [f"at most {spent.peak_memory / 2**20:,.0f} MiB a process"] if spent.peak_memory else []
    )
    return ", ".join([duration(sum(spent.seconds.values())), *costs, *memory])


def notes(summary: Summary, out: Path) -> Sequence[str]:
    """What needs a person."""
    found = []
    if summary.ledger.quarantined:
        where = out / "quarantine.jsonl"
        found.append(
            f"{summary.ledger.quarantined:,} quarantined: see {where}; --retry tries again"
        )
    if summary.ledger.lost:
        found.append(f"lost: {', '.join(summary.ledger.lost[:5])}: this is a defect of moonshelf")
    if summary.gone:
        found.append(f"{summary.gone:,} documents are gone from the source; --prune deletes them")
    if summary.learned is not None and summary.learned.waiting:
        found.append(f"{summary.learned.waiting:,} changes to the schema wait in the review file")
    if summary.unfit:
        found.append(
            f"{summary.unfit:,} facts fit no property: this is a defect of moonshelf; the first: "
            f"{summary.unfit_reasons[0]}"
        )
    if summary.remade:
        found.append(
            "the store was not as the last build left it (somebody else wrote to it, or the disk "
            "is failing): it was made anew from the state"
        )
    if summary.learned is not None and summary.learned.failed:
        found.append(
            f"the schema was learned without {summary.learned.failed:,} batches of documents, "
            "for which the backend had no answer"
        )
    if summary.learned is not None and summary.learned.unrefined:
        found.append(f"the schema was not refined: {summary.learned.unrefined}")
    if summary.little_learned:
        found.append(summary.little_learned)
    if summary.new_since_learned > MANY_NEW * summary.ledger.documents:
        found.append(
            f"{summary.new_since_learned:,} documents came after the schema was learned; "
            "--learn again reads them too"
        )
    return found
