"""What a shop is made of: products, queries, events. Plain frozen records, no torch.

A product is the centre of everything here. It is read from a source once, written to the
catalogue, and then only ever *viewed*: as its title, as its pictures, or as both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from moonshelf.catalog.marks import Mark, Marked, Span, joined
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Picture: TypeAlias = bytes | np.ndarray

SPLITS = ("train", "val", "test")
EVENT_KINDS = ("exposure", "click", "cart", "purchase")
_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class View(StrEnum):
    """Which modalities of a product are fed to the encoder."""

    TEXT = "t"
    IMAGE = "i"
    BOTH = "mm"

    @property
    def has_text(self) -> bool:
        return self is not View.IMAGE

    @property
    def has_image(self) -> bool:
        return self is not View.TEXT


@dataclass(frozen=True, slots=True)
class Product:
    """One catalogue entry.

    ``images`` are encoded pictures (JPEG, PNG, WebP bytes) in display order; ``category`` is a
    path from the top level down to the leaf; ``attributes`` map a key to one or more values;
    ``group`` names the SPU (variants of one style share it) and never crosses splits; ``price``
    is in the source's own currency; ``time`` is unix seconds of listing.
    """

    id: str
    title: str = ""
    images: tuple[bytes, ...] = ()
    category: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    description: str = ""
    group: str = ""
    shop: str = ""
    price: float | None = None
    time: int | None = None
    split: str = "train"


@dataclass(frozen=True, slots=True)
class Query:
    """What a user submits: words, a picture, or both. ``positives`` are the item ids that
    answer it (bought after it, or of the photographed product); ``grades`` optionally say how
    well (same length), for human judgements."""

    id: str
    text: str = ""
    images: tuple[bytes, ...] = ()
    positives: tuple[str, ...] = ()
    grades: tuple[float, ...] = ()
    split: str = "train"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a behaviour log. ``time`` is unix seconds (day resolution is fine),
    ``position`` the slot shown (0 is the top; -1 unknown), ``query`` the query id or ""."""

    time: int
    user: str
    item: str
    kind: str
    query: str = ""
    position: int = -1
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The modalities of one product as an encoder sees them: its text, its pictures, or both.

    ``text`` is None when the view has no text. A picture is encoded bytes, or an already decoded
    ``uint8 [H, W, 3]`` array (from the pixel cache). ``marks`` say which stretches of the text
    name the product's category or attributes; they change no token, only which experts an encoder
    that has some hands it to. ``crops`` hold the core product of the first picture, for encoders
    that are shown it (``encoder.pictures.crop``): one, none where none was found, or None where
    nobody has looked yet and the encoder does.
    """

    text: str | None = None
    images: tuple[Picture, ...] = ()
    marks: tuple[Span, ...] = ()
    crops: tuple[Picture, ...] | None = None


def product_content(
    product: Product, view: View | str, fields: tuple[str, ...] = ("title",)
) -> Content:
    """``product`` seen through ``view``. ``fields`` choose the text: any of title, category,
    attributes, description. Evaluation keeps to the title, because the others may spell the
    label (methods.md 10.2)."""
    view = View(view)
    images = product.images if view.has_image else ()
    if not view.has_text:
        return Content(images=images)
    text, marks = marked_text(product, fields)
    return Content(text, images, marks)


def product_text(product: Product, fields: tuple[str, ...] = ("title",)) -> str:
    """The chosen text fields joined by ``" | "``; empty ones are left out."""
    return marked_text(product, fields).text


def marked_text(product: Product, fields: tuple[str, ...] = ("title",)) -> Marked:
    """:func:`product_text` with what is category and what attributes (keys included) marked."""
    parts: dict[str, Callable[[], Marked]] = {
        "title": lambda: Marked(product.title),
        "category": lambda: Marked.whole(" > ".join(product.category), Mark.CATEGORY),
        "attributes": lambda: Marked.whole(
            "; ".join(f"{k}: {', '.join(v)}" for k, v in product.attributes.items()),
            Mark.ATTRIBUTE,
        ),
        "description": lambda: Marked(product.description),
    }
    unknown = [f for f in fields if f not in parts]
    if unknown:
        raise UsageError(
            f"unknown text field {unknown[0]!r}", cure=f"choose among {', '.join(parts)}"
        )
    return joined([part for f in fields if (part := parts[f]()).text], " | ")
