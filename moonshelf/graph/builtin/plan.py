"""A schema slice made ready for reading: which words, units and keys lead to which property.

It is made of the ontology alone, so a schema that a person wrote or a model proposed is filled by
the same rules as an induced one: dimensions find quantities, synonyms and labels find keys, heads
and phrases, options find values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.naming import key_names
from moonshelf.graph.builtin.phrases import Phrases, split
from moonshelf.graph.ontology import PropertyDef

Phrase = tuple[str, ...]
Role = Literal["brand", "model_number", "color", "material", "series", "size"]
_ROLES: tuple[Role, ...] = ("brand", "model_number", "color", "material")
# Numbers that a word beside them does not name by itself.
_STAR, _MODES, _PACK, _YEAR = ("star",), ("in", "1"), ("pack",), ("model", "year")


@dataclass(frozen=True, slots=True)
class Measure:
    """A property with a dimension, and the phrases that name it."""

    definition: PropertyDef
    names: frozenset[Phrase]


@dataclass(frozen=True)
class Plan:
    """See above.

    Attributes:
        measures: dimension -> properties.
        kinds: star | modes | pack | year -> integer property.
        counted: words behind a bare number -> property.
        features: phrase -> boolean property.
        options: phrase -> (string property, option), for options that may stand anywhere.
        roles: what a string property is for.
        slots: head noun -> property of the words before it.
        standards: designations by their property's name.
        keys: words of a key -> property.
        values: phrases of open vocabularies -> property.
        names: name -> property.
    """

    measures: Mapping[str, tuple[Measure, ...]]
    kinds: Mapping[str, PropertyDef]
    counted: Phrases[PropertyDef]
    features: Phrases[PropertyDef]
    options: Phrases[tuple[PropertyDef, str]]
    roles: Mapping[Role, PropertyDef]
    slots: Mapping[str, PropertyDef]
    standards: Mapping[str, PropertyDef]
    keys: Mapping[Phrase, PropertyDef]
    values: Phrases[PropertyDef]
    names: Mapping[str, PropertyDef]

    def named(self, name: str) -> PropertyDef | None:
        """The property of that name; else the one that a key of these words means."""
        words = split(name.replace("_", " "))
        return self.names.get(name) or self.keys.get(words) or self._usual(words)

    def key(self, words: Phrase) -> PropertyDef | None:
        """The property that a key names, by all of its words or by the last ones."""
        for size in range(min(len(words), 4), 0, -1):
            if found := self.keys.get(words[-size:]):
                return found
        return self._usual(words)

    def _usual(self, words: Phrase) -> PropertyDef | None:
        """The property that every shop's word for it means: "colour"."""
        usual = key_names().get(words)
        return self.keys.get(split(usual.replace("_", " "))) if usual else None


def plan_of(slice_: Sequence[PropertyDef], knowledge: Knowledge) -> Plan:
    """The plan of a class's slice."""
    own = {p.name: p for p in knowledge.properties}
    vocabularies = dict(knowledge.values)
    strings = [p for p in slice_ if p.datatype == "string"]
    integers = [p for p in slice_ if p.datatype in ("integer", "decimal") and not p.dimension]
    return Plan(
        measures=_measures(slice_),
        kinds=_kinds(integers),
        counted=Phrases(
            (split(s), p) for p in integers for s in sorted(p.synonyms, key=_longest_first)
        ),
        features=Phrases((n, p) for p in slice_ if p.datatype == "boolean" for n in _names(p)),
        options=Phrases(
            (split(option), (p, option))
            for p in strings
            if p.options and p.name not in own
            for option in p.options
        ),
        roles=_roles(strings, vocabularies),
        slots={
            split(p.label or p.name)[-1]: p
            for p in strings
            if p.name in vocabularies and p.label != "series"
        },
        standards={p.name: p for p in strings},
        keys=_keys(slice_),
        values=Phrases(
            (split(phrase), p) for p in strings for phrase in vocabularies.get(p.name, ())
        ),
        names={p.name: p for p in slice_},
    )


def _measures(slice_: Iterable[PropertyDef]) -> dict[str, tuple[Measure, ...]]:
    found: dict[str, list[Measure]] = {}
    for definition in slice_:
        if definition.dimension is not None:
            measure = Measure(definition, frozenset(_names(definition)))
            found.setdefault(definition.dimension, []).append(measure)
    return {dimension: tuple(measures) for dimension, measures in found.items()}


def _kinds(integers: Sequence[PropertyDef]) -> dict[str, PropertyDef]:
    found: dict[str, PropertyDef] = {}
    for kind, words in (("star", _STAR), ("modes", _MODES), ("pack", _PACK), ("year", _YEAR)):
        for definition in integers:
            if any(name[: len(words)] == words for name in _names(definition)):
                found.setdefault(kind, definition)
    return found


def _roles(
    strings: Sequence[PropertyDef], vocabularies: Mapping[str, object]
) -> dict[Role, PropertyDef]:
    found: dict[Role, PropertyDef] = {}
    for role in _ROLES:
        for definition in strings:
            roles = {key_names().get(name) for name in _names(definition)}
            if definition.name == role or (role in roles and definition.kind != "feature"):
                found.setdefault(role, definition)
    for definition in strings:
        if definition.name in vocabularies and definition.label == "series":
            found.setdefault("series", definition)
        if definition.name == "dimensions":
            found.setdefault("size", definition)
    return found


def _keys(slice_: Iterable[PropertyDef]) -> dict[Phrase, PropertyDef]:
    found: dict[Phrase, PropertyDef] = {}
    for definition in slice_:
        for name in _names(definition):
            found.setdefault(name, definition)
    return found


def _names(definition: PropertyDef) -> Iterator[Phrase]:
    """Folded phrases by which texts may name a property, without repetition."""
    wordings = (definition.name.replace("_", " "), definition.label, *definition.synonyms)
    yield from dict.fromkeys(name for wording in wordings if (name := split(wording)))


def _longest_first(phrase: str) -> tuple[int, str]:
    return -len(phrase), phrase
