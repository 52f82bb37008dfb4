"""Folders of pictures, with and without a table beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Product
from moonshelf.catalog.readers import reader_for
from moonshelf.catalog.readers.folder import FolderReader
from moonshelf.errors import UsageError


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    for name in ("tops/a.jpg", "tops/b.PNG", "shoes/c.jpg", "shoes/.hidden.jpg", "notes.txt"):
        path = tmp_path / "shots" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "shots"


def products(folder: Path, **options: str) -> tuple[list[Product], list[str]]:
    reader = FolderReader()
    found = []
    for item in reader.read(folder, options):
        assert isinstance(item, Located)
        assert isinstance(item.record, Product)
        found.append(item.record)
    return found, reader.notes


def test_a_folder_is_found(shots: Path) -> None:
    assert reader_for(shots).name == "folder"


def test_pictures_alone(shots: Path) -> None:
    found, notes = products(shots)
    assert [p.id for p in found] == ["shoes/c", "tops/a", "tops/b"]
    assert found[0].images == (b"shoes/c.jpg",)
    assert found[0].category == ()
    assert "3 products without title" in notes[0]


def test_folders_as_category(shots: Path) -> None:
    found, _ = products(shots, folders="category")
    assert [p.category for p in found] == [("shoes",), ("tops",), ("tops",)]


def test_one_product_a_folder(shots: Path) -> None:
    found, _ = products(shots, product="folder")
    assert [(p.id, len(p.images)) for p in found] == [("shoes", 1), ("tops", 2)]


def test_sidecar_first_then_the_rest(shots: Path) -> None:
    (shots / "about.csv").write_text("file_name,title\ntops/b.PNG,Bee\n./tops/a.jpg,Ay\n")
    found, notes = products(shots, image="file_name", folders="category")
    assert [(p.id, p.title, p.category) for p in found] == [
        ("tops/b", "Bee", ("tops",)),
        ("tops/a", "Ay", ("tops",)),
        ("shoes/c", "", ("shoes",)),
    ]
    assert any("1 products have pictures but no row in about.csv" in n for n in notes)


def test_sidecar_with_ids(shots: Path) -> None:
    (shots / "about.csv").write_text("sku,image,title\nX9,tops/a.jpg|tops/b.PNG,Ay\n")
    found, _ = products(shots)
    assert (found[0].id, found[0].title, len(found[0].images)) == ("X9", "Ay", 2)
    assert [p.id for p in found[1:]] == ["shoes/c"]


def test_sidecar_row_without_picture_is_a_problem(shots: Path) -> None:
    (shots / "about.csv").write_text("image,title\ngone.jpg,x\n")
    first = next(iter(FolderReader().read(shots, {})))
    assert isinstance(first, Problem)
    assert first.where == "about.csv row 2"


def test_two_tables_need_a_choice(shots: Path) -> None:
    (shots / "a.csv").write_text("image,title\ntops/a.jpg,x\n")
    (shots / "b.csv").write_text("image,title\ntops/b.PNG,y\n")
    with pytest.raises(UsageError, match="2 tables"):
        products(shots)
    found, _ = products(shots, sidecar="b.csv")
    assert found[0].title == "y"


def test_sidecar_that_names_no_pictures(shots: Path) -> None:
    (shots / "about.csv").write_text("sku,title\n1,x\n")
    with pytest.raises(UsageError, match="names the picture files"):
        products(shots)


def test_links_out_of_the_folder_are_refused(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"S")
    (shots / "zlink.jpg").symlink_to(tmp_path / "secret.jpg")
    (problem,) = [i for i in FolderReader().read(shots, {}) if isinstance(i, Problem)]
    assert problem.where == "zlink.jpg"
    assert "outside" in problem.error.what
