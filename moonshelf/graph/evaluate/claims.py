"""What a backend and a person say of a text, in one comparable form.

A claim is a property, keys of its value, and a place. Two values are equal when they share a key:

* numbers agree to five significant digits, after conversion to the dimension's canonical unit;
* words agree in letters and digits, whatever their case, dashes and blanks ("R-32", "r32");
* a number that stands as a text ("2023") is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from moonshelf.graph.evaluate.gold import GoldFact, GoldProperty, Labelled
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Amount, Extraction, Fact, Range, TextEvidence
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

CLASS = "(class)"
"""The product's class is compared like a property: a kind of product may be either."""
_GAP = re.compile(r"(?<!\d)[\W_]+|[\W_]+(?!\d)")


@dataclass(frozen=True)
class Claim:
    """``keys``: any of them may match; ``place``: (field, start, end), None where it has none."""

    property: str
    keys: frozenset[str]
    place: tuple[str, int, int] | None
    boolean: bool = False

    def equals(self, other: Claim) -> bool:
        return not self.keys.isdisjoint(other.keys)

    def meets(self, other: Claim) -> bool:
        """Whether the places share a character."""
        if self.place is None or other.place is None or self.place[0] != other.place[0]:
            return False
        return self.place[1] < other.place[2] and other.place[1] < self.place[2]


def claims(found: Extraction, ontology: Ontology) -> list[Claim]:
    """The facts of an extraction, each value of a property once, and its class."""
    known = {owned.name: owned for owned in ontology.properties}
    claimed: dict[tuple[str, frozenset[str]], Claim] = {}
    for fact in found.facts:
        claim = _claim(fact, known[ontology.present(fact.property)])
        claimed.setdefault((claim.property, claim.keys), claim)
    kind = next((c for c in ontology.classes if c.name == found.product_class), None)
    if kind is not None and kind.parent is not None:
        names = (spoken(kind.name), kind.label, *kind.synonyms)
        claimed[CLASS, frozenset()] = Claim(CLASS, frozenset(map(word_key, names)) - {""}, None)
    return list(claimed.values())


def gold_claims(one: Labelled, properties: Mapping[str, GoldProperty]) -> list[Claim]:
    """The facts of a gold text."""
    return [_gold_claim(fact, one.field, properties[fact.property]) for fact in one.text.facts]


def number_key(number: Decimal) -> str:
    return f"#{float(number):.5g}"


def word_key(text: str) -> str:
    """Letters and digits; a mark stays where it parts two digits ("pm 2.5")."""
    folded = fold_value(text)
    try:
        number = Decimal(folded)
    except InvalidOperation:
        return _GAP.sub("", folded)
    return number_key(number) if number.is_finite() else folded


def by_property(claimed: Iterable[Claim]) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in claimed:
        found.setdefault(claim.property, []).append(claim)
    return found


def _claim(fact: Fact, owned: PropertyDef) -> Claim:
    place = None
    if isinstance(fact.evidence, TextEvidence):
        span = fact.evidence.span
        place = (span.field, span.start, span.end)
    keys = frozenset({_key(fact, owned)})
    return Claim(owned.name, keys, place, isinstance(fact.value, bool))


def _key(fact: Fact, owned: PropertyDef) -> str:
    value = fact.value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return number_key(Decimal(value))
    if isinstance(value, str):
        return word_key(value)
    ends = [value.amount] if isinstance(value, Amount) else [value.low, value.high]
    assert isinstance(value, Amount | Range)
    if owned.unit is not None and owned.dimension is not None:
        base = registry().canonical(owned.dimension).name
        ends = [convert(number, owned.unit, base) for number in ends]
    return " to ".join(map(number_key, ends))


def _gold_claim(fact: GoldFact, field: str, owned: GoldProperty) -> Claim:
    value = fact.value
    if isinstance(value, bool):
        key = str(value)
    elif isinstance(value, str):
        key = word_key(value)
    else:
        number = Decimal(value)
        if fact.unit is not None and owned.dimension is not None:
            unit = registry().find(fact.unit, owned.dimension)
            assert unit is not None
            base = registry().canonical(owned.dimension).name
            number = convert(number, unit.name, base)
        key = number_key(number)
    place = (field, fact.start, fact.end)
    return Claim(fact.property, frozenset({key}), place, isinstance(value, bool))
