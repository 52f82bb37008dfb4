"""The pixel cache equals decoding, is never stale, and shows no picture that could not be read."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moonshelf.catalog import pixels
from moonshelf.catalog.images import decode_picture
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import CatalogError, DataError, ImageError, UsageError
from moonshelf.files import DiskFullError
from tests.unit.catalog.making import picture, product


def write(path: Path, *records: Any, **options: Any) -> Catalog:
    with CatalogWriter(path, **options) as writer:
        for record in records:
            writer.add(record)
        return writer.commit()


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return write(
        tmp_path / "shop",
        *(product(k) for k in range(6)),
        product(6, images=()),
        product(7, images=product(2).images),
        product(8, images=(picture(80, 40, 20), picture(81))),
    )


def test_cache_equals_decoding(catalog: Catalog) -> None:
    cache = PixelCache.build(catalog, 16, 12)
    assert len(cache) == 9
    assert [cache.has(row) for row in range(9)] == [row != 6 for row in range(9)]
    for row in (0, 5, 7, 8):
        want = decode_picture(catalog.image(row), 16, 12)
        assert cache[row].dtype == np.uint8 and np.array_equal(cache[row], want)
    assert np.array_equal(cache.take(np.array([8, 0])), np.stack([cache[8], cache[0]]))
    for ask in (lambda: cache[6], lambda: cache.take(np.array([0, 6]))):
        with pytest.raises(DataError, match="row 6: has no picture"):
            ask()
    assert (cache.path / "pixels.u8").stat().st_size == 7 * 16 * 12 * 3  # the same one once


def test_a_second_build_reads_what_is_there(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def progress(done: int, total: int | None = None, **_: object) -> None:
        assert total == 7
        seen.append(done)

    PixelCache.build(catalog, 8, 8, progress)
    assert seen == list(range(1, 8))

    def never(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pixels, "decode_picture", never)
    assert PixelCache.build(catalog, 8, 8).has(0)


def test_of_builds_at_once_one_decodes_and_the_others_wait(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, decoded = threading.Barrier(4), []

    def slowly(*given: Any) -> np.ndarray:
        decoded.append(1)
        time.sleep(0.01)
        return decode_picture(*given)

    def build(_: int) -> PixelCache:
        together.wait()
        return PixelCache.build(catalog, 8, 8)

    monkeypatch.setattr(pixels, "decode_picture", slowly)
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(build, range(4)))
    assert len(decoded) == 7
    assert all(np.array_equal(cache[8], caches[0][8]) for cache in caches)


def test_another_catalogue_or_decoder_makes_it_stale(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    PixelCache.build(catalog, 8, 8)
    with pytest.raises(CatalogError):
        PixelCache.open(catalog, 8, 9)
    grown = write(catalog.path, product(20), append=True)
    with pytest.raises(CatalogError, match="fingerprint"):
        PixelCache.open(grown, 8, 8)
    cache = PixelCache.build(grown, 8, 8)
    assert np.array_equal(cache[9], decode_picture(picture(20), 8, 8))
    monkeypatch.setattr(pixels, "DECODER_VERSION", 99)
    with pytest.raises(CatalogError, match="decoder"):
        PixelCache.open(grown, 8, 8)


@pytest.mark.parametrize("name", ["pixels.u8", "places.npy", "manifest.json"])
def test_a_damaged_cache_is_built_anew(catalog: Catalog, name: str) -> None:
    file = PixelCache.build(catalog, 8, 8).path / name
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(CatalogError):
        PixelCache.open(catalog, 8, 8)
    assert PixelCache.build(catalog, 8, 8).has(8)


def test_broken_pictures_are_reported_and_absent(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(data: bytes, *rest: Any) -> np.ndarray:
        if data == picture(2):
            raise ImageError("the picture is truncated", cure="fetch it again")
        return decode_picture(data, *rest)

    monkeypatch.setattr(pixels, "decode_picture", decode)
    PixelCache.build(catalog, 8, 8)
    cache = PixelCache.open(catalog, 8, 8)
    assert [row for row in range(9) if not cache.has(row)] == [2, 6, 7]
    (problem,) = cache.problems
    assert "'p2'" in problem.where and problem.error.what == "the picture is truncated"
    with pytest.raises(DataError, match="damaged"):
        cache[7]
    assert np.array_equal(cache[8], decode_picture(catalog.image(8), 8, 8))


def test_no_pictures_at_all(tmp_path: Path) -> None:
    cache = PixelCache.build(write(tmp_path / "shop", product(0, images=())), 8, 8)
    assert len(cache) == 1 and not cache.has(0)
    with pytest.raises(UsageError):
        PixelCache.build(Catalog.open(tmp_path / "shop"), 0, 8)


def test_a_full_disk_leaves_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    real = Path.open

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        full = path.suffix == ".u8"
        return real(Path("/dev/full"), "wb", 0) if full else real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DiskFullError):
        PixelCache.build(catalog, 8, 8)
    left = [path.name for path in (catalog.path / "cache").iterdir()]
    assert left == [".pixels-8x8.lock"]  # empty, and kept: who waits for it holds it by its file
