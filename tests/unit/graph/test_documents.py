"""Documents from catalogues and tables: fields, ids, reviews, and rows that are wrong."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.documents import (
    Unread,
    check_fields,
    from_catalog,
    from_documents,
    from_table,
    made,
)
from moonshelf.graph.records import Document


def table(tmp_path: Path, text: str, name: str = "items.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_found_or_named_and_pictures_and_prices_are_left_alone(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "sku,name,desc,image,price,split\n"
        "a,Fan 20 W,Quiet.,http://nowhere/x.jpg,₹34,other\n"
        "b,Lamp,,,,\n",
    )
    source = from_table(path, {})
    # "sku", "name" and "desc" are common names; price and split would not parse, and need not.
    assert [item.fields for item in source.documents()] == [
        (("title", "Fan 20 W"), ("description", "Quiet.")),
        (("title", "Lamp"),),
    ]
    assert "id <- sku" in source.notes[0]
    assert list(source) == list(source), "a source is read again from the start"
    named = from_table(path, {"id": "name", "title": "desc"}, ("title",))
    assert [one.id for one in named.documents()] == ["Fan 20 W", "Lamp"]
    assert next(named.documents()).fields == (("title", "Quiet."),)


def test_rows_that_are_no_documents_are_told_not_lost(tmp_path: Path) -> None:
    path = table(tmp_path, f"id,title\na,One\n,Two\n{'x' * 600},Three\nb,Four,5\nc,Six\n")
    found = list(from_table(path, {}))
    assert [type(item) for item in found] == [Document, Unread, Unread, Unread, Document]
    broken = [item for item in found if isinstance(item, Unread)]
    assert [b.error.where.rpartition(" ")[2] for b in broken] == ["3", "4", "5"]
    assert len({item.id for item in found}) == 5, "each row has a name in the ledger"
    assert "correct the row" in broken[1].error.cure


def test_fields_come_in_the_order_asked_for_with_attributes_as_lines(tmp_path: Path) -> None:
    path = table(tmp_path, "id,title,category,color,size\na,Fan,Home>Fans,Red,  20\n cm\n")
    path.write_text('id,title,category,color,size\na,Fan,Home>Fans,Red,"20\n cm"\n')
    options = {"attributes": "color,size"}
    (found,) = from_table(path, options, ("attributes", "title", "attributes")).documents()
    assert found.fields == (("attributes", "color: Red\nsize: 20 cm"), ("title", "Fan"))
    assert found.category == "Home > Fans"


def test_parquet_reads_only_what_it_uses(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"id": ["a"], "title": ["Fan"], "image": [b"\x00" * 9]}), path)
    source = from_table(path, {})
    assert source.total == 1
    assert [one.fields for one in source.documents()] == [(("title", "Fan"),)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"titel": "name"}, "did you mean title"),
        ({"title": "nmae"}, "did you mean 'name'"),
        ({"image": "photo"}, "no option 'image'"),
    ],
)
def test_wrong_options_are_named_at_once(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    path = table(tmp_path, "id,name,photo\na,b,c\n")
    with pytest.raises(UsageError, match=message):
        from_table(path, options)


def test_unknown_fields_and_missing_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown text field 'titel'"):
        check_fields(["titel"])
    with pytest.raises(UsageError, match="no text field"):
        check_fields([" "])
    with pytest.raises(DataError, match="no such file"):
        from_table(tmp_path / "none.csv", {})


def test_a_catalogue_is_a_source_without_its_pictures(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(3):
            writer.add_product(
                Product(
                    id=f"p{k}",
                    title=f"Fan {k}",
                    category=("Home", "Fans"),
                    attributes={"color": ("red", "blue")},
                    description="" if k else "Quiet.",
                )
            )
        writer.commit()
    catalog = Catalog.open(tmp_path / "shop")
    catalog.image = None  # type: ignore[assignment]
    catalog.picture = None  # type: ignore[assignment]
    source = from_catalog(catalog, ("title", "description", "attributes"))
    found = list(source.documents())
    assert [one.id for one in found] == ["p0", "p1", "p2"]
    assert dict(found[0].fields) == {
        "title": "Fan 0",
        "description": "Quiet.",
        "attributes": "color: red, blue",
    }
    assert (source.total, source.facts["catalog"]) == (3, catalog.fingerprint)
    assert [one.id for one in source.first(2).documents()] == ["p0", "p1"]
    assert source.first(2).total == 2
    with pytest.raises(UsageError):
        source.first(0)


def test_two_fields_of_one_name_are_no_document() -> None:
    """A span names its field, so the name must tell which."""
    fields = (("text", "red"), ("title", "Fan"), ("text", "blue"))
    with pytest.raises(ValidationError, match="two fields have the same name"):
        Document(id="a", fields=fields)
    assert isinstance(made("row 1", id="a", fields=fields), Unread)


def test_documents_in_memory_are_a_source() -> None:
    one = Document(id="a", fields=())
    assert list(from_documents([one])) == [one]
