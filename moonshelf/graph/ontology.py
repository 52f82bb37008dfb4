"""The ontology as one typed object: classes, properties, versions. The single source of truth.

Turtle, SHACL shapes, the JSON schema that models are held to, the schema card that they read, and
the header of a CSV export are all generated from it. It is immutable; ``gatekeeper.py`` alone makes
the next version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, model_validator

from moonshelf.config import Config
from moonshelf.errors import DataError

ROOT = "Product"
Datatype = Literal["string", "integer", "decimal", "boolean"]
PropertyKind = Literal["data", "object", "feature"]
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_PROPERTY_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class ClassDef(Config):
    """A kind of product, e.g. ``SplitAirConditioner`` under ``AirConditioner``."""

    name: str = Field(max_length=64)
    parent: str | None = ROOT
    label: str = ""
    comment: str = ""
    synonyms: tuple[str, ...] = ()
    """Folded wordings by which a text names this kind."""
    locked: bool = False

    @model_validator(mode="before")
    @classmethod
    def _root_needs_no_parent(cls, data: Any) -> Any:
        """A person who writes ``{"name": "Product"}`` means the root, which has none."""
        if isinstance(data, Mapping) and data.get("name") == ROOT and "parent" not in data:
            return {"locked": True, **data, "parent": None}
        return data

    @model_validator(mode="after")
    def _named_well(self) -> ClassDef:
        if not _CLASS_NAME.fullmatch(self.name):
            raise ValueError(f"a class is named like AirConditioner, not {self.name!r}")
        if self.name == self.parent:
            raise ValueError(f"class {self.name} cannot be its own parent")
        return self


class PropertyDef(Config):
    """One attribute of products.

    ``kind``: ``data`` holds a literal; ``object`` points at a recurring entity (a brand);
    ``feature`` is a boolean stated by a phrase ("with Wi-Fi").
    ``dimension`` and ``unit`` come from the unit registry (``units/``) and are given together.
    """

    name: str = Field(max_length=64)
    kind: PropertyKind = "data"
    domain: str = ROOT
    datatype: Datatype = "string"
    dimension: str | None = None
    unit: str | None = None
    options: tuple[str, ...] = ()
    """The only values allowed (folded), where they are few and closed."""
    low: Decimal | None = None
    high: Decimal | None = None
    many: bool = False
    """Whether one product may have several values."""
    label: str = ""
    guidance: str = ""
    synonyms: tuple[str, ...] = ()
    """Folded keys and heads by which a text names this property."""
    examples: tuple[str, ...] = ()
    """Up to two verbatim values, for the schema card."""
    locked: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> PropertyDef:
        if not _PROPERTY_NAME.fullmatch(self.name):
            raise ValueError(f"a property is named like cooling_capacity, not {self.name!r}")
        if (self.dimension is None) != (self.unit is None):
            raise ValueError(f"property {self.name}: dimension and unit are given together")
        if self.unit is not None and self.datatype != "decimal":
            raise ValueError(f"property {self.name}: a quantity is a decimal")
        if self.kind == "feature" and self.datatype != "boolean":
            raise ValueError(f"property {self.name}: a feature is a boolean")
        if self.kind == "object" and self.datatype != "string":
            raise ValueError(f"property {self.name}: an entity is named by a string")
        return self


class Ontology(Config):
    """A version of the ontology. ``aliases``: former property and class names to present ones."""

    version: int = Field(default=0, ge=0)
    classes: tuple[ClassDef, ...] = (ClassDef(name=ROOT, parent=None, locked=True),)
    properties: tuple[PropertyDef, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_a_root(cls, data: Any) -> Any:
        """Classes without the root are classes below it."""
        classes = data.get("classes") if isinstance(data, Mapping) else None
        if not isinstance(classes, list | tuple):
            return data
        names = [
            c.get("name") if isinstance(c, Mapping) else getattr(c, "name", "") for c in classes
        ]
        return data if ROOT in names else {**data, "classes": [{"name": ROOT}, *classes]}

    @model_validator(mode="after")
    def _whole(self) -> Ontology:
        _refuse_twice("class", [c.name for c in self.classes])
        _refuse_twice("property", [p.name for p in self.properties])
        known = {c.name: c for c in self.classes}
        for found in self.classes:
            if (found.parent is None) != (found.name == ROOT):
                raise ValueError(f"{ROOT} alone has no parent; look at class {found.name}")
            lineage(found.name, known)
        for owned in self.properties:
            if owned.domain not in known:
                raise ValueError(f"property {owned.name} is of unknown class {owned.domain!r}")
        return self

    def class_of(self, name: str) -> ClassDef:
        """The class now called ``name``, former names included; DataError where there is none."""
        name = self.present(name)
        for found in self.classes:
            if found.name == name:
                return found
        raise DataError(f"no class {name!r} in ontology version {self.version}")

    def property_of(self, name: str) -> PropertyDef:
        """The property now called ``name``, former names included; DataError if there is none."""
        name = self.present(name)
        for found in self.properties:
            if found.name == name:
                return found
        raise DataError(f"no property {name!r} in ontology version {self.version}")

    def present(self, name: str) -> str:
        """What ``name`` is called now."""
        aliases = dict(self.aliases)
        seen = {name}
        while name in aliases:
            name = aliases[name]
            if name in seen:
                raise DataError(f"aliases of {name!r} run in a circle")
            seen.add(name)
        return name

    def lineage(self, name: str) -> tuple[str, ...]:
        """``name`` and its ancestors up to the root."""
        return lineage(self.present(name), {c.name: c for c in self.classes})

    def slice(self, product_class: str) -> tuple[PropertyDef, ...]:
        """What a product of this class can have: its own properties and its ancestors', by name."""
        lines = set(self.lineage(product_class))
        return tuple(sorted((p for p in self.properties if p.domain in lines), key=_name_of))


def lineage(name: str, classes: Mapping[str, ClassDef]) -> tuple[str, ...]:
    """``name`` and its ancestors; ValueError where one is unknown or they run in a circle."""
    found: list[str] = []
    here: str | None = name
    while here is not None:
        if here in found:
            raise ValueError(f"classes {', '.join(found)} are each other's parents")
        if here not in classes:
            raise ValueError(f"unknown class {here!r}")
        found.append(here)
        here = classes[here].parent
    return tuple(found)


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} is defined twice")
        seen.add(name)


def _name_of(found: PropertyDef) -> str:
    return found.name
