"""What the gatekeeper refuses, rule by rule. Two kinds:

*Integrity* holds for everybody: locked elements stay, data in use keeps its place, no product ends
up with two values of a single-valued property. *Evidence* is asked of agents alone: a merge must
look right in name and in values. A person may know better than a similarity, never than the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.graph.edits import AddClass, AddProperty, Drop, Edit, Merge, Retype, Split, Usage
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema.apply import EditError, common_ancestor, spoken
from moonshelf.graph.schema.similarity import (
    BOOLEAN_NAMES_ALIKE,
    CLASS_NAMES_ALIKE,
    LEAST_DOCUMENTS,
    NAMES_ALIKE,
    VALUES_ALIKE,
    name_similarity,
    value_similarity,
)


class InUse:
    """Usage of present names, whatever it was counted under.

    A rename or merge earlier in the same batch must not make data invisible, so counts follow the
    aliases. Counts of merged names are added: documents and clashes are upper bounds.
    """

    def __init__(self, ontology: Ontology, usage: Mapping[str, Usage]) -> None:
        self._ontology = ontology
        self._found: dict[str, list[Usage]] = {}
        for key, counted in usage.items():
            self._found.setdefault(ontology.present(key), []).append(counted)

    def names(self) -> set[str]:
        """Present names of all that holds data."""
        return {name for name in self._found if self.documents(name)}

    def documents(self, name: str) -> int:
        return sum(one.documents for one in self._found.get(name, ()))

    def of(self, name: str) -> Usage:
        """EditError where nobody counted: not knowing is no permission."""
        found = self._found.get(name)
        if found is None:
            raise EditError(f"nobody counted how often {name!r} is used")
        values: Counter[str] = Counter()
        clashes: Counter[str] | None = Counter()
        for one in found:
            values.update(dict(one.values))
            if one.clashes is None or clashes is None:
                clashes = None
            else:
                clashes.update({self._ontology.present(n): k for n, k in one.clashes})
        return Usage(
            name=name,
            documents=self.documents(name),
            values=tuple(sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))),
            more=sum(one.more for one in found),
            several=sum(one.several for one in found),
            clashes=None if clashes is None else tuple(sorted(clashes.items())),
        )


def check_integrity(before: Ontology, after: Ontology, edit: Edit, usage: InUse) -> None:
    """Raises EditError where ``edit`` would break a lock, lose data or put two values in one place.

    ``after`` is ``before`` with ``edit`` applied.
    """
    if isinstance(edit, AddClass):
        _readable(edit.element)
    if isinstance(edit, AddProperty):
        _readable(edit.element)
        _unit_is_known(edit.element)
    _locked_stay(before, after)
    _data_stays(before, after, usage)
    if isinstance(edit, Merge):
        _merge_fits(before, edit, usage)
    if isinstance(edit, Retype):
        element = after.property_of(edit.name)
        _readable(element)
        _unit_is_known(element)
        _retype_fits(before, before.property_of(edit.name), element, usage)
    if isinstance(edit, Split):
        for element in edit.into:
            _readable(element)
            _unit_is_known(element)
        _split_fits(before, edit)
    if isinstance(edit, Drop) and usage.of(edit.name).documents:
        raise EditError(f"{usage.documents(edit.name)} documents use {edit.name!r}")


def check_base(ontology: Ontology) -> None:
    """What every element must hold to that no edit brought.

    Raises:
        UsageError: an unknown unit, or characters that are no text.
    """
    try:
        for found in ontology.classes:
            _readable(found)
        for owned in ontology.properties:
            _readable(owned)
            _unit_is_known(owned)
    except EditError as error:
        raise UsageError(
            error.what, where="the ontology to begin with", cure="correct it there"
        ) from error


def check_evidence(before: Ontology, edit: Edit, usage: InUse) -> None:
    """Raises EditError where names and values speak against a merge, or for no new element."""
    if isinstance(edit, AddClass | AddProperty):
        _new_in_meaning(before, edit.element)
    if not isinstance(edit, Merge):
        return
    others = [name for name in dict.fromkeys(edit.names) if name != edit.into]
    classes = {c.name: c for c in before.classes}
    for name in others:
        if edit.into in classes:
            _enough("names", name_similarity(classes[edit.into], classes[name]), CLASS_NAMES_ALIKE)
        else:
            _alike(before.property_of(edit.into), before.property_of(name), usage)


# ---- locks and data


def _locked_stay(before: Ontology, after: Ontology) -> None:
    kept = {element.name: element for element in (*after.classes, *after.properties)}
    for element in (*before.classes, *before.properties):
        if element.locked and kept.get(element.name) != element:
            raise EditError(f"{element.name!r} is locked")


def _data_stays(before: Ontology, after: Ontology, usage: InUse) -> None:
    there = {e.name for e in (*before.classes, *before.properties)}
    still = {e.name for e in (*after.classes, *after.properties)}
    for name in sorted(usage.names() & there):
        if after.present(name) not in still:
            raise EditError(f"{usage.documents(name)} documents use {name!r}")


# ---- merges


def _merge_fits(before: Ontology, edit: Merge, usage: InUse) -> None:
    names = list(dict.fromkeys(edit.names))
    if any(c.name == edit.into for c in before.classes):
        _classes_fit(before, names)
        return
    found = [before.property_of(name) for name in names]
    for attribute in ("kind", "datatype", "dimension", "unit"):
        said = {str(getattr(one, attribute)) for one in found}
        if len(said) > 1:
            raise EditError(f"they differ in {attribute}: {', '.join(sorted(said))}")
    _domains_fit(before, [one.domain for one in found])
    main = before.property_of(edit.into)
    if main.locked:
        _fits_into_locked(before, main, found, usage)
    if not any(one.many for one in found) or (main.locked and not main.many):
        _no_clash(names, usage)


def _classes_fit(before: Ontology, names: Sequence[str]) -> None:
    """Siblings, or one below the other."""
    for one, other in combinations(names, 2):
        parents = {before.class_of(name).parent for name in (one, other)}
        if len(parents) > 1 and not _related(before, one, other):
            raise EditError(f"{one} and {other} are neither siblings nor one below the other")


def _domains_fit(before: Ontology, domains: Sequence[str]) -> None:
    """The same line of classes, or near relatives: below one class that is not the root."""
    for one, other in combinations(dict.fromkeys(domains), 2):
        if not _related(before, one, other) and common_ancestor(before, [one, other]) == ROOT:
            raise EditError(f"{one} and {other} have nothing in common")


def _related(ontology: Ontology, one: str, other: str) -> bool:
    return one in ontology.lineage(other) or other in ontology.lineage(one)


def _fits_into_locked(
    before: Ontology, main: PropertyDef, found: Sequence[PropertyDef], usage: InUse
) -> None:
    """What cannot be widened must hold the others' data as it is."""
    for one in found:
        if main.domain not in before.lineage(one.domain):
            raise EditError(f"{main.name!r} is locked to {main.domain}, {one.name!r} is wider")
        if one.many and not main.many:
            raise EditError(f"{main.name!r} is locked to one value a product")
        _options_hold(main, usage.of(one.name))


def _no_clash(names: Sequence[str], usage: InUse) -> None:
    used = {name: usage.of(name) for name in names}
    for one, other in combinations(names, 2):
        if not used[one].documents or not used[other].documents:
            continue
        counts = [
            dict(used[a].clashes or ()).get(b, 0)
            for a, b in ((one, other), (other, one))
            if used[a].clashes is not None
        ]
        if not counts:
            raise EditError(f"nobody counted products that hold both {one!r} and {other!r}")
        if max(counts):
            raise EditError(
                f"{max(counts)} products hold different values of {one!r} and {other!r}"
            )


def _alike(main: PropertyDef, other: PropertyDef, usage: InUse) -> None:
    least = BOOLEAN_NAMES_ALIKE if main.datatype == "boolean" else NAMES_ALIKE
    _enough(f"names {main.name!r} and {other.name!r}", name_similarity(main, other), least)
    used = [usage.of(one.name) for one in (main, other)]
    for one in used:
        if one.documents < LEAST_DOCUMENTS:
            raise EditError(
                f"{one.name!r} is in {one.documents} documents, values are compared from "
                f"{LEAST_DOCUMENTS}"
            )
    _enough(f"values of {main.name!r} and {other.name!r}", value_similarity(*used), VALUES_ALIKE)


def _new_in_meaning(before: Ontology, element: ClassDef | PropertyDef) -> None:
    """A former or other wording of what is there already is no new element."""
    words = spoken(element.name)
    for other in before.properties if isinstance(element, PropertyDef) else before.classes:
        if words not in {spoken(other.name), *other.synonyms}:
            continue
        if isinstance(element, PropertyDef) and isinstance(other, PropertyDef):
            if (element.datatype, element.dimension) != (other.datatype, other.dimension):
                continue
            if not _related(before, before.present(element.domain), other.domain):
                continue
        raise EditError(f"{element.name!r} is another wording of {other.name!r}")


def _enough(what: str, found: float, least: float) -> None:
    if found < least:
        raise EditError(f"{what} are alike by {found:.2f}, needed {least:.2f}")


# ---- splits and retypes


def _split_fits(before: Ontology, edit: Split) -> None:
    old = before.property_of(edit.name)
    for new in edit.into:
        _domains_fit(before, [old.domain, new.domain])
    first = edit.into[0]
    if first.domain not in before.lineage(old.domain):
        raise EditError(f"{first.name!r} takes over from {old.name!r} and must be as wide")


def _retype_fits(before: Ontology, old: PropertyDef, new: PropertyDef, usage: InUse) -> None:
    used = usage.of(old.name) if _narrows(before, old, new) else None
    if used is None or not used.documents:
        return
    if (new.datatype, new.dimension) != (old.datatype, old.dimension):
        raise EditError(f"{used.documents} documents hold {old.name!r} as {old.datatype}")
    if new.domain not in before.lineage(old.domain):
        raise EditError(f"{used.documents} documents use {old.name!r}, {new.domain} is narrower")
    if old.many and not new.many and used.several:
        raise EditError(f"{used.several} products have several values of {old.name!r}")
    _options_hold(new, used)


def _narrows(before: Ontology, old: PropertyDef, new: PropertyDef) -> bool:
    """Whether something that was allowed no longer is."""
    return (
        (new.datatype, new.dimension, new.unit) != (old.datatype, old.dimension, old.unit)
        or new.domain not in before.lineage(old.domain)
        or (old.many and not new.many)
        or (bool(new.options) and not set(new.options).issuperset(old.options or (None,)))
    )


def _options_hold(element: PropertyDef, used: Usage) -> None:
    left_out = [v for v, _ in used.values if element.options and v not in element.options]
    if left_out:
        raise EditError(f"options of {element.name!r} leave out {left_out[0]!r}, which is in use")
    if element.options and used.more:
        raise EditError(f"{used.more} further values of {element.name!r} were counted, not listed")


# ---- elements themselves


def _readable(element: ClassDef | PropertyDef) -> None:
    """No half characters and no control characters: they would break files, RDF and terminals."""
    for name, value in element:
        texts = value if isinstance(value, tuple) else (value,)
        for text in texts:
            if isinstance(text, str) and any(_is_odd(c) for c in text):
                raise EditError(f"{name} of {element.name!r} holds characters that are no text")


def _is_odd(character: str) -> bool:
    code = ord(character)
    control = (code < 0x20 and character not in "\t\n\r") or 0x7F <= code < 0xA0
    return control or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE


def _unit_is_known(element: PropertyDef) -> None:
    if element.unit is None:
        return
    from moonshelf.graph.units.registry import registry

    try:
        unit = registry().unit(element.unit)
    except MoonshelfError:
        unit = None
    if unit is None or unit.dimension != element.dimension:
        raise EditError(f"{element.name!r}: {element.unit!r} is no unit of {element.dimension!r}")
