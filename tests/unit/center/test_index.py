"""One contract for every search engine; each test runs on both."""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
import pytest

from moonshelf.catalog.product import Product
from moonshelf.center import index as index_module
from moonshelf.center.embed import embed_catalog
from moonshelf.center.filters import Filter, parse_filter
from moonshelf.center.index import choose_engine, open_index
from moonshelf.center.store import Store
from moonshelf.errors import StoreError, UsageError
from tests.unit.center.fakes import BAD_PICTURE, FakeCatalog, FakeEncoder, draw_products

LANCE = pytest.param(
    "lance",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("lancedb") is None, reason="lancedb is not installed"
    ),
)
ENGINES = ["exact", LANCE]
NASTY = (
    "x' OR '1'='1",
    '"; DROP TABLE items; --',
    "größe-ß-漢字-🧦",
    "a]b)c",
    "null",
    "\x1f\\u001f",
)


class ClusteredEncoder(FakeEncoder):
    """Vectors in clusters, as those of real products are: neighbors are near."""

    def embed(self, contents, batch_size=None):
        contents = list(contents)
        noise = super().embed(contents)
        centers = [hash_center(c.text or "", self.dim) for c in contents]
        vectors = np.stack(centers) + 0.8 * noise
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def hash_center(text: str, dim: int) -> np.ndarray:
    number = int(text.split()[2]) % 40
    center = np.random.default_rng(number).normal(size=dim)
    return center / np.linalg.norm(center)


@pytest.fixture(scope="module", params=ENGINES)
def store(request, tmp_path_factory) -> Store:
    """3,000 items, a few without a vector; large enough for the graph to be built."""
    products = draw_products(3000)
    for row in (5, 6, 700):
        products[row] = Product(
            id=f"p{row}", title=products[row].title, images=(BAD_PICTURE,), category=("Shoes",)
        )
    folder = tmp_path_factory.mktemp(request.param) / "store"
    encoder = ClusteredEncoder()
    made = embed_catalog(encoder, FakeCatalog(products), folder, index=request.param)
    assert made.manifest["index"].startswith(f"{request.param}://")
    return made


def brute_force(store: Store, vectors: np.ndarray, k: int, where: Filter | None) -> np.ndarray:
    """Row numbers [Q, k], -1 where fewer match, by the plainest possible code."""
    passes = ~np.asarray(store.missing)
    if where is not None:
        passes &= [matches(store.table.item(row), where) for row in range(len(store))]
    every = np.asarray(store.vectors, np.float32)
    # Not one matrix product: there equal rows may score differently, by where in it they stand.
    scores = np.stack([np.einsum("nd,d->n", every, vector) for vector in vectors])
    scores[:, ~passes] = -np.inf
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(scores, rows, 1) > -np.inf, rows, -1)


def matches(item, where: Filter) -> bool:
    for paths in where.categories:
        if not any(item["category"][: len(path)] == path for path in paths):
            return False
    for key, values in where.attributes:
        if not set(values) & set(item["attributes"].get(key, ())):
            return False
    if where.bounds_price:
        price = item["price"]
        return price is not None and where.price_min <= price <= where.price_max
    return True


def queries(store: Store, count: int = 60) -> np.ndarray:
    rng = np.random.default_rng(1)
    rows = rng.choice(np.flatnonzero(~np.asarray(store.missing)), count, replace=False)
    vectors = np.asarray(store.vectors[rows], np.float32)
    vectors = vectors + 0.05 * rng.normal(size=vectors.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    right = sum(len(set(f[f >= 0]) & set(t[t >= 0])) for f, t in zip(found, truth, strict=True))
    return right / (truth >= 0).sum()


def test_recall_at_10(store):
    vectors = queries(store, 200)
    found = store.nearest(vectors, 10)
    share = recall(found.rows, brute_force(store, vectors, 10, None))
    assert share >= (1.0 if store.index.url == "exact://" else 0.99)


def test_hits_come_best_first_with_the_stored_cosine(store):
    vectors = queries(store, 5)
    found = store.nearest(vectors, 20)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    for row, score, vector in zip(found.rows, found.scores, vectors, strict=True):
        assert len(set(row.tolist())) == 20
        expected = np.asarray(store.vectors[row], np.float64) @ vector
        np.testing.assert_allclose(score, expected, atol=1e-6)


@pytest.mark.parametrize(
    "expressions",
    [
        ["category=Apparel"],
        ["category=Apparel/Topwear"],
        ["category=Apparel/Bottomwear|Shoes"],
        ["color=Red"],
        ["color=Red|Blue", "size=3"],
        ["color=Red", "color=Blue"],
        ["price<=10"],
        ["price=40..41", "color=Green"],
        ["price>98", "category=Shoes", "size=4"],
    ],
)
def test_filters_hold_and_k_hits_come_if_so_many_match(store, expressions):
    where = parse_filter(expressions)
    vectors = queries(store, 30)
    truth = brute_force(store, vectors, 10, where)
    found = store.nearest(vectors, 10, where)
    assert ((found.rows >= 0) == (truth >= 0)).all()
    assert recall(found.rows, truth) >= (1.0 if store.index.url == "exact://" else 0.99)
    for row in found.rows[found.rows >= 0]:
        assert where is not None and matches(store.table.item(int(row)), where)


def test_a_filter_without_a_match_gives_no_hits(store):
    where = parse_filter(["color=Octarine"])
    found = store.nearest(queries(store, 3), 10, where)
    assert (found.rows == -1).all() and np.isneginf(found.scores).all()
    assert store.search(queries(store, 1)[0], 10, parse_filter(["price<=-1"])) == []


def test_one_matching_item_is_found(store):
    where = parse_filter(["price=2", "color=Red", "size=2", "category=Shoes"])
    vector = queries(store, 1)
    truth = brute_force(store, vector, 3000, where)
    count = int((truth >= 0).sum())
    assert 0 < count < 30
    found = store.nearest(vector, 40, where)
    assert set(found.rows[0]) - {-1} == set(truth[0]) - {-1}


def test_more_hits_than_items(store):
    found = store.nearest(queries(store, 1), 4000)
    present = int((~np.asarray(store.missing)).sum())
    assert (found.rows >= 0).sum() == present == 2997


def test_missing_items_are_never_found(store):
    everything = store.nearest(queries(store, 1), 3000).rows
    assert not {5, 6, 700} & set(everything[0].tolist())
    shoes = store.nearest(queries(store, 1), 3000, parse_filter(["category=Shoes"])).rows
    assert not {5, 6, 700} & set(shoes[0].tolist())


def test_batch_and_single_queries_agree(store):
    vectors = queries(store, 7)
    together = store.nearest(vectors, 10)
    for place, vector in enumerate(vectors):
        alone = store.nearest(vector, 10)
        assert recall(alone.rows, together.rows[place : place + 1]) >= 0.9
    assert store.index.search(vectors[:0], 10).rows.shape == (0, 10)


def test_an_unknown_attribute_key_names_the_known_ones(store):
    with pytest.raises(UsageError) as caught:
        store.nearest(queries(store, 1), 10, parse_filter(["colour=Red"]))
    assert "color" in caught.value.cure and "size" in caught.value.cure


@pytest.fixture(scope="module", params=ENGINES)
def nasty_store(request, tmp_path_factory) -> Store:
    """Attribute keys, values and categories made to break out of a query language."""
    products = [
        Product(
            id=f"n{n}",
            title=f"a thing {n}",
            category=(NASTY[n % len(NASTY)], "leaf"),
            attributes={"mark": (NASTY[n % len(NASTY)],), NASTY[n % len(NASTY)]: ("yes",)},
            price=float(n),
        )
        for n in range(1200)
    ]
    folder = tmp_path_factory.mktemp(f"nasty-{request.param}") / "store"
    return embed_catalog(FakeEncoder(), FakeCatalog(products), folder, index=request.param)


@pytest.mark.parametrize("number", range(len(NASTY)))
def test_hostile_names_are_only_names(nasty_store, number):
    name = NASTY[number]
    vector = queries(nasty_store, 1)
    expected = set(range(number, 1200, len(NASTY)))
    escaped = "".join("\\" + c if c in "|/.=\\" else c for c in name)
    for expression in (f"mark={escaped}", f"{escaped}=yes", f"category={escaped}/leaf"):
        found = nasty_store.nearest(vector, 1200, parse_filter([expression]))
        assert set(found.rows[0].tolist()) - {-1} == expected, expression
    # the table is still there
    assert (nasty_store.nearest(vector, 1200).rows >= 0).sum() == 1200


def test_names_compare_without_case_and_unicode_form(nasty_store):
    found = nasty_store.nearest(
        queries(nasty_store, 1), 1200, parse_filter(["MARK=GRO\u0308SSE-SS-漢字-🧦"])
    )
    assert (found.rows >= 0).sum() == 200


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_go_to_the_lower_row(engine, tmp_path):
    products = [Product(id=f"t{n}", title="the same") for n in range(50)]
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "s", index=engine)
    found = store.nearest(np.asarray(store.vectors[0], np.float32), 50)
    assert found.rows[0].tolist() == list(range(50))
    if engine == "exact":
        assert store.nearest(np.asarray(store.vectors[0]), 5).rows[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("k", [1, 13, 390])
def test_exact_search_over_many_tiles(k, monkeypatch, tmp_path):
    """Tiny tiles: the rising floor must lose nobody, ties included."""
    from moonshelf.center import index_exact

    products = [Product(id=f"t{n}", title=f"thing {n % 90}") for n in range(400)]
    store = embed_catalog(FakeEncoder(8), FakeCatalog(products), tmp_path / "s")
    vectors = queries(store, 40)
    whole = store.index.search(vectors, k)
    monkeypatch.setattr(index_exact, "TILE_ROWS", 7)
    monkeypatch.setattr(index_exact, "QUERY_ROWS", 3)
    monkeypatch.setattr(index_exact, "CACHE_BYTES", 0)
    tiled = index_exact.ExactIndex(store.table).search(vectors, k)
    np.testing.assert_array_equal(whole.rows, brute_force(store, vectors, k, None))
    np.testing.assert_array_equal(tiled.rows, whole.rows)
    np.testing.assert_array_equal(tiled.scores, whole.scores)


@pytest.mark.skipif(importlib.util.find_spec("lancedb") is None, reason="no lancedb")
def test_a_graph_search_that_comes_back_short_is_completed(monkeypatch, tmp_path):
    """A filtered graph walk may end early; the promised k hits come all the same."""
    from moonshelf.center.index_lance import LanceIndex

    store = embed_catalog(
        FakeEncoder(), FakeCatalog(draw_products(300)), tmp_path / "s", index="lance"
    )
    real = LanceIndex._candidates
    monkeypatch.setattr(LanceIndex, "_candidates", lambda *a: [r[:3] for r in real(*a)])
    vectors, where = queries(store, 5), parse_filter(["color=Red", "price<=60"])
    for chosen in (None, where):
        truth = brute_force(store, vectors, 10, chosen)
        np.testing.assert_array_equal(store.nearest(vectors, 10, chosen).rows, truth)


@pytest.mark.skipif(importlib.util.find_spec("lancedb") is None, reason="no lancedb")
@pytest.mark.parametrize("harm", ["folder", "manifest", "data", "vectors"])
def test_a_half_built_index_is_refused_and_cured_by_embedding_again(harm, tmp_path):
    catalog, encoder = FakeCatalog(draw_products(60)), FakeEncoder()
    store = embed_catalog(encoder, catalog, tmp_path / "s", index="lance")
    folder = tmp_path / "s" / "indexes" / "000000-lance"
    if harm == "folder":
        shutil.rmtree(folder)
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    elif harm == "data":
        shutil.rmtree(folder / "db" / "items.lance")
    else:  # an index of other vectors
        text = (folder / "manifest.json").read_text().replace('"rows": 60', '"rows": 59')
        (folder / "manifest.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "s").search(np.asarray(store.vectors[0]), 5)
    assert "moonshelf embed" in caught.value.cure
    before = len(encoder.seen)
    embed_catalog(encoder, catalog, tmp_path / "s", index="lance")
    assert len(encoder.seen) == before
    assert len(Store.open(tmp_path / "s").search(np.asarray(store.vectors[0]), 5)) == 5


def test_auto_chooses_by_size_and_says_when_lance_is_missing(monkeypatch):
    assert choose_engine("auto", 49_999) == ("exact", "")
    monkeypatch.setattr(index_module.importlib.util, "find_spec", lambda name: None)
    engine, note = choose_engine("auto", 50_000)
    assert engine == "exact" and "pip install" in note
    with pytest.raises(UsageError, match="pip install"):
        choose_engine("lance", 10)
    with pytest.raises(UsageError, match="exact"):
        choose_engine("faiss", 10)
    monkeypatch.setattr(index_module.importlib.util, "find_spec", lambda name: object())
    assert choose_engine("auto", 50_000) == ("lance", "")


@pytest.mark.parametrize(
    "url", ["", "http://x", "lance://../../etc", "lance:///tmp/x", "lance://indexes/a-lance"]
)
def test_unknown_and_escaping_urls_are_refused(url, tmp_path):
    store = embed_catalog(FakeEncoder(), FakeCatalog(draw_products(3)), tmp_path / "s")
    with pytest.raises(StoreError, match="unknown index URL"):
        open_index(url, store.table, store.path)
