"""The ``moonshelf`` command: finds the verb, runs it, turns every error into three labeled lines.

One verb is one file in this folder with ``NAME``, ``HELP``, ``add_arguments(parser)`` and
``run(args) -> int``; it is imported only when it is asked for, so that ``--help`` stays quick.
Every parser, also those a verb nests, knows ``--json`` and ``--debug``.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol, cast

from moonshelf import __version__
from moonshelf.cli.console import clean
from moonshelf.errors import MoonshelfError, UsageError

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

# name -> (module, one-line help): the help of the whole command needs no verb's module.
VERBS: dict[str, tuple[str, str]] = {
    "demo": (
        "moonshelf.cli.demo",
        "the whole system on a drawn shop, ends with report.html",
    ),
    "catalog": (
        "moonshelf.cli.catalog",
        "import products, queries and events; inspect a catalogue",
    ),
    "pairs": (
        "moonshelf.cli.pairs",
        "query-item pairs from a catalogue's log: build them, look at them",
    ),
    "train": ("moonshelf.cli.train", "train an encoder on a catalogue by a recipe"),
    "evaluate": ("moonshelf.cli.evaluate", "measure a run on a catalogue, beside its controls"),
    "ask": ("moonshelf.cli.ask", "put held-out questions to a pretrained run"),
    "embed": ("moonshelf.cli.embed", "turn a catalogue into a store of searchable vectors"),
    "search": ("moonshelf.cli.search", "find products in a store by text, picture or both"),
    "graph": (
        "moonshelf.cli.graph",
        "a product knowledge graph from descriptions: build, query, check, export",
    ),
    "report": ("moonshelf.cli.report", "a run's search strips, tables and curves as one page"),
    "encoder": (
        "moonshelf.cli.encoder",
        "show an encoder or export it as a Sentence Transformers folder",
    ),
}


class Verb(Protocol):
    """What a module in this folder offers."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are :class:`UsageError` and that knows the common options.

    ``add_subparsers`` makes parsers of the same class, so nested verbs know them as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        common = self.add_argument_group("common options")
        # SUPPRESS: an option given before a sub-verb must survive the sub-verb's own default.
        common.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as one JSON object on stdout, nothing else",
        )
        common.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of an error (also: MOONSHELF_DEBUG=1)",
        )
        self._intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Where an argument may be left out, options may stand before it all the same.

        argparse takes ``GRAPH --limit 5 SPARQL`` for a graph without SPARQL and a word too many.
        """
        optional = any(one.nargs in ("?", "*") for one in self._get_positional_actions())
        if self._intermixed or not optional:
            return super().parse_known_args(args, namespace)
        self._intermixed = True  # it parses options and the rest by this method, one by one
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, cure=f"see `{self.prog} --help`")


def build_parser(verb: str | None) -> Parser:
    """The whole command line; only the module of ``verb`` is imported and asked for arguments."""
    parser = Parser(
        prog="moonshelf",
        description="Products and behavior in, multimodal vectors and evidence out.",
        epilog="`moonshelf VERB --help` tells more about one verb.",
    )
    parser.add_argument("--version", action="version", version=f"moonshelf {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    for name, (module_name, summary) in VERBS.items():
        child = verbs.add_parser(name, help=summary, description=summary)
        if name == verb:
            module = cast(Verb, load_verb(name, module_name))
            child.description = module.HELP
            module.add_arguments(child)
            child.set_defaults(run=module.run)
    return parser


def load_verb(name: str, module_name: str) -> Any:
    """The module of one verb.

    Raises:
        UsageError: this build has no such file (never hides an import error inside the verb).
    """
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise UsageError(
            f"this version of moonshelf has no verb {name!r} yet", cure="see `moonshelf --help`"
        ) from error


def find_verb(argv: Sequence[str]) -> str | None:
    """The first word that is not an option; a misspelled verb is an error naming the nearest."""
    word = next((a for a in argv if not a.startswith("-")), None)
    if word is None or word in VERBS:
        return word
    near = difflib.get_close_matches(word, VERBS, n=1)
    raise UsageError(
        f"there is no verb {word!r}",
        cure=f"did you mean `moonshelf {near[0]}`?" if near else "see `moonshelf --help`",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; prints errors, never a bare traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("MOONSHELF_DEBUG", "") not in ("", "0")
    as_json = "--json" in words
    calm_openmp()
    never_fail_on_encoding()
    try:
        parser = build_parser(find_verb(words))
        if not words:
            parser.print_help()
            return EXIT_USAGE
        args = parser.parse_args(words, argparse.Namespace(json=False, debug=debug))
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # --help and --version of argparse
        return stop.code if isinstance(stop.code, int) else EXIT_FAILED
    except KeyboardInterrupt:
        return report(MoonshelfError("interrupted"), as_json, debug, EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); the interpreter must not flush again.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except MoonshelfError as error:
        code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
        return report(error, as_json, debug, code)
    except Exception as error:
        return report(named(error), as_json, debug, EXIT_FAILED)


def named(error: Exception) -> MoonshelfError:
    """A surprise as an error with a place and a cure."""
    if isinstance(error, MemoryError):
        return MoonshelfError("out of memory", cure="use a smaller batch or a larger machine")
    if isinstance(error, OSError) and error.errno is not None:
        cures = {
            errno.ENOENT: "check the path",
            errno.EACCES: "check the permissions of the path",
            errno.ENOSPC: "free space and run the command again",
        }
        return MoonshelfError(
            (error.strerror or str(error)).lower(),
            where=str(error.filename or ""),
            cure=cures.get(error.errno, "run again with --debug to see where it came from"),
        )
    frames = traceback.extract_tb(error.__traceback__)
    here = next((f for f in reversed(frames) if "moonshelf" in f.filename), None)
    return MoonshelfError(
        f"unexpected {type(error).__name__}: {error}",
        where=f"{os.path.basename(here.filename)} line {here.lineno}" if here else "",
        cure="this is a defect of moonshelf: run again with --debug and report what it shows",
    )


def report(error: MoonshelfError, as_json: bool, debug: bool, code: int) -> int:
    """Three labeled lines on stderr; with ``--json`` also an ``error`` object on stdout."""
    if debug and sys.exc_info()[0] is not None:
        traceback.print_exc()
    lines = (("error", error.what), ("where", error.where), ("cure", error.cure))
    for label, text in lines:
        if text:
            print(f"{label + ':':<7}{clean(text)}", file=sys.stderr)
    if as_json:
        found = {"kind": type(error).__name__, **dict(lines)}
        print(json.dumps({"error": found}))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return code


def calm_openmp() -> None:
    """Lets OpenMP threads sleep at barriers when the machine is shared.

    Threads that spin starve each other as soon as something else wants a core (a training step
    falls from 54 to 3 samples/s); on an idle machine sleeping costs about 25 %. Works only
    before torch is imported.
    """
    try:
        busy = os.getloadavg()[0] > 1
    except OSError:
        busy = True
    if busy or os.environ.get("CI"):
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def never_fail_on_encoding() -> None:
    """A title outside the terminal's encoding prints as an escape instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
