"""Candidates with numbers: measures, sizes, stars, modes, years, packs, counted things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from moonshelf.graph.builtin.candidate import (
    CERTAIN,
    IN_PROSE,
    LIKELY,
    SURE,
    Candidate,
    Page,
)
from moonshelf.graph.builtin.codes import is_code_unit
from moonshelf.graph.builtin.measures import Name, names_of, parts, reading_of
from moonshelf.graph.builtin.named import attributes_of, is_of, is_usual, shown
from moonshelf.graph.builtin.plan import Measure
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.spelled import trusted
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Amount, Range, Value
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.convert import convert, plain
from moonshelf.graph.units.registry import Unit, UnitError, registry

_KEY_UNIT = re.compile(r"[(\[]\s*([^\W\d_][^)\]]{0,20}?)\s*[)\]]\s*$|\bin\s+([^\W\d_]{1,12})\s*$")


def find_numbers(page: Page, reading: FieldReading, words: Sequence[Word]) -> Iterator[Candidate]:
    """Candidates of one segment."""
    for k, word in enumerate(words):
        quantity = word.quantity
        if quantity is None or word.end >= reading.whole:
            continue
        if is_code_unit(reading.text, quantity, page.corpus.habits, page.brand):
            continue
        if quantity.kind == "measure":
            if (sure := trusted(quantity, page.spelled)) is not None:
                yield from _measured(page, reading, words, k, sure)
        elif quantity.kind == "bare":
            yield from _counted(page, reading, words, k)
        else:
            yield from _kind(page, reading, words, k)


def _measured(
    page: Page, reading: FieldReading, words: Sequence[Word], place: int, quantity: Quantity
) -> Iterator[Candidate]:
    if quantity.group is not None and quantity.axis in ("first", "second", "third", "fourth"):
        if quantity.axis == "first" and (candidate := _size(page, reading, quantity)):
            yield candidate
        return
    found = _target(page, reading, words, place, quantity)
    nowhere = found is None or found.other
    if nowhere and quantity.group is not None and (candidate := _size(page, reading, quantity)):
        yield candidate
    if found is None:
        return
    value = amount_of(quantity, found.unit, found.definition)
    if value is not None:
        yield Candidate(
            found.definition,
            value,
            reading.name,
            quantity.start,
            quantity.end,
            found.confidence * _prose(reading, words[place]) - (0.1 if quantity.bound else 0),
            quantity.written_unit,
            other=found.other,
        )


class _Target(NamedTuple):
    """The property that a quantity is of. ``other``: the text names this instead."""

    definition: PropertyDef
    unit: Unit
    confidence: float
    other: str = ""


def _target(
    page: Page, reading: FieldReading, words: Sequence[Word], place: int, quantity: Quantity
) -> _Target | None:
    """The property that a quantity is of: the one its words name, else the usual one of its unit,
    else the only one of its dimension. What its words name must be what the property is of."""
    names = list(names_of(reading, words, place))
    first = reading_of(quantity.readings, page.context, page.corpus.usual)
    units = [first, *(u for n in quantity.readings if (u := registry().unit(n)) is not first)]
    refused: _Target | None = None
    for unit in units:
        measures = page.plan.measures.get(unit.dimension, ())
        said = attributes_of(names, unit.dimension, quantity.axis)
        fitting = [m for m in measures if not said or any(is_of(m.names, a) for a in said)]
        if found := _by_name(fitting, names, quantity, unit):
            return found
        # A reading whose attribute has no property is not saved by the next one's usual property.
        if (said or refused is None) and (found := _by_unit(fitting, unit, names, bool(said))):
            return found
        if said and refused is None and (found := _by_unit(measures, unit, names, True)):
            refused = found._replace(other=shown(said[0], names, quantity.axis))
    return refused


def _by_name(
    measures: Sequence[Measure], names: Sequence[Name], quantity: Quantity, unit: Unit
) -> _Target | None:
    sides = [(quantity.axis,)] if quantity.axis else []
    for phrase in (*(n.phrase for n in names if n.relation == "key"), *sides):
        for measure in measures:
            if phrase in measure.names:
                return _Target(measure.definition, unit, CERTAIN)
    for name in names:
        for measure in measures:
            if name.phrase in measure.names:
                return _Target(measure.definition, unit, SURE)
    return None


def _by_unit(
    measures: Sequence[Measure], unit: Unit, names: Sequence[Name], said: bool
) -> _Target | None:
    """The usual property of a unit, else the only one, unless it would have to be named."""
    usual = tuple(unit.usual.split("_"))
    for measure in measures:
        if usual in measure.names:
            return _Target(measure.definition, unit, SURE)
    if len(measures) != 1:
        return None
    (only,) = measures
    if not said and (any(n.phrase in parts() for n in names) or not is_usual(only.names, unit)):
        return None
    return _Target(only.definition, unit, LIKELY)


def amount_of(quantity: Quantity, unit: Unit, definition: PropertyDef) -> Value | None:
    """The value in the property's unit; None where it cannot be expressed."""
    assert definition.unit is not None
    try:
        low = plain(convert(quantity.low, unit.name, definition.unit))
        if quantity.high is None:
            return Amount(amount=low)
        return Range(low=low, high=plain(convert(quantity.high, unit.name, definition.unit)))
    except UnitError:
        return None


def _size(page: Page, reading: FieldReading, quantity: Quantity) -> Candidate | None:
    """A size without named sides, as one text."""
    definition = page.plan.roles.get("size")
    if definition is None or quantity.group is None:
        return None
    start, end = quantity.group
    value = fold_value(reading.text[start:end])
    return Candidate(definition, value, reading.name, start, end, SURE)


def _kind(
    page: Page, reading: FieldReading, words: Sequence[Word], place: int
) -> Iterator[Candidate]:
    quantity = words[place].quantity
    assert quantity is not None
    definition = page.plan.kinds.get(quantity.kind)
    if definition is None:
        return
    if quantity.kind == "modes" and not _says_modes(definition, words, place):
        return
    value = integer_of(quantity.low, definition)
    if value is not None:
        yield Candidate(
            definition,
            value,
            reading.name,
            quantity.start,
            quantity.end,
            CERTAIN * _prose(reading, words[place]),
        )


def _says_modes(definition: PropertyDef, words: Sequence[Word], place: int) -> bool:
    """A gadget is "4-in-1" as well: modes need one of their words nearby."""
    nouns = {s for s in definition.synonyms if " " not in s}
    near = {w.word for w in words[max(0, place - 3) : place + 4]}
    return not nouns or bool(nouns & near)


def _counted(
    page: Page, reading: FieldReading, words: Sequence[Word], place: int
) -> Iterator[Candidate]:
    """A bare number before its noun ("4 way swing"), or with its unit in the key."""
    quantity = words[place].quantity
    assert quantity is not None
    if place + 1 < len(words):
        match = page.plan.counted.at(words, place + 1, reading.text)
        close = reading.text[quantity.end : words[place + 1].start].strip(" -–\u00a0") == ""
        if match is not None and close and words[match.last - 1].end < reading.whole:
            value = integer_of(quantity.low, match.payload)
            if value is not None:
                yield Candidate(
                    match.payload,
                    value,
                    reading.name,
                    quantity.start,
                    words[place + 1].end,
                    LIKELY * _prose(reading, words[place]),
                )
                return
    yield from _unit_in_key(page, reading, words, place, quantity)


def _unit_in_key(
    page: Page, reading: FieldReading, words: Sequence[Word], place: int, quantity: Quantity
) -> Iterator[Candidate]:
    segment = reading.segments[words[place].segment] if words[place].segment >= 0 else None
    if segment is None or segment.key is None:
        return
    key = reading.text[segment.key[0] : segment.key[1]]
    found = _KEY_UNIT.search(key)
    if found is None:
        return
    written = found[1] or found[2]
    for unit in registry().readings(written):
        for name in names_of(reading, words, place):
            for measure in page.plan.measures.get(unit.dimension, ()):
                if name.phrase in measure.names:
                    value = amount_of(quantity, unit, measure.definition)
                    if value is not None:
                        yield Candidate(
                            measure.definition,
                            value,
                            reading.name,
                            quantity.start,
                            quantity.end,
                            SURE,
                            written,
                        )
                    return


def integer_of(number: Decimal, definition: PropertyDef) -> Value | None:
    """A number without unit in the form of its property; None for half a star."""
    if definition.datatype == "integer":
        return int(number) if number == number.to_integral_value() else None
    return Amount(amount=plain(number))


def _prose(reading: FieldReading, word: Word) -> float:
    sentence = word.segment >= 0 and reading.segments[word.segment].kind == "sentence"
    return IN_PROSE if sentence else 1.0
