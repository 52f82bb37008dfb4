"""From catalogue rows to what an encoder is fed: text and picture of each row, augmented or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from moonshelf.catalog.pairs import usable_rows
from moonshelf.catalog.product import Content, View, product_text
from moonshelf.training.augment import augment_pictures, augment_text
from moonshelf.training.settings import AugmentConfig

if TYPE_CHECKING:
    from moonshelf.catalog.pixels import PixelCache
    from moonshelf.catalog.product import Picture
    from moonshelf.catalog.store import Catalog

_PLAIN = AugmentConfig()


class ContentSource:
    """Contents of rows of one catalogue; pictures come from ``pixels`` where a row is in it,
    else as encoded bytes. Safe to call from another thread: nothing here changes."""

    def __init__(
        self, catalog: Catalog, pixels: PixelCache | None, fields: tuple[str, ...] = ("title",)
    ) -> None:
        self.catalog, self.pixels, self.fields = catalog, pixels, fields
        self._titles = _flat(catalog.column("title")) if fields == ("title",) else None
        self._descriptions = _flat(catalog.column("description"))
        self._attributes = _flat(catalog.column("attributes"))
        self._categories = _flat(catalog.column("category"))

    def __call__(
        self,
        rows: np.ndarray,
        view: View,
        augment: AugmentConfig = _PLAIN,
        draws: Draws | None = None,
    ) -> list[Content]:
        """Contents of ``rows`` [n] through ``view``; ``draws`` [n] feed the augmentation."""
        texts: list[str | None] = [None] * len(rows)
        if view.has_text:
            texts = list(self._texts(rows, augment, draws))
        images: list[tuple[Picture, ...]] = [()] * len(rows)
        if view.has_image:
            images = self._images(rows, augment, draws)
        return [Content(text=t, images=i) for t, i in zip(texts, images, strict=True)]

    def usable(self, view: View) -> np.ndarray:
        """bool [N]: rows that have something that ``view`` feeds (through mm: a title or a picture,
        see ``usable_rows``), and no picture that cannot be decoded."""
        usable = usable_rows(self.catalog, view)
        cache = self.pixels
        if cache is not None and cache.problems and view.has_image:
            pictured = usable & usable_rows(self.catalog, View.IMAGE)
            broken = [row for row in np.flatnonzero(pictured) if not cache.has(int(row))]
            usable[broken] = False
        return usable

    def texts(self, rows: np.ndarray) -> list[str]:
        """The text of each of ``rows``, without augmentation."""
        return self._texts(rows, _PLAIN, None)

    def _texts(self, rows: np.ndarray, augment: AugmentConfig, draws: Draws | None) -> list[str]:
        if self._titles is not None:
            texts = [text or "" for text in self._titles.take(pa.array(rows)).to_pylist()]
        else:
            texts = [product_text(self.catalog[int(row)], self.fields) for row in rows]
        if draws is None or not augment.changes_texts:
            return texts
        descriptions = self._descriptions.take(pa.array(rows)).to_pylist()
        values = self.values(rows) if augment.attributes > 0 else [()] * len(rows)
        return [
            augment_text(text, more or "", few, augment, int(seed))
            for text, more, few, seed in zip(texts, descriptions, values, draws.seeds, strict=True)
        ]

    def values(self, rows: np.ndarray) -> list[tuple[str, ...]]:
        """Every attribute value of each row, and the leaf of its category."""
        at = pa.array(rows)
        attributes = self._attributes.take(at).to_pylist()
        leaves = [path[-1:] for path in self._categories.take(at).to_pylist()]
        return [
            tuple(dict.fromkeys([*(v for _, some in pairs for v in some), *leaf]))
            for pairs, leaf in zip(attributes, leaves, strict=True)
        ]

    def _images(
        self, rows: np.ndarray, augment: AugmentConfig, draws: Draws | None
    ) -> list[tuple[Picture, ...]]:
        cache = self.pixels
        images: list[tuple[Picture, ...]] = [()] * len(rows)
        cached = [k for k, row in enumerate(rows) if cache is not None and cache.has(int(row))]
        if cache is not None and cached:
            pictures = cache.take(rows[cached])
            if draws is not None:
                pictures = augment_pictures(pictures, augment, draws.uniform[cached])
            for k, picture in zip(cached, pictures, strict=True):
                images[k] = (picture,)
        for k in set(range(len(rows))) - set(cached):
            # A row without a picture, or outside the cache: encoded bytes, not augmented.
            images[k] = self.catalog[int(rows[k])].images
        return images


class Draws:
    """Random numbers of the rows of one side of one step, the same whenever they are drawn."""

    def __init__(self, key: tuple[int, ...], n: int) -> None:
        rng = np.random.default_rng(key)
        self.uniform = rng.random((n, 8))
        self.seeds = rng.integers(1 << 62, size=n)

    def __getitem__(self, part: slice) -> Draws:
        chosen = object.__new__(Draws)
        chosen.uniform, chosen.seeds = self.uniform[part], self.seeds[part]
        return chosen


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array, so that ``take`` costs what it takes and not what there is."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined
