"""Similarity of pairs: what embedding each side by itself gives, whatever stands beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moonshelf.catalog.cleaning.choosing import ASKED, ASKED_VIEW, asked
from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Content, View, product_content
from moonshelf.catalog.store import Catalog
from moonshelf.encoder import build_encoder
from moonshelf.encoder.base import Encoder
from moonshelf.encoder.config import PictureConfig
from moonshelf.errors import DataError
from moonshelf.training import decoded
from moonshelf.training.pair_similarity import pair_similarities, run_fields
from tests.log_shop import write_log_shop
from tests.small_encoder import FAST


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_log_shop(tmp_path_factory.mktemp("shop") / "catalog", 1)


@pytest.fixture(scope="module")
def pairs(shop: Catalog) -> PairSet:
    return build_pairs(shop).pairs


@pytest.fixture(scope="module")
def encoder(shop: Catalog) -> Encoder:
    return build_encoder(FAST, shop.column("title").to_pylist())


def alone(pairs: PairSet, place: int, item_view: View, fields: tuple[str, ...]) -> list[Content]:
    """Query and item of one pair, from the records themselves."""
    shop, row = pairs.catalog, int(pairs.query[place])
    if pairs.query_kind[place] == 0:
        query = product_content(shop[row], View.BOTH, fields)
    else:
        found = shop.query(row)
        view = ASKED_VIEW[int(asked(pairs)[place])]
        query = Content(found.text if view.has_text else None, found.images)
    return [query, product_content(shop[int(pairs.item[place])], item_view, fields)]


@pytest.mark.parametrize("item_view", [*View])
def test_it_is_the_cosine_of_both_sides_by_themselves(
    pairs: PairSet, encoder: Encoder, item_view: View
) -> None:
    fields = ("title", "description")
    found = pair_similarities(encoder, pairs, item_view=item_view, fields=fields, batch_size=3)
    assert found.dtype == np.float32 and {ASKED[k] for k in asked(pairs)} == set(ASKED)
    for place in range(len(pairs)):
        contents = alone(pairs, place, item_view, fields)
        item = pairs.catalog[int(pairs.item[place])]
        if not {View.TEXT: item.title, View.IMAGE: item.images, View.BOTH: True}[item_view]:
            assert np.isnan(found[place])
            continue
        query, vector = encoder.embed(contents)
        assert found[place] == pytest.approx(float(query @ vector), abs=1e-5)


class Counting:
    """An encoder that counts what it embeds, and refuses what holds a word."""

    dim, embed_batch, pictures = 8, 16, PictureConfig(height=0, width=0)

    def __init__(self, refuses: str = "\0") -> None:
        self.seen: Counter[tuple[str | None, int]] = Counter()
        self.refuses = refuses

    def embed(self, contents: Sequence[Content], batch_size: int | None = None) -> np.ndarray:
        if any(self.refuses == content.text for content in contents):
            raise DataError("damaged")
        self.seen.update((content.text, len(content.images)) for content in contents)
        return np.tile(np.eye(8, dtype=np.float32)[0], (len(contents), 1))


def test_every_content_is_embedded_once(pairs: PairSet) -> None:
    """However many pairs it stands in: products as queries and as items are one content."""
    counting: Any = Counting()
    again = pairs.select(np.tile(np.arange(len(pairs)), 3))
    assert (pair_similarities(counting, again) == 1).all()
    products = {int(row) for row in pairs.item} | set(pairs.query[pairs.query_kind == 0].tolist())
    asked_for = set(pairs.query[pairs.query_kind == 1].tolist())
    assert counting.seen.total() == len(products) + len(asked_for)


def test_what_cannot_be_embedded_makes_its_own_pairs_unknown(pairs: PairSet) -> None:
    often = np.argsort(-np.bincount(pairs.item)).tolist()
    item, title = next((row, t) for row in often if (t := pairs.catalog[row].title))
    counting: Any = Counting(refuses=title)
    found = pair_similarities(counting, pairs)
    mine = (pairs.item == item) | ((pairs.query_kind == 0) & (pairs.query == item))
    assert mine.any() and not mine.all()
    assert np.isnan(found[mine]).all() and (found[~mine] == 1).all()


def test_a_picture_that_cannot_be_decoded_is_known_before(
    pairs: PairSet, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = int(pairs.item[0])
    true_build = PixelCache.build.__func__  # type: ignore[attr-defined]

    def build(*args: Any, **named: Any) -> PixelCache:
        cache = true_build(PixelCache, *args, **named)
        if named.get("of", "products") == "products":
            cache.problems = ("one",)  # type: ignore[assignment]
            cache._places = np.where(np.arange(len(cache)) == item, -2, cache._places)
        return cache

    assert pairs.catalog[item].images
    monkeypatch.setattr(decoded.PixelCache, "build", build)
    found = pair_similarities(encoder, pairs)
    mine = (pairs.item == item) | ((pairs.query_kind == 0) & (pairs.query == item))
    assert np.isnan(found[mine]).all() and not np.isnan(found[~mine]).any()


def test_no_pairs_no_work(pairs: PairSet) -> None:
    counting: Any = Counting()
    none = pairs.select(np.zeros(len(pairs), dtype=bool))
    assert pair_similarities(counting, none).shape == (0,) and not counting.seen


def test_the_text_is_that_of_the_run(tmp_path: Path, encoder: Encoder) -> None:
    encoder.save(tmp_path / "run" / "encoder")
    assert run_fields(tmp_path / "run" / "encoder") == ("title",)
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text('[data]\ntext = ["title", "description"]\n')
    (tmp_path / "run" / "manifest.json").write_text("{}")
    assert run_fields(tmp_path / "run" / "encoder") == ("title", "description")
