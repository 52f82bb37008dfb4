"""H&M in both layouts, from samples written here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.product import Event, Product
from moonshelf.errors import DataError, UsageError
from tests.unit.catalog.readers.sets import read, write

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
