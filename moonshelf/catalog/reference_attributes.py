"""Reference attributes: what is known of products beside the catalogue, each with its source.

One JSON Lines file. The first line says what it is, where it comes from and in which fixed order
its keys stand; every other line is one product:

    {"kind": "attributes", "format": 1, "keys": [{"key": "neck", ...}], "products": 1, ...}
    {"product": "p1", "attributes": {"neck": [{"value": "V-neck", "support": [...]}]}}

A value is a text as a shopper would write it (``1.5 ton``, ``V-neck``, ``yes``); what supports it
is the words of a text, with their place, or a picture. The two are never mixed, so that a reader
can ask for what a picture alone shows. The graph writes such files from texts
(``graph export --format attributes``), an encoder from pictures (``encoder attributes``).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from moonshelf.catalog.checks import MAX_ID
from moonshelf.config import Config
from moonshelf.errors import DataError
from moonshelf.files import whole_file

KIND, FORMAT = "attributes", 1
MAX_KEYS = 10_000
MAX_LINE = 64 << 20
"""Bytes of one line."""
MAX_VALUES = 200
"""Values of one key of one product."""
MAX_SUPPORT = 50
"""Places that one value is known from."""
LONGEST_NAME = 200
"""Characters of a key or a value; what is longer is a sentence and no attribute."""
LONGEST_TEXT = 2_000
"""Characters of the words that state a value."""
CURE = "write the file anew: `moonshelf graph export` or `moonshelf encoder attributes`"
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

Modality: TypeAlias = Literal["text", "image"]
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class TextSupport(Config):
    """Words that state a value."""

    modality: Literal["text"] = "text"
    source: Name
    """A field of the listing (``title``, ``description``, ...), or ``review``."""
    document: Annotated[str, StringConstraints(max_length=MAX_ID)] = ""
    """Whose text it is where that is not the product's listing: the id of the review."""
    start: int = Field(ge=0)
    end: int = Field(ge=1)
    """Code points of that field, end exclusive."""
    words: Text
    confidence: Share


class ImageSupport(Config):
    """A picture that shows a value."""

    modality: Literal["image"] = "image"
    picture: Name
    """Content hash."""
    encoder: Name
    """Version of the encoder that looked."""
    confidence: Share


Support: TypeAlias = Annotated[TextSupport | ImageSupport, Field(discriminator="modality")]


class ReferenceValue(Config):
    """One value of one key. ``number``, or ``low`` and ``high``, are plain decimals in the key's
    unit, where the value is a quantity."""

    value: Name
    number: Name | None = None
    low: Name | None = None
    high: Name | None = None
    support: tuple[Support, ...] = Field(min_length=1, max_length=MAX_SUPPORT)

    @model_validator(mode="after")
    def _readable(self) -> ReferenceValue:
        if self.value != one_line(self.value):
            raise ValueError("a value is one line without blanks around it or control characters")
        return self

    @property
    def modalities(self) -> frozenset[Modality]:
        return frozenset(one.modality for one in self.support)

    @property
    def confidence(self) -> float:
        """Of the surest support."""
        return max(one.confidence for one in self.support)


class ProductAttributes(Config):
    """What is known of one product; keys in the order of the file's header."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
    attributes: dict[
        Name, Annotated[tuple[ReferenceValue, ...], Field(min_length=1, max_length=MAX_VALUES)]
    ]


class KeyFacts(Config):
    """A key of the file: what it is called, and what it is called in the ontology."""

    key: Name
    property: str = ""
    unit: str | None = None
    """Symbol of the unit that all its numbers are in."""
    products: int = Field(default=0, ge=0)
    """That have it."""

    @model_validator(mode="after")
    def _readable(self) -> KeyFacts:
        if self.key != one_line(self.key):
            raise ValueError("a key is one line without blanks around it or control characters")
        return self


class Header(Config):
    """The first line of a file."""

    kind: Literal["attributes"] = "attributes"
    format: Literal[1] = 1
    keys: tuple[KeyFacts, ...] = Field(max_length=MAX_KEYS)
    """In the fixed order in which they are always written."""
    products: int = Field(ge=0)
    """Lines that follow."""
    source: dict[str, Any] = Field(default_factory=dict)
    """Who says so: the graph and its backend, or the encoder and how it was calibrated."""

    @model_validator(mode="after")
    def _each_once(self) -> Header:
        seen: set[str] = set()
        for one in self.keys:
            if key_form(one.key) in seen:
                raise ValueError(f"key {one.key!r} stands twice")
            seen.add(key_form(one.key))
        return self


@dataclass(frozen=True)
class AttributeFile:
    """An opened file; iterating reads it from the start, one product at a time.

    Raises (while reading):
        DataError: a line is not what the format says: names line, key and cure.
    """

    path: Path
    header: Header

    @classmethod
    def open(cls, path: Path | str) -> AttributeFile:
        """Reads the header alone.

        Raises:
            DataError: no such file, or none of this kind.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                line = file.readline(MAX_LINE + 1)
        except OSError as error:
            what = (error.strerror or "cannot be read").lower()
            raise DataError(what, where=str(path), cure="check the path") from error
        found = _json(line, f"{path.name} line 1")
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise DataError("not a file of reference attributes", where=str(path), cure=CURE)
        if found.get("format") != FORMAT:
            what = f"has format {found.get('format')!r}, this version reads {FORMAT}"
            raise DataError(what, where=str(path), cure=CURE)
        return cls(path, _checked(Header, found, f"{path.name} line 1"))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """In the fixed order."""
        return tuple(one.key for one in self.header.keys)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole file: which attributes these are."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __len__(self) -> int:
        return self.header.products

    def __iter__(self) -> Iterator[ProductAttributes]:
        order = {key: place for place, key in enumerate(self.keys)}
        seen: set[str] = set()
        with self.path.open("rb") as file:
            next(_lines(file, self.path), None)
            for number, line in enumerate(islice(_lines(file, self.path), len(self) + 1), start=2):
                where = f"{self.path.name} line {number}"
                record = _checked(ProductAttributes, _json(line, where), where)
                if record.product in seen:
                    raise DataError(
                        f"product {record.product!r} stands there twice", where=where, cure=CURE
                    )
                seen.add(record.product)
                yield _in_order(record, order, where)
        if len(seen) != len(self):
            raise DataError(
                f"holds {'more than ' * (len(seen) > len(self))}{min(len(seen), len(self)):,} "
                f"products, its first line says {len(self):,}",
                where=str(self.path),
                cure=CURE,
            )


def key_form(key: str) -> str:
    """What keys are compared by: ``Sleeve_Length`` and ``sleeve length`` are one."""
    plain = unicodedata.normalize("NFKC", key).casefold()
    return " ".join(plain.replace("_", " ").replace("-", " ").split())


def one_line(text: str) -> str:
    """``text`` as a key or value can hold it: one line, nothing that no file can hold."""
    return " ".join(_UNFIT.sub(" ", text).split())


def write_attributes(
    path: Path,
    keys: Sequence[KeyFacts],
    source: dict[str, Any],
    records: Iterable[ProductAttributes],
    products: int,
) -> None:
    """Writes a file whole or not at all; the same input gives the same bytes.

    Args:
        path: an existing file is replaced.
        keys: in the order in which they are to stand everywhere.
        source: who says so; JSON.
        records: ``products`` of them; each holds some of the keys.
        products: how many there are.

    Raises:
        DataError: a record has a key that is not among ``keys``, or there are more or fewer.
        DiskFullError: no room.
    """
    header = Header(keys=tuple(keys), products=products, source=source)
    order = {one.key: place for place, one in enumerate(keys)}
    left = iter(records)
    with whole_file(path) as file:
        file.write(_line(header))
        for _ in range(products):
            record = next(left, None)
            if record is None:
                raise DataError(f"fewer than the {products:,} products said", where=str(path))
            file.write(_line(_in_order(record, order, f"product {record.product}")))
        if next(left, None) is not None:
            raise DataError(f"more than the {products:,} products said", where=str(path))


def _line(record: Config) -> bytes:
    found = record.model_dump(mode="json", exclude_none=True)
    line = (json.dumps(found, ensure_ascii=True, separators=(",", ":")) + "\n").encode()
    if len(line) > MAX_LINE:
        raise DataError(f"a line would be longer than {MAX_LINE >> 20} MiB", where=str(found)[:80])
    return line


def _in_order(record: ProductAttributes, order: dict[str, int], where: str) -> ProductAttributes:
    unknown = next((key for key in record.attributes if key not in order), None)
    if unknown is not None:
        raise DataError(f"key {unknown!r} is not among the file's keys", where=where, cure=CURE)
    names = sorted(record.attributes, key=order.__getitem__)
    if names == [*record.attributes]:
        return record
    return record.model_copy(update={"attributes": {k: record.attributes[k] for k in names}})


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise DataError(
                f"a line is longer than {MAX_LINE >> 20} MiB", where=str(path), cure=CURE
            )
        yield line


def _json(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"not JSON: {error}", where=where, cure=CURE) from error


def _checked(model: type[Any], found: Any, where: str) -> Any:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part)[:80] for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        what = f"{key}: {message}" if key else message
        raise DataError(what, where=where, cure=CURE) from error
