"""What a model is shown of the schema (the card) and what it may answer (a JSON schema).

Both are generated from the ontology, one class's slice at a time. Names were checked by the
ontology; labels, guidance, options and examples come from texts of strangers, so each stands in
quotes, on its line, with everything unprintable escaped: no example can end the card or start a
line of it.

The JSON schema is of the plainest dialect that servers agree on: flat, every key required and
nullable, no pattern, no bounds, enumerations below 50. A slice is answered in several calls of
about 20 keys, because grammars with many nullable keys are refused or slow on several servers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef

MOST_KEYS = 20
MOST_OPTIONS = 49
_LONGEST_GUIDANCE = 240
_LONGEST_EXAMPLE = 60
_TYPES = {
    "string": "string",
    "integer": "integer",
    "decimal": "number",
    "boolean": "boolean",
}


def card(ontology: Ontology, product_class: str) -> str:
    """The slice of one class in a few words a property: name, type, unit, guidance, two examples.

    Raises:
        DataError: an unknown class.
    """
    found = ontology.class_of(product_class)
    lines = [f"class {class_line(found)}"]
    lines += property_lines(ontology.slice(found.name))
    return "\n".join(lines)


def class_card(classes: Iterable[ClassDef]) -> str:
    """Classes to choose from, one a line."""
    return "\n".join(f"- {class_line(found)}" for found in classes)


def property_lines(properties: Iterable[PropertyDef]) -> list[str]:
    """One line a property."""
    return [f"- {property_line(owned)}" for owned in properties]


def class_line(found: ClassDef) -> str:
    """``SplitAirConditioner (a AirConditioner): "two units" also "split ac"``."""
    parent = f" (a {found.parent})" if found.parent else ""
    about = f": {quoted(found.comment, _LONGEST_GUIDANCE)}" if found.comment else ""
    also = ", ".join(quoted(word, _LONGEST_EXAMPLE) for word in found.synonyms[:4])
    return f"{found.name}{parent}{about}" + (f" also {also}" if also else "")


def property_line(owned: PropertyDef) -> str:
    """``cooling_capacity: decimal in watt; "heat removed an hour"; e.g. "1.5 Ton", "2 Ton"``."""
    form = owned.datatype + (f" in {owned.unit}" if owned.unit else "")
    if owned.kind == "feature":
        form = "boolean, true where the text says that the product has it"
    if 0 < len(owned.options) <= MOST_OPTIONS:
        form = "one of " + ", ".join(quoted(o, _LONGEST_EXAMPLE) for o in owned.options)
    parts = [form + (", several possible" if owned.many else "")]
    if owned.guidance or owned.label:
        parts.append(quoted(owned.guidance or owned.label, _LONGEST_GUIDANCE))
    if owned.examples:
        shown = ", ".join(quoted(e, _LONGEST_EXAMPLE) for e in owned.examples[:2])
        parts.append(f"e.g. {shown}")
    return f"{owned.name}: {'; '.join(parts)}"


def quoted(text: str, longest: int) -> str:
    """``text`` as a JSON string on one line, cut after ``longest`` characters."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    plain = json.dumps(cut, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in plain)


# ---- what may be answered


def keys(owned: PropertyDef, translate: bool = False) -> dict[str, dict[str, Any]]:
    """The keys under which a property is answered, with the JSON schema of each.

    ``name__raw`` is the verbatim text (a list of texts where the property has many values);
    ``name__value`` the value, ``name__unit`` the written unit and (with ``translate``)
    ``name__english`` the wording in English, where the type needs them. No property has two
    underscores in a row, so no two properties share a key.
    """
    if owned.many:
        texts = {"type": ["array", "null"], "items": {"type": "string"}}
        return {f"{owned.name}__raw": texts}
    found: dict[str, dict[str, Any]] = {f"{owned.name}__raw": {"type": ["string", "null"]}}
    if 0 < len(owned.options) <= MOST_OPTIONS:
        options = [*owned.options, None]
        found[f"{owned.name}__value"] = {"type": ["string", "null"], "enum": options}
    elif owned.datatype != "string":
        found[f"{owned.name}__value"] = {"type": [_TYPES[owned.datatype], "null"]}
    if owned.unit is not None:
        found[f"{owned.name}__unit"] = {"type": ["string", "null"]}
    if translate and owned.datatype == "string" and not owned.options:
        found[f"{owned.name}__english"] = {"type": ["string", "null"]}
    return found


def json_schema(properties: Iterable[PropertyDef], translate: bool = False) -> dict[str, Any]:
    """The JSON schema of one answer about ``properties``: flat, all keys required and nullable."""
    found: dict[str, Any] = {}
    for owned in properties:
        found |= keys(owned, translate)
    return flat_object(found)


def flat_object(properties: dict[str, Any]) -> dict[str, Any]:
    """An object of exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def calls(
    properties: Sequence[PropertyDef], most_keys: int = MOST_KEYS, translate: bool = False
) -> list[tuple[PropertyDef, ...]]:
    """A slice in pieces of at most ``most_keys`` keys, in order; a property stays in one piece."""
    pieces: list[list[PropertyDef]] = []
    room = 0
    for owned in properties:
        wanted = len(keys(owned, translate))
        if not pieces or wanted > room:
            pieces.append([])
            room = most_keys
        pieces[-1].append(owned)
        room -= wanted
    return [tuple(piece) for piece in pieces]
