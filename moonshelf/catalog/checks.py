"""What makes a record good. Everything that enters a catalogue passes here, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from moonshelf.catalog.product import EVENT_KINDS, SPLITS, Event, Product, Query
from moonshelf.errors import DataError

MAX_ID = 512
MAX_TEXT = 1_000_000  # characters of one text field
MAX_ENTRIES = 10_000  # pictures, attributes, category levels or positives of one record
_MAX_INT = 2**63 - 1


def check_product(product: Product) -> None:
    """Raises :class:`DataError` with what is wrong and how to cure it."""
    _id(product.id, "id")
    for name in ("title", "description", "group", "shop"):
        _text(getattr(product, name), name)
    _texts(product.category, "category")
    _attributes(product.attributes)
    _images(product.images)
    _price(product.price)
    _integer(product.time, "time", optional=True)
    _split(product.split)
    if not product.title.strip() and not product.images:
        raise DataError("the title is empty and there is no picture", cure="give one of the two")


def check_query(query: Query) -> None:
    """Raises :class:`DataError` with what is wrong and how to cure it."""
    _id(query.id, "id")
    _text(query.text, "text")
    _images(query.images)
    _sequence(query.positives, "positives")
    for positive in query.positives:
        _id(positive, "positives")
    if len(set(query.positives)) != len(query.positives):
        raise DataError("a positive is listed twice", cure="list each item once")
    _sequence(query.grades, "grades")
    for grade in query.grades:
        _number(grade, "grades")
    if query.grades and len(query.grades) != len(query.positives):
        raise DataError(
            f"{len(query.grades)} grades for {len(query.positives)} positives",
            cure="give one grade a positive, or none",
        )
    _split(query.split)
    if not query.text.strip() and not query.images:
        raise DataError("the text is empty and there is no picture", cure="give one of the two")


def check_event(event: Event) -> None:
    """Raises :class:`DataError` with what is wrong and how to cure it."""
    _integer(event.time, "time")
    _id(event.user, "user")
    _id(event.item, "item")
    if event.kind not in EVENT_KINDS:
        raise DataError(
            f"unknown kind of event {event.kind!r}", cure=f"use one of {', '.join(EVENT_KINDS)}"
        )
    if event.query != "":
        _id(event.query, "query")
    _integer(event.position, "position")
    if not -1 <= event.position < 2**31:
        raise DataError(f"position is {event.position}", cure="count from 0; -1 is unknown")
    _price(event.price)


def _id(value: Any, name: str) -> None:
    _text(value, name)
    if not value.strip():
        raise DataError(f"{name} is empty", cure="give every record an id")
    if len(value) > MAX_ID:
        raise DataError(f"{name} has {len(value):,} characters", cure=f"keep to {MAX_ID}")
    if not value.isprintable():
        raise DataError(f"{name} {value!r} has unprintable characters", cure="remove them")


def _text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise DataError(f"{name} is {type(value).__name__}, expected text", cure="convert it")
    if len(value) > MAX_TEXT:
        raise DataError(
            f"{name} has {len(value):,} characters, the limit is {MAX_TEXT:,}", cure="shorten it"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{name} is not valid Unicode (at character {error.start})",
                cure="decode the source with its true encoding",
            ) from error


def _sequence(value: Any, name: str) -> None:
    if not isinstance(value, tuple | list):
        raise DataError(f"{name} is {type(value).__name__}, expected a tuple", cure="convert it")
    if len(value) > MAX_ENTRIES:
        raise DataError(f"{name} has {len(value):,} entries", cure=f"keep to {MAX_ENTRIES:,}")


def _texts(value: Any, name: str) -> None:
    _sequence(value, name)
    for part in value:
        _text(part, name)
        if not part.strip():
            raise DataError(f"{name} has an empty part", cure="leave empty parts out")


def _attributes(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise DataError(
            f"attributes are {type(value).__name__}, expected a mapping", cure="map keys to values"
        )
    if len(value) > MAX_ENTRIES:
        raise DataError(f"attributes have {len(value):,} keys", cure=f"keep to {MAX_ENTRIES:,}")
    for key, values in value.items():
        _text(key, "attribute key")
        if not key.strip():
            raise DataError("an attribute key is empty", cure="name it or leave it out")
        _texts(values, f"attribute {key[:80]!r}")


def _images(value: Any) -> None:
    _sequence(value, "images")
    for picture in value:
        if not isinstance(picture, bytes):
            raise DataError(
                f"a picture is {type(picture).__name__}, expected encoded bytes", cure="encode it"
            )


def _number(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{name} is {type(value).__name__}, expected a number", cure="convert it")
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise DataError(f"{name} is {str(value)[:40]}", cure="leave it empty where unknown")


def _price(value: Any) -> None:
    if value is None:
        return
    _number(value, "price")
    if value < 0:
        raise DataError(f"price is {value}", cure="leave it empty where unknown")


def _integer(value: Any, name: str, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name} is {type(value).__name__}, expected an integer", cure="convert it")
    if not -_MAX_INT <= value <= _MAX_INT:
        raise DataError(f"{name} does not fit 64 bits", cure="use unix seconds")


def _split(value: Any) -> None:
    if value not in SPLITS:
        raise DataError(f"unknown split {value!r}", cure=f"use one of {', '.join(SPLITS)}")
