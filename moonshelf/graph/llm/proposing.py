"""Agent 1: what classes and properties a batch of texts needs that the ontology lacks.

What a model proposes is made into definitions by code: names are normalized, a unit decides the
dimension, and a property whose example stands in no text of the batch is left out as invented.
After arXiv 2511.11017 3.1; deviation: typed answers instead of Turtle, evidence for every property.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from moonshelf.chat.fence import fence, fenced
from moonshelf.graph.builtin.measures import reading_of, words_and_pairs
from moonshelf.graph.edits import Proposal
from moonshelf.graph.llm.asking import Question
from moonshelf.graph.llm.facts import Field, read_fields
from moonshelf.graph.llm.names import class_named, property_named, short_line
from moonshelf.graph.llm.prompts import document_parts, filled
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document
from moonshelf.graph.schema.card import class_card, flat_object, property_lines
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.registry import registry

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_WORDS = {"type": ["array", "null"], "items": {"type": "string"}}
_TYPES = ("text", "entity", "integer", "number", "feature")
_MOST_WORDS = 6
_LONGEST_WORD, _LONGEST_ABOUT, _LONGEST_EXAMPLE = 60, 300, 120

SCHEMA: dict[str, Any] = flat_object(
    {
        "classes": {
            "type": ["array", "null"],
            "items": flat_object(
                {"name": _TEXT, "parent": _TEXT_OR_NULL, "about": _TEXT_OR_NULL, "words": _WORDS}
            ),
        },
        "properties": {
            "type": ["array", "null"],
            "items": flat_object(
                {
                    "name": _TEXT,
                    "of": _TEXT_OR_NULL,
                    "type": {"type": "string", "enum": list(_TYPES)},
                    "unit": _TEXT_OR_NULL,
                    "several": {"type": ["boolean", "null"]},
                    "about": _TEXT_OR_NULL,
                    "words": _WORDS,
                    "example": _TEXT_OR_NULL,
                }
            ),
        },
    }
)


def proposal_question(
    batch: Sequence[Document], ontology: Ontology, settings: LlmSettings
) -> Question:
    """The prompt for a batch; each text has an equal share of the room."""
    room = settings.longest_text // max(1, len(batch))
    parts = {
        name: text[:room]
        for number, document in enumerate(batch, start=1)
        for name, text in document_parts(document, f"text {number}, ").items()
    }
    known = {
        "known classes": class_card(ontology.classes),
        "known properties": "\n".join(property_lines(ontology.properties)),
    }
    token = fence([*known.values(), *parts.values()])
    text = filled("propose", known=fenced(known, token), data=fenced(parts, token))
    return Question(text=text, fence=token, schema=SCHEMA, check=_names_differ)


def read_proposal(
    found: Mapping[str, Any], batch: Sequence[Document], ontology: Ontology
) -> Proposal:
    """The definitions in an answer that are new, well-formed and borne out by a text."""
    classes: dict[str, ClassDef] = {}
    for said in found["classes"] or ():
        made = _class(said, ontology)
        if made is not None:
            classes.setdefault(made.name, made)
    classes = _rooted(classes, ontology)
    properties: dict[str, PropertyDef] = {}
    texts = [read_fields(document) for document in batch]
    for said in found["properties"] or ():
        made = _property(said, texts, ontology, classes)
        if made is not None:
            properties.setdefault(made.name, made)
    return Proposal(classes=tuple(classes.values()), properties=tuple(properties.values()))


def _class(said: Mapping[str, Any], ontology: Ontology) -> ClassDef | None:
    name = class_named(said["name"])
    if not name or _is_known(name, ontology):
        return None
    parent = class_named(said["parent"] or "") or ROOT
    try:
        return ClassDef(
            name=name,
            parent=ROOT if parent == name else parent,
            comment=short_line(said["about"], _LONGEST_ABOUT),
            synonyms=_words(said["words"]),
        )
    except ValidationError:
        return None


def _rooted(classes: dict[str, ClassDef], ontology: Ontology) -> dict[str, ClassDef]:
    """A parent that nobody defines, or that is below its own child, is the root."""
    known = {*classes, *(c.name for c in ontology.classes)}
    parents = {name: made.parent or ROOT for name, made in classes.items()}
    for name, parent in parents.items():
        if ontology.present(parent) not in known or name in _above(name, parents):
            parents[name] = ROOT
    return {
        name: made if made.parent == parents[name] else made.model_copy(update={"parent": ROOT})
        for name, made in classes.items()
    }


def _above(name: str, parents: Mapping[str, str]) -> set[str]:
    """Every class above ``name``, itself too where they run in a circle."""
    found: set[str] = set()
    while (parent := parents.get(name)) is not None and parent not in found:
        found.add(parent)
        name = parent
    return found


def _property(
    said: Mapping[str, Any],
    batch: Sequence[Sequence[Field]],
    ontology: Ontology,
    classes: Mapping[str, ClassDef],
) -> PropertyDef | None:
    name, domain = property_named(said["name"]), class_named(said["of"] or "") or ROOT
    domain = domain if domain in classes else ontology.present(domain)
    if domain not in classes and domain not in {c.name for c in ontology.classes}:
        domain = ROOT
    stated = _stated(said["example"], batch)
    if not name or stated is None or _is_covered(name, domain, ontology, classes):
        return None
    try:
        return PropertyDef(
            name=name,
            domain=domain,
            many=bool(said["several"]),
            guidance=short_line(said["about"], _LONGEST_ABOUT),
            synonyms=_words(said["words"]),
            examples=(stated[0][:_LONGEST_EXAMPLE],),
            **_form(said["type"], said["unit"], stated[1]),
        )
    except ValidationError:
        return None


def _form(kind: str, unit: str | None, read: str | None) -> dict[str, Any]:
    """Type, dimension and canonical unit. A unit that the registry lacks leaves a text.

    ``read``: the unit that code read in the example, which counts for more than the model's word.
    """
    if kind == "entity":
        return {"kind": "object"}
    if kind == "feature":
        return {"kind": "feature", "datatype": "boolean"}
    if kind == "text":
        return {}
    written = (unit or "").strip()
    if not written and read is None:
        return {"datatype": "integer" if kind == "integer" else "decimal"}
    found = registry().unit(read) if read is not None else registry().find(written)
    if found is None:
        return {}
    canonical = registry().canonical(found.dimension)
    return {"datatype": "decimal", "dimension": found.dimension, "unit": canonical.name}


def _stated(example: str | None, batch: Sequence[Sequence[Field]]) -> tuple[str, str | None] | None:
    """The example as some text of the batch has it, letter by letter, and the unit read in it
    (registry name): the words of the whole text tell a cooling ton from a mass."""
    for fields in batch if example else ():
        for field in fields:
            for start, end in field.find(example or "")[:1]:
                said = frozenset[str]().union(*(words_and_pairs(f.reading.words) for f in fields))
                words = field.reading.words
                inside = [w.quantity for w in words if start <= w.start and w.end <= end]
                units = next((q.readings for q in inside if q is not None and q.readings), ())
                read = reading_of(units, said).name if units else None
                return field.reading.text[start:end], read
    return None


def _is_known(name: str, ontology: Ontology) -> bool:
    return name in {c.name for c in ontology.classes} or ontology.present(name) != name


def _is_covered(
    name: str, domain: str, ontology: Ontology, classes: Mapping[str, ClassDef]
) -> bool:
    """Whether products of ``domain`` have the property already, under this or a former name."""
    while domain in classes:
        domain = classes[domain].parent or ROOT
    present = ontology.present(name)
    return any(owned.name == present for owned in ontology.slice(domain))


def _names_differ(found: Mapping[str, Any]) -> list[str]:
    errors = []
    for what, named in (("classes", class_named), ("properties", property_named)):
        names = [named(said["name"]) for said in found[what] or ()]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        errors += [f"{what}: {name!r} is there {names.count(name)} times" for name in twice]
    return errors


def _words(said: Sequence[str] | None) -> tuple[str, ...]:
    folded = (fold_value(short_line(word, _LONGEST_WORD)) for word in said or ())
    return tuple(dict.fromkeys(word for word in folded if word))[:_MOST_WORDS]
