"""Agent 2: what should change in the whole ontology, as requests to the gatekeeper.

After arXiv 2511.11017 3.2, one pass. Deviations: the model is shown how every property is used; it
hands in edits instead of a rewritten ontology; it does not decide, because small models merge
wrongly (AutoPKG, arXiv 2604.16950).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from moonshelf.chat.fence import fence, fenced
from moonshelf.graph.edits import Drop, Edit, Merge, Rename, Retype, Split, Usage
from moonshelf.graph.llm.asking import Question
from moonshelf.graph.llm.names import property_named, short_line
from moonshelf.graph.llm.prompts import filled
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.schema.card import (
    MOST_OPTIONS,
    class_card,
    flat_object,
    property_line,
    quoted,
)
from moonshelf.graph.text import fold_value

PROPERTIES_A_CALL = 60
_OPERATIONS = ("merge", "rename", "split", "drop", "options", "several", "guidance")
_VALUES_SHOWN, _LONGEST_VALUE, _LONGEST_REASON = 6, 40, 300

SCHEMA: dict[str, Any] = flat_object(
    {
        "edits": {
            "type": ["array", "null"],
            "items": flat_object(
                {
                    "op": {"type": "string", "enum": list(_OPERATIONS)},
                    "name": {"type": "string"},
                    "into": {"type": ["array", "null"], "items": {"type": "string"}},
                    "text": {"type": ["string", "null"]},
                    "reason": {"type": ["string", "null"]},
                }
            ),
        }
    }
)


def refine_questions(ontology: Ontology, usage: Mapping[str, Usage]) -> Iterator[Question]:
    """One question for every 60 properties; those of one class stay together."""
    free = [owned for owned in ontology.properties if not owned.locked]
    ordered = sorted(free, key=lambda owned: (owned.domain, owned.name))
    for start in range(0, len(ordered), PROPERTIES_A_CALL):
        shown = ordered[start : start + PROPERTIES_A_CALL]
        card = "\n".join(_line_of(owned, usage.get(owned.name)) for owned in shown)
        lists = {"classes": class_card(ontology.classes), "properties": card}
        token = fence(lists.values())
        text = filled("refine", data=fenced(lists, token))
        names = {owned.name for owned in shown}
        yield Question(text=text, fence=token, schema=SCHEMA, check=_knows(names))


def read_edits(found: Mapping[str, Any], ontology: Ontology) -> list[Edit]:
    """The edits of an answer that have a meaning."""
    known = {owned.name: owned for owned in ontology.properties}
    edits = []
    for said in found["edits"] or ():
        try:
            made = _edit(said, known)
        except ValidationError:
            continue
        if made is not None:
            edits.append(made)
    return edits


def _edit(said: Mapping[str, Any], known: Mapping[str, PropertyDef]) -> Edit | None:
    op, name, into = said["op"], said["name"], said["into"] or []
    reason = short_line(said["reason"], _LONGEST_REASON) or "the model gave no reason"
    if name not in known:
        return None
    if op == "drop":
        return Drop(name=name, reason=reason)
    if op == "several":
        return Retype(name=name, many=True, reason=reason)
    if op == "guidance":
        text = short_line(said["text"], _LONGEST_REASON)
        return Retype(name=name, guidance=text, reason=reason) if text else None
    if op == "options":
        options = tuple(dict.fromkeys(filter(None, map(fold_value, into))))
        few = 1 < len(options) <= MOST_OPTIONS
        return Retype(name=name, options=options, reason=reason) if few else None
    if op == "merge" and into and into[0] in known and into[0] != name:
        return Merge(names=(name, into[0]), into=into[0], reason=reason)
    names = tuple(dict.fromkeys(filter(None, map(property_named, into))))
    if op == "rename" and names:
        return Rename(name=name, to=names[0], reason=reason)
    if op == "split" and len(names) > 1:
        parts = tuple(_part(known[name], part) for part in names)
        return Split(name=name, into=parts, reason=reason)
    return None


def _part(whole: PropertyDef, name: str) -> PropertyDef:
    """Of a compound: a text of the same class, until it is known better."""
    return PropertyDef(name=name, domain=whole.domain, many=whole.many)


def _knows(names: set[str]) -> Callable[[Mapping[str, Any]], list[str]]:
    def check(found: Mapping[str, Any]) -> list[str]:
        errors = []
        for number, said in enumerate(found["edits"] or ()):
            into: Sequence[str] = said["into"] or ()
            named = [said["name"], *(into[:1] if said["op"] == "merge" else ())]
            errors += [
                f"edits.{number}: there is no property {name[:80]!r}"
                for name in named
                if name not in names
            ]
        return errors

    return check


def _line_of(owned: PropertyDef, used: Usage | None) -> str:
    line = f"- {property_line(owned)}; of {owned.domain}"
    if used is None:
        return line
    values = ", ".join(
        f"{quoted(value, _LONGEST_VALUE)} {count}" for value, count in used.values[:_VALUES_SHOWN]
    )
    several = f", {used.several} products have several" if used.several else ""
    return f"{line}; stated by {used.documents}{several}" + (f": {values}" if values else "")
