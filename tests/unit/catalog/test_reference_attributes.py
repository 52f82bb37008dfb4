"""Reference attributes: what is written comes back, and a bad file says which line is bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.catalog.attribute_text import Entity, attribute_line, entities, known_values
from moonshelf.catalog.product import Product
from moonshelf.catalog.reference_attributes import (
    MAX_SUPPORT,
    AttributeFile,
    ImageSupport,
    KeyFacts,
    ProductAttributes,
    ReferenceValue,
    Support,
    TextSupport,
    key_form,
    one_line,
    write_attributes,
)
from moonshelf.errors import DataError

SEEN = ImageSupport(picture="ab" * 32, encoder="v1", confidence=0.75)


def said(words: str, text: str, source: str = "title", document: str = "") -> TextSupport:
    start = text.index(words)
    return TextSupport(
        source=source,
        document=document,
        start=start,
        end=start + len(words),
        words=words,
        confidence=0.5,
    )


def value(text: str, *support: Support, **more: str) -> ReferenceValue:
    return ReferenceValue(value=text, support=support, **more)


TITLE = "Red 1.5 ton AC, round neck"
RECORD = ProductAttributes(
    product="p1",
    attributes={
        "color": (value("red", said("Red", TITLE), SEEN), value("blue", SEEN)),
        "capacity": (value("1.5 ton", said("1.5 ton", TITLE), number="1.5"),),
        "neck": (
            value("neck", said("neck", TITLE)),
            value("round neck", said("round neck", TITLE)),
            value("loud", said("loud", "it is loud", "review", "r7")),
        ),
    },
)
KEYS = (KeyFacts(key="capacity", unit="ton"), KeyFacts(key="neck"), KeyFacts(key="color"))


def written(tmp_path: Path, *records: ProductAttributes) -> Path:
    path = tmp_path / "a.jsonl"
    records = records or (RECORD,)
    write_attributes(path, KEYS, {"backend": "x"}, records, len(records))
    return path


def test_what_is_written_comes_back_in_key_order(tmp_path: Path) -> None:
    file = AttributeFile.open(written(tmp_path))
    (found,) = file
    assert found == RECORD and len(file) == 1
    assert [*found.attributes] == ["capacity", "neck", "color"] == [*file.keys]
    assert file.header.source == {"backend": "x"}
    assert list(file) == [found], "it is read again from the start"
    again = tmp_path / "b.jsonl"
    write_attributes(again, file.header.keys, file.header.source, file, len(file))
    assert again.read_bytes() == file.path.read_bytes()


def test_lines_of_attributes_follow_the_view_and_the_keys(tmp_path: Path) -> None:
    (found,) = AttributeFile.open(written(tmp_path))
    assert attribute_line(found, "t") == "capacity: 1.5 ton; neck: neck, round neck; color: red"
    assert attribute_line(found, "i") == "color: red, blue"
    assert attribute_line(found, "mm").endswith("color: red, blue")
    assert attribute_line(found, "t", ("review",)) == "neck: loud"
    assert attribute_line(found, "t", ()) == ""
    assert known_values(found)["color"] == ("red", "blue")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_value_can_leave_the_template(key: str, text: str) -> None:
    key, text = one_line(key), one_line(text)
    if not key or not text:
        return
    record = ProductAttributes(product="p", attributes={key: (value(text, SEEN),)})
    line = attribute_line(record, "i")
    assert line.count(":") <= 1 and not set(line) & set(";,<>|\n\r")


def test_entities_are_verbatim_nested_ones_give_way_and_old_texts_are_refused() -> None:
    product = Product(id="p1", title=TITLE)
    assert entities(RECORD, product) == (
        Entity("title", 0, 3, "Red", "color", "red"),
        Entity("title", 4, 11, "1.5 ton", "capacity", "1.5 ton"),
        Entity("title", 16, 26, "round neck", "neck", "round neck"),
    )
    assert entities(RECORD, product, ("description",)) == ()
    with pytest.raises(DataError, match="no longer stands in its title") as caught:
        entities(RECORD, Product(id="p1", title="Blue AC"))
    assert caught.value.where == "product p1"


def test_keys_compare_without_case_and_underscores() -> None:
    assert key_form("Sleeve_Length") == key_form("sleeve  length") == key_form("SLEEVE-LENGTH")
    assert key_form("sleevelength") != key_form("sleeve length")


def neck(line: dict[str, Any]) -> dict[str, Any]:
    return line["attributes"]["neck"][0]


def support(line: dict[str, Any]) -> dict[str, Any]:
    return neck(line)["support"][0]


Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        (lambda head, line: head.update(kind="graph"), "a.jsonl", "not a file of reference"),
        (lambda head, line: head.update(format=2), "a.jsonl", "this version reads 1"),
        (lambda head, line: head.update(products=2), "a.jsonl", "holds 1 products"),
        (lambda head, line: head.update(products=0), "a.jsonl", "more than 0 products"),
        (lambda head, line: head["keys"].append({"key": "NECK"}), "line 1", "stands twice"),
        (lambda head, line: head.update(extra=1), "line 1", "extra"),
        (lambda head, line: line.update(product=""), "line 2", "product: "),
        (lambda head, line: line.pop("attributes"), "line 2", "attributes: Field required"),
        (lambda head, line: line["attributes"].update(size=line["attributes"]["neck"]),
         "line 2", "'size' is not among"),
        (lambda head, line: line["attributes"].update(neck=[]), "line 2", "attributes.neck"),
        (lambda head, line: neck(line).update(value=" x"), "line 2", "one line"),
        (lambda head, line: neck(line).update(value="a\nb"), "line 2", "one line"),
        (lambda head, line: neck(line).update(support=[]), "line 2", "support"),
        (lambda head, line: support(line).update(confidence=float("nan")),
         "line 2", "confidence"),
        (lambda head, line: support(line).update(modality="sound"),
         "line 2", "modality"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_key_and_cure(
    tmp_path: Path, change: Change, where: str, message: str
) -> None:
    path = written(tmp_path)
    head, line = map(json.loads, path.read_text().splitlines())
    change(head, line)
    path.write_text(f"{json.dumps(head)}\n{json.dumps(line)}\n")
    with pytest.raises(DataError, match=message) as caught:
        list(AttributeFile.open(path))
    assert where in caught.value.where and caught.value.cure


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"[1]\n", b"null\n", b"[" * 100_000, b"id,color\n1,red\n"]
)
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    with pytest.raises(DataError):
        AttributeFile.open(path)
    with pytest.raises(DataError, match="no such file"):
        AttributeFile.open(tmp_path / "none")
    with pytest.raises(DataError):
        AttributeFile.open(tmp_path)


def test_a_product_stands_once_and_a_cut_file_is_known(tmp_path: Path) -> None:
    path = written(tmp_path, RECORD, RECORD.model_copy(update={"product": "p2"}))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"p2"', b'"p1"'))
    with pytest.raises(DataError, match="'p1' stands there twice"):
        list(AttributeFile.open(path))
    path.write_bytes(whole[: whole.rindex(b'{"product"')])
    with pytest.raises(DataError, match="holds 1 products, its first line says 2"):
        list(AttributeFile.open(path))
    path.write_bytes(whole[:-40])
    with pytest.raises(DataError, match="not JSON"):
        list(AttributeFile.open(path))


def test_a_wrong_count_or_key_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    for records, count in (((RECORD,), 2), ((RECORD, RECORD), 1)):
        with pytest.raises(DataError, match="products said"):
            write_attributes(path, KEYS, {}, records, count)
    other = ProductAttributes(product="p", attributes={"x": (value("y", SEEN),)})
    with pytest.raises(DataError, match="'x' is not among"):
        write_attributes(path, KEYS, {}, [other], 1)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_value_has_a_bound_of_places() -> None:
    with pytest.raises(ValueError, match="support"):
        value("x", *[SEEN] * (MAX_SUPPORT + 1))
