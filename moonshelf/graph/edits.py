"""Requests to change the ontology. Agents and people hand them in; the gatekeeper decides."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from moonshelf.config import Config
from moonshelf.graph.ontology import ClassDef, Datatype, PropertyDef


class Proposal(Config):
    """New elements that a batch of documents suggests (agent 1: create and expand)."""

    classes: tuple[ClassDef, ...] = ()
    properties: tuple[PropertyDef, ...] = ()


class _Edit(Config):
    reason: str = Field(min_length=1)


class AddClass(_Edit):
    op: Literal["add_class"] = "add_class"
    element: ClassDef


class AddProperty(_Edit):
    op: Literal["add_property"] = "add_property"
    element: PropertyDef


class Merge(_Edit):
    """``names`` become ``into`` (one of them): properties with properties, classes with classes."""

    op: Literal["merge"] = "merge"
    names: tuple[str, ...] = Field(min_length=2)
    into: str


class Rename(_Edit):
    op: Literal["rename"] = "rename"
    name: str
    to: str


class Split(_Edit):
    """A compound property (``size_and_color``) becomes several."""

    op: Literal["split"] = "split"
    name: str
    into: tuple[PropertyDef, ...] = Field(min_length=2)


class Retype(_Edit):
    """Another datatype, unit, domain, option list or guidance for a property."""

    op: Literal["retype"] = "retype"
    name: str
    datatype: Datatype | None = None
    dimension: str | None = None
    unit: str | None = None
    domain: str | None = None
    options: tuple[str, ...] | None = None
    many: bool | None = None
    guidance: str | None = None


class Drop(_Edit):
    op: Literal["drop"] = "drop"
    name: str


Edit: TypeAlias = Annotated[
    AddClass | AddProperty | Merge | Rename | Split | Retype | Drop, Field(discriminator="op")
]


class Usage(Config):
    """How an element of the ontology has been used so far; what refinement may look at."""

    name: str
    documents: int = Field(default=0, ge=0)
    """Documents with at least one fact of this property (or of this class)."""
    values: tuple[tuple[str, int], ...] = ()
    """Its most frequent normalized values and their document counts, most frequent first."""
    more: int = Field(default=0, ge=0)
    """Further values, less frequent, that are not listed."""
    several: int = Field(default=0, ge=0)
    """Products with more than one distinct value."""
    clashes: tuple[tuple[str, int], ...] | None = None
    """Other properties, each with the number of products that hold both and share no value: what
    a merge of two single-valued properties would break. None: nobody counted, so no merge."""
