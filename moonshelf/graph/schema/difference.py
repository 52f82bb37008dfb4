"""What changed between two versions of an ontology, in lines for a person."""

from __future__ import annotations

from pydantic import BaseModel

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef


def differences(old: Ontology, new: Ontology) -> list[str]:
    """Sorted lines: ``+`` added, ``-`` gone, ``>`` renamed or merged, ``~`` changed in place."""
    lines = []
    pairs = (
        ("class", {c.name: c for c in old.classes}, {c.name: c for c in new.classes}),
        ("property", {p.name: p for p in old.properties}, {p.name: p for p in new.properties}),
    )
    for what, before, after in pairs:
        for name in sorted({*before, *after}):
            if name not in after:
                present = new.present(name)
                moved = f"> {what} {name} is {present} now"
                lines.append(moved if present in after else f"- {what} {name}")
            elif name not in before:
                lines.append(f"+ {what} {name} ({_summary(after[name])})")
            else:
                lines += [f"~ {what} {name}: {c}" for c in _changes(before[name], after[name])]
    return lines


def _summary(element: ClassDef | PropertyDef) -> str:
    if isinstance(element, ClassDef):
        return f"a {element.parent}"
    unit = f" in {element.unit}" if element.unit else ""
    return f"{element.datatype}{unit}, of {element.domain}"


def _changes(old: BaseModel, new: BaseModel) -> list[str]:
    found = []
    for name in type(old).model_fields:
        a, b = getattr(old, name), getattr(new, name)
        if a != b:
            found.append(f"{name} {_shown(a)} -> {_shown(b)}")
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(repr, value))}]"
    return repr(value) if isinstance(value, str) else str(value)
