"""Candidates of the tagger: words that it knows from labels, read by the form of their property.

The tagger says where a value stands and of which property it is. What the value is, the same code
reads that reads the rules' own finds: numbers by the lexer, codes and makers in their one spelling.
So its facts can be compared with the rules' and pass the same guards and the same ladder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from moonshelf.graph.builtin.candidate import Candidate, Page
from moonshelf.graph.builtin.codes import standard_names
from moonshelf.graph.builtin.find_numbers import amount_of, integer_of
from moonshelf.graph.builtin.find_words import brand_value, code_value, designation_value
from moonshelf.graph.builtin.phrases import compact, split
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading
from moonshelf.graph.builtin.tagger import Tagged, Tagger
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Document, Value
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.registry import registry

_RUN = re.compile(r"\S*")


def find_tagged(
    page: Page, document: Document, tagger: Tagger, ontology: Ontology
) -> Iterator[Candidate]:
    """What the tagger finds of the properties of the page's class, outside of cut ends."""
    readings = {reading.name: reading for reading in reversed(page.readings)}
    for tagged in tagger.tag(document):
        reading = readings[tagged.span.field]
        definition = page.plan.named(ontology.present(tagged.property))
        here = reading.text[tagged.span.start : tagged.span.end] == tagged.raw
        if definition is None or not here or _ends(reading, tagged.span.end) >= reading.whole:
            continue
        confidence = tagged.confidence * tagger.settings.trust
        found = _candidate(page, reading, definition, tagged, confidence)
        if found is not None:
            yield found


def _ends(reading: FieldReading, end: int) -> int:
    """Where the run of signs ends that a value ends in: "HSU18" of a cut "HSU18C-..." is cut."""
    found = _RUN.match(reading.text, end)
    return end if found is None else found.end()


def _candidate(
    page: Page,
    reading: FieldReading,
    definition: PropertyDef,
    tagged: Tagged,
    confidence: float,
) -> Candidate | None:
    start, end = tagged.span.start, tagged.span.end
    if definition.datatype in ("integer", "decimal"):
        return _number(reading, definition, start, end, confidence)
    value: bool | str | None = True
    if definition.datatype == "string":
        value = _wording(page, definition, tagged.raw)
    if value is None:
        return None
    return Candidate(definition, value, reading.name, start, end, confidence, tagged=True)


def _number(
    reading: FieldReading, definition: PropertyDef, start: int, end: int, confidence: float
) -> Candidate | None:
    """The one quantity that the words touch; several say not which is meant."""
    touched = [
        word.quantity
        for word in reading.words
        if word.quantity is not None and word.start < end and start < word.end
    ]
    if len(touched) != 1:
        return None
    quantity = touched[0]
    value = _amount(quantity, definition)
    if value is None or quantity.end >= reading.whole:
        return None
    return Candidate(
        definition,
        value,
        reading.name,
        quantity.start,
        quantity.end,
        confidence,
        quantity.written_unit if definition.dimension else None,
        tagged=True,
    )


def _amount(quantity: Quantity, definition: PropertyDef) -> Value | None:
    if definition.dimension is None:
        return None if quantity.high is not None else integer_of(quantity.low, definition)
    for name in quantity.readings:
        unit = registry().unit(name)
        if unit.dimension == definition.dimension:
            return amount_of(quantity, unit, definition)
    return None


def _wording(page: Page, definition: PropertyDef, raw: str) -> str | None:
    """The words in the form in which the rules give values of this property."""
    value = fold_value(raw)
    if definition.options:
        options = {fold_value(option): option for option in definition.options}
        return options.get(value)
    if definition is page.plan.roles.get("brand"):
        return brand_value(page.corpus.brands.names, compact(split(raw))) or value or None
    if definition is page.plan.roles.get("model_number"):
        return code_value(raw) or None
    if definition.name in standard_names():
        return designation_value(raw) or None
    return value or None
