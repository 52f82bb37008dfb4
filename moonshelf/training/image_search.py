"""Image-based search recall on the val split while training: the intermediate metric, small.

Asks with up to ``PHOTOS`` users' photos of the val split (never more than ``items``) where the
catalogue has any that a product answers, else with augmented photos of val products
(catalog/augmented_photos.py). The gallery has all their right answers and, up to ``items``,
others drawn by seed: of the whole catalogue for users' photos, of the val split for augmented ones.
A smaller gallery than an evaluation's makes figures higher: they are for curves, never for a
table.

Cost of one look: those photos and products through the encoder without gradient, about a second
of one core with the tiny encoder.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from moonshelf.catalog.augmented_photos import augmented_photo
from moonshelf.catalog.crops.cropper import crop_notes, made_photo
from moonshelf.catalog.pairs import group_codes
from moonshelf.catalog.product import Content, View
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError
from moonshelf.training.checkpoint import random_states_kept
from moonshelf.training.contents import ContentSource
from moonshelf.training.validation import best_ranks

PHOTOS = 200
LEAST = 10  # products of a gallery
KS = (1, 10)


class ImageSearch:
    """Photo -> title and picture, as ``val/image-search/R@1`` and ``R@10`` in percent.

    ``photos`` is "user" or "augmented": what it asks with, a fact of the catalogue that stands
    beside the figures wherever they are written.

    Args:
        source: of the catalogue; photos of its queries and contents of its products.
        items: products in the gallery.

    Raises:
        DataError: the val split has neither a photo with an answer nor a pictured product.
    """

    def __init__(
        self, encoder: Encoder, source: ContentSource, *, items: int, seed: int, bf16: bool
    ) -> None:
        self._encoder, self._source, self._bf16 = encoder, source, bf16
        rng = np.random.default_rng((seed, 6))
        usable = np.flatnonzero(source.usable(View.BOTH)[: source.products])
        most = min(PHOTOS, items)
        asked = _user_photos(source, usable, rng, most)
        pool, self.photos = usable, "user"
        if not asked:
            pool = np.intersect1d(usable, source.catalog.split_rows("val"))
            asked = _augmented_photos(encoder, source, pool, rng, most, seed)
            self.photos = "augmented"
        if not asked or len(pool) < LEAST:
            raise DataError(
                f"the val split has {len(asked)} photos to ask with and {len(pool)} products to "
                f"find, 1 and {LEAST} are needed",
                where=str(source.catalog.path),
                cure="give the catalogue a larger val split, or set image_search=false",
            )
        right = np.unique(np.concatenate([rows for _, rows in asked]))
        others = rng.permutation(np.setdiff1d(pool, right))[: max(0, items - len(right))]
        self.rows = np.sort(np.concatenate([right, others]))
        self._photos = [content for content, _ in asked]
        self.notes = [
            f"val/image-search asks with {len(asked)} {self.photos} photos for {len(self.rows)} "
            "products",
            *(crop_notes(encoder) if self.photos == "augmented" else ()),
        ]
        self._right = np.stack([np.isin(self.rows, rows) for _, rows in asked])

    def __call__(self) -> Mapping[str, float | str]:
        """The figures and what was asked with; leaves random states as they were."""
        with random_states_kept():
            asked = self._encoder.embed(self._photos, bf16=self._bf16)
            found = self._encoder.embed(self._source(self.rows, View.BOTH), bf16=self._bf16)
        rank = best_ranks(asked @ found.T, self._right)
        found = {f"val/image-search/R@{k}": 100 * float((rank <= k).mean()) for k in KS}
        return {**found, "val/image-search/photos": self.photos}


Asked = list[tuple[Content, np.ndarray]]
"""Photos, each with the rows that answer it."""


def _user_photos(
    source: ContentSource, usable: np.ndarray, rng: np.random.Generator, most: int
) -> Asked:
    """Photos of val queries that a usable product answers (one without a grade, or above 0)."""
    asked: Asked = []
    for query in source.catalog.queries("val"):
        grades = query.grades or (1.0,) * len(query.positives)
        wanted = [item for item, grade in zip(query.positives, grades, strict=True) if grade > 0]
        rows = np.intersect1d(source.catalog.rows(wanted), usable) if wanted else usable[:0]
        if query.images and len(rows):
            asked.append((Content(images=query.images), rows))
    return [asked[k] for k in sorted(rng.permutation(len(asked))[:most].tolist())]


def _augmented_photos(
    encoder: Encoder,
    source: ContentSource,
    pool: np.ndarray,
    rng: np.random.Generator,
    most: int,
    seed: int,
) -> Asked:
    """Augmented photos of products of the pool that have a picture; their group is right."""
    catalog, groups = source.catalog, group_codes(source.catalog)
    pictured = pool[source.usable(View.IMAGE)[pool]]
    asked: Asked = []
    for row in np.sort(rng.permutation(pictured)[:most]).tolist():
        product = catalog[row]
        photo = augmented_photo(product.images[0], product.id, seed)
        of_group = pool[groups[pool] == groups[row]] if groups[row] >= 0 else np.array([row])
        asked.append((made_photo(photo, encoder), of_group))
    return asked
