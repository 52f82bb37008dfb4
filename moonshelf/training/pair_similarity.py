"""How alike an encoder finds the query and the item of each pair: what the dedup goes by.

Every query is embedded through all that it has (words, photo, product), every item through one
view. Each content is embedded once, however many pairs it stands in. What cannot be embedded
(nothing to feed, a damaged picture) makes its own pairs unknown and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moonshelf.catalog.cleaning.choosing import ASKED_VIEW, asked
from moonshelf.catalog.pair_set import TABLE_QUERY, PairSet
from moonshelf.catalog.product import Content, View
from moonshelf.catalog.store import Catalog
from moonshelf.config import read_toml
from moonshelf.encoder import encoder_folder
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.progress import Progress, silent
from moonshelf.training.contents import ContentSource
from moonshelf.training.decoded import decoded_contents, ready_crops

_BLOCK = 65_536


def pair_similarities(
    encoder: Encoder,
    pairs: PairSet,
    *,
    item_view: View | str = View.BOTH,
    fields: tuple[str, ...] = ("title",),
    batch_size: int | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Cosine of query and item, float32 [n]; NaN where one of them cannot be embedded.

    Args:
        encoder: gives unit rows; where it stands (CPU or GPU), it stays.
        pairs: of any kinds.
        item_view: what of the items is fed.
        fields: text fields of products; queries have their words alone.
        batch_size: contents of a forward pass; the result does not depend on it.
        progress: called after each batch.
    """
    source = _source(encoder, pairs.catalog, fields, progress)
    rows = np.where(pairs.query_kind == TABLE_QUERY, pairs.query + source.products, pairs.query)
    views = np.array([list(View).index(view) for view in ASKED_VIEW])[asked(pairs)]
    wanted = {view: [rows[views == code]] for code, view in enumerate(View)}
    wanted[View(item_view)].append(pairs.item)
    vectors = _Vectors(encoder, source, batch_size, progress)
    vectors.embed({view: np.unique(np.concatenate(parts)) for view, parts in wanted.items()})
    found = np.full(len(pairs), np.nan, dtype=np.float32)
    for code, view in enumerate(View):
        here = np.flatnonzero(views == code)
        for start in range(0, len(here), _BLOCK):
            block = here[start : start + _BLOCK]
            query = vectors.take(view, rows[block])
            item = vectors.take(View(item_view), pairs.item[block])
            found[block] = np.einsum("nd,nd->n", query, item)
    return found.clip(-1, 1)


def run_fields(folder: Path | str) -> tuple[str, ...]:
    """The text fields that the run of an encoder was trained on; the title where nobody says."""
    recipe = encoder_folder(folder).parent / "recipe.toml"
    if not recipe.is_file():
        return ("title",)
    return tuple(read_toml(recipe).get("data", {}).get("text", ["title"]))


class _Vectors:
    """Vectors of the rows of a source (products, then queries), by view."""

    def __init__(
        self, encoder: Encoder, source: ContentSource, batch: int | None, progress: Progress
    ) -> None:
        self._encoder, self._source, self._progress = encoder, source, progress
        self._batch = batch or encoder.embed_batch
        self._place: dict[View, np.ndarray] = {}
        self._vectors: dict[View, np.ndarray] = {}

    def embed(self, wanted: dict[View, np.ndarray]) -> None:
        """Embeds rows [m], each given once, through each view."""
        todo = {view: rows[self._source.usable(view)[rows]] for view, rows in wanted.items()}
        done, total = 0, sum(map(len, todo.values()))
        for view, rows in todo.items():
            # The last row stands for what has no vector.
            vectors = np.full((len(rows) + 1, self._encoder.dim), np.nan, dtype=np.float32)
            for start in range(0, len(rows), self._batch):
                part = rows[start : start + self._batch]
                vectors[start : start + len(part)] = self._one_batch(self._source(part, view))
                done += len(part)
                self._progress(done, total, view=view.value)
            place = np.full(len(self._source), len(rows), dtype=np.int64)
            place[rows] = np.arange(len(rows))
            self._place[view], self._vectors[view] = place, vectors

    def take(self, view: View, rows: np.ndarray) -> np.ndarray:
        """float32 [n, d]; NaN where a row has no vector."""
        return self._vectors[view][self._place[view][rows]]

    def _one_batch(self, contents: Sequence[Content]) -> np.ndarray:
        """Vectors of a batch; one that the encoder refuses is taken apart, row by row."""
        try:
            return self._encoder.embed(contents, batch_size=self._batch)
        except DataError:
            if len(contents) == 1:
                return np.full((1, self._encoder.dim), np.nan, dtype=np.float32)
        return np.concatenate([self._one_batch([content]) for content in contents])


def _source(
    encoder: Encoder, catalog: Catalog, fields: tuple[str, ...], progress: Progress
) -> ContentSource:
    """Contents as the encoder reads them; pictures decoded once where all have one canvas."""
    canvas = encoder.pictures
    if not (canvas.fixed and canvas.per_product == 1):
        ready_crops(encoder, catalog, progress)
        return ContentSource(catalog, None, fields)
    photos = len(catalog.query_links()[0]) > 0
    return decoded_contents(encoder, catalog, fields, photos=photos, progress=progress)
