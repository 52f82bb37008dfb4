"""Tables: the mapping, typed fields, and every way a row or a file can be wrong."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moonshelf.catalog.problem import Located, Problem
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.readers import READERS, Reader, load_reader, reader_for
from moonshelf.catalog.readers.table import TableReader
from moonshelf.errors import DataError, ImageError, MoonshelfError, UsageError


def read(path: Path, **options: str) -> list[Any]:
    """Records, and problems as they are."""
    items = list(TableReader().read(path, options))
    return [item.record if isinstance(item, Located) else item for item in items]


def csv_file(folder: Path, text: str | bytes, name: str = "items.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def only_problem(found: list[Any], where: str) -> MoonshelfError:
    problems = [p for p in found if isinstance(p, Problem)]
    assert [p.where for p in problems] == [where]
    assert problems[0].error.where == where
    assert problems[0].error.cure
    return problems[0].error


# ---- what comes out


def test_every_product_field_from_csv(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"A")
    (tmp_path / "b.jpg").write_bytes(b"B")
    path = csv_file(
        tmp_path,
        "sku,name,photo,path,brand,color,cost,listed,fold,seller,spu,text\n"
        '7,"Tee, red",a.jpg|b.jpg,Clothes > Tops,Acme,red|blue,9.5,2020-09-16,valid,s1,g1,soft\n',
    )
    product = read(
        path,
        category="path",
        attributes="brand,color",
        attribute_separator="|",
        price="cost",
        time="listed",
        description="text",
    )[0]
    assert product == Product(
        id="7",
        title="Tee, red",
        images=(b"A", b"B"),
        category=("Clothes", "Tops"),
        attributes={"brand": ("Acme",), "color": ("red", "blue")},
        description="soft",
        group="g1",
        shop="s1",
        price=9.5,
        time=1600214400,
        split="val",
    )


def test_parquet_bytes_lists_structs_and_numbers(tmp_path: Path) -> None:
    rows = [
        {
            "id": 12,
            "title": "Tee",
            "image": {"bytes": b"P", "path": None},
            "top": "Clothes",
            "leaf": "Tops",
            "attributes": json.dumps({"Fit": "Slim", "Sizes": ["S", "M"], "None": None}),
            "time": 1_600_000_000_000,
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    (product,) = read(tmp_path / "t.parquet", category="top,leaf", time_unit="ms")
    assert product.id == "12"
    assert product.images == (b"P",)
    assert product.category == ("Clothes", "Tops")
    assert product.attributes == {"Fit": ("Slim",), "Sizes": ("S", "M")}
    assert product.time == 1_600_000_000


def test_json_lines_with_bom_and_base64(tmp_path: Path) -> None:
    picture = base64.b64encode(b"P").decode()
    lines = [
        {"id": "a", "title": "x", "image": picture, "attributes": {"new": True}},
        {"id": "b", "title": "y"},
    ]
    body = b"\xef\xbb\xbf" + "\n\n".join(json.dumps(line) for line in lines).encode()
    path = csv_file(tmp_path, body, "items.jsonl")
    first, second = read(path, image_encoding="base64")
    assert (first.images, first.attributes) == ((b"P",), {"new": ("yes",)})
    assert second.id == "b"


def test_tsv_bom_and_blank_lines(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "\ufeffid\ttitle\n1\ta\n\n2\tb\n", "items.tsv")
    # Named, because the common names would also match a name with a mark in front.
    assert [p.id for p in read(path, id="id")] == ["1", "2"]


def test_row_numbers_are_those_of_a_spreadsheet(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'id,title\n1,"two\nlines"\n2,b\n')
    items = list(TableReader().read(path, {}))
    assert [i.where for i in items if isinstance(i, Located)] == [
        "items.csv row 2",
        "items.csv row 3",
    ]


def test_mapping_is_shown_and_rest_takes_the_unused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,Product Name,fit\n1,Tee,slim\n")
    reader = TableReader()
    (item,) = reader.read(path, {})
    assert isinstance(item, Located)
    assert "title <- Product Name" in reader.notes[0]
    assert "not used: fit" in reader.notes[0]
    assert "--set attributes=rest" in reader.notes[0]
    assert reader.splits(path) == "draw"
    assert read(path, attributes="rest")[0].attributes == {"fit": ("slim",)}
    log = csv_file(tmp_path, "user,item,time,kind,note\nu1,7,1,click,x\n", "log.csv")
    reader = TableReader()
    list(reader.read(log, {"kind": "events"}))
    assert reader.notes[0].endswith("not used: note")  # events have no attributes
    assert reader.splits(log) == "keep"


def test_queries(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "qid,query,positives,grades,split\nq1,red tee,1|2,2|0.5,test\n")
    assert read(path, kind="queries") == [
        Query("q1", "red tee", (), ("1", "2"), (2.0, 0.5), "test")
    ]


def test_events(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "customer,item_id,timestamp,event_type,position,query_id,price\n"
        "u1,7,1600000000,click,0,q1,\nu1,7,2020-09-13T14:26:40+02:00,purchase,,,3.5\n",
        "log.csv",
    )
    assert read(path, kind="events") == [
        Event(1600000000, "u1", "7", "click", "q1", 0),
        Event(1600000000, "u1", "7", "purchase", price=3.5),
    ]


def test_events_of_one_kind_need_no_column(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "user,item,time\nu,1,1600000000\n", "log.csv")
    assert read(path, kind="events", event_kind="purchase")[0].kind == "purchase"
    error = only_problem(read(path, kind="events"), "log.csv row 2")
    assert "event_kind" in error.cure


def test_latin_1_on_request(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,title\n1,Café\n".encode("latin-1"))
    assert read(path, encoding="latin-1")[0].title == "Café"


# ---- one bad row is one problem, the others go on


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"2,\xff\xfe,1,train", "'title' is not valid UTF-8 (byte 0xff)"),
        (b"2,b,1", "3 cells, the header 4"),
        (b"2,b,1,train,x", "5 cells, the header 4"),
        (b"2,b,cheap,train", "not a number"),
        (b"2,b,nan,train", "not a finite number"),
        (b"2,b,inf,train", "not a finite number"),
        (b"2,b,-1,train", "negative"),
        (b"2,b,1,held-out", "not a split"),
        (b",b,1,train", "not a id"),
        (b"2,b\0,1,train", "NUL"),
        (b'2,"b"c,1,train', "not readable as CSV"),
    ],
)
def test_bad_csv_rows(tmp_path: Path, row: bytes, says: str) -> None:
    path = csv_file(tmp_path, b"id,title,price,split\n1,a,1,train\n" + row + b"\n3,c,1,test\n")
    found = read(path)
    good = [p.id for p in found if isinstance(p, Product)]
    assert good == ["1", "3"]
    assert says in only_problem(found, "items.csv row 3").what


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "2", "title": ["x"]}', "not text"),
        ('{"id": "2", "title": true}', "not text"),
        ('{"id": "2", "title": "\\ud800"}', "surrogate"),
        ('{"id": "2", "title": "x", "attributes": "{oops"}', "not a JSON object"),
        ('{"id": "2", "title": "x", "time": 1600000000000}', "between 1970 and 2100"),
        ('{"id": "2", "title": "x", "time": "yesterday"}', "not a time"),
        ("[1]", "a JSON list"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"id": "2", "title": "\xe9"}', "invalid utf-8"),
    ],
)
def test_bad_json_lines(tmp_path: Path, line: str, says: str) -> None:
    good = '{"id": "%s", "title": "a", "attributes": null, "time": null}'
    body = "\n".join((good % 1, line, good % 3)).encode("latin-1")
    found = read(csv_file(tmp_path, body, "items.jsonl"))
    assert [p.id for p in found if isinstance(p, Product)] == ["1", "3"]
    assert says in only_problem(found, "items.jsonl row 2").what


def test_an_unclosed_quote_is_named_and_bounded(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'id,title\n1,a\n2,"' + "x" * 300_000 + "\n3,c\n")
    found = read(path)
    first = next(p for p in found if isinstance(p, Problem))
    assert first.where == "items.csv row 3"
    assert "quotation mark" in first.error.cure


# ---- the file as a whole


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"id,title\n", "no rows"),
        (b"id,title,id\n1,a,2\n", "'id' twice"),
        (b"id;title\n1;a\n", "';' inside"),
        ("id,title\n1,a\n".encode("utf-16"), "UTF-16"),
        (b"i\xffd,title\n1,a\n", "header"),
    ],
)
def test_hopeless_csv_files(tmp_path: Path, body: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read(csv_file(tmp_path, body))
    assert "items.csv" in caught.value.where
    assert caught.value.cure


def test_truncated_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "title": ["a"]}), tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[:-20])
    with pytest.raises(DataError, match="Parquet"):
        read(tmp_path / "t.parquet")


def test_unknown_column_lists_the_columns_and_the_nearest(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,headline\n1,a\n")
    with pytest.raises(UsageError) as caught:
        read(path, title="headlin")
    assert "did you mean 'headline'?" in caught.value.cure
    assert "id, headline" in caught.value.cure


def test_no_title_and_no_picture_column(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="title or image"):
        read(csv_file(tmp_path, "id,headline\n1,a\n"))


def test_wrong_options(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,title\n1,a\n")
    with pytest.raises(UsageError, match="no option 'titel'") as caught:
        read(path, titel="title")
    assert "did you mean title?" in caught.value.cure
    with pytest.raises(UsageError, match="says nothing about events"):
        read(path, kind="events", title="title")
    with pytest.raises(UsageError, match="time_unit"):
        read(path, time_unit="h")
    with pytest.raises(UsageError, match="takes one column"):
        read(path, price="id,title")


# ---- pictures stay in their folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../secret.jpg", "outside"),
        ("sub/../../secret.jpg", "outside"),
        ("..\\\\secret.jpg", "outside"),
        ("{root}/secret.jpg", "outside"),
        ("link.jpg", "outside"),
        ("linked/secret.jpg", "outside"),
        ("https://example.com/a.jpg", "URL"),
        ("file:///etc/passwd", "URL"),
        ("missing.jpg", "no such file"),
        ("empty.jpg", "empty"),
        ("folder", "is not a file"),
        ("x" * 5000, ""),
    ],
)
def test_hostile_picture_names(tmp_path: Path, name: str, says: str) -> None:
    inside = tmp_path / "in"
    (inside / "folder").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"S")
    (inside / "good.jpg").write_bytes(b"G")
    (inside / "empty.jpg").write_bytes(b"")
    (inside / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (inside / "linked").symlink_to(tmp_path)
    name = name.replace("{root}", str(tmp_path))
    path = csv_file(tmp_path, f"id,title,image\n1,a,{name}\n2,b,good.jpg\n")
    found = read(path, image_folder=str(inside))
    error = only_problem(found, "items.csv row 2")
    assert isinstance(error, ImageError)
    assert says in error.what
    assert found[1].images == (b"G",)


def test_missing_pictures_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,title,image\n1,a,gone.jpg\n")
    reader = TableReader()
    (item,) = reader.read(path, {"missing_image": "drop"})
    assert isinstance(item, Located)
    assert isinstance(item.record, Product)
    assert item.record.images == ()
    assert any("1 pictures could not be read" in note for note in reader.notes)


# ---- finding a reader


def test_every_reader_loads_and_follows_the_protocol() -> None:
    for name in READERS:
        reader = load_reader(name)
        assert isinstance(reader, Reader)
        assert reader.name == name
        assert reader.matches(Path("/nonexistent")) is False


def test_reader_for(tmp_path: Path) -> None:
    assert reader_for(csv_file(tmp_path, "id,title\n1,a\n")).name == "table"
    with pytest.raises(DataError, match="no such file"):
        reader_for(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="no reader 'tabel'"):
        reader_for(tmp_path / "items.csv", "tabel")
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(DataError, match="no reader knows"):
        reader_for(tmp_path / "notes.doc")
