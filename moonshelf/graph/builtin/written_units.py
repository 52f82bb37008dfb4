"""Finds the unit that is written right behind a number, the longest written form first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from types import MappingProxyType

from moonshelf.graph.units.registry import Unit, registry

# Up to two blanks, one dash, or a stray dot ("1.Ton") between number and unit; never a new line.
GAP = re.compile(r"\.[^\S\r\n]?(?=[^\W\d_]{2})|[^\S\r\n]{0,2}[-‐‑–]?[^\S\r\n]?")
# A form that ends in a letter ends a word, or is linked to the next dimension: 20cmx30cm.
_WORD_ENDS = r"(?:(?![^\W_])|(?=[xX×][\s\d.]))"
_POSSESSIVE = re.compile(r"['’′]s(?![^\W_])")
# "1938 T-shirt", "7 T.J.", "6 W-shaped": a letter set apart from the number begins a word.
_INITIAL = re.compile(r"[-.'’][^\W\d_]+(?![^\W_])")
_MARKS = frozenset("\"″”'′’＂")
# "5 in 1", "24 in stock", "10 in white": after a bare "in" only these make it inches.
_INCHES = re.compile(
    r"\.?\s*(?:$|[,;:)\]/|\"”]|[.](?:\s|$)|[xX×*]\s*[\d.]|by\s+\d|[-–]\s*\d"
    r"|(?:[whdl]|wide|width|high|height|tall|deep|depth|long|length|dia|diameter|thick)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Written:
    """A unit as it stands in the text: ``text[start:end]``, and every reading of it."""

    start: int
    end: int
    readings: tuple[Unit, ...]


def unit_at(text: str, place: int, number: Decimal, fraction: bool = False) -> Written | None:
    """The unit behind a number that ends at ``place``; None where there is none.

    Args:
        number: the number, for forms that mean a unit only within bounds (3000K, not 24K).
        fraction: whether the number is no integer; "3/4 in" is an inch, "3 in" may be a word.
    """
    gap = GAP.match(text, place)
    start = gap.end() if gap else place
    if start >= len(text):
        return None
    pattern = _patterns().get(text[start].casefold()[0])
    found = pattern.match(text, start) if pattern else None
    if found is None:
        return None
    glued, written = start == place, found[0]
    if written[0] in _MARKS and (not glued or _POSSESSIVE.match(text, start)):
        # Inch and foot marks stand at the number itself; elsewhere they are quotes, or the 90's.
        return None
    if len(written) == 1 and not glued and _INITIAL.match(text, found.end()):
        return None
    if written.lower() == "in" and not (fraction or glued or _INCHES.match(text, found.end())):
        return None
    readings = tuple(u for u in _readings(written) if _plausible(u, written, number))
    return Written(start, found.end(), readings) if readings else None


@lru_cache(maxsize=4096)
def _readings(written: str) -> tuple[Unit, ...]:
    """Remembers the answers of the immutable registry; shops write few forms, often."""
    return registry().readings(written)


def _plausible(unit: Unit, written: str, number: Decimal) -> bool:
    if unit.between is None or written not in unit.exact:
        return True
    return unit.between[0] <= number <= unit.between[1]


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Patterns by first character. Derived from the immutable registry, so kept once."""
    by_first: dict[str, dict[str, str]] = {}
    for unit in registry().units():
        for form in unit.synonyms:
            pattern = r"[\s.-]{0,2}".join(re.escape(part) for part in form.split(" "))
            by_first.setdefault(_first(form), {})[form] = f"(?i:{pattern}){_tail(form)}"
        for form in unit.exact:
            by_first.setdefault(_first(form), {}).setdefault(form, re.escape(form) + _tail(form))
    return MappingProxyType(
        {
            first: re.compile("|".join(forms[f] for f in sorted(forms, key=_longest_first)))
            for first, forms in sorted(by_first.items())
        }
    )


def _first(form: str) -> str:
    return form[0].casefold()[0]


def _tail(form: str) -> str:
    return _WORD_ENDS if form[-1].isalnum() else ""


def _longest_first(form: str) -> tuple[int, str]:
    return -len(form), form
