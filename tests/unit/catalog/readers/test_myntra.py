"""Myntra in both layouts, from samples written here."""

from __future__ import annotations

import json
from pathlib import Path

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.product import Product
from moonshelf.catalog.readers.myntra import without_markup
from tests.unit.catalog.readers.sets import read, write


def test_myntra_extract(tmp_path: Path) -> None:
    own = {"Pattern": "Solid", "Brick": "Shorts", "Brand": "X", "Fit": "NA"}
    row = {
        "id": "1163",
        "title": "Nike Men Blue Jersey",
        "brand": "Nike",
        "gender": "Men",
        "base_colour": "Blue",
        "colour1": "NA",
        "year": 2011,
        "master_category": "Apparel",
        "sub_category": "Topwear",
        "article_type": "Tshirts",
        "price": 895.0,
        "catalog_add_ts": 1461658417,
        "attributes": json.dumps(own),
        "description": "Blue jersey",
        "style_note": "NA",
        "materials_care": "Cotton",
        "group_id": 4,
        "split": "val",
    }
    write(tmp_path / "items.parquet", [row, {**row, "id": "1164", "attributes": "{"}])
    write(tmp_path / "images-000.parquet", [{"id": "1163", "image": b"P"}])
    found, _ = read(tmp_path, "myntra")
    assert found[0] == Product(
        id="1163",
        title="Nike Men Blue Jersey",
        images=(b"P",),
        category=("Apparel", "Topwear", "Tshirts"),
        attributes={
            "brand": ("Nike",),
            "gender": ("Men",),
            "base_colour": ("Blue",),
            "year": ("2011",),
            "Pattern": ("Solid",),
        },
        description="Blue jersey\nCotton",
        group="4",
        price=895.0,
        time=1461658417,
        split="val",
    )
    assert isinstance(found[1], Problem)
    assert found[1].where == "items.parquet row 2"


STYLES = (
    "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    "productDisplayName\n"
)


def test_myntra_kaggle(tmp_path: Path) -> None:
    write(
        tmp_path / "styles.csv",
        f"{STYLES}10020,Men,Apparel,Bottomwear,Shorts,Black,Summer,2012,Sports,Nike Shorts, 2\n"
        "../1,Men,Apparel,Bottomwear,Shorts,NA,Summer,2012,Sports,x\n"
        "7,Men,Apparel,Bottomwear,Shorts,NA,Summer,2012,Sports,Plain\n",
    )
    style = {
        "data": {
            "productDisplayName": "Nike Men Black Shorts",
            "brandName": "Nike",
            "price": 1395,
            "catalogAddDate": 1461658417,
            "colour1": "White",
            "colour2": "NA",
            "articleAttributes": {"Pattern": "Solid", "Segment": "x"},
            "masterCategory": {"typeName": "Apparel"},
            "subCategory": {"typeName": "Bottomwear"},
            "articleType": {"typeName": "Shorts"},
            "productDescriptors": {
                "description": {"value": "<p><b>Comp</b><br /> Black &amp; white</p>"}
            },
        }
    }
    write(tmp_path / "styles/10020.json", json.dumps(style))
    write(tmp_path / "images/10020.jpg", b"P")
    found, reader = read(tmp_path, "myntra")
    first, bad, last = found
    assert reader.splits(tmp_path) == "draw"
    assert first.title == "Nike Men Black Shorts"
    assert first.group == "nike|nike men black shorts"
    assert first.images == (b"P",)
    assert first.description == "Comp\nBlack & white"
    assert first.attributes["Pattern"] == ("Solid",)
    assert first.attributes["base_colour"] == ("Black",)
    assert "Segment" not in first.attributes
    assert "colour2" not in first.attributes
    assert (first.price, first.time) == (1395.0, 1461658417)
    assert isinstance(bad, Problem)
    assert bad.where == "styles.csv row 3"
    assert (last.title, last.category) == ("Plain", ("Apparel", "Bottomwear", "Shorts"))
    assert "base_colour" not in last.attributes
    assert any("1 styles have no" in note for note in reader.notes)


def test_myntra_title_with_commas_alone(tmp_path: Path) -> None:
    write(tmp_path / "styles.csv", f"{STYLES}1,Men,A,B,C,Black,S,2012,Sports,Shirt, blue, M\n")
    found, _ = read(tmp_path, "myntra")
    assert found[0].title == "Shirt, blue, M"


def test_markup_goes_away() -> None:
    assert without_markup("a<script>alert(1)</script> b<br>c &lt;i&gt;") == "a b\nc <i>"
    assert without_markup("<" * 10_000).strip("<") == ""
