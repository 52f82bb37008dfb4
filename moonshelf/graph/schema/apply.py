"""What each edit does to an ontology: pure functions from one version to the next.

Whether an edit *may* happen is decided in ``rules.py``; here is only what it means, so that replay
needs no usage, no thresholds and no library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from moonshelf.errors import DataError
from moonshelf.graph.edits import (
    AddClass,
    AddProperty,
    Drop,
    Edit,
    Merge,
    Rename,
    Retype,
    Split,
)
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef, lineage

_MOST_SYNONYMS = 40  # a card line and a search for keys stay short
_EXAMPLES = 2
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class EditError(DataError):
    """The edit has no meaning for this ontology; ``what`` is the reason, in one sentence."""


def apply(ontology: Ontology, edit: Edit) -> Ontology:
    """The next version: ``ontology`` with ``edit`` done, its former names kept as aliases.

    Raises:
        EditError: an unknown or taken name, a circle of classes, a contradiction in an element.
    """
    try:
        if isinstance(edit, AddClass):
            return _add_class(ontology, edit.element)
        if isinstance(edit, AddProperty):
            return _add_properties(ontology, (edit.element,))
        if isinstance(edit, Merge):
            return _merge(ontology, edit)
        if isinstance(edit, Rename):
            return _rename(ontology, edit.name, edit.to)
        if isinstance(edit, Split):
            return _split(ontology, edit)
        if isinstance(edit, Retype):
            return _retype(ontology, edit)
        return _drop(ontology, edit)
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise EditError(reason) from None


def spoken(name: str) -> str:
    """``cooling_capacity`` -> ``cooling capacity``, ``SplitAC`` -> ``split ac``."""
    return " ".join(_HUMP.sub(" ", name.replace("_", " ")).lower().split())


def common_ancestor(ontology: Ontology, names: Sequence[str]) -> str:
    """The nearest class that all of ``names`` are, or are below."""
    lines = [ontology.lineage(name) for name in names]
    return next(name for name in lines[0] if all(name in line for line in lines))


# ---- additions


def _add_class(ontology: Ontology, element: ClassDef) -> Ontology:
    _free(ontology, [element.name])
    if element.parent is not None:
        element = element.model_copy(update={"parent": ontology.present(element.parent)})
    return _next(ontology, classes=(*ontology.classes, element))


def _add_properties(ontology: Ontology, elements: Sequence[PropertyDef]) -> Ontology:
    _free(ontology, [element.name for element in elements])
    homed = (e.model_copy(update={"domain": ontology.present(e.domain)}) for e in elements)
    return _next(ontology, properties=(*ontology.properties, *homed))


# ---- changes


def _merge(ontology: Ontology, edit: Merge) -> Ontology:
    names = tuple(dict.fromkeys(edit.names))
    if edit.into not in names or len(names) < 2:
        raise EditError(f"{edit.into!r} must be one of at least two different names")
    gone = [name for name in names if name != edit.into]
    classes = {c.name for c in ontology.classes}
    if classes.issuperset(names):
        return _merge_classes(ontology, gone, edit.into)
    found = [_property(ontology, name) for name in names]
    whole = merged_property(ontology, found, edit.into)
    kept = tuple(
        whole if p.name == edit.into else p for p in ontology.properties if p.name not in gone
    )
    return _next(ontology, properties=kept, former=[(name, edit.into) for name in gone])


def merged_property(ontology: Ontology, found: Sequence[PropertyDef], into: str) -> PropertyDef:
    """One property for all of ``found``. A locked one stays letter by letter what it is."""
    main = next(p for p in found if p.name == into)
    if main.locked:
        return main
    ordered = [main, *(p for p in found if p.name != into)]
    lows, highs = [p.low for p in ordered], [p.high for p in ordered]
    closed = all(p.options for p in ordered)
    update = {
        "domain": common_ancestor(ontology, [p.domain for p in ordered]),
        "options": _unique(o for p in ordered for o in p.options) if closed else (),
        "low": None if None in lows else min(n for n in lows if n is not None),
        "high": None if None in highs else max(n for n in highs if n is not None),
        "many": any(p.many for p in ordered),
        "label": next((p.label for p in ordered if p.label), ""),
        "guidance": next((p.guidance for p in ordered if p.guidance), ""),
        "synonyms": _synonyms(ordered, into),
        "examples": _unique(e for p in ordered for e in p.examples)[:_EXAMPLES],
    }
    return PropertyDef.model_validate({**_fields(main), **update})


def _merge_classes(ontology: Ontology, gone: Sequence[str], into: str) -> Ontology:
    _not_the_root(gone)
    known = {c.name: c for c in ontology.classes}
    main = known[into]
    if not main.locked:
        above = (name for name in lineage(into, known)[1:] if name not in gone)
        ordered = [main, *(known[name] for name in gone)]
        update = {
            "parent": None if into == ROOT else next(above),
            "label": next((c.label for c in ordered if c.label), ""),
            "comment": next((c.comment for c in ordered if c.comment), ""),
            "synonyms": _synonyms(ordered, into),
        }
        main = ClassDef.model_validate({**_fields(main), **update})
    classes = tuple(main if c.name == into else c for c in ontology.classes if c.name not in gone)
    return _moved(ontology, classes, dict.fromkeys(gone, into))


def _rename(ontology: Ontology, name: str, to: str) -> Ontology:
    _free(ontology, [to])
    if any(c.name == name for c in ontology.classes):
        _not_the_root([name])
        classes = tuple(
            ClassDef.model_validate({**_fields(c), "name": to, "synonyms": _synonyms([c], to)})
            if c.name == name
            else c
            for c in ontology.classes
        )
        return _moved(ontology, classes, {name: to})
    old = _property(ontology, name)
    new = PropertyDef.model_validate({**_fields(old), "name": to, "synonyms": _synonyms([old], to)})
    properties = tuple(new if p.name == name else p for p in ontology.properties)
    return _next(ontology, properties=properties, former=[(name, to)])


def _split(ontology: Ontology, edit: Split) -> Ontology:
    """The former name leads to the first of the new ones: an alias has one end."""
    _property(ontology, edit.name)
    kept = tuple(p for p in ontology.properties if p.name != edit.name)
    added = _add_properties(ontology, edit.into).properties[len(ontology.properties) :]
    return _next(ontology, properties=(*kept, *added), former=[(edit.name, edit.into[0].name)])


def _retype(ontology: Ontology, edit: Retype) -> Ontology:
    old = _property(ontology, edit.name)
    wanted = {k: v for k, v in _fields(edit).items() if k in PropertyDef.model_fields}
    change = {k: v for k, v in wanted.items() if v is not None and k != "name"}
    if edit.domain is not None:
        change["domain"] = ontology.present(edit.domain)
    new = PropertyDef.model_validate({**_fields(old), **change})
    if new == old:
        raise EditError(f"{edit.name} is that already")
    return _next(ontology, properties=tuple(new if p is old else p for p in ontology.properties))


def _drop(ontology: Ontology, edit: Drop) -> Ontology:
    """Aliases that led to the element go with it: they would lead nowhere."""
    if any(c.name == edit.name for c in ontology.classes):
        _not_the_root([edit.name])
        used = [c.name for c in ontology.classes if c.parent == edit.name]
        used += [p.name for p in ontology.properties if p.domain == edit.name]
        if used:
            raise EditError(f"class {edit.name} is still needed by {', '.join(used[:5])}")
    else:
        _property(ontology, edit.name)
    return Ontology(
        version=ontology.version + 1,
        classes=tuple(c for c in ontology.classes if c.name != edit.name),
        properties=tuple(p for p in ontology.properties if p.name != edit.name),
        aliases=tuple(a for a in ontology.aliases if ontology.present(a[0]) != edit.name),
    )


# ---- pieces


def _next(
    ontology: Ontology,
    *,
    classes: tuple[ClassDef, ...] | None = None,
    properties: tuple[PropertyDef, ...] | None = None,
    former: Iterable[tuple[str, str]] = (),
) -> Ontology:
    return Ontology(
        version=ontology.version + 1,
        classes=ontology.classes if classes is None else classes,
        properties=ontology.properties if properties is None else properties,
        aliases=(*ontology.aliases, *former),
    )


def _moved(ontology: Ontology, classes: tuple[ClassDef, ...], moves: dict[str, str]) -> Ontology:
    """``classes`` are the new ones; children and properties of a former name follow it."""
    followed = tuple(
        c.model_copy(update={"parent": moves[c.parent]}) if c.parent in moves else c
        for c in classes
    )
    properties = tuple(
        p.model_copy(update={"domain": moves[p.domain]}) if p.domain in moves else p
        for p in ontology.properties
    )
    return _next(ontology, classes=followed, properties=properties, former=moves.items())


def _fields(element: ClassDef | PropertyDef | Retype) -> dict[str, object]:
    return {name: getattr(element, name) for name in type(element).model_fields}


def _property(ontology: Ontology, name: str) -> PropertyDef:
    """The property of exactly this name: an edit by a former name is a mistake worth hearing of."""
    found = next((p for p in ontology.properties if p.name == name), None)
    if found is None:
        present = ontology.present(name)
        hint = f", it is called {present!r} now" if present != name else ""
        raise EditError(f"there is no {name!r} in version {ontology.version}{hint}")
    return found


def _free(ontology: Ontology, names: Sequence[str]) -> None:
    taken = {c.name for c in ontology.classes} | {p.name for p in ontology.properties}
    former = dict(ontology.aliases)
    for name in names:
        if name in taken:
            raise EditError(f"{name!r} is there already")
        if name in former:
            raise EditError(f"{name!r} is the former name of {ontology.present(name)!r}")


def _not_the_root(names: Sequence[str]) -> None:
    if ROOT in names:
        raise EditError(f"{ROOT} is the root of all classes and stays")


def _synonyms(elements: Sequence[ClassDef | PropertyDef], name: str) -> tuple[str, ...]:
    """All wordings by which texts named ``elements``, the former names among them."""
    said = [word for e in elements for word in (*e.synonyms, spoken(e.name))]
    return tuple(word for word in _unique(said) if word != spoken(name))[:_MOST_SYNONYMS]


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
