"""The hand-made gold set: what people say that texts state. Rules: ``graph/gold/RULES.md``.

The texts are not shipped; a line names its text by SHA-256, so a listing is found again in any
import of the public file, whatever its id there.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from moonshelf.config import Config
from moonshelf.errors import DataError
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Document
from moonshelf.graph.units.registry import registry

Split = Literal["dev", "test"]
NAME = "air_conditioners"


class GoldProperty(Config):
    """A property that was looked for in every text."""

    kind: Literal["string", "enum", "number", "integer", "boolean"]
    multi: bool
    guidance: str
    values: tuple[str, ...] = ()
    unit: str | None = None
    units: tuple[str, ...] = ()

    @property
    def dimension(self) -> str | None:
        """The dimension that all units it may be written in share."""
        if not self.units:
            return None
        known = [{u.dimension for u in registry().readings(unit)} for unit in self.units]
        shared = set.intersection(*known)
        if len(shared) != 1:
            raise DataError(f"units {', '.join(self.units)} share no one dimension")
        return next(iter(shared))


class GoldFact(Config):
    """``text[start:end]`` states that ``property`` is ``value`` (in ``unit``)."""

    property: str
    start: int
    end: int
    value: StrictBool | StrictInt | Decimal | StrictStr
    unit: str | None = None


class GoldText(Config):
    """All facts of the looked-for properties that one text states."""

    id: str
    split: Split
    text_sha256: str
    facts: tuple[GoldFact, ...]


class GoldSet(Config):
    properties: dict[str, GoldProperty] = Field(min_length=1)
    texts: tuple[GoldText, ...]


@dataclass(frozen=True)
class Labelled:
    """A gold text found in a collection: which document and which of its fields it is."""

    text: GoldText
    document: Document
    field: str


def read_gold(folder: Traversable | None = None, name: str = NAME) -> GoldSet:
    """The shipped gold set, or another in ``folder``: ``properties.toml`` and ``NAME.jsonl``."""
    folder = folder or files("moonshelf.graph").joinpath("gold")
    table = tomllib.loads(folder.joinpath("properties.toml").read_text(encoding="utf-8"))
    lines = folder.joinpath(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line, parse_float=Decimal) for line in lines if line.strip()]
    return GoldSet.model_validate({"properties": table, "texts": texts})


def labelled(documents: Iterable[Document], gold: GoldSet, split: Split) -> list[Labelled]:
    """The texts of ``split`` among ``documents``, in the order of the gold set.

    Raises:
        DataError: not one of them is there.
    """
    wanted = {text.text_sha256: text for text in gold.texts if text.split == split}
    found: dict[str, Labelled] = {}
    for document in documents:
        for field, text in document.fields:
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            if digest in wanted and digest not in found:
                found[digest] = Labelled(wanted[digest], document, field)
    if not found:
        raise DataError(
            f"none of the {len(wanted)} texts of the gold set is among the documents",
            cure="evaluate on a graph built from the listings that the gold set labels",
        )
    return [found[digest] for digest in wanted if digest in found]


def gold_ontology(gold: GoldSet) -> Ontology:
    """The gold properties as an ontology, for runs in which the schema is given, not learned."""
    return Ontology(properties=tuple(_defined(n, p) for n, p in sorted(gold.properties.items())))


def _defined(name: str, owned: GoldProperty) -> PropertyDef:
    numbers = {"number": "decimal", "integer": "integer", "boolean": "boolean"}
    unit = None
    if owned.unit is not None:
        unit = registry().find(owned.unit, owned.dimension)
    return PropertyDef.model_validate(
        {
            "name": name,
            "kind": "feature" if owned.kind == "boolean" else "data",
            "datatype": numbers.get(owned.kind, "string"),
            "dimension": owned.dimension,
            "unit": None if unit is None else unit.name,
            "options": owned.values,
            "many": owned.multi,
            "guidance": owned.guidance,
            "locked": True,
        }
    )


def ids(found: Sequence[Labelled]) -> list[str]:
    """Ids of the documents."""
    return [one.document.id for one in found]
