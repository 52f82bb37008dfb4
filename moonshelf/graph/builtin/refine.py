"""The second agent as rules: what a trial extraction says about the schema, as edits with reasons.

Nothing is merged here on the strength of names alone; the gatekeeper asks for values, too, and two
spellings of one feature have met already when they were induced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.edits import AddClass, AddProperty, Drop, Edit, Merge, Retype, Usage
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.schema.similarity import BOOLEAN_NAMES_ALIKE, NAMES_ALIKE, name_similarity

# A property holds several values where so many of its documents state several.
SEVERAL_SHARE, SEVERAL_LEAST = 0.05, 3


def refinements(knowledge: Knowledge, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
    """Edits in the order in which they are to be decided."""
    return [
        *_missing(knowledge, ontology),
        *_several(ontology, usage),
        *_merges(ontology, usage),
        *_unused(ontology, usage),
    ]


def _missing(knowledge: Knowledge, ontology: Ontology) -> Iterator[Edit]:
    """Elements that the study found in the corpus and no sampled document happened to show."""
    known = {c.name for c in ontology.classes}
    for element in knowledge.classes:
        if element.name not in known and ontology.present(element.name) not in known:
            yield AddClass(element=element, reason="titles of the corpus name it")
    support = dict(knowledge.support)
    taught = "labels taught the tagger this property"
    names = {p.name for p in ontology.properties}
    for element in knowledge.properties:
        if element.name not in names and ontology.present(element.name) not in names:
            seen = support.get(element.name)
            reason = taught if seen is None else f"{seen} studied documents state it"
            yield AddProperty(element=element, reason=reason)


def _several(ontology: Ontology, usage: Mapping[str, Usage]) -> Iterator[Edit]:
    for element in ontology.properties:
        used = usage.get(element.name)
        if used is None or element.many or element.locked or element.datatype == "boolean":
            continue
        if used.several >= max(SEVERAL_LEAST, SEVERAL_SHARE * used.documents):
            reason = f"{used.several} of {used.documents} documents state several values"
            yield Retype(name=element.name, many=True, reason=reason)


def _merges(ontology: Ontology, usage: Mapping[str, Usage]) -> Iterator[Edit]:
    """Properties that are alike in form and name; whether their values are, the gatekeeper asks."""
    ranked = sorted(
        (p for p in ontology.properties if not p.locked and _documents(p, usage)),
        key=lambda p: (-_documents(p, usage), p.name),
    )
    gone: set[str] = set()
    for k, main in enumerate(ranked):
        for other in ranked[k + 1 :]:
            if gone & {main.name, other.name} or _form(main) != _form(other):
                continue
            least = BOOLEAN_NAMES_ALIKE if main.datatype == "boolean" else NAMES_ALIKE
            if name_similarity(main, other) >= least:
                gone.add(other.name)
                reason = f"{other.name} is another wording of {main.name}"
                yield Merge(names=(main.name, other.name), into=main.name, reason=reason)


def _unused(ontology: Ontology, usage: Mapping[str, Usage]) -> Iterator[Edit]:
    for element in (*ontology.properties, *reversed(ontology.classes)):
        used = usage.get(element.name)
        if element.locked or used is None or used.documents or element.name == ROOT:
            continue
        yield Drop(name=element.name, reason="no document of the trial uses it")


def _documents(element: PropertyDef, usage: Mapping[str, Usage]) -> int:
    used = usage.get(element.name)
    return used.documents if used is not None else 0


def _form(element: PropertyDef) -> tuple[object, ...]:
    return element.kind, element.datatype, element.dimension, element.unit
