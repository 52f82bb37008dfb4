"""What flows through the room: documents in, facts with evidence out. Frozen, JSON both ways.

A fact says: this product has this property with this value, *because this text says so*. Its span
points into one field of its document, in code points of the original text, end exclusive, so that
``document.field(span.field)[span.start:span.end] == evidence.raw`` always holds; ``validate.py``
refuses a fact for which it does not.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from moonshelf.config import Config
from moonshelf.errors import DataError

Kind = Literal["listing", "review"]


class Document(Config):
    """One text about one product: named fields in reading order (``title`` first, if any)."""

    id: str = Field(min_length=1, max_length=512)
    fields: tuple[tuple[str, str], ...]
    kind: Kind = "listing"
    product: str = ""
    """Id of the product the text is about; its own id where empty. Reviews name their listing."""
    category: str = ""
    """What the shop calls the product's kind, where known; a hint, never evidence."""

    @property
    def about(self) -> str:
        return self.product or self.id

    def field(self, name: str) -> str:
        """Text of a field; DataError where there is none of that name."""
        for found, text in self.fields:
            if found == name:
                return text
        raise DataError(f"no field {name!r}", where=f"document {self.id}")

    @cached_property
    def digest(self) -> str:
        """64 hex digits of everything that extraction reads; equal documents are done once."""
        data = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()


class Span(Config):
    """A stretch of one field, in code points of the original text; ``end`` is exclusive."""

    field: str
    start: int = Field(ge=0)
    end: int = Field(ge=1)

    @model_validator(mode="after")
    def _not_empty(self) -> Span:
        if self.end <= self.start:
            raise ValueError(f"a span ends ({self.end}) after it starts ({self.start})")
        return self


class TextEvidence(Config):
    """The words that state a fact."""

    source: Literal["text"] = "text"
    span: Span
    raw: str
    """The slice of the original text, character by character."""


class PictureEvidence(Config):
    """A picture that shows a fact, read by an encoder: its own kind, never mixed with text."""

    source: Literal["picture"] = "picture"
    picture: str
    """Content hash of the picture."""
    encoder: str
    score: float = Field(ge=0, le=1)


Evidence: TypeAlias = Annotated[TextEvidence | PictureEvidence, Field(discriminator="source")]


class Amount(Config):
    """An exact number in the unit of the property. A model of its own, because JSON has no decimals
    and a text "1.5" must stay a text."""

    amount: Decimal


class Range(Config):
    """From ``low`` to ``high``, both included, in the unit of the property."""

    low: Decimal
    high: Decimal

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.high < self.low:
            raise ValueError(f"a range runs upwards, got {self.low} to {self.high}")
        return self


Value: TypeAlias = StrictBool | StrictInt | StrictStr | Amount | Range
"""What a property holds, normalized: an amount in the property's canonical unit, an option in its
listed spelling, anything else as folded text. Strict: "5" stays a text and True a boolean."""


class Fact(Config):
    """One statement about one product, with what states it.

    ``value`` is normalized, ``evidence`` is verbatim. ``unit`` is the unit as written (None where
    there is none); the unit of ``value`` is the property's.
    """

    document: str
    property: str
    value: Value
    unit: str | None = None
    evidence: Evidence
    confidence: float = Field(ge=0, le=1)
    translation: str | None = None
    """English wording of a value stated in another language; the raw text is what is verified."""


class Refusal(Config):
    """A candidate that did not become a fact, with the step and the reason; nothing is lost."""

    document: str
    step: Literal[
        "json", "vocabulary", "span", "guard", "unit", "range", "option", "conflict", "shacl"
    ]
    reason: str
    candidate: str
    """The candidate as JSON, for a person to read."""


class Extraction(Config):
    """What a backend found in one document: the class of its product, and candidate facts."""

    document: str
    product_class: str
    facts: tuple[Fact, ...]
    refusals: tuple[Refusal, ...] = ()
    """Candidates that the backend itself turned down: guarded, unreadable, nowhere in the text."""
