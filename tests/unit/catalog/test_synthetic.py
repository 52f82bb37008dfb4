"""The drawn shop: the same bytes from the same seed, clean splits, stated rates, honest masks.

Its behavior log has test_synthetic_log.py."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import EVENT_KINDS, SPLITS, Event, Product, Query
from moonshelf.catalog.synthetic import (
    DrawnShop,
    ProductSpec,
    ShopConfig,
    TitleRates,
    draw_product,
    draw_shop,
)
from moonshelf.catalog.synthetic.vocabulary import ARTICLES, BRANDS, COLORS
from moonshelf.errors import UsageError

PRODUCTS = 400


@pytest.fixture(scope="module")
def shop() -> DrawnShop:
    return DrawnShop(ShopConfig(products=PRODUCTS, seed=3))


@pytest.fixture(scope="module")
def records() -> list[Product | Query | Event]:
    return list(draw_shop(PRODUCTS, seed=3))


@pytest.fixture(scope="module")
def products(records) -> list[Product]:
    return [r for r in records if isinstance(r, Product)]


@pytest.fixture(scope="module")
def queries(records) -> list[Query]:
    return [r for r in records if isinstance(r, Query)]


@pytest.fixture(scope="module")
def events(records) -> list[Event]:
    return [r for r in records if isinstance(r, Event)]


def spec_of(article, rng: np.random.Generator, pattern: str = "solid") -> ProductSpec:
    return ProductSpec(
        article=article.name,
        color="red",
        accent="white",
        pattern=pattern,
        material=article.materials[0],
        brand=BRANDS[int(rng.integers(len(BRANDS)))].name,
        details=tuple((k, v[int(rng.integers(len(v)))]) for k, v in article.details.items()),
        look=(rng.random(), rng.random(), rng.random(), rng.random()),
    )


_DIGEST = """
import hashlib
from moonshelf.catalog.synthetic import draw_shop
digest = hashlib.sha256()
for record in draw_shop({products}, seed={seed}):
    digest.update(repr(record).encode())
print(digest.hexdigest())
"""


def digest_of(products: int, seed: int) -> str:
    digest = hashlib.sha256()
    for record in draw_shop(products, seed=seed):
        digest.update(repr(record).encode())
    return digest.hexdigest()


def test_same_seed_same_bytes_in_another_process_and_hash_seed():
    here = digest_of(40, 7)
    for hash_seed in ("1", "77"):
        there = subprocess.run(
            [sys.executable, "-c", _DIGEST.format(products=40, seed=7)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here
    assert digest_of(40, 8) != here


def test_a_row_can_be_rebuilt_alone(shop, products):
    for row in (0, 17, PRODUCTS - 1):
        assert shop.product(row) == products[row]


def test_fast_enough():
    start = time.process_time()
    assert sum(1 for _ in draw_shop(100, seed=1, text_queries=10, users=5)) > 100
    assert time.process_time() - start < 5.0  # measured 0.5 s; 2,000 products take about 10 s


def test_counts_and_records_follow_the_contract(products, queries, events):
    assert len(products) == PRODUCTS
    assert len({p.id for p in products}) == PRODUCTS
    assert all(
        p.title and p.images and len(p.category) == 3 and p.shop and p.price for p in products
    )
    assert 1.3 < sum(len(p.images) for p in products) / PRODUCTS < 2.0
    assert sum(bool(q.images) for q in queries) == round(0.15 * PRODUCTS)
    assert len({q.id for q in queries}) == len(queries)
    assert {e.kind for e in events} == set(EVENT_KINDS)
    assert 10 * PRODUCTS < len(events) < 25 * PRODUCTS
    for product in products[:20]:
        for data in product.images:
            picture = Image.open(io.BytesIO(data))
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (96, 96))


def test_order_of_the_stream(records):
    kinds = [type(record) for record in records]
    assert kinds == sorted(kinds, key=[Product, Query, Event].index)


def test_picture_size_is_height_and_width():
    product = next(r for r in draw_shop(2, picture_size=(80, 64)) if isinstance(r, Product))
    assert Image.open(io.BytesIO(product.images[0])).size == (64, 80)


def test_splits_follow_groups_and_shares(products):
    of_group = defaultdict(set)
    for product in products:
        of_group[product.group].add(product.split)
    assert all(len(splits) == 1 for splits in of_group.values())
    shares = Counter(next(iter(splits)) for splits in of_group.values())
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(shares[split] / len(of_group) - share) < 0.01
    sizes = Counter(Counter(p.group for p in products).values())
    assert len(sizes) >= 4  # groups of one to five colors


def test_no_picture_occurs_twice(products, queries):
    pictures = [data for record in (*products, *queries) for data in record.images]
    assert len({hashlib.sha256(data).digest() for data in pictures}) == len(pictures)


def test_variants_differ_in_color_alone(products):
    of_group = defaultdict(list)
    for product in products:
        of_group[product.group].append(dict(product.attributes))
    for rows in of_group.values():
        colors = [row["color"] for row in rows]
        assert len(set(colors)) == len(colors)
        for key in ("type", "pattern", "material", "brand", "size"):
            assert len({row[key] for row in rows}) == 1


def test_lookalikes_differ_in_one_visible_fact():
    def visible(entry) -> dict[str, str]:
        spec = entry.spec
        return {"type": spec.article, "color": spec.color, "accent": spec.accent,
                "pattern": spec.pattern, "material": spec.material, "brand": spec.brand,
                **dict(spec.details)}  # fmt: skip

    def near(rate: float) -> tuple[int, int]:
        entries = DrawnShop(ShopConfig(products=PRODUCTS, seed=3, lookalike=rate)).entries
        first = {e.group: e for e in reversed(entries)}
        facts = [(e.split, visible(e)) for e in first.values()]
        twins = groups = 0
        for number, (split, mine) in enumerate(facts):
            groups += 1
            twins += any(
                split == other_split
                and mine.keys() == other.keys()
                and sum(mine[k] != other[k] for k in mine) == 1
                for other_split, other in facts[:number]
            )
        return twins, groups

    twins, groups = near(0.15)
    assert 0.08 < twins / groups < 0.25
    assert near(0.0)[0] < groups * 0.03


def test_titles_omit_and_misstate_at_the_stated_rates():
    config = ShopConfig(products=3000, seed=2)
    shop, rates = DrawnShop(config), config.titles
    titles = [shop.title(row) for row in range(len(shop.entries))]
    for key in ("color", "pattern", "material", "brand"):
        said = [title for title in titles if key in title.said]
        wrong = [title for title in said if key in title.misstated]
        omit, misstate = getattr(rates, f"omit_{key}"), getattr(rates, f"misstate_{key}")
        assert abs(1 - len(said) / len(titles) - omit) < 0.04
        assert abs(len(wrong) / len(said) - misstate) < 0.025
    for entry, title in zip(shop.entries, titles, strict=True):
        truth = entry.facts()
        for key, value in title.said.items():
            assert (value not in truth[key]) == (key in title.misstated)


def test_misstated_titles_leave_the_attributes_true():
    lying = TitleRates(omit_color=0.0, misstate_color=1.0)
    honest = TitleRates(omit_color=0.0, misstate_color=0.0)
    rows = {}
    for name, rates in (("lying", lying), ("honest", honest)):
        shop = DrawnShop(ShopConfig(products=60, seed=4, titles=rates))
        rows[name] = [(e.facts(), shop.title(k)) for k, e in enumerate(shop.entries)]
    for (facts, lie), (truth, plain) in zip(rows["lying"], rows["honest"], strict=True):
        assert facts == truth
        assert plain.said["color"] == truth["color"][0] != lie.said["color"]


def test_plain_titles_spell_the_color_they_state(shop):
    synonyms = 0
    for row in range(200):
        title = shop.title(row)
        if "color" in title.said:
            synonyms += title.said["color"] not in title.text.lower()
    assert 0 < synonyms < 60  # three in ten use another word


@pytest.mark.parametrize("article", ARTICLES, ids=lambda a: a.name)
def test_every_type_draws_with_masks_that_cover_it(article):
    rng = np.random.default_rng(0)
    for pattern in article.patterns[:4]:
        picture, masks = draw_product(spec_of(article, rng, pattern), (96, 96))
        pixels = np.asarray(picture).astype(int)
        drawn = np.abs(pixels - 255).max(axis=2) > 128  # more than half ink
        together = np.sum(list(masks.values()), axis=0)
        assert together.max() == 1  # parts do not overlap
        assert len(masks) >= 3 and "logo" in masks
        assert 0.08 < together.mean() < 0.85
        assert not (drawn & (together == 0)).any()
        white = (pixels > 250).all(axis=2)
        assert (white & (together == 0)).sum() > 0.95 * (together == 0).sum() - 400


@pytest.mark.parametrize("article", ARTICLES, ids=lambda a: a.name)
def test_every_visible_detail_changes_the_drawing(article):
    base = spec_of(article, np.random.default_rng(1))
    for key, values in article.details.items():
        seen = set()
        for value in values:
            details = tuple((k, value if k == key else v) for k, v in base.details)
            seen.add(draw_product(replace(base, details=details))[0].tobytes())
        assert len(seen) == len(values), f"{article.name}: {key}"


def test_color_material_and_brand_are_visible():
    article = ARTICLES[1]
    base = spec_of(article, np.random.default_rng(2))
    changed = [
        *(replace(base, color=color) for color in COLORS),
        *(replace(base, material=m) for m in article.materials[1:]),
        *(replace(base, brand=b.name) for b in BRANDS if b.name != base.brand),
    ]
    assert len({draw_product(spec)[0].tobytes() for spec in changed}) == len(changed)


def test_masks_of_photos_lie_on_the_product(shop):
    """Under the mask of the body the picture has the color of the product, elsewhere not."""
    near, far = [], []
    for row, entry in enumerate(shop.entries):
        style = shop.styles(row)[0]
        if entry.spec.pattern != "solid" or style == "clean" or entry.spec.color == "gray":
            continue
        masks = shop.masks(row)
        body = sum((masks[p] for p in ("body", "upper", "cup", "leg") if p in masks), np.zeros(()))
        if body.ndim != 2 or body.sum() < 50:
            continue
        pixels = np.asarray(shop.photo(row).picture).astype(float)
        distance = np.abs(pixels - np.array(COLORS[entry.spec.color])).mean(axis=2)
        near.append(distance[body > 0].mean())
        far.append(distance[body == 0].mean())
    assert len(near) > 20
    assert np.mean(near) < 35 < np.mean(far)


def test_what_is_in_front_leaves_the_masks():
    plain = DrawnShop(ShopConfig(products=30, seed=6, photo_occluded=0.0, photo_queries=20))
    hidden = DrawnShop(ShopConfig(products=30, seed=6, photo_occluded=1.0, photo_queries=20))

    def area(shop: DrawnShop) -> int:
        return sum(int(m.sum()) for n in range(20) for m in shop.user_photo_masks(n).values())

    assert 0.6 * area(plain) < area(hidden) < 0.92 * area(plain)


def test_seller_styles_come_at_their_shares():
    shop = DrawnShop(ShopConfig(products=3000, seed=1))
    first = Counter(shop.styles(row)[0] for row in range(3000))
    for style, share in shop.config.styles:
        assert abs(first[style] / 3000 - share) < 0.1  # the large shops' leanings move it


def test_photo_queries_find_their_product_and_split(products, queries):
    of = {p.id: p for p in products}
    photos = [q for q in queries if q.images]
    assert all(len(q.positives) == 1 and of[q.positives[0]].split == q.split for q in photos)
    assert {q.split for q in photos} == set(SPLITS)
    assert 0 < sum(bool(q.text) for q in photos) < len(photos) / 3


def test_text_queries_are_unique_true_and_stay_in_their_split(shop, products, queries):
    of = {p.id: p for p in products}
    texts = [q for q in queries if not q.images]
    assert len({q.text for q in texts}) == len(texts)
    for query, asked in shop._text_queries:
        truth = {i: dict(of[i].attributes) for i in query.positives}
        assert query.positives
        assert all(of[i].split == query.split for i in query.positives)
        assert all(v in facts[k] for facts in truth.values() for k, v in asked.items())
        missed = [
            p.id
            for p in products
            if p.split == query.split
            and p.id not in truth
            and all(v in p.attributes.get(k, ()) for k, v in asked.items())
        ]
        assert not missed


@pytest.mark.parametrize(
    "change",
    [
        {"products": 0},
        {"seed": -1},
        {"picture_size": (8, 96)},
        {"picture_size": (96, 60_000)},
        {"split": (0.5, 0.5, 0.5)},
        {"variants": (1.2, -0.2)},
    ],
)
def test_settings_without_sense_are_refused(change):
    with pytest.raises(UsageError) as caught:
        ShopConfig(**change)
    assert caught.value.cure and "ShopConfig" in caught.value.where


@pytest.mark.parametrize("products", [1, 2, 9])
def test_the_smallest_shops_work(products):
    assert sum(isinstance(r, Product) for r in draw_shop(products)) == products


@pytest.mark.slow
def test_two_thousand_products_in_thirty_seconds():
    start = time.process_time()
    assert sum(isinstance(r, Product) for r in draw_shop(2000)) == 2000
    assert time.process_time() - start < 30
