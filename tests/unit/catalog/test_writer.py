"""A catalogue appears whole or not at all, and nothing that was imported is ever lost."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.blobs import BlobWriter
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import CatalogError, DataError, UsageError
from moonshelf.files import DiskFullError
from tests.unit.catalog.making import picture, product


def write(path: Path, *records: Any, **options: Any) -> Catalog:
    with CatalogWriter(path, **options) as writer:
        for record in records:
            writer.add(record)
        return writer.commit()


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, the lock aside."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }


def test_nothing_appears_without_commit(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "shop") as writer:
        writer.add_product(product(1))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), CatalogWriter(tmp_path / "shop") as writer:
        writer.add_product(product(1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_identical_pictures_are_stored_once(tmp_path: Path) -> None:
    same = picture(0)
    catalog = write(
        tmp_path / "shop",
        product(1, images=(same, picture(1))),
        product(2, images=(same, same)),
        Query("q", images=(same,)),
    )
    assert catalog.picture_count == 2
    assert catalog.get("p2").images == (same, same)
    assert catalog.image_hashes(1)[0] == catalog.image_hashes(0)[0]
    blobs = list(catalog.path.rglob("*.blob"))
    assert sum(file.stat().st_size for file in blobs) == len(same) + len(picture(1))


def test_pictures_spread_over_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlobWriter.__init__, "__defaults__", (3 * len(picture(0)),))
    catalog = write(tmp_path / "shop", *(product(k) for k in range(10)))
    assert len(list(catalog.path.rglob("*.blob"))) >= 3
    assert list(catalog) == [product(k) for k in range(10)]


def test_appending_adds_and_keeps(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    first = write(path, *(product(k) for k in range(5)), Event(20, "u", "p1", "click"))
    before = everything(path / "generation-000001")
    again = product(9, images=product(2).images)  # a picture that is there already
    catalog = write(
        path,
        product(8),
        again,
        Query("q", text="x", positives=("p1", "p9")),
        Event(10, "u", "p9", "click"),
        Event(30, "u", "p2", "cart", query="q"),
        append=True,
    )
    assert list(catalog) == [*(product(k) for k in range(5)), product(8), again]
    assert [catalog.row(f"p{k}") for k in (0, 4, 8, 9)] == [0, 4, 5, 6]
    assert catalog.events()["time"].to_pylist() == [10, 20, 30]
    assert catalog.queries()[0].positives == ("p1", "p9")
    assert catalog.picture_count == 6 and catalog.fingerprint != first.fingerprint
    after = everything(path / "generation-000001")
    assert all(before[name] == data for name, data in after.items())
    assert set(before) - set(after) == {"ids.npy", "splits.npy", "query_splits.npy"}
    assert list(first) == [product(k) for k in range(5)]  # an open catalogue stays readable
    catalog.verify()


def test_appending_to_nothing_starts_a_catalogue(tmp_path: Path) -> None:
    assert len(write(tmp_path / "shop", product(1), append=True)) == 1


def test_a_failed_append_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    before = everything(path)
    for bad in (product(1), Query("q", text="x", positives=("nobody",))):
        with pytest.raises(DataError):
            write(path, product(2), bad, append=True)
        assert everything(path) == before
    assert len(Catalog.open(path)) == 1


def test_existing_folders_are_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    with pytest.raises(UsageError, match="catalogue already"):
        CatalogWriter(path)
    with pytest.raises(UsageError, match="exclude"):
        CatalogWriter(path, append=True, replace=True)
    for name in ("crops", "cache"):
        (path / name).mkdir()
        (path / name / "file").write_bytes(name.encode())
    assert [p.id for p in write(path, product(2), replace=True)] == ["p2"]
    # Boxes by picture hash may have cost money; a cache is made again.
    assert (path / "crops" / "file").read_bytes() == b"crops" and not (path / "cache").exists()
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"dear")
    for options in ({}, {"append": True}, {"replace": True}):
        with pytest.raises(CatalogError, match="nothing in it was touched"):
            CatalogWriter(other, **options)
    assert (other / "photo.jpg").read_bytes() == b"dear"
    with pytest.raises(CatalogError, match="a file here"):
        CatalogWriter(other / "photo.jpg")
    (tmp_path / "empty").mkdir()
    assert len(write(tmp_path / "empty", product(1))) == 1


def test_adding_and_replacing_keep_the_origin(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    first = write(path, product(1))
    assert first.origin == first.fingerprint
    assert write(tmp_path / "twin", product(1)).origin == first.origin
    assert write(tmp_path / "other", product(2)).origin != first.origin
    added = write(path, product(2), append=True)
    replaced = write(path, product(3), replace=True)
    assert len({first.fingerprint, added.fingerprint, replaced.fingerprint}) == 3
    assert added.origin == replaced.origin == first.origin
    manifest = path / "manifest.json"
    older = {k: v for k, v in json.loads(manifest.read_text()).items() if k != "origin"}
    manifest.write_text(json.dumps(older))
    assert Catalog.open(path).origin == replaced.fingerprint
    assert write(path, product(4), append=True).origin == replaced.fingerprint
    manifest.write_text("{")  # damaged: what replaces it is a catalogue of its own
    again = write(path, product(5), replace=True)
    assert again.origin == again.fingerprint
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"origin": 7}))
    with pytest.raises(CatalogError, match="origin"):
        Catalog.open(path)


def test_a_failed_replace_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    before = everything(path)
    with pytest.raises(DataError, match="no good product"):
        write(path, replace=True)
    assert everything(path) == before and len(list(tmp_path.iterdir())) == 1


def test_two_imports_do_not_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    with CatalogWriter(path, append=True) as writer:
        with pytest.raises(CatalogError, match="another import"):
            CatalogWriter(path, append=True)
        writer.add_product(product(2))
        writer.commit()
    assert len(write(path, product(3), append=True)) == 3


def test_a_killed_import_leaves_the_old_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    script = f"""
        import os, signal
        from moonshelf.catalog.writer import CatalogWriter
        from moonshelf.catalog.product import Product
        with CatalogWriter({str(path)!r}, append=True) as writer:
            writer.add_product(Product("p2", title="x"))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(".partial" in file.name for file in path.iterdir())  # what it left behind
    assert len(Catalog.open(path)) == 1
    assert len(write(path, product(2), append=True)) == 2
    assert not any(".partial" in file.name for file in path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogError, match="cannot be written") as caught:
        CatalogWriter(tmp_path / "file" / "shop")
    assert str(tmp_path / "file") in caught.value.where and caught.value.cure


# ---- a full disk


class Disk:
    """Counts what is written through ``Path.open`` and is full after ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Path.open

        def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            file = real(path, mode, *args, **kwargs)
            return _Full(file, self) if set(mode) & set("wxa") else file

        monkeypatch.setattr(Path, "open", opened)


class _Full:
    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> int:
        self._disk.room -= memoryview(data).nbytes
        if self._disk.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


NEW = [*(product(k) for k in range(10, 14)), Query("q", text="x", positives=("p10",))]
NEW.append(Event(5, "u", "p11", "click"))


@pytest.mark.parametrize("append", [True, False])
def test_a_disk_that_fills_anywhere_is_an_error_and_loses_nothing(
    tmp_path: Path, append: bool
) -> None:
    path = tmp_path / "shop"
    write(path, product(1))
    before = everything(path)
    room, failures = 0, 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            Disk(room).install(patch)
            try:
                catalog = write(path, *NEW, append=append, replace=not append)
                break
            except DiskFullError as error:
                assert error.cure and str(tmp_path) in error.where
        failures += 1
        assert everything(path) == before, room
        assert [file.name for file in tmp_path.iterdir()] == ["shop"]
        room += 397
    assert failures > 10
    assert len(catalog) == (5 if append else 4)
    catalog.verify()


def test_the_real_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    real = Path.open

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        return (
            real(Path("/dev/full"), "wb") if path.suffix == ".blob" else real(path, *args, **kwargs)
        )

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DiskFullError):
        write(tmp_path / "shop", *(product(k) for k in range(3)))
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = tmp_path / f".shop.{dead.pid}.partial"
    alive = tmp_path / f".shop.{os.getppid()}.partial"
    gone.mkdir()
    alive.mkdir()
    write(tmp_path / "shop", Product("p", title="x"))
    assert not gone.exists() and alive.exists()


def test_a_catalogue_that_a_killed_replace_set_aside_comes_back(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    aside = tmp_path / f".shop.{dead.pid}.old"
    write(tmp_path / "shop", Product("p", title="x"))
    (tmp_path / "shop").rename(aside)
    with pytest.raises(UsageError, match="already"):
        write(tmp_path / "shop", Product("q", title="y"))
    assert "p" in Catalog.open(tmp_path / "shop") and not aside.exists()
    aside.mkdir()  # killed one step later: both are there, and the new one is the catalogue
    with pytest.raises(UsageError, match="already"):
        write(tmp_path / "shop", Product("q", title="y"))
    assert "p" in Catalog.open(tmp_path / "shop") and not aside.exists()
