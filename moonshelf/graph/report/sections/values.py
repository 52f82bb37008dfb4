"""Values of facts for a person: in words, with the unit's symbol."""

from __future__ import annotations

from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Fact
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.units.registry import registry
from moonshelf.graph.usage import shown_value


def symbol(unit: str | None) -> str:
    """``kWh`` for ``kilowatt_hour``; empty where there is no unit."""
    if unit is None:
        return ""
    known = {one.name: one.symbol for one in registry().units()}
    return known.get(unit, spoken(unit))


def value_of(fact: Fact, definition: PropertyDef | None) -> str:
    """The normalized value with the unit of its property."""
    if isinstance(fact.value, bool):
        return "yes" if fact.value else "no"
    unit = "" if definition is None else symbol(definition.unit)
    return f"{shown_value(fact)} {unit}".rstrip()
