"""Agent 3: the kind of a document's product, and what its text states within that kind's slice.

A slice is asked for in small calls. A call that the server refuses is asked for in halves, an
answer that stays bad after one retry property by property; what even then has no answer becomes a
refusal, never a silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from moonshelf.chat.client import RequestRefused
from moonshelf.chat.fence import fence, fenced
from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.llm.answers import good_keys
from moonshelf.graph.llm.asking import Asker, BadAnswer, Check, Question
from moonshelf.graph.llm.facts import Field, found_facts, read_fields
from moonshelf.graph.llm.prompts import document_parts, filled, pieces, text_name
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
        self._translate = settings.translate

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
        fields = read_fields(document)
        found: list[Fact | Refusal] = []
        answered, failed = 0, None
        for piece in _readings(parts, self._settings.longest_text):
            for wanted in calls(ontology.slice(kind), self._settings.keys_a_call, self._translate):
                said, errors = self._answers(document, piece, kind, wanted)
                found += self._found(document, fields, wanted, said, errors)
                answered += len(wanted) - len(errors)
                failed = next(iter(errors.values()), failed)
        if failed is not None and not answered:
            raise _unanswered(document, "what it states", failed) from failed
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
        card = {"kinds": class_card(offered)}
        token = fence([*card.values(), *shown.values()])
        text = filled(
            "class", classes=fenced(card, token), data=fenced(shown, token), document=name
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

    def _found(
        self,
        document: Document,
        fields: Sequence[Field],
        wanted: Sequence[PropertyDef],
        said: Mapping[str, Any],
        errors: Mapping[str, BadAnswer],
    ) -> Iterator[Fact | Refusal]:
        for owned in wanted:
            if (error := errors.get(owned.name)) is None:
                mine = _of(owned, said, self._translate)
                yield from found_facts(document, fields, owned, mine)
            else:
                yield _unread(document, owned, error)

    def _answers(
        self,
        document: Document,
        parts: Mapping[str, str],
        kind: str,
        wanted: Sequence[PropertyDef],
    ) -> tuple[dict[str, Any], dict[str, BadAnswer]]:
        """What is said under all keys, and what went wrong for which property.

        Raises:
            RequestRefused: neither of two properties can be asked for alone: the text is to blame.
        """
        try:
            return self._asker.ask(self._question(document, parts, kind, wanted)), {}
        except BadAnswer as error:
            return self._one_by_one(document, parts, kind, wanted, error)
        except RequestRefused as refused:
            if len(wanted) == 1:
                return {}, {wanted[0].name: BadAnswer([refused.what], "", None)}
            # Some servers refuse large grammars.
            half = len(wanted) // 2
            said, errors = self._answers(document, parts, kind, wanted[:half])
            more, others = self._answers(document, parts, kind, wanted[half:])
            if len(errors | others) == len(wanted) == 2:
                raise
            return said | more, errors | others

    def _one_by_one(
        self,
        document: Document,
        parts: Mapping[str, str],
        kind: str,
        wanted: Sequence[PropertyDef],
        whole: BadAnswer,
    ) -> tuple[dict[str, Any], dict[str, BadAnswer]]:
        """What is right in a bad answer, and each of the other properties asked for alone."""
        said: dict[str, Any] = {}
        errors: dict[str, BadAnswer] = {}
        usable = _usable(whole, wanted, text_name(document), self._translate)
        for owned in wanted:
            mine = list(keys(owned, self._translate))
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
            except RequestRefused as refused:
                errors[owned.name] = BadAnswer([refused.what], "", None)
        return said, errors

    def _question(
        self,
        document: Document,
        parts: Mapping[str, str],
        kind: str,
        wanted: Sequence[PropertyDef],
    ) -> Question:
        name = text_name(document)
        card = {"wanted properties": "\n".join(property_lines(wanted))}
        token = fence([*card.values(), *parts.values()])
        text = filled(
            "extract",
            kind=kind,
            card=fenced(card, token),
            data=fenced(parts, token),
            document=name,
            translate=filled("translate") if self._translate else "",
        )
        answers = json_schema(wanted, self._translate)["properties"]
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
