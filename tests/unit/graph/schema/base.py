"""What the tests of the gatekeeper share: a base ontology, usage, one decision."""

from __future__ import annotations

from pathlib import Path

from moonshelf.graph.edits import (
    Edit,
    Usage,
)
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History

WATT = {"datatype": "decimal", "dimension": "power", "unit": "watt"}
BASE = Ontology(
    classes=(
        *Ontology().classes,
        ClassDef(name="Cooling"),
        ClassDef(name="SplitUnit", parent="Cooling"),
        ClassDef(name="WindowUnit", parent="Cooling"),
        ClassDef(name="Shoe"),
        ClassDef(name="Fixed", locked=True),
    ),
    properties=(
        PropertyDef(name="color", domain="Cooling"),
        PropertyDef(name="colour", domain="SplitUnit"),
        PropertyDef(name="colors", domain="Shoe"),
        PropertyDef(name="power", domain="Cooling", **WATT),
        PropertyDef(name="powers", domain="Cooling", datatype="decimal"),
        PropertyDef(name="wifi", domain="Cooling", kind="feature", datatype="boolean"),
        PropertyDef(name="brand", locked=True),
        PropertyDef(name="brands"),
        PropertyDef(name="tags", many=True),
        PropertyDef(name="grade", options=("a", "b", "c")),
    ),
)
REDS = (("red", 6), ("blue", 4))


def keeper(folder: Path, base: Ontology = BASE, review: Path | None = None) -> Gatekeeper:
    return Gatekeeper(History.open(folder, base), review)


def used(name: str, documents: int = 10, values=REDS, clashes=(), **more) -> Usage:
    return Usage(name=name, documents=documents, values=values, clashes=clashes, **more)


def unused(*names: str) -> dict[str, Usage]:
    every = names or [e.name for e in (*BASE.classes, *BASE.properties)]
    return {name: Usage(name=name, clashes=()) for name in every}


def decide(folder: Path, edit: Edit, usage=None, by: str = "agent"):
    gate = keeper(folder)
    (decision,) = gate.submit([edit], {**unused(), **(usage or {})}, by)
    return gate, decision
