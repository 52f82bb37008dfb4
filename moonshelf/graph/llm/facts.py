"""From what a model says to candidate facts: words found in the text, numbers read by code.

The model names the words; this module finds them in the original text and makes the value from
*them*, with the lexer, units and guards of the builtin backend. A model's own number or unit counts
only where the lexer reads none, or not every digit of the words. Words that stand nowhere are a
refusal (invented, or obeyed); so are words that stand only where they are denied, or said of
something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from moonshelf.errors import MoonshelfError
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.quantities import numerals
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading, read_document
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import (
    Amount,
    Document,
    Fact,
    Range,
    Refusal,
    Span,
    TextEvidence,
    Value,
)
from moonshelf.graph.text import Folded, find, fold, fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

AGREED = 0.9
"""Code reads the value from the words that the model named. No logarithms of probabilities are
asked for: servers differ in them. The two steps order facts that contradict each other."""
SAID = 0.7
"""The value, or its unit, is the model's reading of the words."""


class _None(Exception):
    """There is no value in the words, for this reason; the step as in ``Refusal``."""

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Field:
    """One field, read and folded once, however many words are looked for in it."""

    reading: FieldReading
    folded: Folded

    def find(self, raw: str) -> list[tuple[int, int]]:
        """Where these words stand; see :func:`moonshelf.graph.text.find`."""
        return find(self.folded, raw)


def read_fields(document: Document) -> tuple[Field, ...]:
    """The fields of a document, ready for :func:`found_facts`."""
    return tuple(Field(reading, fold(reading.text)) for reading in read_document(document))


def found_facts(
    document: Document,
    fields: Sequence[Field],
    owned: PropertyDef,
    said: Mapping[str, Any],
) -> list[Fact | Refusal]:
    """Candidate facts of one property, and refusals with their reasons.

    Args:
        document: what was read.
        fields: of the document; the words must stand in one of them.
        owned: the property.
        said: ``raw`` (words, a list of words, or None), and as the type has it ``value``,
            ``unit``, ``english``.
    """
    raw = said["raw"]
    words = [raw] if isinstance(raw, str) else raw or []
    found: list[Fact | Refusal] = []
    for one in dict.fromkeys(word for word in words if word.strip()):
        try:
            found.append(_fact(document, fields, owned, one, said))
        except _None as error:
            found.append(_refusal(document, owned, one, said, error))
    return found


def _fact(
    document: Document,
    fields: Sequence[Field],
    owned: PropertyDef,
    raw: str,
    said: Mapping[str, Any],
) -> Fact:
    denied = owned.datatype == "boolean" and said.get("value") is False
    field, start, end = _place(fields, raw, denied)
    words = field.text[start:end]
    inside = [w.quantity for w in field.words if w.quantity and start <= w.start and w.end <= end]
    value, unit, confidence = _value(owned, words, start, inside, said)
    english = fold_value(said.get("english") or "")
    return Fact(
        document=document.id,
        property=owned.name,
        value=english or value,
        unit=unit,
        evidence=TextEvidence(span=Span(field=field.name, start=start, end=end), raw=words),
        confidence=SAID if english else confidence,
        translation=said["english"] if english else None,
    )


def _place(fields: Sequence[Field], raw: str, denied: bool) -> tuple[FieldReading, int, int]:
    """The first place, in reading order, where the words are said of the product itself."""
    problem = _None("span", "these words do not stand in the text")
    for one in fields:
        field = one.reading
        for start, end in one.find(raw):
            zone = guarded(field.zones, start, end)
            if end >= field.whole:
                problem = _None("guard", "the text is cut short at these words")
            elif zone is not None and not (denied and zone.guard == "negation"):
                problem = _None("guard", f"these words stand under a guard: {zone.guard}")
            else:
                return field, start, end
    raise problem


def _value(
    owned: PropertyDef,
    raw: str,
    start: int,
    inside: Sequence[Quantity],
    said: Mapping[str, Any],
) -> tuple[Value, str | None, float]:
    """Value, written unit, confidence. ``inside``: the quantities within the words, which begin at
    ``start`` of their field."""
    if owned.datatype == "boolean":
        stated = said.get("value")
        return (True if stated is None else stated), None, SAID
    if owned.datatype == "string":
        return _text(owned, raw, said)
    if owned.dimension is None:
        return _plain_number(owned, raw, said)
    return _quantity(owned, raw, start, inside, said)


def _text(owned: PropertyDef, raw: str, said: Mapping[str, Any]) -> tuple[Value, None, float]:
    folded = fold_value(raw)
    if not folded:
        raise _None("span", "these words are no text")
    if not owned.options:
        return folded, None, AGREED
    listed = {fold_value(option): option for option in owned.options}
    if folded in listed:
        return listed[folded], None, AGREED
    chosen = said.get("value")
    if chosen is None:
        raise _None("option", f"none of the {len(owned.options)} options was chosen")
    return chosen, None, SAID


def _plain_number(
    owned: PropertyDef, raw: str, said: Mapping[str, Any]
) -> tuple[Value, None, float]:
    stated = numerals(raw)
    value = said.get("value")
    number = stated[0] if value is None and len(stated) == 1 else value
    if number is None:
        raise _None("range", f"{len(stated)} numbers stand in these words")
    agreed = AGREED if stated == [number] else SAID
    if owned.datatype == "integer":
        whole = Decimal(number)
        if not whole.is_finite() or whole != whole.to_integral_value() or abs(whole) > 10**15:
            raise _None("range", f"{number} is no whole number")
        return int(whole), None, agreed
    return Amount(amount=Decimal(number)), None, agreed


def _quantity(
    owned: PropertyDef, raw: str, start: int, inside: Sequence[Quantity], said: Mapping[str, Any]
) -> tuple[Value, str | None, float]:
    """An amount in the property's unit: as the lexer reads it, else as the model says."""
    assert owned.unit is not None and owned.dimension is not None
    read = [(q, name) for q in inside if (name := _reading(q, owned.dimension))]
    value, written = said.get("value"), (said.get("unit") or "").strip()
    found = registry().find(written, owned.dimension) if written else None
    told = None if value is None or found is None else (Decimal(value), found.name)
    if len(read) == 1:
        (quantity, name) = read[0]
        beside = raw[: quantity.start - start] + raw[quantity.end - start :]
        as_read = _as_read(quantity, name, owned.unit)
        # Digits that the lexer left may be the rest of the number: no reason to overrule anybody.
        if told is None or not any(c.isdigit() for c in beside):
            return as_read, quantity.written_unit, AGREED
        if as_read == Amount(amount=_converted(*told, owned.unit)):
            return as_read, quantity.written_unit, AGREED
    if told is None:
        raise _None("unit", f"{len(read)} quantities of {owned.dimension} stand in these words")
    return Amount(amount=_converted(*told, owned.unit)), written, SAID


def _as_read(quantity: Quantity, name: str, unit: str) -> Amount | Range:
    low = _converted(quantity.low, name, unit)
    if quantity.high is None:
        return Amount(amount=low)
    high = _converted(quantity.high, name, unit)
    return Range(low=min(low, high), high=max(low, high))


def _reading(quantity: Quantity, dimension: str) -> str | None:
    return next((n for n in quantity.readings if registry().unit(n).dimension == dimension), None)


def _converted(amount: Decimal, unit: str, to: str) -> Decimal:
    try:
        return convert(amount, unit, to)
    except (MoonshelfError, ArithmeticError) as error:
        raise _None("unit", str(error)) from None


def _refusal(
    document: Document, owned: PropertyDef, raw: str, said: Mapping[str, Any], error: _None
) -> Refusal:
    candidate = {"property": owned.name, **said, "raw": raw}
    return Refusal.model_validate(
        {
            "document": document.id,
            "step": error.step,
            "reason": error.reason,
            "candidate": json.dumps(candidate, default=str, sort_keys=True),
        }
    )
