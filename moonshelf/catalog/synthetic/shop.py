"""The drawn shop: products, then queries, then the log. It serves demo and tests, never a claim.

Answers of queries, by construction: a user photo has one positive, the photographed product (its
other colors are other answers, known by their group). A text query has every product of its split
that truly has all facts it asks for. No picture is drawn twice, and text queries are unique.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.synthetic.art import OVERSAMPLE, Art, draw_art, part_masks
from moonshelf.catalog.synthetic.behavior import LoggedQuery, make_events
from moonshelf.catalog.synthetic.config import ShopConfig
from moonshelf.catalog.synthetic.photos import Photo, seller_photo, to_jpeg, user_photo
from moonshelf.catalog.synthetic.plan import Entry, make_entries, pick, stream
from moonshelf.catalog.synthetic.titles import Title, write_description, write_query, write_title

_QUALITY = 85


class DrawnShop:
    """A shop that can be asked row by row; :func:`draw_shop` streams it as records.

    Beyond the records it knows the truth behind them: ``entries`` (the specification of each row),
    ``title`` (what a title claims), ``style`` and ``masks`` of each picture.
    """

    def __init__(self, config: ShopConfig | None = None) -> None:
        self.config = config or ShopConfig()
        self.entries: list[Entry] = make_entries(self.config)

    def title(self, row: int) -> Title:
        """The title of a row with what it says and misstates."""
        rng = stream(self.config.seed, "title", row)
        return write_title(self.entries[row], self.config.titles, rng)

    def styles(self, row: int) -> tuple[str, ...]:
        """The photo style of each picture of a row; two in three follow the shop's leaning."""
        rng = stream(self.config.seed, "style", row)
        names, shares = zip(*self.config.styles, strict=True)
        shares_of_count = self.config.more_pictures
        count = 1 + int(pick(rng, [str(k) for k in range(len(shares_of_count))], shares_of_count))
        first = self.entries[row].shop.style if rng.random() < 0.5 else pick(rng, names, shares)
        styles = [first]
        while len(styles) < count:
            rest = [(n, s) for n, s in self.config.styles if n not in styles] or self.config.styles
            styles.append(pick(rng, [n for n, _ in rest], [s + 1e-9 for _, s in rest]))
        return tuple(styles)

    def photo(
        self, row: int, k: int = 0, *, art: Art | None = None, with_labels: bool = False
    ) -> Photo:
        """Picture ``k`` of a row before JPEG; ``with_labels`` adds its map of part numbers."""
        entry, size = self.entries[row], self.config.picture_size
        rng = stream(self.config.seed, "photo", row, k)
        art = art or draw_art(entry.spec, min(size) * OVERSAMPLE)
        style = self.styles(row)[k]
        return seller_photo(entry.spec, art, style, size, entry.shop.color, rng, with_labels)

    def masks(self, row: int, k: int = 0) -> Mapping[str, np.ndarray]:
        """True part masks, bool [H, W], of picture ``k`` of a row; only parts that show."""
        return _masks(self.photo(row, k, with_labels=True))

    def product(self, row: int) -> Product:
        """The catalogue record of a row."""
        entry = self.entries[row]
        art = draw_art(entry.spec, min(self.config.picture_size) * OVERSAMPLE)
        pictures = [self.photo(row, k, art=art).picture for k in range(len(self.styles(row)))]
        return Product(
            id=entry.id,
            title=self.title(row).text,
            images=tuple(to_jpeg(picture, _QUALITY) for picture in pictures),
            category=entry.article.category,
            attributes=entry.facts(),
            description=write_description(entry, stream(self.config.seed, "words", row)),
            group=f"g{entry.group:06d}",
            shop=entry.shop.id,
            price=entry.price,
            time=entry.time,
            split=entry.split,
        )

    @cached_property
    def _photo_rows(self) -> list[int]:
        """Which rows users photograph: every split its share, no row twice until all had one."""
        wanted = self.config.count(self.config.photo_queries, 0.15, 3)
        order = stream(self.config.seed, "snapped").permutation(len(self.entries)).tolist()
        return [order[k % len(order)] for k in range(wanted)]

    def user_photo(self, number: int, *, with_labels: bool = False) -> Photo:
        """The picture of a user's photo before JPEG; ``with_labels`` adds its part numbers."""
        config, entry = self.config, self.entries[self._photo_rows[number]]
        rng = stream(config.seed, "snap", number)
        worn, occluded = rng.random() < config.photo_worn, rng.random() < config.photo_occluded
        art = draw_art(entry.spec, min(config.picture_size) * OVERSAMPLE)
        return user_photo(entry.spec, art, config.picture_size, rng, worn, occluded, with_labels)

    def user_photo_masks(self, number: int) -> Mapping[str, np.ndarray]:
        """True part masks, bool [H, W], of a user's photo; what is in front is left out."""
        return _masks(self.user_photo(number, with_labels=True))

    def photo_query(self, number: int) -> Query:
        """A user's photo of a product; one in ten comes with words."""
        entry = self.entries[self._photo_rows[number]]
        rng = stream(self.config.seed, "send", number)
        words = entry.article.name if rng.random() < self.config.photo_text else ""
        data = to_jpeg(self.user_photo(number).picture, int(rng.integers(30, 70)))
        return Query(f"photo{number:06d}", words, (data,), (entry.id,), split=entry.split)

    @cached_property
    def _text_queries(self) -> list[tuple[Query, dict[str, str]]]:
        """Unique wordings; each asks for facts of one product and lists all that have them."""
        wanted = self.config.count(self.config.text_queries, 0.15, 3)
        rng = stream(self.config.seed, "asking")
        by_kind: dict[tuple[str, str], list[int]] = {}
        for row, entry in enumerate(self.entries):
            by_kind.setdefault((entry.split, entry.spec.article), []).append(row)
        facts = [entry.facts() for entry in self.entries]
        found: list[tuple[Query, dict[str, str]]] = []
        taken: set[str] = set()
        for _ in range(wanted * 20):
            if len(found) == wanted:
                break
            entry = self.entries[int(rng.integers(len(self.entries)))]
            text, asked = write_query(entry, rng)
            if text in taken:
                continue
            taken.add(text)
            rows = by_kind[entry.split, entry.spec.article]
            hits = tuple(
                self.entries[row].id
                for row in rows
                if all(value in facts[row][key] for key, value in asked.items())
            )
            name = f"text{len(found):06d}"
            found.append((Query(name, text, (), hits, split=entry.split), asked))
        return found

    def queries(self) -> Iterator[Query]:
        """Text queries, then user photos."""
        for query, _ in self._text_queries:
            yield query
        for number in range(len(self._photo_rows)):
            yield self.photo_query(number)

    def events(self) -> list[Event]:
        """The log, sorted by time. It runs over all splits; filter by the items' split to train."""
        facts = [entry.facts() for entry in self.entries]
        rows_of: dict[str, list[int]] = {}
        for row, entry in enumerate(self.entries):
            rows_of.setdefault(entry.spec.article, []).append(row)
        asked = [(query.id, False, wish) for query, wish in self._text_queries]
        for number, row in enumerate(self._photo_rows):
            seen = ("type", "color", "pattern", "brand", *dict(self.entries[row].spec.details))
            wish = {key: facts[row][key][0] for key in seen}
            asked.append((f"photo{number:06d}", True, wish))
        logged = []
        for name, photo, wish in asked:
            rows = np.array(rows_of[wish["type"]])
            met = [
                sum(v in facts[row][k] for k, v in wish.items()) / len(wish)
                for row in rows.tolist()
            ]
            logged.append(LoggedQuery(name, photo, rows, np.array(met)))
        return make_events(self.config, self.entries, logged)

    def records(self) -> Iterator[Product | Query | Event]:
        """Products in row order, then queries, then events in the order of time."""
        for row in range(len(self.entries)):
            yield self.product(row)
        yield from self.queries()
        yield from self.events()


def _masks(photo: Photo) -> Mapping[str, np.ndarray]:
    return part_masks(photo.labels) if photo.labels else {}


def draw_shop(
    products: int = 2000, seed: int = 0, *, config: ShopConfig | None = None, **changes: Any
) -> Iterator[Product | Query | Event]:
    """Streams a drawn shop: products, then queries, then events.

    The same arguments give the same records, byte for byte, whatever the machine or the hash seed
    (for one version each of numpy and Pillow, whose streams and encoders may change).

    Args:
        products: catalogue rows; users, queries and shops follow.
        seed: one seed, one shop.
        config: a starting point other than the default :class:`ShopConfig`.
        **changes: further fields of :class:`ShopConfig`, e.g. ``picture_size=(128, 96)``.

    Raises:
        UsageError: a size or rate makes no sense.
    """
    settings = replace(config or ShopConfig(), products=products, seed=seed, **changes)
    return DrawnShop(settings).records()
