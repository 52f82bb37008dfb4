"""The opened store: lookups, results, and what it refuses to open."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moonshelf.catalog.product import Product
from moonshelf.center.embed import embed_catalog
from moonshelf.center.filters import parse_filter
from moonshelf.center.store import Store, relative_to_store
from moonshelf.errors import StoreError, UsageError
from tests.unit.center.fakes import BAD_PICTURE, FakeCatalog, FakeEncoder, draw_products


@pytest.fixture
def store(tmp_path) -> Store:
    products = draw_products(40)
    products[3] = Product(id="p3", title="broken", images=(BAD_PICTURE,))
    return embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "store")


def test_get_gives_vectors_by_id_and_flags_the_missing(store):
    vectors, missing = store.get(["p7", "nobody", "p3", "p0", "p7"])
    assert vectors.dtype == np.float32 and vectors.shape == (5, 32)
    assert missing.tolist() == [False, True, True, False, False]
    assert not vectors[1:3].any()
    np.testing.assert_array_equal(vectors[0], np.asarray(store.vectors[7], np.float32))
    np.testing.assert_array_equal(vectors[0], vectors[4])
    np.testing.assert_allclose(np.linalg.norm(vectors[~missing], axis=1), 1, atol=1e-3)
    empty, flags = store.get([])
    assert empty.shape == (0, 32) and flags.shape == (0,)


def test_row_is_found_by_id(store):
    assert [store.row(f"p{n}") for n in range(40)] == list(range(40))
    assert store.row("p40") == -1


def test_vectors_are_mapped_not_read(store):
    assert isinstance(Store.open(store.path).vectors, np.memmap)
    assert store.vectors.dtype == np.float16
    with pytest.raises(ValueError, match="read-only"):
        store.vectors[0] = 0


def test_a_hit_says_what_the_catalog_says(store):
    hit = store.search(np.asarray(store.vectors[8]), 1)[0]
    assert (hit.id, hit.row, hit.title) == ("p8", 8, draw_products(40)[8].title)
    assert hit.category == ("Shoes",) and hit.price == 8.0
    assert hit.attributes["size"] == ("3",)
    assert hit.score == pytest.approx(1, abs=1e-3)
    assert store.search(np.asarray(store.vectors[14]), 1)[0].price is None


def test_several_queries_at_once(store):
    together = store.search_many(np.asarray(store.vectors[[8, 9]]), 3)
    assert [hits[0].id for hits in together] == ["p8", "p9"]
    filtered = store.search_many(np.asarray(store.vectors[[8]]), 3, parse_filter(["size=0"]))
    assert all(hit.attributes["size"] == ("0",) for hit in filtered[0])


@pytest.mark.parametrize("vector", [np.zeros(32), np.full(32, np.nan), np.ones(31)])
def test_unusable_queries_are_refused(store, vector):
    with pytest.raises(UsageError):
        store.search(vector, 3)


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_k_has_bounds(store, k):
    with pytest.raises(UsageError, match="k is"):
        store.search(np.ones(32), k)


def test_search_wants_one_vector(store):
    with pytest.raises(UsageError, match="search_many"):
        store.search(np.ones((2, 32)), 3)


def damage(store: Store, harm: str) -> None:
    table = store.path / "tables" / "000000"
    manifest = store.path / "manifest.json"
    if harm == "no table":
        (table / "vectors.npy").unlink()
    elif harm == "short vectors":
        data = (table / "vectors.npy").read_bytes()
        (table / "vectors.npy").write_bytes(data[:-100])
    elif harm == "pickled vectors":
        np.save(table / "vectors.npy", np.array([object()]), allow_pickle=True)
    elif harm == "other vectors":
        np.save(table / "vectors.npy", np.zeros((40, 31), np.float16))
    elif harm == "short items":
        data = (table / "items.arrow").read_bytes()
        (table / "items.arrow").write_bytes(data[: len(data) // 2])
    elif harm == "no manifest":
        manifest.unlink()
    elif harm == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:50])
    elif harm == "list manifest":
        manifest.write_text("[]")
    else:
        key, value = harm.split("=")
        changed = json.loads(manifest.read_text()) | {key: json.loads(value)}
        manifest.write_text(json.dumps(changed))


@pytest.mark.parametrize(
    "harm",
    [
        "no table",
        "short vectors",
        "pickled vectors",
        "other vectors",
        "short items",
        "no manifest",
        "half a manifest",
        "list manifest",
        "format=99",
        'kind="catalog"',
        'table="../../elsewhere"',
        'table="000009"',
        "counts=null",
    ],
)
def test_a_damaged_store_is_refused_with_a_cure(store, harm):
    Store.open(store.path)
    damage(store, harm)
    with pytest.raises(StoreError) as caught:
        Store.open(store.path)
    assert caught.value.where and "moonshelf embed" in caught.value.cure


def test_a_damaged_table_is_built_again_from_the_shards(store):
    expected = np.array(store.vectors)
    products = draw_products(40)
    products[3] = Product(id="p3", title="broken", images=(BAD_PICTURE,))
    damage(store, "short vectors")
    encoder = FakeEncoder()
    again = embed_catalog(encoder, FakeCatalog(products), store.path)
    assert not encoder.seen
    np.testing.assert_array_equal(again.vectors, expected)


def test_no_folder_and_foreign_folder(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="not a vector store"):
        Store.open(tmp_path)


def test_run_and_catalog_are_remembered_relative_to_the_store(tmp_path):
    (tmp_path / "work").mkdir()
    catalog = FakeCatalog(draw_products(3), path=tmp_path / "work" / "catalog")
    store = embed_catalog(
        FakeEncoder(), catalog, tmp_path / "work" / "store", version="v", run=tmp_path / "run"
    )
    text = (store.path / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert store.run_path == tmp_path / "run"
    moved = (tmp_path / "work").rename(tmp_path / "moved")
    assert Store.open(moved / "store").catalog_path == tmp_path / "moved" / "catalog"
    assert relative_to_store(tmp_path, None) is None
