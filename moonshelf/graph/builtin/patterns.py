"""Patterns around a number, made of the lexicon's words and the registry's forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from moonshelf.graph.builtin.lexicon import alternatives, words
from moonshelf.graph.units.registry import registry


@dataclass(frozen=True, slots=True)
class Patterns:
    """``star``, ``pack``, ``year_after``, ``money_after`` match behind a number; the others are
    searched in the few characters before it."""

    star: re.Pattern[str]
    pack: re.Pattern[str]
    pack_of: re.Pattern[str]
    year_after: re.Pattern[str]
    year_before: re.Pattern[str]
    bound: re.Pattern[str]
    unit_before: re.Pattern[str]
    money_before: re.Pattern[str]
    money_after: re.Pattern[str]
    version: re.Pattern[str]


@cache
def patterns() -> Patterns:
    """Lexicon and registry cannot change, so neither can these."""
    units = sorted({form for unit in registry().units() for form in unit.before})
    behind = r"[^\S\r\n]{0,2}-?[^\S\r\n]?"
    gap = r"[\s:(=-]{0,3}$"
    most, least = (alternatives(words("bounds", key)) for key in ("most", "least"))
    currencies = alternatives(words("money", "before"))
    return Patterns(
        star=_compiled(rf"{behind}({alternatives(words('counts', 'star'))})(?![^\W_])"),
        pack=_compiled(rf"{behind}({alternatives(words('counts', 'pack'))})(?![^\W_])"),
        pack_of=_compiled(rf"\b({alternatives(words('counts', 'pack_of'))})[\s(]{{0,2}}$"),
        year_after=_compiled(rf"[\s-]?(?:{alternatives(words('years', 'after'))})(?![^\W_])"),
        year_before=_compiled(rf"\b(?:{alternatives(words('years', 'before'))})[\s:(-]{{0,3}}$"),
        bound=_compiled(rf"(?<![^\W_])(?:(?P<most>{most})|(?P<least>{least}))[\s.:]{{0,3}}$"),
        unit_before=_compiled(
            rf"(?<![^\W_])({alternatives(units)})(?:\s(?:rating|value|of|is)){{0,2}}{gap}"
        ),
        money_before=_compiled(rf"(?:(?<![^\W_])(?:{currencies})|[₹$€£¥])[\s.]{{0,2}}$"),
        money_after=_compiled(rf"\s?(?:{alternatives(words('money', 'after'))})(?![^\W_])"),
        version=_compiled(
            rf"(?<![^\W_])(?:{alternatives(words('versions', 'before'))})[\s.:]{{0,2}}$"
        ),
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
