"""The public sets, each in both layouts, from samples written here."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.readers import Reader, reader_for
from moonshelf.catalog.readers.myntra import without_markup
from moonshelf.catalog.readers.sets import drawn_split
from moonshelf.errors import DataError, UsageError


def write(path: Path, body: str | bytes | list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(body, list):
        pq.write_table(pa.Table.from_pylist(body), path)
    else:
        path.write_bytes(body.encode() if isinstance(body, str) else body)


def read(folder: Path, name: str, **options: str) -> tuple[list[Any], Reader]:
    reader = reader_for(folder)
    assert reader.name == name
    items = list(reader.read(folder, options))
    return [i.record if isinstance(i, Located) else i for i in items], reader


# ---- H&M

HM_ROW = {
    "product_type_name": "Vest top",
    "product_group_name": "Garment Upper body",
    "graphical_appearance_name": "Solid",
    "colour_group_name": "Light Pink",
    "perceived_colour_value_name": "Dusty Light",
    "perceived_colour_master_name": "Unknown",
    "department_name": "Jersey",
    "index_name": "Ladieswear",
    "index_group_name": "Ladieswear",
    "section_name": "Basics",
    "garment_group_name": "Jersey Basic",
}
HM_ATTRIBUTES = {
    "product_type": ("Vest top",),
    "graphical_appearance": ("Solid",),
    "colour_group": ("Light Pink",),
    "perceived_colour_value": ("Dusty Light",),
    "department": ("Jersey",),
    "section": ("Basics",),
    "garment_group": ("Jersey Basic",),
    "index": ("Ladieswear",),
    "index_group": ("Ladieswear",),
}


@pytest.fixture
def hm(tmp_path: Path) -> Path:
    items = [
        {
            "id": f"010000000{k}",
            "product_code": "100000",
            "title": f"Top {k}",
            **HM_ROW,
            "description": "soft",
            "split": split,
        }
        for k, split in enumerate(("train", "train", "test"))
    ]
    write(tmp_path / "items.parquet", items)
    # One picture is missing, and the files are not in the order of the items.
    write(tmp_path / "images-000.parquet", [{"id": "0100000002", "image": b"2"}])
    write(tmp_path / "images-001.parquet", [{"id": "0100000000", "image": b"0"}])
    for name, customer in (("2years_1364_customers", 5), ("last_week_all_customers", 5)):
        write(
            tmp_path / f"transactions_{name}.parquet",
            [
                {
                    "t_dat": datetime(2020, 9, 16),
                    "customer": customer,
                    "id": key,
                    "price": 0.5,
                    "sales_channel": 1,
                }
                for key in ("0100000000", "0100000001")
            ],
        )
    return tmp_path


def test_hm_extract(hm: Path) -> None:
    found, reader = read(hm, "hm")
    assert reader.splits(hm) == "keep"
    assert reader.total(hm) == 7
    assert found[0] == Product(
        id="0100000000",
        title="Top 0",
        images=(b"0",),
        category=("Garment Upper body", "Vest top"),
        attributes=HM_ATTRIBUTES,
        description="soft",
        group="100000",
        split="train",
    )
    assert [p.images for p in found[:3]] == [(b"0",), (), (b"2",)]
    assert found[2].split == "test"
    assert found[3] == Event(1600214400, "years:5", "0100000000", "purchase", price=0.5)
    assert [e.user for e in found[3:]] == ["years:5", "years:5", "week:5", "week:5"]
    assert "1 articles have no picture" in reader.notes[0]


def test_hm_pictures_required_drops_their_purchases_too(hm: Path) -> None:
    found, reader = read(hm, "hm", images="required")
    assert [p.id for p in found if isinstance(p, Product)] == ["0100000000", "0100000002"]
    assert {e.item for e in found if isinstance(e, Event)} == {"0100000000"}
    assert "1 articles without a picture left out" in reader.notes
    assert any("2 purchases" in note for note in reader.notes)
    events, _ = read(hm, "hm", images="required", kind="events", log="week")
    assert [(e.user, e.item) for e in events] == [("week:5", "0100000000")]


def test_hm_kaggle(tmp_path: Path) -> None:
    header = ["article_id", "product_code", "prod_name", *HM_ROW, "detail_desc"]
    row = ["0108775015", "0108775", "Strap top", *HM_ROW.values(), '"Jersey, soft"']
    write(tmp_path / "articles.csv", f"{','.join(header)}\n{','.join(row)}\n")
    write(tmp_path / "images/010/0108775015.jpg", b"P")
    write(
        tmp_path / "transactions_train.csv",
        "t_dat,customer_id,article_id,price,sales_channel_id\n"
        "2018-09-20,000058a1,108775015,0.0508,2\n2018-09-20,,0108775015,0.05,2\n",
    )
    found, reader = read(tmp_path, "hm")
    assert reader.splits(tmp_path) == "draw"
    assert found[0] == Product(
        id="0108775015",
        title="Strap top",
        images=(b"P",),
        category=("Garment Upper body", "Vest top"),
        attributes=HM_ATTRIBUTES,
        description="Jersey, soft",
        group="0108775",
    )
    # The id lost its zero in the log; the log must still meet the article.
    assert found[1] == Event(1537401600, "000058a1", "0108775015", "purchase", price=0.0508)
    assert isinstance(found[2], Problem)
    assert found[2].where == "transactions_train.csv row 3"


def test_unknown_set_option(hm: Path) -> None:
    with pytest.raises(UsageError, match="images='none'"):
        read(hm, "hm", images="none")
    with pytest.raises(UsageError, match="no option 'logs'"):
        read(hm, "hm", logs="week")


def test_a_damaged_set_file_is_named(hm: Path) -> None:
    data = (hm / "images-001.parquet").read_bytes()
    (hm / "images-001.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="Parquet") as caught:
        read(hm, "hm")
    assert "images-001.parquet" in caught.value.where


# ---- Myntra


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


# ---- Grocery Store Dataset


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


# ---- Home Depot


def test_homedepot_extract(tmp_path: Path) -> None:
    write(tmp_path / "products.parquet", [{"product_id": k, "title": f"t{k}"} for k in (1, 2)])
    queries = [{"query_id": k, "query": f"q {k}", "split": s} for k, s in ((0, "val"), (1, "test"))]
    write(tmp_path / "queries.parquet", queries)
    judged = [(0, 1, 3.0), (0, 2, 1.0), (1, 2, 1.33)]
    names = ("query_id", "product_id", "relevance")
    rows = [dict(zip(names, j, strict=True)) for j in judged]
    write(tmp_path / "judgments.parquet", rows)
    found, _ = read(tmp_path, "homedepot")
    assert found[:2] == [Product("1", "t1"), Product("2", "t2")]
    assert found[2] == Query("0", "q 0", (), ("1", "2"), (2.0, 0.0), "val")
    assert found[3] == Query("1", "q 1", (), ("2",), (0.33,), "test")
    found, reader = read(tmp_path, "homedepot", kind="queries", min_relevance="2")
    assert found == [Query("0", "q 0", (), ("1",), (2.0,), "val")]
    assert any("1 queries without" in note for note in reader.notes)
    with pytest.raises(UsageError, match="min_relevance"):
        read(tmp_path, "homedepot", min_relevance="high")


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    write(
        tmp_path / "train.csv",
        '"id","product_uid","product_title","search_term","relevance"\n'
        '2,100002,"Caf\xe9 90\xb0","deck over",3\n3,100001,"Angle","angle bracket",2.5\n'
        '9,100002,"Caf\xe9 90\xb0","angle bracket",1\n'
        '10,100002,"Caf\xe9 90\xb0","angle bracket",2\n11,100001,"Angle","broken",9\n'.encode(
            "latin-1"
        ),
    )
    write(
        tmp_path / "test.csv",
        '"id","product_uid","product_title","search_term"\n1,100003,"Saw","saws"\n',
    )
    write(
        tmp_path / "product_descriptions.csv",
        '"product_uid","product_description"\n100001,"90° and, more"\n100002,"paint"\n',
    )
    write(
        tmp_path / "attributes.csv",
        '"product_uid","name","value"\n100001,"Bullet01","Strong."\n'
        '100001,"MFG Brand Name","Simpson"\n,,\n100003,"Color","Red"\n',
    )
    return tmp_path


def test_homedepot_kaggle(kaggle: Path) -> None:
    found, reader = read(kaggle, "homedepot")
    assert found[:3] == [
        Product(
            "100001",
            "Angle",
            attributes={"MFG Brand Name": ("Simpson",)},
            description="90° and, more\nStrong.",
        ),
        Product("100002", "Café 90°", description="paint"),
        Product("100003", "Saw", attributes={"Color": ("Red",)}),
    ]
    assert isinstance(found[3], Problem)
    assert found[3].where == "train.csv row 6"
    assert found[4:] == [
        Query("q0", "deck over", (), ("100002",), (2.0,), drawn_split("deck over")),
        Query(
            "q1",
            "angle bracket",
            (),
            ("100001", "100002"),
            (1.5, 0.5),
            drawn_split("angle bracket"),
        ),
    ]
    assert any("1 rows of attributes.csv" in note for note in reader.notes)


def test_homedepot_unsorted_attributes_are_refused(kaggle: Path) -> None:
    write(
        kaggle / "attributes.csv",
        '"product_uid","name","value"\n100003,"Color","Red"\n100001,"Color","Blue"\n',
    )
    with pytest.raises(DataError, match="not sorted") as caught:
        read(kaggle, "homedepot")
    assert caught.value.where == "attributes.csv row 3"


def test_drawn_splits_have_their_shares() -> None:
    counts = Counter(drawn_split(f"query {k}") for k in range(5000))
    assert 3800 < counts["train"] < 4200
    assert 400 < counts["val"] < 600
    assert 400 < counts["test"] < 600


# ---- the real ones


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "name", "products", "queries"),
    [
        ("hm", "hm", 30_659, 0),
        ("myntra", "myntra", 44_072, 0),
        ("grocery", "grocery", 41, 2_781),
        ("homedepot_search", "homedepot", 54_667, 11_793),
    ],
)
def test_real_sets(shared_data: Path, folder: str, name: str, products: int, queries: int) -> None:
    reader = reader_for(shared_data / folder)
    assert reader.name == name
    counts: Counter[str] = Counter()
    for item in reader.read(shared_data / folder, {}):
        assert isinstance(item, Located)
        counts[type(item.record).__name__] += 1
    assert counts["Product"] == products
    assert counts["Query"] == queries
    assert counts["Event"] == (271_973 if name == "hm" else 0)
