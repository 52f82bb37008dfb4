"""A catalogue gives back what was written, by row and by id; a damaged one is refused by name."""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moonshelf.catalog import idindex, store, writer
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import COLUMNS, Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import CatalogError, DataError, UsageError
from tests.unit.catalog.making import picture, product

PRODUCTS = [product(k, split=("train", "val", "test")[k % 3]) for k in range(20)]
PRODUCTS[3] = product(3, images=(), price=None, time=None, category=(), attributes={})
PRODUCTS[4] = product(4, images=(picture(40), picture(41)), title="", split="val")
QUERIES = [
    Query("q1", text="red dress", positives=("p1", "p2"), grades=(3.0, 1.5)),
    Query("q2", images=(picture(99),), positives=("p4",), split="test"),
]
EVENTS = [
    Event(30, "u1", "p1", "purchase", price=2.5),
    Event(10, "u2", "p2", "click", query="q1", position=4),
    Event(20, "u1", "p3", "exposure"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "shop"
    with CatalogWriter(path, source={"reader": "test"}) as writer:
        for record in [*PRODUCTS, *QUERIES, *EVENTS]:
            writer.add(record)
        writer.commit()
    return path


@pytest.fixture
def catalog(written: Path) -> Catalog:
    return Catalog.open(written)


@pytest.fixture
def broken(written: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(written, tmp_path / "broken"))


def test_products_come_back_as_they_were(catalog: Catalog) -> None:
    assert len(catalog) == 20
    assert list(catalog) == PRODUCTS
    assert [catalog.get(p.id) for p in PRODUCTS] == PRODUCTS
    with pytest.raises(IndexError):
        catalog[20]


def test_ids_and_rows(catalog: Catalog) -> None:
    assert catalog.row("p7") == 7 and "p7" in catalog and "p77" not in catalog
    assert catalog.rows(["p9", "p0", "p9"]).tolist() == [9, 0, 9]
    assert catalog.find_rows(["nobody", "p2"]).tolist() == [-1, 2]
    assert catalog.rows([]).dtype == np.int64
    for call in (lambda: catalog.row("nobody"), lambda: catalog.rows(["p1", "nobody"])):
        with pytest.raises(DataError, match="'nobody'"):
            call()


def test_columns_agree_with_products(catalog: Catalog) -> None:
    for name in ("id", "title", "description", "group", "shop", "price", "time", "split"):
        assert catalog.column(name).to_pylist() == [getattr(p, name) for p in PRODUCTS]
    assert catalog.column("image_count").to_pylist() == [len(p.images) for p in PRODUCTS]
    assert {len(catalog.column(name)) for name in COLUMNS} == {20}
    assert catalog.split_rows("test").tolist() == [
        k for k, p in enumerate(PRODUCTS) if p.split == "test"
    ]
    with pytest.raises(UsageError, match="no column 'colour'"):
        catalog.column("colour")
    with pytest.raises(UsageError, match="no split 'dev'"):
        catalog.split_rows("dev")


def test_pictures_and_hashes(catalog: Catalog) -> None:
    assert catalog.image(4, 1) == picture(41)
    assert len(set(catalog.image_hashes(4))) == 2 and catalog.image_hashes(3) == ()
    with pytest.raises(DataError, match="no picture 0"):
        catalog.image(3)
    assert len({catalog.content_hash(row) for row in range(20)}) == 20
    rows, numbers = catalog.picture_links()
    assert [catalog.picture(n) for n in numbers] == [catalog.image(r) for r in rows[:4]] + [
        picture(41),
        *(catalog.image(r) for r in rows[5:]),
    ]


def test_queries_and_events(catalog: Catalog) -> None:
    assert catalog.queries() == QUERIES
    assert catalog.queries("test") == QUERIES[1:] and catalog.queries("val") == []
    assert [catalog.query(k) for k in range(len(QUERIES))] == QUERIES
    assert catalog.query_column("text").to_pylist() == [query.text for query in QUERIES]
    for number in (-1, len(QUERIES)):
        with pytest.raises(IndexError):
            catalog.query(number)
    events = catalog.events()
    assert events["time"].to_pylist() == [10, 20, 30]
    assert [Event(**row) for row in events.to_pylist()] == sorted(EVENTS, key=lambda e: e.time)


def test_a_copy_opens_the_folder_anew(catalog: Catalog) -> None:
    assert copy.deepcopy(catalog).get("p5") == PRODUCTS[5]


def test_content_hash_sees_content_only(tmp_path: Path) -> None:
    def hashes(*products: Product) -> list[str]:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        with CatalogWriter(path) as writer:
            for each in products:
                writer.add(each)
            made = writer.commit()
        return [made.content_hash(row) for row in range(len(made))]

    one, same, other = hashes(
        product(1, title="x"),
        product(1, id="second", title="x", price=9.0, time=None, shop="s", group="g"),
        product(1, id="third", title="y"),
    )
    assert one == same != other


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    def fingerprint(name: str, *records: Any) -> str:
        with CatalogWriter(tmp_path / name) as writer:
            for record in records:
                writer.add(record)
            return writer.commit().fingerprint

    first = fingerprint("a", *PRODUCTS, *QUERIES, *EVENTS)
    assert first == fingerprint("b", *PRODUCTS, *QUERIES, *EVENTS)
    moved = product(19, split="val")
    for k, other in enumerate(
        ([*PRODUCTS[:-1], moved, *QUERIES, *EVENTS], [*PRODUCTS, *QUERIES], [*PRODUCTS, *EVENTS])
    ):
        assert fingerprint(f"c{k}", *(r for r in other if getattr(r, "query", "") == "")) != first


# ---- damage


def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        file = path / "manifest.json"
        manifest = json.loads(file.read_text())
        change(manifest)
        file.write_text(json.dumps(manifest))

    return run


def cut(name: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        file = path / "generation-000001" / name
        file.write_bytes(file.read_bytes()[:-5])

    return run


def lose(name: str) -> Callable[[Path], None]:
    return lambda path: (path / "generation-000001" / name).unlink()


FILES = ("products.arrow", "pictures-000.blob", "pictures.npy", "ids.npy", "splits.npy")
DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "never finished"),
    "no json": (lambda path: (path / "manifest.json").write_text("{"), "cannot be read"),
    "a list": (lambda path: (path / "manifest.json").write_text("[]"), "not describe a catalogue"),
    "version": (edit(lambda m: m.update(format=99)), "format 99, this version reads 1"),
    "kind": (edit(lambda m: m.update(kind="store")), "not describe a catalogue"),
    "counts": (edit(lambda m: m.update(products=21)), "two ways"),
    "batches": (edit(lambda m: m["generations"][0].update(batches=[1])), "two ways"),
    "escape": (edit(lambda m: m["current"].update(folder="../../etc")), "cannot be part"),
    "escape file": (
        edit(lambda m: m["current"]["files"].update({"../x.npy": {"bytes": 1}})),
        "cannot be part",
    ),
    **{f"cut {name}": (cut(name), "truncated or changed") for name in FILES},
    **{f"lose {name}": (lose(name), "is missing") for name in FILES},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_when_opening(broken: Path, damage: str) -> None:
    act, says = DAMAGE[damage]
    act(broken)
    with pytest.raises(CatalogError, match=says) as caught:
        Catalog.open(broken)
    assert caught.value.cure and str(broken) in caught.value.where
    if " " in damage and damage.split()[1] in FILES:
        assert caught.value.where.endswith(damage.split()[1])


def test_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no catalogue here"):
        Catalog.open(tmp_path / "none")


def test_flipped_bytes_never_crash_and_verify_finds_them(broken: Path) -> None:
    """Sizes still agree, so only reading can tell: an error or a value, never a crash."""
    folder = broken / "generation-000001"
    Catalog.open(broken).verify()
    rng = np.random.default_rng(0)
    for name in ("products.arrow", "queries.arrow", "pictures.npy", "ids.npy", "splits.npy"):
        good = (folder / name).read_bytes()
        for _ in range(25):
            bad = bytearray(good)
            for place in rng.integers(0, len(bad), 8):
                bad[place] ^= 1 << rng.integers(8)
            (folder / name).write_bytes(bad)
            try:
                read = Catalog.open(broken)
                _ = list(read), read.queries(), read.find_rows(["p1", "zz"]), read.column("split")
            except (CatalogError, DataError):
                pass
            with pytest.raises(CatalogError):
                Catalog.open(broken).verify()
        (folder / name).write_bytes(good)
    blob = folder / "pictures-000.blob"
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    with pytest.raises(CatalogError, match="picture 0 were changed"):
        Catalog.open(broken).verify()


# ---- the id index


@pytest.mark.parametrize("n", [0, 1, 7, 5_000])
def test_index_finds_every_id_and_no_other(n: int) -> None:
    names = [f"id-{k}" for k in range(n)]
    table = idindex.build_index(idindex.hash_ids(names))
    assert (table["place"] > 0).sum() == n and len(table) >= 2 * n
    assert idindex.find_candidates(table, idindex.hash_ids(names)).tolist() == list(range(n))
    assert [idindex.find(table, x, lambda r, x=x: names[r] == x) for x in names] == list(range(n))
    assert idindex.find(table, "other", lambda _: True) == -1
    assert (idindex.find_candidates(table, idindex.hash_ids(["other"])) == -1).all()
    assert np.array_equal(idindex.table_hashes(table, n), idindex.hash_ids(names))


def test_equal_hashes_are_told_apart_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idindex, "hash_id", lambda name: 3)
    names = ["a", "b", "c"]
    table = idindex.build_index(np.full(3, 3, np.uint64))
    for row, name in enumerate(names):
        assert idindex.find(table, name, lambda r, name=name: names[r] == name) == row
    assert idindex.find(table, "d", lambda r: names[r] == "d") == -1


def test_a_catalogue_full_of_equal_hashes_still_tells_ids_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def constant(names: Iterable[str]) -> np.ndarray:
        return np.full(len(list(names)), 3, np.uint64)

    monkeypatch.setattr(idindex, "hash_id", lambda name: 3)
    monkeypatch.setattr(store, "hash_ids", constant)
    monkeypatch.setattr(writer, "hash_ids", constant)
    with CatalogWriter(tmp_path / "shop") as made:
        for k in range(5):
            made.add_product(product(k))
        catalog = made.commit()
    names = [f"p{k}" for k in (4, 0, 3)]
    assert catalog.rows(names).tolist() == [4, 0, 3] == [catalog.row(name) for name in names]
    assert catalog.find_rows(["p9"]).tolist() == [-1]


@pytest.mark.slow
def test_large_catalogue_opens_instantly_and_reads_at_random(tmp_path: Path) -> None:
    n = 200_000
    path = tmp_path / "large"
    with CatalogWriter(path) as writer:
        for k in range(n):
            writer.add_product(Product(f"item-{k}", title=f"a product called {k} {k * 7919}"))
        writer.commit()
    times = []
    for _ in range(5):
        start = time.process_time()
        catalog = Catalog.open(path)
        times.append(time.process_time() - start)
    assert min(times) < 0.020
    rows = np.random.default_rng(0).integers(0, n, 5_000).tolist()
    catalog.get("item-0")
    start = time.process_time()
    for row in rows:
        assert catalog.row(f"item-{row}") == row
    assert (time.process_time() - start) / len(rows) < 200e-6
