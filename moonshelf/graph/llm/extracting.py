"""Agent 3: the kind of a document's product, and what its text states within that kind's slice.

A slice is asked for in small calls. An answer that stays bad after one retry is asked for property
by property; what even then has no answer becomes a refusal, never a silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.builtin.reading import FieldReading, read_document
from moonshelf.graph.llm.answers import good_keys
from moonshelf.graph.llm.asking import Asker, BadAnswer, Check, Question
from moonshelf.graph.llm.facts import found_facts
from moonshelf.graph.llm.prompts import (
    document_parts,
    fence,
    fenced,
    filled,
    pieces,
    text_name,
)
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document, Extraction, Fact, Refusal
from moonshelf.graph.schema.card import (
    MOST_OPTIONS,
    calls,
    class_card,
    flat_object,
    json_schema,
    keys,
    property_lines,
)

_NAME = {"type": "string"}


class Reader:
    """Extracts from documents by asking."""

    def __init__(self, asker: Asker, settings: LlmSettings) -> None:
        self._asker, self._settings = asker, settings

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        """
        Raises:
            ExtractionError: no usable answer on the kind, or on any property at all.
            ServerError, RequestRefused, UsageError: as :meth:`Asker.ask`.
        """
        parts = document_parts(document)
        if not any(text.strip() for _, text in document.fields):
            return Extraction(document=document.id, product_class=ROOT, facts=())
        kind = self._kind(document, parts, ontology)
        fields = read_document(document)
        found: list[Fact | Refusal] = []
        for piece in _readings(parts, self._settings.longest_text):
            found += self._read(document, fields, piece, kind, ontology)
        facts = [one for one in found if isinstance(one, Fact)]
        refusals = [one for one in found if isinstance(one, Refusal)]
        return Extraction(
            document=document.id,
            product_class=kind,
            facts=tuple(_once(facts)),
            refusals=tuple(_once(refusals)),
        )

    # ---- the kind

    def _kind(self, document: Document, parts: Mapping[str, str], ontology: Ontology) -> str:
        """The narrowest class that fits; many classes are offered level by level."""
        others = [c for c in ontology.classes if c.name != ROOT]
        if len(others) <= MOST_OPTIONS:
            return self._choose(document, parts, others) or ROOT if others else ROOT
        here = ROOT
        while below := [c for c in others if c.parent == here]:
            chosen = None
            for start in range(0, len(below), MOST_OPTIONS):
                offered = below[start : start + MOST_OPTIONS]
                chosen = chosen or self._choose(document, parts, offered)
            if chosen is None:
                break
            here = chosen
        return here

    def _choose(
        self, document: Document, parts: Mapping[str, str], offered: Sequence[ClassDef]
    ) -> str | None:
        name = text_name(document)
        shown = _readings(parts, self._settings.longest_text)[0]
        token = fence(shown.values())
        text = filled(
            "class", classes=class_card(offered), data=fenced(shown, token), document=name
        )
        kinds = [found.name for found in offered]
        schema = flat_object(
            {"text": _NAME, "kind": {"type": ["string", "null"], "enum": [*kinds, None]}}
        )
        question = Question(text=text, fence=token, schema=schema, check=_is_about(name))
        try:
            return self._asker.ask(question)["kind"]
        except BadAnswer as error:
            raise _unanswered(document, "which kind of product it is", error) from error

    # ---- properties

    def _read(
        self,
        document: Document,
        fields: Sequence[FieldReading],
        parts: Mapping[str, str],
        kind: str,
        ontology: Ontology,
    ) -> Iterator[Fact | Refusal]:
        translate = self._settings.translate
        answered, failed = 0, None
        for wanted in calls(ontology.slice(kind), self._settings.keys_a_call, translate):
            said, errors = self._answers(document, parts, kind, wanted)
            answered += len(wanted) - len(errors)
            for owned in wanted:
                if (error := errors.get(owned.name)) is None:
                    mine = _of(owned, said, translate)
                    yield from found_facts(document, fields, owned, mine)
                else:
                    failed = error
                    yield _unread(document, owned, error)
        if failed is not None and not answered:
            raise _unanswered(document, "what it states", failed) from failed

    def _answers(
        self,
        document: Document,
        parts: Mapping[str, str],
        kind: str,
        wanted: Sequence[PropertyDef],
    ) -> tuple[dict[str, Any], dict[str, BadAnswer]]:
        """What is said under all keys, and what went wrong for which property."""
        try:
            return self._asker.ask(self._question(document, parts, kind, wanted)), {}
        except BadAnswer as error:
            whole = error
        said: dict[str, Any] = {}
        errors: dict[str, BadAnswer] = {}
        translate = self._settings.translate
        usable = _usable(whole, wanted, text_name(document), translate)
        for owned in wanted:
            mine = list(keys(owned, translate))
            if usable.issuperset(mine):
                said |= {key: (whole.found or {})[key] for key in mine}
                continue
            if len(wanted) == 1:
                errors[owned.name] = whole
                continue
            try:
                alone = self._question(document, parts, kind, [owned])
                said |= self._asker.ask(alone, tries=1)
            except BadAnswer as error:
                errors[owned.name] = error
        return said, errors

    def _question(
        self,
        document: Document,
        parts: Mapping[str, str],
        kind: str,
        wanted: Sequence[PropertyDef],
    ) -> Question:
        name, token = text_name(document), fence(parts.values())
        translate = self._settings.translate
        text = filled(
            "extract",
            kind=kind,
            card="\n".join(property_lines(wanted)),
            data=fenced(parts, token),
            document=name,
            translate=filled("translate") if translate else "",
        )
        answers = json_schema(wanted, translate)["properties"]
        schema = flat_object({"text": _NAME, **answers})
        return Question(text=text, fence=token, schema=schema, check=_is_about(name))


def _readings(parts: Mapping[str, str], longest: int) -> list[dict[str, str]]:
    """The parts in prompts of at most ``longest`` characters, long parts cut into pieces."""
    found: list[dict[str, str]] = [{}]
    room = longest
    for name, text in parts.items():
        for number, piece in enumerate(pieces(text, longest)):
            if len(piece) > room and found[-1]:
                found.append({})
                room = longest
            found[-1][name if number == 0 else f"{name}, continued {number}"] = piece
            room -= len(piece)
    return found


def _is_about(name: str) -> Check:
    """The answer names the text that was sent: a server may mix up what it was asked."""

    def check(found: Mapping[str, Any]) -> list[str]:
        right = found["text"] == name
        return [] if right else [f"text: it is {name!r}, got {str(found['text'])[:40]!r}"]

    return check


def _usable(
    error: BadAnswer, wanted: Sequence[PropertyDef], name: str, translate: bool
) -> set[str]:
    """Keys of a bad answer that may be used: right by themselves, and about this text."""
    if error.found is None or error.found.get("text") != name:
        return set()
    return good_keys(error.found, json_schema(wanted, translate))


def _of(owned: PropertyDef, said: Mapping[str, Any], translate: bool) -> dict[str, Any]:
    """``{"raw": ..., "value": ...}`` of one property."""
    return {key.rpartition("__")[2]: said[key] for key in keys(owned, translate)}


def _once(found: Iterable[Any]) -> list[Any]:
    """Overlapping pieces of a long text say some things twice."""
    return list(dict.fromkeys(found))


def _unread(document: Document, owned: PropertyDef, error: BadAnswer) -> Refusal:
    candidate = json.dumps({"property": owned.name, "reply": error.reply[:2000]})
    reason = f"no usable answer: {'; '.join(error.errors)}"[:500]
    return Refusal(document=document.id, step="json", reason=reason, candidate=candidate)


def _unanswered(document: Document, what: str, error: BadAnswer) -> ExtractionError:
    return ExtractionError(
        f"the model gave no usable answer on {what}: {error.errors[0]}",
        where=f"document {document.id}",
        cure="try another model, or look at the reply in the quarantine",
        reply=error.reply,
        errors=error.errors,
    )
