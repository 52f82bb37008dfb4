"""``key=value`` words that change a recipe, anywhere on the command line."""

from __future__ import annotations

import argparse


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds the positional ``overrides``; ``main.Parser`` finds its words among the options."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="change the recipe, e.g. stages.align.minutes=5 seed=1",
    )
