"""Photo search with augmented photos: who asks, what is right, and that every output says so."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import Product, Query, View
from moonshelf.errors import UsageError
from moonshelf.evaluation import evaluate
from moonshelf.evaluation.augmented import ask_with_photos, product_photo
from moonshelf.evaluation.controls import RandomEmbedder
from moonshelf.evaluation.report import to_html, to_json, to_markdown
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import PhotoSearchTask, Suite, load_suite
from tests.unit.evaluation.shop import Constant, MemoryCatalog


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 7 % 256, number * 31 % 256, 80)).save(file, "PNG")
    return file.getvalue()


def catalog(products: int = 30, seed: int = 0, queries: int = 0) -> MemoryCatalog:
    """Groups of one to four; some products without picture or title, some with the picture of
    another of their group or not, some of another split."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(products):
        shown = int(rng.integers(k)) if k and rng.random() < 0.3 else k
        mate = made[shown].group if shown != k and rng.random() < 0.5 else ""
        made.append(
            Product(
                id=f"p{k:03d}",
                title="" if rng.random() < 0.1 else f"thing {k}",
                images=() if rng.random() < 0.1 else (picture(shown),),
                group=mate or (f"g{rng.integers(products // 2)}" if rng.random() < 0.9 else ""),
                split="test" if rng.random() < 0.8 else "train",
            )
        )
    made = [dataclasses.replace(p, split="train") if p.group == "g0" else p for p in made]
    asked = [
        Query(f"q{k}", images=(picture(100 + k),), positives=(f"p{k:03d}",), split="test")
        for k in range(queries)
    ]
    return MemoryCatalog(made, asked)


def task(**words: Any) -> PhotoSearchTask:
    words = {"item": "mm", "name": "a", "photos": "augmented", "pool": "split", **words}
    return PhotoSearchTask(kind="photo_search", **words)


@pytest.mark.parametrize("own", ["stays", "removed"])
@pytest.mark.parametrize("pool", ["split", "all"])
@pytest.mark.parametrize("item", ["mm", "i", "t"])
def test_who_asks_and_what_is_right(own: str, pool: str, item: str) -> None:
    """Against the definition, product by product."""
    shop = catalog(seed=len(own) + len(item))
    shelf = Shelf(shop)
    found = ask_with_photos(task(own=own, pool=pool, item=item), shelf, "test", 0)

    def shown(p: Product) -> bool:
        view = View(item)
        return (bool(p.title) or not view.has_text) and (bool(p.images) or not view.has_image)

    members = [p for p in shop.products if shown(p) and (pool == "all" or p.split == "test")]
    assert {shelf.ids[row] for row in found.item_rows} == {p.id for p in members}
    wanted: dict[str, tuple[set[str], set[str]]] = {}
    for p in members:
        if p.split != "test" or not p.images:
            continue
        style = {o.id for o in members if o is p or (p.group and o.group == p.group)}
        twins = {o.id for o in members if o.images == p.images}
        gone = twins - style if own == "stays" else twins | {p.id}
        if style - gone:
            wanted[p.id] = (style - gone, gone)
    ids = [shelf.ids[row] for row in found.query_rows]
    place = [shelf.ids[row] for row in found.item_rows]
    assert ids == sorted(wanted)
    assert found.removed is not None
    for k, key in enumerate(ids):
        right, removed = ({place[i] for q, i in zip(*some, strict=True) if q == k}
                          for some in (found.positives, found.removed))  # fmt: skip
        assert (right, removed) == wanted[key], key


def test_fewer_queries_are_some_of_the_same_and_the_pool_stays() -> None:
    shelf = Shelf(catalog(60))
    every = ask_with_photos(task(), shelf, "test", 0)
    some = ask_with_photos(task(queries=9), shelf, "test", 0)
    fewer = ask_with_photos(task(queries=4), shelf, "test", 0)
    assert {*fewer.query_rows} < {*some.query_rows} < {*every.query_rows}
    assert (len(fewer.query_rows), len(some.query_rows)) == (4, 9)
    np.testing.assert_array_equal(some.item_rows, every.item_rows)
    assert {*ask_with_photos(task(queries=9), shelf, "test", 1).query_rows} != {*some.query_rows}
    row = int(some.query_rows[0])
    assert product_photo(shelf, row, 0, 0.5) == product_photo(Shelf(catalog(60)), row, 0, 0.5)
    assert product_photo(shelf, row, 0, 0.5) != shelf.catalog[row].images[0]


def measured(shop: MemoryCatalog, *tasks: dict[str, Any], embedder: Any = None) -> Any:
    suite = Suite(name="s", bootstrap=100, tasks=tasks)  # pyright: ignore[reportArgumentType]
    return evaluate(embedder or RandomEmbedder(), shop, suite)


AUGMENTED = {"kind": "photo_search", "name": "made", "item": "mm", "photos": "augmented"}
TAKEN = {"kind": "photo_search", "name": "taken", "item": "mm", "pool": "all"}


def test_every_output_says_that_photos_are_augmented() -> None:
    results = measured(catalog(60), {**AUGMENTED, "pool": "split"})
    (found,) = results.tasks
    assert found.photos == "augmented" and "augmented photos" in found.protocol
    assert {"HitRate@1", "SetRecall@1", "TruncRecall@1", "Precision@1", "MRR", "NDCG@1"} <= {
        *found.metrics
    }
    told = to_json([results])["embedders"][0]
    assert told["tasks"][0]["photos"] == told["image_search_recall"]["photos"] == "augmented"
    for text in (to_markdown([results]), to_html([results])):
        assert "made (i-" in text and text.count("augmented photos") >= 3
        assert "Image-based search recall" in text


def test_the_headline_prefers_photos_of_users() -> None:
    shop = catalog(60, queries=20)
    tasks = ({**AUGMENTED, "item": "i", "name": "x"}, AUGMENTED, TAKEN)
    both, made = measured(shop, *tasks), measured(shop, *tasks[:2])
    assert (both.image_search.task, both.image_search.photos) == ("taken", "user")
    assert (made.image_search.task, made.image_search.photos) == ("made", "augmented")
    told = to_json([both])["embedders"][0]["image_search_recall"]
    assert told["metrics"]["HitRate@10"]["value"] == both.value("taken", "HitRate@10")
    assert {*told["metrics"]} == {"HitRate@1", "HitRate@10"}
    gone = {**AUGMENTED, "name": "gone", "own": "removed"}  # other variants alone are right
    assert measured(shop, gone, AUGMENTED).image_search.task == "made"
    assert measured(shop, gone).image_search is None
    alone = measured(shop, tasks[0])
    assert alone.image_search is None
    assert to_json([alone])["embedders"][0]["image_search_recall"] is None
    assert "search recall" not in to_markdown([alone])


def test_a_constant_encoder_is_not_above_chance() -> None:
    for own in ("stays", "removed"):
        task_ = {**AUGMENTED, "own": own, "pool": "split"}
        found = measured(catalog(80), task_, embedder=Constant()).tasks[0]
        for name, measure in found.metrics.items():
            assert measure.value <= measure.chance + 1e-9, (own, name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"query": "mm"}, "without words"),
        ({"photos": "user", "strength": 0.3}, "strength"),
        ({"photos": "user", "own": "removed"}, "own"),
        ({"strength": 3}, "strength"),
    ],
)
def test_what_does_not_go_together_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises((UsageError, ValueError), match=said):
        task(**words)


@pytest.mark.parametrize("name", ["hm", "myntra", "grocery", "shop"])
def test_suites_have_the_headline(name: str) -> None:
    found = [t for t in load_suite(name).tasks if isinstance(t, PhotoSearchTask)]
    first = next(t for t in found if t.item is View.BOTH)
    assert (first.photos == "augmented") == (name in ("hm", "myntra"))
    assert first.own == "stays" and {1, 10} <= {*first.k}
