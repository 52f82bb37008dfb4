"""What the words beside a quantity say that it is of, and whether a property is of that.

"Height 75 cm" is no seat depth, "8 kg load" no weight: where the text names an attribute, no
property of another one takes the quantity, however few its dimension has. What no property is of
is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType

from moonshelf.graph.builtin.lexicon import lexicon
from moonshelf.graph.builtin.measures import Name, Phrase
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.units.registry import Unit

Attribute = frozenset[Phrase]
"""Every wording of one attribute."""


def attributes_of(names: Iterable[Name], dimension: str, axis: str | None) -> list[Attribute]:
    """Attributes of a dimension that the words beside a quantity name.

    Args:
        names: of ``measures.names_of``: of one relation the longer ones first.
        dimension: of the reading of the unit; "capacity" means another thing of each.
        axis: the side that the lexer read; it stands at the number, so it is the only one.
    """
    wordings = _wordings(dimension)
    if axis is not None and (side := wordings.get((axis,))):
        return [side]
    found: dict[str, Attribute] = {}
    for name in names:
        # "Weight capacity" is no weight: the longest phrase of a relation counts.
        if name.relation not in found and (attribute := _named(name.phrase, wordings)):
            found[name.relation] = attribute
    return list(dict.fromkeys(found.values()))


def is_of(names: Iterable[Phrase], attribute: Attribute) -> bool:
    """Whether a property with these names is of ``attribute``: "seat depth" of "depth", and a
    "capacity" of "cooling capacity"."""
    return any(_ends(a, b) or _ends(b, a) for a in names for b in attribute)


def is_usual(names: Collection[Phrase], unit: Unit) -> bool:
    """Whether an amount of which nothing is said may be of a property with these names: it is of
    what its unit usually measures, or of no attribute that the lexicon knows. 5 kg are no load."""
    wordings = _wordings(unit.dimension)
    usual = tuple(unit.usual.split("_"))
    own = [a for phrase in names if (a := _named(phrase, wordings)) is not None]
    return not own or is_of(names, frozenset({usual})) or _named(usual, wordings) in own


def shown(attribute: Attribute, names: Iterable[Name], axis: str | None) -> str:
    """The wording that the text uses, for a person."""
    said = (phrase for n in names for phrase in _tails(n.phrase) if phrase in attribute)
    return axis if axis and (axis,) in attribute else " ".join(next(said, min(attribute)))


def _named(phrase: Phrase, wordings: Mapping[Phrase, Attribute]) -> Attribute | None:
    """Of "foot length" and "adjustable height" the last word tells."""
    return next((wordings[tail] for tail in _tails(phrase) if tail in wordings), None)


def _tails(phrase: Phrase) -> Iterator[Phrase]:
    return (phrase[k:] for k in range(len(phrase)))


def _ends(phrase: Phrase, tail: Phrase) -> bool:
    return phrase[-len(tail) :] == tail


@cache
def _wordings(dimension: str) -> Mapping[Phrase, Attribute]:
    """Wording -> its attribute. The lexicon cannot change, so neither can this."""
    found: dict[Phrase, Attribute] = {}
    for forms in lexicon()["named"].get(dimension, ()):
        attribute = frozenset(split(form) for form in forms)
        found.update(dict.fromkeys(attribute, attribute))
    return MappingProxyType(found)
