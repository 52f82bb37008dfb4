"""Home Depot in both layouts, from samples written here."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.catalog.problem import Problem
from moonshelf.catalog.product import Product, Query
from moonshelf.catalog.readers.sets import drawn_split
from moonshelf.errors import DataError, UsageError
from tests.unit.catalog.readers.sets import read, write


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
