"""Whether words state a value: the number in its unit, the yes or no, the wording of a text.

Each check takes the raw words of a fact, verbatim, and raises :class:`Refused` where they do not
say it. ``validate.py`` calls them; it has proven by then that the words stand in the document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal, TypeAlias

from moonshelf.errors import MoonshelfError
from moonshelf.graph.builtin.quantities import numerals, quantities
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Amount, Range
from moonshelf.graph.text import find, fold_value, is_whole
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

Step: TypeAlias = Literal["json", "vocabulary", "span", "unit", "range", "option", "conflict"]
# A number may be rounded in its last places by a conversion, never by more.
TOLERANCE = Decimal("1e-6")
# How like an option a word must be that is not the option ("gray", "grey").
LIKE_ENOUGH = 0.7
_REMEMBERED = 50_000
# Characters beside a number that its unit may stand in.
_AROUND = 32
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_DECIMAL = re.compile(r"\d[.,]\d")
_CLAUSE = re.compile(r"[,;.!?\n]")
_PLURALS = ("", "s", "es")
_VOWELS = frozenset("aeiouy")
# Words of a property's name that say no more than that the product has it.
_FILLERS = frozenset(
    {"has", "is", "with", "enabled", "included", "available", "supported", "support", "feature"}
)
_NEGATION = re.compile(
    r"\b(no|not|non|none|never|without|free|lacks?|excluding|excludes?|excl|except|exclusive|cannot|nil"
    r"|false|neither|nor|unable|incompatible|devoid)\b|n['’]t\b",
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
    """A yes needs the phrase that says it, whole and not denied; a no needs a negation beside it.

    Raises:
        Refused: the words do not name the property, deny nothing, or deny it.
    """
    named = False
    for text in map(fold_value, (raw, translation or "")):
        place = _named(text, definition)
        if place is None:
            continue
        named = True
        if value and _denied(text, *place):
            raise Refused("span", f"{raw!r} denies {definition.name}")
    if not named:
        raise Refused("span", f"{raw!r} does not name {definition.name}")
    if not value and not _NEGATION.search(f"{raw} {translation or ''}"):
        raise Refused("span", f"{raw!r} denies nothing")


def check_unit(
    unit: str | None, raw: str, field: str, start: int, definition: PropertyDef
) -> str | None:
    """Registry name of the written unit; None for a property without unit.

    Args:
        unit: as written.
        raw: the words of the fact.
        field: the whole text they stand in: "A x B cm" writes its unit once.
        start: where in it they begin.
        definition: of the property.

    Raises:
        Refused: no unit, one of another dimension, one that stands nowhere, or not the one that
            the number is written with.
    """
    if definition.dimension is None:
        return None
    if unit is None:
        raise Refused("unit", f"no unit is written, {definition.name} is in {definition.unit}")
    found = registry().find(unit, definition.dimension)
    if found is None:
        raise Refused("unit", f"{unit!r} is no unit of {definition.dimension}")
    if find(raw, unit) or any(found.name in one.readings for one in quantities(raw)):
        return found.name
    own = [one for one in around(field, start, start + len(raw)) if one.readings]
    if own and not any(found.name in one.readings for one in own):
        written = own[0].written_unit
        raise Refused("unit", f"the number is written in {written!r}, not in {unit!r}")
    if not own and not find(field, unit):
        raise Refused("unit", f"{unit!r} stands nowhere in the field")
    return found.name


def around(field: str, start: int, end: int) -> list[Quantity]:
    """Quantities of ``field`` that overlap [start, end), read with the words around them."""
    low, high = max(0, start - _AROUND), min(len(field), end + _AROUND)
    while low > 0 and not field[low - 1].isspace() and start - low < 2 * _AROUND:
        low -= 1
    while high < len(field) and not field[high].isspace() and high - end < 2 * _AROUND:
        high += 1
    found = quantities(field[low:high])
    return [one for one in found if one.start + low < end and start < one.end + low]


def says(text: str, value: str, loosely: bool) -> bool:
    """Whether all of ``value`` (folded) is in ``text``, in whole words.

    Args:
        text: any words; they are folded here.
        value: folded.
        loosely: the value is one of few options, and may be spelled a little otherwise.
    """
    folded = fold_value(text)
    if _whole(folded, value) is not None:
        return True
    parts, line = _WORD.findall(value), _WORD.findall(folded)
    if parts and set(parts) <= set(line):
        return True
    if not loosely:
        return False
    size = len(parts)
    windows = (" ".join(line[k : k + size]) for k in range(max(1, len(line) - size + 1)))
    return any(_alike(window, value) for window in windows)


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
    candidates: list[tuple[Decimal, str]] = []
    rest = raw
    for quantity in quantities(raw):
        ends = [n for n in (quantity.low, quantity.high) if n is not None]
        if quantity.tolerance is not None:
            ends += [quantity.low - quantity.tolerance, quantity.low + quantity.tolerance]
        if not quantity.readings:
            candidates += [(number, unit) for number in ends]
            continue
        own = (n for n in quantity.readings if registry().unit(n).dimension == dimension)
        candidates += [(number, name) for name in own for number in ends]
        blank = " " * (quantity.end - quantity.start)
        rest = f"{rest[: quantity.start]}{blank}{rest[quantity.end :]}"
    candidates += [(number, unit) for number in numerals(rest)]
    for number, written in candidates:
        try:
            yield convert(number, written, wanted)
        except MoonshelfError:  # too large to express: no such value either
            continue


def compact(text: str) -> str:
    """Letters and digits alone, folded: "Wi-Fi" is "wifi"."""
    return "".join(c for c in fold_value(text) if c.isalnum())


def _whole(folded: str, phrase: str) -> tuple[int, int] | None:
    """Where ``phrase`` stands in ``folded`` in whole words, blanks and stops apart ("wi-fi" is
    "wifi"), also in the plural."""
    wanted = compact(phrase)
    if not wanted:
        # Signs alone are compared as they are.
        place = folded.find(phrase) if phrase else -1
        return None if place < 0 else (place, place + len(phrase))
    places = [place for place, c in enumerate(folded) if c.isalnum()]
    line = "".join(folded[place] for place in places)
    begin = line.find(wanted)
    while begin >= 0:
        start, end = places[begin], places[begin + len(wanted) - 1] + 1
        for more in _PLURALS:
            whole = folded.startswith(more, end) and is_whole(folded, start, end + len(more))
            if whole and _DECIMAL.findall(folded[start:end]) == _DECIMAL.findall(phrase):
                return start, end
        begin = line.find(wanted, begin + 1)
    return None


def _named(text: str, definition: PropertyDef) -> tuple[int, int] | None:
    """Where ``text`` (folded) holds a whole wording of the property."""
    spoken = [word for word in definition.name.split("_") if word not in _FILLERS]
    wordings = (definition.name, " ".join(spoken), definition.label, *definition.synonyms)
    for wording in (*wordings, *definition.examples):
        place = _whole(text, wording)
        if place is not None:
            return place
    # Its words may stand apart: "control it by remote".
    line = {match[0]: match.span() for match in _WORD.finditer(text)}
    return max(line[word] for word in spoken) if spoken and set(spoken) <= set(line) else None


def _denied(text: str, start: int, end: int) -> bool:
    """Whether a negation stands beside [start, end), within the same clause."""
    before = _CLAUSE.split(text[:start])[-1]
    after = _CLAUSE.split(text[end:])[0]
    # "Free wifi" gives it away, "wifi free" lacks it.
    found = {match[0] for match in _NEGATION.finditer(before)} - {"free"}
    return bool(found) or _NEGATION.search(after) is not None


def _alike(window: str, value: str) -> bool:
    """Whether two words are one, spelled otherwise: the same digits, and the same consonants in
    the same order, as far as the shorter one goes ("grey", "gray"; never "while", "white")."""
    if _DIGIT.findall(window) != _DIGIT.findall(value):
        return False
    if SequenceMatcher(None, window, value).ratio() < LIKE_ENOUGH:
        return False
    one, other = _consonants(window), _consonants(value)
    return one.startswith(other) or other.startswith(one)


def _consonants(words: str) -> str:
    """Letters and digits but vowels, doubled ones once."""
    plain = (c for c in unicodedata.normalize("NFD", words) if c.isalnum() and c not in _VOWELS)
    return "".join(c for c, _ in groupby(plain))
