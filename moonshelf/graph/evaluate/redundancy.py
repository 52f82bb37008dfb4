"""How much of a schema says the same twice. The paper claims "minimal redundancy", uncounted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from moonshelf.config import Config
from moonshelf.graph.edits import Usage
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.schema.similarity import (
    LEAST_DOCUMENTS,
    NAMES_ALIKE,
    VALUES_ALIKE,
    name_similarity,
    value_similarity,
)

SAME_VALUES = 0.8


class Redundancy(Config):
    """Pairs of properties with the same form (datatype and dimension), each a hundred properties.

    Width and height have alike values, and ``weight`` and ``height`` alike names, so only pairs
    with both are near-duplicates; the others are suspects for a person to look at.
    """

    properties: int
    duplicates: float
    """Alike in name and in values."""
    alike_names: float
    alike_values: float
    """Texts and numbers alone: nearly every boolean is true."""
    pairs: tuple[tuple[str, str], ...]
    """The near-duplicates."""


def redundancy(ontology: Ontology, usage: Mapping[str, Usage]) -> Redundancy:
    """
    Args:
        ontology: whose properties are compared.
        usage: of its properties, as ``usage.usage_of`` counts it.

    Raises:
        UsageError: the extra ``graph`` is not installed.
    """
    pairs, named, valued = [], 0, 0
    for a, b in combinations(sorted(ontology.properties, key=lambda p: p.name), 2):
        if _form(a) != _form(b):
            continue
        names = name_similarity(a, b) >= NAMES_ALIKE
        values = _values(a, b, usage)
        named += names
        valued += a.datatype != "boolean" and values >= SAME_VALUES
        if names and values >= VALUES_ALIKE:
            pairs.append((a.name, b.name))
    count = len(ontology.properties)
    return Redundancy(
        properties=count,
        duplicates=_per_hundred(len(pairs), count),
        alike_names=_per_hundred(named, count),
        alike_values=_per_hundred(valued, count),
        pairs=tuple(pairs),
    )


def jaccard(schemas: Iterable[Ontology]) -> float:
    """Mean over all pairs of schemas: elements in both over elements in either, by name and form.

    1 for fewer than two schemas. Another name for the same thing counts as another thing.
    """
    sets = [elements(one) for one in schemas]
    shares = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in combinations(sets, 2)]
    return round(sum(shares) / len(shares), 6) if shares else 1.0


def elements(ontology: Ontology) -> set[tuple[str, ...]]:
    """Classes (less the root) and properties, as they are compared."""
    classes = {("class", found.name) for found in ontology.classes if found.parent is not None}
    return classes | {("property", p.name, *map(str, _form(p))) for p in ontology.properties}


def _values(a: PropertyDef, b: PropertyDef, usage: Mapping[str, Usage]) -> float:
    found = [usage.get(owned.name, Usage(name=owned.name)) for owned in (a, b)]
    if min(one.documents for one in found) < LEAST_DOCUMENTS:
        return 0.0
    return value_similarity(*found)


def _form(owned: PropertyDef) -> tuple[str, str | None]:
    return owned.datatype, owned.dimension


def _per_hundred(pairs: int, properties: int) -> float:
    return round(100 * pairs / properties, 4) if properties else 0.0
