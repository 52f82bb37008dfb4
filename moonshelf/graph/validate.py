"""The validation ladder: from what a backend found to facts that the text states.

    vocabulary -> type -> range -> option -> span -> unit -> number -> conflict

A candidate that falls off is a :class:`Refusal` with its step and reason; candidates in = facts
out + refusals out, those that the backend refused by itself included. The ladder proves that the
words are there and say this value. It does not prove that they are said of this product: that is
the work of the backend's guards.

arXiv 2511.11017 asks for "only if stated" in a prompt; here code checks it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

from moonshelf.errors import DataError
from moonshelf.graph.conflicts import conflicts
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.rdf.literals import decimal_form
from moonshelf.graph.records import (
    Amount,
    Document,
    Extraction,
    Fact,
    Range,
    Refusal,
    TextEvidence,
    Value,
)
from moonshelf.graph.stated import (
    Numbers,
    Refused,
    Step,
    check_boolean,
    check_unit,
    numbers_of,
    says,
)
from moonshelf.graph.text import fold_value, is_whole

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def check(
    extraction: Extraction, document: Document, ontology: Ontology
) -> tuple[list[Fact], list[Refusal]]:
    """The facts of an extraction that hold, and the others with their reasons.

    Facts come out in the order in which they went in, with the present name of their property and
    the listed spelling of their option. See :class:`Validator` for many documents.
    """
    return Validator(ontology).check(extraction, document)


class Validator:
    """:func:`check` for many documents of one ontology."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._classes = {found.name for found in ontology.classes}
        self._slices: dict[str, Mapping[str, PropertyDef]] = {}
        self._options: dict[str, Mapping[str, str]] = {}
        self._numbers = Numbers()

    def product_class(self, extraction: Extraction) -> str:
        """What the class is called now; the root where the ontology knows no such class."""
        name = self.ontology.present(extraction.product_class)
        return name if name in self._classes else ROOT

    def check(self, extraction: Extraction, document: Document) -> tuple[list[Fact], list[Refusal]]:
        """See :func:`check`."""
        found_class = self.product_class(extraction)
        kept: list[tuple[Fact, PropertyDef]] = []
        refusals = [_readable(one) for one in extraction.refusals]
        texts = dict(document.fields)
        for fact in extraction.facts:
            try:
                if fact.document != document.id:
                    raise Refused("span", f"it is of document {fact.document!r}")
                definition = self._known(fact, found_class)
                kept.append((self._held(fact, definition, texts), definition))
            except Refused as refused:
                refusals.append(refusal(fact, document.id, refused.step, refused.reason))
        dropped = conflicts(kept, [document])
        refusals += [
            refusal(kept[k][0], document.id, "conflict", dropped[k]) for k in sorted(dropped)
        ]
        return [fact for k, (fact, _) in enumerate(kept) if k not in dropped], refusals

    def _known(self, fact: Fact, found_class: str) -> PropertyDef:
        if any(_SURROGATE.search(text) for text in _texts(fact)):
            raise Refused("json", "it holds half a surrogate pair, which is no text")
        if found_class not in self._slices:
            owned = {one.name: one for one in self.ontology.slice(found_class)}
            self._slices[found_class] = owned
        allowed = self._slices[found_class]
        name = fact.property if fact.property in allowed else self.ontology.present(fact.property)
        if name not in allowed:
            raise Refused("vocabulary", f"{found_class} has no property {fact.property!r}")
        return allowed[name]

    def _held(self, fact: Fact, definition: PropertyDef, texts: Mapping[str, str]) -> Fact:
        """``fact`` as it is kept: it fits its property, and the text states it."""
        value = self.fitting(fact, definition)
        self.stated(fact, value, definition, texts)
        same = value == fact.value and type(value) is type(fact.value)
        if same and definition.name == fact.property:
            return fact
        return fact.model_copy(update={"value": value, "property": definition.name})

    def fitting(self, fact: Fact, definition: PropertyDef) -> Value:
        """The value in the form of its property: type, range, option. The text is not looked at.

        Raises:
            Refused: it has no such form.
        """
        value = _typed(fact, definition)
        if not isinstance(value, bool | str):
            _bounded(value, definition)
        return self._listed(value, definition) if isinstance(value, str) else value

    def stated(
        self, fact: Fact, value: Value, definition: PropertyDef, texts: Mapping[str, str]
    ) -> None:
        """The words of the fact stand where it says, and they say ``value``: span, unit, number.

        Args:
            fact: what a picture shows has no words and passes.
            value: of :meth:`fitting`.
            definition: of its property.
            texts: of the document, by field.

        Raises:
            Refused: they do not.
        """
        if not isinstance(fact.evidence, TextEvidence):
            return
        raw, field = _words(fact.evidence, texts)
        if isinstance(value, bool):
            check_boolean(value, raw, fact.translation, definition)
        elif isinstance(value, str):
            _worded(value, raw, fact.translation, definition)
        else:
            unit = check_unit(fact.unit, raw, field, fact.evidence.span.start, definition)
            self._numbers.check(value, raw, unit, definition)

    def _listed(self, value: str, definition: PropertyDef) -> str:
        """The listed spelling of an option; any other text as it is."""
        if not definition.options:
            return value
        if definition.name not in self._options:
            listed = {fold_value(option): option for option in definition.options}
            self._options[definition.name] = listed
        found = self._options[definition.name].get(value)
        if found is None:
            count = len(definition.options)
            raise Refused("option", f"{value!r} is none of the {count} options")
        return found


def refusal(fact: Fact, document: str, step: Step | Literal["shacl"], reason: str) -> Refusal:
    """``fact`` as a candidate that was turned down."""
    candidate = json.dumps(fact.model_dump(mode="json"), sort_keys=True)
    return _readable(Refusal(document=document, step=step, reason=reason, candidate=candidate))


# ---- rungs


def _typed(fact: Fact, definition: PropertyDef) -> bool | int | str | Amount | Range:
    """The value in the form of the property's datatype; text folded."""
    value, wanted = fact.value, definition.datatype
    if wanted == "boolean" and isinstance(value, bool):
        return value
    if wanted == "string" and isinstance(value, str):
        folded = fold_value(value)
        if not folded:
            raise Refused("vocabulary", f"{value!r} is no text")
        return folded
    if wanted == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if wanted == "integer" and isinstance(value, Amount | Range):
        whole = [_whole(number) for number in numbers_of(value)]
        return value if isinstance(value, Range) else whole[0]
    if wanted == "decimal" and isinstance(value, Amount | Range):
        return value
    if wanted == "decimal" and isinstance(value, int) and not isinstance(value, bool):
        return Amount(amount=Decimal(value))
    shown = type(value).__name__.lower()
    raise Refused("vocabulary", f"{definition.name} holds a {wanted}, not a {shown}")


def _bounded(value: int | Amount | Range, definition: PropertyDef) -> None:
    for number in numbers_of(value):
        _writable(number)
        if definition.low is not None and number < definition.low:
            raise Refused("range", f"{number} is below {definition.low}")
        if definition.high is not None and number > definition.high:
            raise Refused("range", f"{number} is above {definition.high}")


def _words(evidence: TextEvidence, texts: Mapping[str, str]) -> tuple[str, str]:
    """The raw words, proven to stand where the span says, and the field they stand in."""
    span = evidence.span
    text = texts.get(span.field)
    if text is None:
        raise Refused("span", f"the document has no field {span.field!r}")
    if text[span.start : span.end] != evidence.raw or span.end > len(text):
        raise Refused("span", f"{evidence.raw!r} does not stand at {span.start}:{span.end}")
    if not evidence.raw.strip():
        raise Refused("span", "the span holds no words")
    if not is_whole(text, span.start, span.end):
        raise Refused("span", f"{evidence.raw!r} cuts a word or a number")
    return evidence.raw, text


def _worded(value: str, raw: str, translation: str | None, definition: PropertyDef) -> None:
    closed = bool(definition.options)
    folded = fold_value(value) if closed else value
    if not any(says(text, folded, closed) for text in (raw, translation or "")):
        raise Refused("span", f"{raw!r} does not say {value!r}")


def _whole(number: Decimal) -> int:
    _writable(number)  # before int(), which would write out 1E+999999
    if number != number.to_integral_value():
        raise Refused("range", f"{number} is no whole number")
    return int(number)


def _writable(number: Decimal) -> None:
    """RDF must have a form for it: finite, and of a length that measurements have."""
    try:
        decimal_form(number)
    except DataError as error:
        raise Refused("range", error.what) from error


# ---- texts


def _texts(fact: Fact) -> Iterable[str]:
    yield from (fact.property, fact.unit or "", fact.translation or "")
    if isinstance(fact.value, str):
        yield fact.value
    if isinstance(fact.evidence, TextEvidence):
        yield from (fact.evidence.raw, fact.evidence.span.field)


def _readable(one: Refusal) -> Refusal:
    """What was turned down may hold what no file can: it becomes an escape."""
    texts = {"document": one.document, "reason": one.reason, "candidate": one.candidate}
    if not any(_SURROGATE.search(text) for text in texts.values()):
        return one
    shown = {name: t.encode("utf-8", "backslashreplace").decode() for name, t in texts.items()}
    return one.model_copy(update=shown)
