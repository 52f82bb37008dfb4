"""Embedding jobs: only what is new, one bad item is one item's error, never two encoders."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from moonshelf.catalog.product import Product
from moonshelf.center import shards
from moonshelf.center.embed import embed_catalog
from moonshelf.center.store import Store
from moonshelf.errors import DataError, StoreError, UsageError
from tests.unit.center.fakes import BAD_PICTURE, FakeCatalog, FakeEncoder, draw_products


def expected_vectors(products) -> np.ndarray:
    from moonshelf.catalog.product import product_content

    return FakeEncoder().embed([product_content(p, "mm") for p in products]).astype(np.float16)


def failures(store: Store) -> dict[str, str]:
    lines = (store.path / "failed.jsonl").read_text().splitlines()
    return {line["id"]: line["error"] for line in map(json.loads, lines)}


def test_vectors_follow_the_catalog_whatever_the_shards(tmp_path):
    products = draw_products(50)
    for rows, batch in ((1000, None), (7, 3), (1, 1)):
        store = embed_catalog(
            FakeEncoder(),
            FakeCatalog(products),
            tmp_path / f"s{rows}",
            shard_rows=rows,
            batch_size=batch,
        )
        np.testing.assert_array_equal(store.vectors, expected_vectors(products))
        assert not store.missing.any()
        sizes = [len(np.load(s / "vectors.npy")) for s in shards.shard_folders(store.path)]
        assert sum(sizes) == 50 and max(sizes) <= rows


def test_the_manifest_tells_what_was_done(tmp_path):
    catalog = FakeCatalog(draw_products(20))
    manifest = embed_catalog(FakeEncoder(), catalog, tmp_path / "s", view="t").manifest
    assert manifest["counts"] == {
        "items": 20,
        "embedded": 20,
        "reused": 0,
        "failed": 0,
        "superseded": 0,
    }
    assert manifest["encoder"]["version"] == "fake-1"
    assert manifest["dim"] == 32 and manifest["view"] == "t"
    assert manifest["catalog"]["fingerprint"] == catalog.fingerprint
    assert manifest["times"]["finished"] >= manifest["times"]["began"]


def test_a_second_run_embeds_nothing_and_changes_nothing(tmp_path):
    catalog = FakeCatalog(draw_products(50))
    first = embed_catalog(FakeEncoder(), catalog, tmp_path / "s")
    encoder = FakeEncoder()
    second = embed_catalog(encoder, catalog, tmp_path / "s")
    assert not encoder.seen
    assert second.manifest["counts"]["reused"] == 50
    assert second.manifest["table"] == first.manifest["table"]


def test_only_new_and_changed_items_are_embedded(tmp_path):
    products = draw_products(30)
    first = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "s", shard_rows=10)
    reader = Store.open(first.path)
    products[4] = replace(products[4], title="a new title")
    products = [*products[10:], products[4], Product(id="new", title="newcomer")]
    encoder = FakeEncoder()
    store = embed_catalog(encoder, FakeCatalog(products), tmp_path / "s", shard_rows=10)
    assert sorted(c.text or "" for c in encoder.seen) == ["a new title", "newcomer"]
    np.testing.assert_array_equal(store.vectors, expected_vectors(products))
    assert (
        store.manifest["counts"] | {"items": 22, "embedded": 2, "reused": 20}
        == (store.manifest["counts"])
    )
    # the first shard's ten items are gone, so it is gone; an open reader keeps the old version
    assert [s.name for s in shards.shard_folders(store.path)] == [
        "00000001",
        "00000002",
        "00000003",
    ]
    assert [p.name for p in (store.path / "tables").iterdir()] == [store.manifest["table"]]
    assert reader.get(["p0"])[1].tolist() == [False]
    assert store.get(["p0", "p4"])[1].tolist() == [True, False]


def test_new_prices_and_titles_of_facets_need_no_new_vectors(tmp_path):
    products = draw_products(10)
    embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "s")
    products[2] = replace(products[2], price=777.0)
    encoder = FakeEncoder()
    store = embed_catalog(encoder, FakeCatalog(products), tmp_path / "s")
    assert not encoder.seen
    assert store.hit(2, 0.0).price == 777.0


def test_a_bad_picture_is_one_items_error(tmp_path):
    products = draw_products(60)
    bad = [0, 17, 18, 59]
    for row in bad:
        products[row] = replace(products[row], images=(BAD_PICTURE,))
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "s")
    assert np.flatnonzero(store.missing).tolist() == bad
    assert not np.asarray(store.vectors[bad]).any()
    good = [row for row in range(60) if row not in bad]
    np.testing.assert_array_equal(
        store.vectors[good], expected_vectors([products[row] for row in good])
    )
    assert failures(store) == {f"p{row}": failures(store)[f"p{row}"] for row in bad}
    assert all("truncated" in error for error in failures(store).values())
    assert store.manifest["counts"]["failed"] == 4
    # it is not tried again until its content changes
    encoder = FakeEncoder()
    embed_catalog(encoder, FakeCatalog(products), tmp_path / "s")
    assert not encoder.seen
    products[17] = replace(products[17], images=(b"a good picture",))
    store = embed_catalog(encoder, FakeCatalog(products), tmp_path / "s")
    assert len(encoder.seen) == 1 and not store.missing[17]
    assert set(failures(store)) == {"p0", "p18", "p59"}


def test_items_without_what_the_view_needs_are_named(tmp_path):
    products = [Product(id="a", title="words"), Product(id="b", images=(b"x",), title=" ")]
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "t", view="t")
    assert store.missing.tolist() == [False, True] and "view t" in failures(store)["b"]
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "i", view="i")
    assert store.missing.tolist() == [True, False]
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "mm")
    assert not store.missing.any()


def test_an_empty_catalog_gives_an_empty_store(tmp_path):
    store = embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path / "s")
    assert len(store) == 0
    assert store.search(np.ones(32), 3) == []
    nothing = embed_catalog(
        FakeEncoder(),
        FakeCatalog([Product(id="x", images=(BAD_PICTURE,))]),
        tmp_path / "bad",
        index="lance",
    )
    assert nothing.search(np.ones(32), 3) == []


def test_two_encoder_versions_never_meet(tmp_path):
    catalog = FakeCatalog(draw_products(10))
    embed_catalog(FakeEncoder(), catalog, tmp_path / "s")
    before = {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()}
    for other, arguments in (
        (FakeEncoder(version="fake-2"), {}),
        (FakeEncoder(dim=16), {}),
        (FakeEncoder(), {"view": "t"}),
        (FakeEncoder(), {"fields": ("title", "category")}),
    ):
        with pytest.raises(StoreError, match="was made with"):
            embed_catalog(other, catalog, tmp_path / "s", **arguments)
    assert before == {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()}


def test_a_store_passes_to_another_catalog_only_when_asked(tmp_path):
    products = draw_products(12)
    store = embed_catalog(FakeEncoder(), FakeCatalog(products), tmp_path / "s")
    before = {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file()}
    other = FakeCatalog([*products[:4], *draw_products(3, seed=9)], "other", origin="elsewhere")
    with pytest.raises(StoreError, match=r"another catalogue .*origin shop.*other") as caught:
        embed_catalog(FakeEncoder(), other, store.path)
    assert "--to" in caught.value.cure and "--another-catalog" in caught.value.cure
    assert before == {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file()}
    encoder = FakeEncoder()
    passed = embed_catalog(encoder, other, store.path, another_catalog=True)
    assert len(encoder.seen) == 3 and len(passed) == 7
    # From now on it is the other's: that one updates it unasked, the first one no longer does.
    embed_catalog(FakeEncoder(), other, store.path)
    with pytest.raises(StoreError, match="origin elsewhere"):
        embed_catalog(FakeEncoder(), FakeCatalog(products), store.path)


def test_an_unfinished_store_is_of_its_catalog_too(tmp_path):
    with pytest.raises(RuntimeError):
        embed_catalog(Broken("crash"), FakeCatalog(draw_products(5)), tmp_path / "s")
    with pytest.raises(StoreError, match="another catalogue"):
        embed_catalog(FakeEncoder(), FakeCatalog(draw_products(5), origin="b"), tmp_path / "s")
    embed_catalog(FakeEncoder(), FakeCatalog(draw_products(5)), tmp_path / "s")


def test_a_store_from_before_origins_goes_by_the_fingerprint(tmp_path):
    products = draw_products(5)
    catalog = FakeCatalog(products)
    identity = embed_catalog(FakeEncoder(), catalog, tmp_path / "s").path / "identity.json"
    old = {k: v for k, v in json.loads(identity.read_text()).items() if k != "catalog"}
    identity.write_text(json.dumps(old))
    with pytest.raises(StoreError, match="another catalogue"):
        embed_catalog(FakeEncoder(), FakeCatalog(products[1:]), tmp_path / "s")
    embed_catalog(FakeEncoder(), catalog, tmp_path / "s")
    assert json.loads(identity.read_text())["catalog"] == "shop"
    embed_catalog(FakeEncoder(), FakeCatalog(products[1:]), tmp_path / "s")


def test_a_shard_of_another_version_is_refused(tmp_path):
    """Even when someone copies shards between stores by hand."""
    catalog = FakeCatalog(draw_products(10))
    one = embed_catalog(FakeEncoder(version="fake-1"), catalog, tmp_path / "one")
    two = embed_catalog(FakeEncoder(version="fake-2"), catalog, tmp_path / "two")
    shard = shards.shard_folders(one.path)[0]
    shard.rename(two.path / "shards" / "00000007")
    with pytest.raises(StoreError, match="fake-1"):
        embed_catalog(FakeEncoder(version="fake-2"), catalog, two.path)


@pytest.mark.parametrize("file", ["rows.arrow", "vectors.npy"])
def test_a_damaged_shard_is_named(tmp_path, file):
    catalog = FakeCatalog(draw_products(10))
    store = embed_catalog(FakeEncoder(), catalog, tmp_path / "s")
    damaged = shards.shard_folders(store.path)[0] / file
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(StoreError, match="damaged") as caught:
        embed_catalog(FakeEncoder(), catalog, store.path)
    assert caught.value.where == str(damaged.parent)


def test_the_version_must_be_known(tmp_path):
    encoder = FakeEncoder()
    del encoder.version
    with pytest.raises(UsageError, match="version is unknown"):
        embed_catalog(encoder, FakeCatalog([]), tmp_path / "s")
    assert embed_catalog(encoder, FakeCatalog([]), tmp_path / "s", version="given").dim == 32


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match="is not a store"):
        embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(StoreError, match="not a folder"):
        embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path / "thesis.txt")


def test_only_one_writer(tmp_path):
    with shards.only_writer(tmp_path / "s"), pytest.raises(StoreError, match="another process"):
        embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path / "s")
    embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path / "s")


class Broken(FakeEncoder):
    """An encoder that breaks its contract in a chosen way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def embed(self, contents, batch_size=None):
        vectors = super().embed(contents)
        if self.how == "nan everywhere":
            vectors[:] = np.nan
        elif self.how == "one nan":
            vectors[2, 5] = np.inf
        elif self.how == "long":
            vectors *= 3
        elif self.how == "narrow":
            vectors = vectors[:, :-1]
        elif self.how == "crash":
            raise RuntimeError("out of memory")
        return vectors


@pytest.mark.parametrize(
    ("how", "words"),
    [("nan everywhere", "no finite"), ("long", "length"), ("narrow", "shape")],
)
def test_an_encoder_that_breaks_its_promise_stops_the_job(how, words, tmp_path):
    with pytest.raises(StoreError, match=words):
        embed_catalog(Broken(how), FakeCatalog(draw_products(10)), tmp_path / "s")


def test_one_vector_that_is_not_finite_is_one_items_error(tmp_path):
    store = embed_catalog(Broken("one nan"), FakeCatalog(draw_products(10)), tmp_path / "s")
    assert np.flatnonzero(store.missing).tolist() == [2]


def test_a_defect_of_the_encoder_is_not_blamed_on_the_items(tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"):
        embed_catalog(Broken("crash"), FakeCatalog(draw_products(10)), tmp_path / "s")


def test_progress_counts_up_to_the_end(tmp_path):
    calls = []
    products = [*draw_products(40), Product(id="bad", images=(BAD_PICTURE,))]
    embed_catalog(
        FakeEncoder(),
        FakeCatalog(products),
        tmp_path / "s",
        batch_size=10,
        progress=lambda done, total=None, **facts: calls.append((done, total, facts["failed"])),
    )
    assert calls == [(0, 41, 0), (10, 41, 0), (20, 41, 0), (30, 41, 0), (40, 41, 0), (41, 41, 1)]


def test_a_full_disk_loses_nothing_finished(tmp_path, monkeypatch):
    import errno

    catalog = FakeCatalog(draw_products(40))
    real, calls = np.save, []

    def fails_late(file, array, **options):
        calls.append(file)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, array, **options)

    monkeypatch.setattr(np, "save", fails_late)
    with pytest.raises(Exception, match="disk is full"):
        embed_catalog(FakeEncoder(), catalog, tmp_path / "s", shard_rows=10, batch_size=10)
    monkeypatch.setattr(np, "save", real)
    with pytest.raises(StoreError, match="unfinished: 2 shards"):
        Store.open(tmp_path / "s")
    encoder = FakeEncoder()
    embed_catalog(encoder, catalog, tmp_path / "s", shard_rows=10)
    assert len(encoder.seen) == 20


def test_data_errors_of_the_whole_batch_are_each_items_own(tmp_path):
    class Refuses(FakeEncoder):
        def embed(self, contents, batch_size=None):
            raise DataError("cannot", where="everything")

    store = embed_catalog(Refuses(), FakeCatalog(draw_products(5)), tmp_path / "s")
    assert store.missing.all() and len(failures(store)) == 5


def test_wrong_arguments(tmp_path):
    for arguments in ({"view": "x"}, {"shard_rows": 0}, {"batch_size": 0}, {"index": "faiss"}):
        with pytest.raises(UsageError):
            embed_catalog(FakeEncoder(), FakeCatalog([]), tmp_path / "s", **arguments)
