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

LONGEST_ID = 512
Kind = Literal["listing", "review", "picture"]


class Shown(Config):
    """What an encoder sees in a picture: a value of a key, with the names that people use."""

    key: str
    value: str
    picture: str
    """Content hash of the picture."""
    encoder: str
    """Its version."""
    score: float = Field(ge=0, le=1)


class Document(Config):
    """One text about one product: fields in reading order (``title`` first, if any), each of a name
    of its own: evidence says where it stands by that name.

    A document of kind ``picture`` has no text: it holds what the product's pictures show.
    """

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    fields: tuple[tuple[str, str], ...]
    kind: Kind = "listing"
    product: str = ""
    """Id of the product the text is about; its own id where empty. Reviews name their listing."""
    category: str = ""
    """What the shop calls the product's kind, where known; a hint, never evidence."""
    shown: tuple[Shown, ...] = ()

    @model_validator(mode="after")
    def _text_or_picture(self) -> Document:
        if len(self.product) > LONGEST_ID:
            raise ValueError(f"the product's id is longer than {LONGEST_ID} characters")
        if (self.kind == "picture") != bool(self.shown) or (self.shown and self.fields):
            raise ValueError("a picture has what it shows and no text, a text has fields alone")
        return self

    @model_validator(mode="after")
    def _fields_have_names(self) -> Document:
        if len({name for name, _ in self.fields}) < len(self.fields):
            raise ValueError("two fields have the same name")
        return self

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
        # What pictures show came later: texts keep the digests that they had before.
        left_out = None if self.shown else {"shown"}
        read = self.model_dump(mode="json", exclude=left_out)
        data = json.dumps(read, ensure_ascii=False, sort_keys=True)
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
