"""From rows to what an encoder is fed: text and picture of each row, augmented or not.

A row is a product of the catalogue (0..N-1) or, from N on, a query of its query table: N + q is
query q, so that what a user typed or photographed is content like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from moonshelf.catalog.marks import Mark, Marked
from moonshelf.catalog.pairs import usable_queries, usable_rows
from moonshelf.catalog.product import Content, View, marked_text
from moonshelf.training.augment import augment_pictures, augment_text
from moonshelf.training.settings import AugmentConfig

if TYPE_CHECKING:
    from moonshelf.catalog.pixels import PixelCache
    from moonshelf.catalog.product import Picture
    from moonshelf.catalog.store import Catalog

_PLAIN = AugmentConfig()


class ContentSource:
    """Contents of the products and queries of one catalogue. Pictures come from ``pixels`` and
    ``query_pixels`` where a row is in them, and their core products from ``crops`` (of products, of
    queries), where an encoder is shown them; else as encoded bytes. Safe to call from another
    thread: nothing here changes."""

    def __init__(
        self,
        catalog: Catalog,
        pixels: PixelCache | None,
        fields: tuple[str, ...] = ("title",),
        query_pixels: PixelCache | None = None,
        crops: tuple[PixelCache | None, PixelCache | None] | None = None,
    ) -> None:
        self.catalog, self.pixels, self.fields = catalog, pixels, fields
        self.products = len(catalog)
        self._query_pixels = query_pixels
        self._crops = crops
        self._titles = flat_column(catalog.column("title")) if fields == ("title",) else None
        self._descriptions = flat_column(catalog.column("description"))
        self._attributes = flat_column(catalog.column("attributes"))
        self._categories = flat_column(catalog.column("category"))
        self._asked = flat_column(catalog.query_column("text"))
        owner, numbers = catalog.query_links()
        # The first picture of each query; the links stand in the order of the queries.
        self._photographed, first = np.unique(owner, return_index=True)
        self._photos = numbers[first]

    def __len__(self) -> int:
        """Products and queries."""
        return self.products + len(self._asked)

    def __call__(
        self,
        rows: np.ndarray,
        view: View,
        augment: AugmentConfig = _PLAIN,
        draws: Draws | None = None,
    ) -> list[Content]:
        """Contents of ``rows`` [n] through ``view``; ``draws`` [n] feed the augmentation."""
        texts: list[Marked] | None = None
        if view.has_text:
            texts = self._texts(rows, augment, draws)
        shown = [Content()] * len(rows)
        if view.has_image:
            shown = self._images(rows, augment, draws)
        if texts is None:
            return shown
        return [
            Content(words.text, seen.images, words.spans, seen.crops)
            for words, seen in zip(texts, shown, strict=True)
        ]

    def usable(self, view: View) -> np.ndarray:
        """bool [N + Q]: rows that have something that ``view`` feeds (through mm: a title or a
        picture, see ``usable_rows``), and no picture that cannot be decoded."""
        parts = []
        for flags, cache in ((usable_rows, self.pixels), (usable_queries, self._query_pixels)):
            usable = flags(self.catalog, view)
            if cache is not None and cache.problems and view.has_image:
                pictured = usable & flags(self.catalog, View.IMAGE)
                broken = [row for row in np.flatnonzero(pictured) if not cache.has(int(row))]
                usable[broken] = False
            parts.append(usable)
        return np.concatenate(parts)

    def texts(self, rows: np.ndarray) -> list[str]:
        """The text of each of ``rows``, without augmentation."""
        return [found.text for found in self._texts(rows, _PLAIN, None)]

    def _texts(self, rows: np.ndarray, augment: AugmentConfig, draws: Draws | None) -> list[Marked]:
        texts = self._plain_texts(rows)
        if draws is None or not augment.changes_texts:
            return texts
        descriptions = self._taken(self._descriptions, rows)
        values = self._marked_values(rows) if augment.shows_values else [()] * len(rows)
        return [
            augment_text(text, more or "", few, augment, int(seed))
            for text, more, few, seed in zip(texts, descriptions, values, draws.seeds, strict=True)
        ]

    def _plain_texts(self, rows: np.ndarray) -> list[Marked]:
        if self._titles is not None:
            texts = [Marked(title or "") for title in self._taken(self._titles, rows)]
        else:
            texts = [
                marked_text(self.catalog[int(row)], self.fields)
                if row < self.products
                else Marked("")
                for row in rows
            ]
        asked = np.flatnonzero(rows >= self.products)
        words = self._asked.take(pa.array(rows[asked] - self.products)).to_pylist()
        for place, text in zip(asked.tolist(), words, strict=True):
            texts[place] = Marked(text or "")
        return texts

    def _taken(self, column: pa.Array, rows: np.ndarray) -> list[Any]:
        """The cells of ``rows`` of a column of the products; None for queries."""
        return column.take(pa.array(rows, mask=rows >= self.products)).to_pylist()

    def values(self, rows: np.ndarray) -> list[tuple[str, ...]]:
        """Every attribute value of each row, and the leaf of its category; none of a query."""
        attributes = self._taken(self._attributes, rows)
        leaves = [(path or [])[-1:] for path in self._taken(self._categories, rows)]
        return [
            tuple(dict.fromkeys([*(v for _, some in pairs or () for v in some), *leaf]))
            for pairs, leaf in zip(attributes, leaves, strict=True)
        ]

    def _marked_values(self, rows: np.ndarray) -> list[tuple[Marked, ...]]:
        """:meth:`values`, each marked as what it is; a value that also names the leaf of the
        category is category."""
        leaves = [(path or [""])[-1] for path in self._taken(self._categories, rows)]
        return [
            tuple(Marked.whole(v, Mark.CATEGORY if v == leaf else Mark.ATTRIBUTE) for v in values)
            for values, leaf in zip(self.values(rows), leaves, strict=True)
        ]

    def _images(
        self, rows: np.ndarray, augment: AugmentConfig, draws: Draws | None
    ) -> list[Content]:
        """The pictures of each row and, where crops are shown, their core products."""
        pictures = self._cached((self.pixels, self._query_pixels), rows, augment, draws)
        crops = self._cached(self._crops or (None, None), rows, augment, draws)
        return [
            # A row without a picture, or outside the cache: encoded bytes, not augmented.
            Content(images=self._encoded(int(rows[k])))
            if not own
            else Content(images=own, crops=crops[k] if self._crops else None)
            for k, own in enumerate(pictures)
        ]

    def _cached(
        self,
        caches: tuple[PixelCache | None, PixelCache | None],
        rows: np.ndarray,
        augment: AugmentConfig,
        draws: Draws | None,
    ) -> list[tuple[Picture, ...]]:
        """What the caches of products and of queries hold of each row, augmented; else nothing."""
        found: list[tuple[Picture, ...]] = [()] * len(rows)
        of_query = rows >= self.products
        for cache, mine, first in zip(
            caches, (~of_query, of_query), (0, self.products), strict=True
        ):
            if cache is None:
                continue
            cached = [k for k in np.flatnonzero(mine).tolist() if cache.has(int(rows[k]) - first)]
            if not cached:
                continue
            pictures = cache.take(rows[cached] - first)
            if draws is not None:
                pictures = augment_pictures(pictures, augment, draws.uniform[cached])
            for k, picture in zip(cached, pictures, strict=True):
                found[k] = (picture,)
        return found

    def _encoded(self, row: int) -> tuple[bytes, ...]:
        if row < self.products:
            return self.catalog[row].images
        query = row - self.products
        place = int(np.searchsorted(self._photographed, query))
        if place == len(self._photographed) or self._photographed[place] != query:
            return ()
        return (self.catalog.picture(int(self._photos[place])),)


class Draws:
    """Random numbers of the rows of one side of one step, the same whenever they are drawn."""

    def __init__(self, key: tuple[int, ...], n: int) -> None:
        rng = np.random.default_rng(key)
        self.uniform = rng.random((n, 8))
        self.seeds = rng.integers(1 << 62, size=n)

    def __getitem__(self, part: slice | np.ndarray) -> Draws:
        chosen = object.__new__(Draws)
        chosen.uniform, chosen.seeds = self.uniform[part], self.seeds[part]
        return chosen


def flat_column(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array, so that ``take`` costs what it takes and not what there is."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined
