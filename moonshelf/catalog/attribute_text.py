"""What is made of reference attributes: entities in a product's texts, and one line that says all.

The line is MOON3.0's reference string (methods.md 6.2), ``Key: value, value; Key: value``, in the
fixed key order of its file, for what the picture supports, what the text supports, or both. The
entities are what MOON2.0 enriches titles from (methods.md 5.5): surface forms with their place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from moonshelf.catalog.product import Product, View
from moonshelf.catalog.reference_attributes import (
    ImageSupport,
    ProductAttributes,
    ReferenceValue,
    Support,
    TextSupport,
)
from moonshelf.errors import DataError

TITLE = ("title",)
# Signs of the template, and those that special tokens are made of: no value may hold one.
_SIGNS = re.compile(r"[;:,<>|]+")


@dataclass(frozen=True, slots=True)
class Entity:
    """Words of a product's text that name one of its attributes.

    ``field[start:end]`` is ``words``, in code points; ``value`` is the normalized wording.
    """

    field: str
    start: int
    end: int
    words: str
    key: str
    value: str


def entities(
    record: ProductAttributes, product: Product, fields: Sequence[str] = ("title", "description")
) -> tuple[Entity, ...]:
    """The entities of a product's texts, in reading order, each stretch once.

    Where one lies within another ("neck" in "round neck") the longer one stands. Two that share a
    stretch exactly keep the first key in the file's order.

    Args:
        record: of this product.
        product: as it is now.
        fields: of title and description.

    Raises:
        DataError: the text is no longer the one that was read.
    """
    texts = {"title": product.title, "description": product.description}
    found = [
        one
        for key, value, support in _supports(record)
        if isinstance(support, TextSupport) and support.source in fields and not support.document
        for one in _standing(texts, support, key, value, record.product)
    ]
    order = {field: place for place, field in enumerate(fields)}
    found.sort(key=lambda one: (order[one.field], one.start, -one.end))
    kept: list[Entity] = []
    for one in found:
        last = kept[-1] if kept else None
        if last is None or last.field != one.field or one.end > last.end:
            kept.append(one)
    return tuple(kept)


def attribute_line(
    record: ProductAttributes, view: View | str, sources: Collection[str] = TITLE
) -> str:
    """``Key: value, value; Key: value`` of what a view supports; empty where it supports nothing.

    Args:
        record: keys in the fixed order, as :class:`AttributeFile` gives them.
        view: ``i``: what a picture shows; ``t``: what a text says; ``mm``: either.
        sources: which texts count: fields of the listing, or ``review``; the title alone, as in the
            paper, unless told otherwise.
    """
    view = View(view)
    return line_of(
        {
            key: [v.value for v in values if any(_counts(s, view, sources) for s in v.support)]
            for key, values in record.attributes.items()
        }
    )


def line_of(attributes: Mapping[str, Iterable[str]]) -> str:
    """``Key: value, value; Key: value`` in the order given; what is empty is left out."""
    parts = []
    for key, values in attributes.items():
        words = dict.fromkeys(word for value in values if (word := plain(value)))
        if words and (name := plain(key)):
            parts.append(f"{name}: {', '.join(words)}")
    return "; ".join(parts)


def read_line(line: str) -> dict[str, tuple[str, ...]]:
    """What a line of that form says; a part without a key or a value is left out."""
    found: dict[str, tuple[str, ...]] = {}
    for part in line.split(";"):
        key, _, values = part.partition(":")
        words = tuple(dict.fromkeys(word for v in values.split(",") if (word := plain(v))))
        if (name := plain(key)) and words:
            found[name] = words
    return found


def known_values(record: ProductAttributes) -> Mapping[str, tuple[str, ...]]:
    """Key -> values as texts, whatever supports them: the form of a catalogue's attributes."""
    return {
        key: tuple(dict.fromkeys(one.value for one in values))
        for key, values in record.attributes.items()
    }


def _supports(record: ProductAttributes) -> Iterator[tuple[str, ReferenceValue, Support]]:
    for key, values in record.attributes.items():
        for value in values:
            for support in value.support:
                yield key, value, support


def _standing(
    texts: Mapping[str, str], support: TextSupport, key: str, value: ReferenceValue, name: str
) -> Iterable[Entity]:
    text = texts.get(support.source)
    if text is None:
        return
    if text[support.start : support.end] != support.words:
        raise DataError(
            f"{support.words[:80]!r} no longer stands in its {support.source}",
            where=f"product {name}",
            cure="build the graph again and export its attributes anew",
        )
    yield Entity(support.source, support.start, support.end, support.words, key, value.value)


def _counts(support: Support, view: View, sources: Collection[str]) -> bool:
    if isinstance(support, ImageSupport):
        return view.has_image
    return view.has_text and support.source in sources


def plain(text: str) -> str:
    """``text`` without the signs of the line and of special tokens, on one line."""
    return " ".join(_SIGNS.sub(" ", text).split())
