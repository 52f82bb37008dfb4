"""``key=value`` words that change a recipe, anywhere on the command line."""

from __future__ import annotations

import argparse
import re
from typing import Any

_OVERRIDE = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds the positional ``overrides`` to ``parser``.

    argparse fills a ``*`` positional at the first free word only; ``key=value`` words that come
    after an option would be refused. They are what is left over, so they are picked up here.
    """
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="change the recipe, e.g. stages.align.minutes=5 seed=1",
    )
    parse = parser.parse_known_args

    def parse_known_args(args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, rest = parse(args, namespace)
        if not hasattr(found, "overrides"):  # options alone were parsed so far (main.Parser)
            return found, rest
        late = [word for word in rest if _OVERRIDE.fullmatch(word)]
        found.overrides = [*found.overrides, *late]
        return found, [word for word in rest if not _OVERRIDE.fullmatch(word)]

    parser.parse_known_args = parse_known_args  # pyright: ignore[reportAttributeAccessIssue]
