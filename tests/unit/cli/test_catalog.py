"""``moonshelf catalog``: from files to a catalogue and back, through the command line."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from moonshelf.catalog.problem import Located
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.cli.catalog import first_records, parse_settings
from moonshelf.cli.main import main
from moonshelf.errors import UsageError

Captured = pytest.CaptureFixture[str]


def picture(shade: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for k in range(4):
        (tmp_path / f"{k}.png").write_bytes(picture(40 * k))
    rows = [f"p{k},Shirt {k},{k}.png,{'test' if k == 3 else 'train'},{k}.5" for k in range(4)]
    (tmp_path / "items.csv").write_text("sku,name,photo,split,price\n" + "\n".join(rows) + "\n")
    (tmp_path / "log.csv").write_text(
        "user,item,time,kind\nu1,p0,2020-01-02,click\nu1,p1,2020-01-01,purchase\n"
    )
    return tmp_path


def run_json(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_import_then_append_a_log_then_inspect(shop: Path, capsys: Captured) -> None:
    cat = str(shop / "cat")
    found = run_json(capsys, "catalog", "import", str(shop / "items.csv"), "--to", cat)
    assert (found["products"], found["pictures"], found["skipped"]) == (4, 4, 0)
    assert "title <- name" in found["notes"][0]
    words = ("--to", cat, "--kind", "events", "--append")
    found = run_json(capsys, "catalog", "import", str(shop / "log.csv"), *words)
    assert found["events"] == 2
    catalog = Catalog.open(shop / "cat")
    assert len(catalog) == 4
    assert catalog.get("p2").price == 2.5
    assert catalog.get("p3").split == "test"
    assert catalog.image(catalog.row("p1")) == picture(40)
    assert catalog.events().column("item").to_pylist() == ["p1", "p0"]
    assert catalog.manifest["products"] == 4

    page = shop / "page.html"
    found = run_json(capsys, "catalog", "inspect", cat, "--html", str(page))
    assert json.dumps(found)
    assert page.stat().st_size > 500
    assert main(["catalog", "inspect", cat]) == 0
    assert "train" in capsys.readouterr().out


def test_a_bad_row_stops_and_leaves_nothing(shop: Path, capsys: Captured) -> None:
    with (shop / "items.csv").open("a") as file:
        file.write("p9,Broken,9.png,train,cheap\n")
    assert main(["catalog", "import", str(shop / "items.csv"), "--to", str(shop / "cat")]) == 1
    err = capsys.readouterr().err
    assert "where: items.csv row 6" in err
    assert "cure:  " in err
    assert not (shop / "cat").exists()


def test_a_table_without_splits_gets_them_drawn(tmp_path: Path, capsys: Captured) -> None:
    for k in range(20):
        (tmp_path / f"{k}.png").write_bytes(picture(10 * k))
    rows = [f"p{k},Shirt {k},{k}.png,blue" for k in range(20)]
    (tmp_path / "items.csv").write_text("id,title,image,color\n" + "\n".join(rows) + "\n")
    source, cat = str(tmp_path / "items.csv"), str(tmp_path / "cat")
    assert main(["catalog", "import", source, "--to", cat]) == 0
    told = capsys.readouterr().err
    assert "drawing 80/10/10" in told
    assert "not used: color (--set attributes=rest" in told
    catalog = Catalog.open(cat)
    assert [len(catalog.split_rows(s)) for s in ("train", "val", "test")] == [16, 2, 2]

    found = run_json(
        capsys, "catalog", "import", source, "--to", cat, "--replace", "--splits", "keep"
    )
    assert found["splits"] == "keep"
    assert len(Catalog.open(cat).split_rows("train")) == 20
    assert main(["evaluate", "--controls", "--catalog", cat, "--out", str(tmp_path / "e")]) == 1
    assert "nothing to measure" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()

    folder = run_json(
        capsys,
        "catalog",
        "import",
        str(tmp_path),
        "--to",
        f"{cat}2",
        "--reader",
        "folder",
        "--set",
        "sidecar=items.csv",
    )
    assert (folder["splits"], folder["products"]) == ("draw", 20)


def test_a_table_with_a_split_column_keeps_it(shop: Path, capsys: Captured) -> None:
    found = run_json(capsys, "catalog", "import", str(shop / "items.csv"), "--to", str(shop / "c"))
    assert found["splits"] == "keep"


def test_skip_goes_on_and_lists(shop: Path, capsys: Captured) -> None:
    with (shop / "items.csv").open("a") as file:
        file.write("p9,Broken,0.png,train,cheap\np0,Again,0.png,train,1\n")
    words = ("--to", str(shop / "cat"), "--on-error", "skip")
    found = run_json(capsys, "catalog", "import", str(shop / "items.csv"), *words)
    assert (found["products"], found["skipped"]) == (4, 2)
    listed = Path(found["skipped_list"]).read_text()
    assert "items.csv row 6" in listed
    assert "items.csv row 7" in listed
    assert [p["where"][:15] for p in found["problems"]] == ["items.csv row 6", "items.csv row 7"]


def test_limit(shop: Path, capsys: Captured) -> None:
    words = ("--to", str(shop / "cat"), "--limit", "2")
    found = run_json(capsys, "catalog", "import", str(shop / "items.csv"), *words)
    assert found["products"] == 2


def test_limit_keeps_what_is_about_the_kept_products_alone() -> None:
    items = [
        Located("1", Product("a")),
        Product("b"),
        Query("q", positives=("b", "a"), grades=(1.0, 2.0)),
        Query("r", positives=("b",)),
        Event(0, "u", "a", "click"),
        Event(0, "u", "b", "click"),
    ]
    found = list(first_records(items, 1, one_kind=False))
    assert found == [
        Located("1", Product("a")),
        Query("q", positives=("a",), grades=(2.0,)),
        Event(0, "u", "a", "click"),
    ]

    def endless() -> Any:
        while True:
            yield Event(0, "u", "a", "click")

    assert len(list(first_records(endless(), 3, one_kind=True))) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--to", "cat", "--set", "title"], "KEY=VALUE"),
        (["--to", "cat", "--set", "title=nam"], "did you mean 'name'?"),
        (["--to", "cat", "--set", "titel=name"], "did you mean title?"),
        (["--to", "cat", "--limit", "0"], "above 0"),
        (["--to", "cat", "--reader", "tabel"], "did you mean table?"),
        ([], "--to DIR"),
    ],
)
def test_wrong_use(
    shop: Path,
    words: list[str],
    says: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shop)
    assert main(["catalog", "import", "items.csv", *words]) == 2
    assert says in capsys.readouterr().err
    assert not (shop / "cat").exists()


def test_settings() -> None:
    assert parse_settings(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(UsageError, match="twice"):
        parse_settings(["a=1", "a=2"])


def test_the_options_of_a_reader_are_shown(shop: Path, capsys: Captured) -> None:
    source = str(shop / "items.csv")
    found = run_json(capsys, "catalog", "import", source, "--list-options")
    assert "image_folder" in found["options"]


def test_inspecting_what_is_no_catalogue(tmp_path: Path, capsys: Captured) -> None:
    assert main(["catalog", "inspect", str(tmp_path)]) == 1
    assert "cure:" in capsys.readouterr().err
