"""How a graph's values are written for shoppers: keys, units and spellings as most texts have.

A fact holds ``lg``, ``5275.28 watt``, ``True``; a shopper writes ``LG``, ``1.5 ton``, ``yes``.
Equal values are written alike, whoever stated them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from typing import NotRequired, TypedDict

from moonshelf.catalog.reference_attributes import LONGEST_NAME, KeyFacts, key_form, one_line
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.literals import decimal_form
from moonshelf.graph.records import Amount, Fact, Range, TextEvidence
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

SHOWN_DIGITS = 6
"""Significant digits of a number that was converted to the unit that the shop writes."""


class Written(TypedDict):
    """A value as :class:`~moonshelf.catalog.reference_attributes.ReferenceValue` takes it."""

    value: str
    number: NotRequired[str]
    low: NotRequired[str]
    high: NotRequired[str]


class Wording:
    """Counts facts first (:meth:`count`), then writes them (:meth:`written`)."""

    def __init__(self, ontology: Ontology) -> None:
        self.names = key_names(ontology)
        self._owned = {owned.name: owned for owned in ontology.properties}
        self._products: Counter[str] = Counter()
        self._units: dict[str, Counter[str]] = defaultdict(Counter)
        self._words: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def count(self, facts: Iterable[tuple[Fact, PropertyDef]]) -> None:
        """Takes in the facts of one product."""
        facts = list(facts)
        self._products.update({owned.name for _, owned in facts})
        for fact, owned in facts:
            if isinstance(fact.value, str) and isinstance(fact.evidence, TextEvidence):
                raw = one_line(fact.evidence.raw)
                if len(raw) <= LONGEST_NAME and fold_value(raw) == fold_value(fact.value):
                    self._words[owned.name, fact.value][raw] += 1
            elif fact.unit is not None and owned.dimension is not None:
                unit = registry().find(fact.unit, owned.dimension)
                if unit is not None:
                    self._units[owned.name][unit.name] += 1

    def keys(self) -> tuple[KeyFacts, ...]:
        """The fixed order: what most products have first, then by name."""
        order = sorted(self._products, key=lambda name: (-self._products[name], name))
        return tuple(
            KeyFacts(
                key=self.names[name],
                property=name,
                unit=self._symbol(self._owned[name]),
                products=self._products[name],
            )
            for name in order
        )

    def written(self, fact: Fact, owned: PropertyDef) -> Written:
        """The value of a fact of property ``owned``."""
        value = fact.value
        if isinstance(value, bool):
            return {"value": "yes" if value else "no"}
        if isinstance(value, str):
            return {"value": self._spelling(owned.name, value)}
        symbol = self._symbol(owned)
        end = f" {symbol}" if symbol else ""
        if isinstance(value, Range):
            low, high = self._number(value.low, owned), self._number(value.high, owned)
            return {"value": f"{low} to {high}{end}", "low": low, "high": high}
        number = value.amount if isinstance(value, Amount) else Decimal(value)
        shown = self._number(number, owned)
        return {"value": f"{shown}{end}", "number": shown}

    def _spelling(self, name: str, value: str) -> str:
        found = self._words.get((name, value))
        return one_line(value) if not found else _commonest(found)

    def _unit(self, owned: PropertyDef) -> str | None:
        """Registry name of the unit that most texts use; the property's own where none does."""
        found = self._units.get(owned.name)
        return owned.unit if not found else _commonest(found)

    def _symbol(self, owned: PropertyDef) -> str | None:
        unit = self._unit(owned)
        return None if unit is None else registry().unit(unit).symbol

    def _number(self, number: Decimal, owned: PropertyDef) -> str:
        unit = self._unit(owned)
        if owned.unit is None or unit is None or unit == owned.unit:
            return decimal_form(number)
        with localcontext() as context:
            context.prec = SHOWN_DIGITS
            return decimal_form(+convert(number, owned.unit, unit))


def key_names(ontology: Ontology) -> Mapping[str, str]:
    """Property -> what a shopper calls it; no two alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for owned in sorted(ontology.properties, key=lambda one: one.name):
        plain = spoken(owned.name)
        label = one_line(owned.label)[:LONGEST_NAME].strip() or plain
        wanted = [label, plain, *(f"{plain} {n}" for n in range(2, len(ontology.properties) + 2))]
        names[owned.name] = next(name for name in wanted if key_form(name) not in taken)
        taken.add(key_form(names[owned.name]))
    return names


def _commonest(found: Counter[str]) -> str:
    return min(found, key=lambda word: (-found[word], word))
