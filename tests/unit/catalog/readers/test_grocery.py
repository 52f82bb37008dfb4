"""The Grocery Store Dataset in both layouts, from samples written here."""

from __future__ import annotations

from pathlib import Path

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.product import Product, Query
from tests.unit.catalog.readers.sets import read, write


def test_grocery_extract(tmp_path: Path) -> None:
    classes = [
        {
            "class_id": 2,
            "class_name": "Pink-Lady",
            "coarse_id": 0,
            "coarse_name": "Apple",
            "macro": "Fruit",
            "title": "Apple Pink Lady",
            "description": "crisp",
            "information": "...",
        }
    ]
    write(tmp_path / "classes.parquet", classes)
    write(tmp_path / "iconic_images-000.parquet", [{"id": "class002", "image": b"I"}])
    photos = [{"id": f"p{k}", "class_id": 2, "split": s} for k, s in enumerate(("val", "test"))]
    write(tmp_path / "items.parquet", photos)
    write(tmp_path / "images-000.parquet", [{"id": f"p{k}", "image": b"%d" % k} for k in (0, 1)])
    found, _ = read(tmp_path, "grocery")
    assert found == [
        Product(
            id="class002",
            title="Apple Pink Lady",
            images=(b"I",),
            category=("Fruit", "Apple"),
            attributes={"class": ("Pink-Lady",)},
            description="crisp",
        ),
        Query("p0", images=(b"0",), positives=("class002",), split="val"),
        Query("p1", images=(b"1",), positives=("class002",), split="test"),
    ]


def test_grocery_repository(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    header = (
        "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
        "Iconic Image Path (str),Product Description Path (str)\n"
    )
    at = "iconic-images-and-descriptions/Fruit/Apple/Pink-Lady/Pink-Lady"
    # As in the repository: paths look absolute, and some descriptions lack their suffix.
    row = f"Pink-Lady,2,Apple,0,/{at}_Iconic.jpg,/{at}_Description\n"
    bad = "Evil,3,Apple,0,/../../etc/x_Iconic.jpg,/../x.txt\n"
    write(folder / "classes.csv", header + row + bad)
    write(folder / f"{at}_Iconic.jpg", b"I")
    write(folder / f"{at}_Description.txt", "crisp\n")
    write(folder / f"{at}_Information.txt", "Title: Apple Pink Lady \nCountry: Italy\n")
    photo = "Fruit/Apple/Pink-Lady/Pink-Lady_001.jpg"
    for split in ("train", "val", "test"):
        write(folder / f"{split}.txt", f"{split}/{photo}, 2, 0\n")
        write(folder / split / photo, split.encode())
    write(folder / "val.txt", f"val/{photo}, 2, 0\nval/gone.jpg, 2, 0\n")
    found, _ = read(tmp_path, "grocery")
    product, evil, train, val, gone, test = found
    assert product == Product(
        id="class002",
        title="Apple Pink Lady",
        images=(b"I",),
        category=("Fruit", "Apple"),
        attributes={"class": ("Pink-Lady",)},
        description="crisp",
    )
    assert isinstance(evil, Problem)
    assert "outside" in evil.error.what
    assert train == Query(
        "train__Fruit__Apple__Pink-Lady__Pink-Lady_001",
        images=(b"train",),
        positives=("class002",),
    )
    assert (val.split, test.split) == ("val", "test")
    assert gone.where == "val.txt row 2"
