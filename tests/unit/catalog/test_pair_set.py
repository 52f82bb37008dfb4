"""A pair set on disk: what was written is read, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import COLUMNS, LEVELS, TABLE_QUERY, TYPES, PairSet, read_manifest
from moonshelf.catalog.product import Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import DataError, UsageError
from tests.log_shop import write_log_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_log_shop(tmp_path_factory.mktemp("shop") / "catalog", 1)


@pytest.fixture
def pairs(shop: Catalog, tmp_path: Path) -> PairSet:
    built = build_pairs(shop)
    return built.pairs.write(tmp_path / "pairs", step="build", options={"a": 1}, before=built.seen)


def test_what_was_written_is_read(shop: Catalog, pairs: PairSet) -> None:
    built = build_pairs(shop)
    assert len(pairs) == len(built.pairs) > 10
    for name, dtype in COLUMNS.items():
        assert pairs.columns[name].dtype == dtype
        assert np.array_equal(
            pairs.columns[name], built.pairs.columns[name], equal_nan=name == "similarity"
        )
        assert np.array_equal(
            getattr(pairs, name), pairs.columns[name], equal_nan=name == "similarity"
        )
    assert np.array_equal(pairs.known, built.pairs.known)
    (line,) = pairs.history
    assert line == {"step": "build", "options": {"a": 1}, "before": built.seen, "after": len(pairs)}


def test_steps_add_lines_and_keep_what_is_known(pairs: PairSet, tmp_path: Path) -> None:
    order = np.argsort(-pairs.item, kind="stable")[: len(pairs) // 2]
    fewer = pairs.select(order).with_similarity(np.linspace(-1, 1, len(order)))
    assert np.array_equal(fewer.item, pairs.item[order])
    saved = fewer.write(tmp_path / "fewer", step="dedup", options={"floor": 0.05})
    assert [line["step"] for line in saved.history] == ["build", "dedup"]
    assert (saved.history[1]["before"], saved.history[1]["after"]) == (len(pairs), len(order))
    assert np.allclose(saved.similarity, np.linspace(-1, 1, len(order)), atol=1e-6)
    assert np.array_equal(saved.known, pairs.known)
    again = saved.select(saved.level == 2).write(tmp_path / "fewer", step="x", options={})
    assert again.history[2]["before"] == len(order)
    assert saved.fingerprint != again.fingerprint != pairs.fingerprint
    with pytest.raises(UsageError):
        pairs.with_similarity(np.zeros(3))


def test_types_are_those_of_a_slow_reading(shop: Catalog, pairs: PairSet) -> None:
    queries = shop.queries()

    def rich(p: Product) -> bool:
        return bool(p.title.strip() and (p.description.strip() or p.attributes or p.category))

    def whole(p: Product) -> bool:
        return bool(p.title.strip() and p.images)

    types = pairs.pair_types()
    assert types.shape == (len(pairs), 9) and types.any(axis=0).all()
    for k in range(len(pairs)):
        item = shop[int(pairs.item[k])]
        seen, told = bool(item.images), rich(item)
        if pairs.query_kind[k] == TABLE_QUERY:
            asked: Query = queries[int(pairs.query[k])]
            words, photo = bool(asked.text.strip()), bool(asked.images)
            product = richer = words and photo
            richer = False
        else:
            own = shop[int(pairs.query[k])]
            words = photo = False
            product, richer = whole(own), rich(own) and bool(own.images)
        expected = [
            words and told,
            words and seen,
            words and whole(item),
            words and told and seen,
            photo and seen,
            photo and whole(item),
            photo and told and seen,
            product and whole(item),
            richer and told and seen,
        ]
        assert types[k].tolist() == expected


def test_counts_add_up(pairs: PairSet) -> None:
    counts = pairs.counts()
    assert counts["total"] == len(pairs)
    assert sum(counts["by_level"].values()) == len(pairs) == sum(counts["by_query"].values())
    assert list(counts["by_level"]) == list(LEVELS)
    types = pairs.pair_types()
    assert [counts["by_type"][str(k)] for k in TYPES] == types.sum(axis=0).tolist()
    assert counts["of_no_type"] == int((~types.any(axis=1)).sum())
    assert read_manifest(pairs.path or "")["counts"] == counts


def test_words_for_a_bare_title_are_of_no_type(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "shop") as writer:
        writer.add_product(Product("p", "a thing"))
        writer.add_query(Query("q", "thing", positives=("p",)))
        pairs = build_pairs(writer.commit()).pairs
    assert pairs.counts()["of_no_type"] == 1 and not any(pairs.counts()["by_type"].values())


def test_pairs_of_another_catalogue_or_state_are_refused(pairs: PairSet, tmp_path: Path) -> None:
    other = write_log_shop(tmp_path / "other", 2)
    with pytest.raises(DataError, match="of another catalogue") as told:
        PairSet.open(pairs.path or "", other)
    assert "moonshelf pairs build" in told.value.cure
    shop = write_log_shop(tmp_path / "grown", 3)
    built = build_pairs(shop).pairs.write(tmp_path / "own", step="build", options={})
    with CatalogWriter(tmp_path / "grown", append=True) as writer:
        writer.add_product(Product("new", "one more"))
        grown = writer.commit()
    with pytest.raises(DataError, match="another state of this catalogue"):
        PairSet.open(built.path or "", grown)


def damage(folder: Path, name: str, how: str) -> None:
    file = folder / name
    if how == "missing":
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "noise":
        file.write_bytes(np.random.default_rng(0).bytes(4_000))
    else:
        table = pa.ipc.open_file(file).read_all()
        columns = {n: table[n].to_numpy().copy() for n in table.column_names}
        columns["item"][0] = {"far": 10_000, "below": -1, "held out": HELD_OUT}[how]
        changed = pa.table(columns, schema=table.schema)
        with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(changed)


HELD_OUT = -2


@pytest.mark.parametrize("name", ["pairs.arrow", "known.arrow"])
@pytest.mark.parametrize("how", ["missing", "cut", "noise", "far", "below", "held out"])
def test_damage_is_told(
    shop: Catalog, pairs: PairSet, name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "HELD_OUT", int(shop.split_rows("test")[0]))
    damage(pairs.path or Path(), name, how)
    with pytest.raises(DataError, match="is damaged"):
        PairSet.open(pairs.path or "", shop)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"total": 1}},
        {"counts": None},
        {"history": [{"step": "build"}]},
        {"catalog": {}},
        {"files": {}},
        {"options": []},
    ],
)
def test_a_manifest_that_does_not_fit_is_told(shop: Catalog, pairs: PairSet, change) -> None:
    file = (pairs.path or Path()) / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match="is damaged"):
        PairSet.open(pairs.path or "", shop)


def test_other_formats_and_folders_are_told(shop: Catalog, pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair set here"):
        PairSet.open(tmp_path / "nowhere", shop)
    file = (pairs.path or Path()) / "manifest.json"
    whole = json.loads(file.read_text())
    for change, told in (({"format": 99}, "format 99"), ({"kind": "catalog"}, "not describe")):
        file.write_text(json.dumps(whole | change))
        with pytest.raises(DataError, match=told):
            PairSet.open(pairs.path or "", shop)
    file.write_text("{" * 100_000)
    with pytest.raises(DataError, match="is damaged"):
        PairSet.open(pairs.path or "", shop)


def test_only_pair_sets_are_replaced(shop: Catalog, pairs: PairSet, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(UsageError, match="no pair set"):
        pairs.write(tmp_path / "mine", step="x", options={})
    with pytest.raises(UsageError, match="no pair set"):
        pairs.write(shop.path, step="x", options={})
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear diary"
    # A damaged one may go; no scratch folder stays behind.
    damage(pairs.path or Path(), "known.arrow", "cut")
    pairs.write(tmp_path / "pairs", step="x", options={})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "pairs"]


def test_a_pair_set_needs_no_torch(pairs: PairSet, shop: Catalog) -> None:
    code = (
        "import sys; from moonshelf.catalog.store import Catalog; "
        "from moonshelf.catalog.pair_set import PairSet; import moonshelf.catalog.pair_building; "
        f"PairSet.open({str(pairs.path)!r}, Catalog.open({str(shop.path)!r})); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
