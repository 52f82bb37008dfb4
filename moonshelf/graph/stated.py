"""Whether words state a value: the number in its unit, the yes or no, the wording of a text.

Each check takes the raw words of a fact, verbatim, and raises :class:`Refused` where they do not
say it. ``validate.py`` calls them; it has proven by then that the words stand in the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from moonshelf.errors import MoonshelfError
from moonshelf.graph.builtin.quantities import numerals, quantities
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Amount, Range
from moonshelf.graph.text import find, fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

Step: TypeAlias = Literal["json", "vocabulary", "span", "unit", "range", "option", "conflict"]
# A number may be rounded in its last places by a conversion, never by more.
TOLERANCE = Decimal("1e-6")
# How like an option a word must be that is not the option ("gray", "grey").
LIKE_ENOUGH = 0.7
_REMEMBERED = 50_000
_WORD = re.compile(r"\w+")
_NEGATION = re.compile(
    r"\b(no|not|non|none|never|without|free|lacks?|excluding|excludes?|cannot|nil|false)\b|n['’]t\b",
    re.IGNORECASE,
)


class Refused(Exception):
    """A candidate does not hold: at which step of the ladder, and why."""

    def __init__(self, step: Step, reason: str) -> None:
        self.step: Step = step
        self.reason = reason
        super().__init__(reason)


class Numbers:
    """What numbers words state. Remembers them: "1.5 Ton" stands in most of 600 titles."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str | None, str | None], tuple[Decimal, ...]] = {}

    def check(
        self, value: int | Amount | Range, raw: str, unit: str | None, definition: PropertyDef
    ) -> None:
        """Every number of ``value`` is stated by ``raw``.

        Args:
            value: in the property's unit.
            raw: the words.
            unit: registry name of the written unit, None for a property without unit.
            definition: of the property.

        Raises:
            Refused: one is not.
        """
        said = self.said(raw, unit, definition.unit)
        for number in numbers_of(value):
            if not any(close(number, one, TOLERANCE) for one in said):
                shown = f"{number} {definition.unit or ''}".rstrip()
                raise Refused("span", f"{raw!r} does not state {shown}")

    def said(self, raw: str, unit: str | None, wanted: str | None) -> tuple[Decimal, ...]:
        """All numbers that ``raw`` states, converted from ``unit`` to ``wanted``."""
        key = (raw, unit, wanted)
        if key not in self._said:
            if len(self._said) >= _REMEMBERED:
                self._said.clear()
            found = _amounts(raw, unit, wanted) if unit and wanted else _plain_numbers(raw)
            self._said[key] = tuple(dict.fromkeys(found))
        return self._said[key]


def check_boolean(value: bool, raw: str, translation: str | None, definition: PropertyDef) -> None:
    """A yes needs the phrase that says it; a no needs a negation beside that phrase.

    Raises:
        Refused: the words do not name the property, or deny nothing.
    """
    said = _compact(f"{raw} {translation or ''}")
    names = (definition.label, *definition.synonyms, *definition.examples)
    words = [w for w in definition.name.split("_") if len(w) > 2] or [definition.name]
    phrases = [*words, *(compact for name in names if (compact := _compact(name)))]
    if not any(phrase in said for phrase in phrases):
        raise Refused("span", f"{raw!r} does not name {definition.name}")
    if not value and not _NEGATION.search(f"{raw} {translation or ''}"):
        raise Refused("span", f"{raw!r} denies nothing")


def check_unit(unit: str | None, raw: str, text: str, definition: PropertyDef) -> str | None:
    """Registry name of the written unit; None for a property without unit.

    Args:
        unit: as written.
        raw: the words of the fact.
        text: the whole field they stand in: "A x B cm" writes its unit once.
        definition: of the property.

    Raises:
        Refused: no unit, one of another dimension, or one that stands nowhere.
    """
    if definition.dimension is None:
        return None
    if unit is None:
        raise Refused("unit", f"no unit is written, {definition.name} is in {definition.unit}")
    found = registry().find(unit, definition.dimension)
    if found is None:
        raise Refused("unit", f"{unit!r} is no unit of {definition.dimension}")
    written = unit in text or bool(find(text, unit))
    if not written and not any(found.name in one.readings for one in quantities(raw)):
        raise Refused("unit", f"{unit!r} stands nowhere in the field")
    return found.name


def says(text: str, value: str, loosely: bool) -> bool:
    """Whether all of ``value`` (folded) is in ``text``.

    Args:
        text: any words; they are folded here.
        value: folded.
        loosely: the value is one of few options, and may be spelled a little otherwise.
    """
    folded = fold_value(text)
    if value in folded:
        return True
    wanted = _compact(value)
    if wanted and wanted in _compact(folded):
        return True
    parts, line = _WORD.findall(value), _WORD.findall(folded)
    if parts and set(parts) <= set(line):
        return True
    if not loosely:
        return False
    size = len(parts)
    windows = (" ".join(line[k : k + size]) for k in range(max(1, len(line) - size + 1)))
    return any(SequenceMatcher(None, window, value).ratio() >= LIKE_ENOUGH for window in windows)


def numbers_of(value: int | Amount | Range) -> tuple[Decimal, ...]:
    """The one or two numbers of a value."""
    if isinstance(value, Amount):
        return (value.amount,)
    if isinstance(value, Range):
        return (value.low, value.high)
    return (Decimal(value),)


def close(one: Decimal, other: Decimal, tolerance: Decimal) -> bool:
    """Whether two numbers differ by at most this share of the larger."""
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def _plain_numbers(raw: str) -> Iterator[Decimal]:
    yield from numerals(raw)
    for quantity in quantities(raw):
        if quantity.tolerance is not None:
            yield from (quantity.low - quantity.tolerance, quantity.low + quantity.tolerance)


def _amounts(raw: str, unit: str, wanted: str) -> Iterator[Decimal]:
    """Bare numerals count in the written unit; a quantity within ``raw`` knows its own.

    "6 ft 9 in" is one amount of two numerals, "24 ± 2 °C" a range of two others.
    """
    dimension = registry().unit(wanted).dimension
    candidates = [(number, unit) for number in numerals(raw)]
    for quantity in quantities(raw):
        own = (n for n in quantity.readings if registry().unit(n).dimension == dimension)
        name = next(own, unit)
        ends = [n for n in (quantity.low, quantity.high) if n is not None]
        if quantity.tolerance is not None:
            ends += [quantity.low - quantity.tolerance, quantity.low + quantity.tolerance]
        candidates += [(number, name) for number in ends]
    for number, written in candidates:
        try:
            yield convert(number, written, wanted)
        except MoonshelfError:  # too large to express: no such value either
            continue


def _compact(text: str) -> str:
    """Letters and digits alone, folded: "Wi-Fi" is "wifi"."""
    return "".join(c for c in fold_value(text) if c.isalnum())
