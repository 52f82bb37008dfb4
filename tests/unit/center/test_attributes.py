"""Attributes from beside the catalogue: filters reach them, and the catalogue has the last word."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from moonshelf.catalog.product import Product
from moonshelf.catalog.reference_attributes import (
    AttributeFile,
    ImageSupport,
    KeyFacts,
    ProductAttributes,
    ReferenceValue,
    write_attributes,
)
from moonshelf.center.attributes import join_attributes
from moonshelf.center.embed import embed_catalog
from moonshelf.center.filters import parse_filter
from moonshelf.center.store import Store
from moonshelf.errors import DataError, UsageError
from tests.unit.center.fakes import FakeCatalog, FakeEncoder

SEEN = (ImageSupport(picture="ab", encoder="v1", confidence=0.9),)
HOSTILE = "x=1|2/\\3 ' OR 1=1 --"
SHOP = [
    Product(id="a", title="one", attributes={"Sleeve_Length": ("Short",), "Color": ("Red",)}),
    Product(id="b", title="two", attributes={"Color": ("Red",)}),
    Product(id="c", title="three"),
    Product(id="d", title="four", attributes={"Color": ()}),
]
TOLD = {
    "a": {"SLEEVE length": ["long"], "color": ["blue"], "neck": ["v-neck", "polo"]},
    "b": {"SLEEVE length": ["long"], "capacity": ["1.5 ton"]},
    "c": {"color": ["blue"], HOSTILE: [HOSTILE]},
    "d": {"color": ["green"]},
    "elsewhere": {"color": ["green"]},
}


def attributes(path: Path, told: dict[str, dict[str, list[str]]] = TOLD) -> Path:
    keys = list(dict.fromkeys(key for found in told.values() for key in found))
    records = [
        ProductAttributes(
            product=name,
            attributes={
                key: tuple(ReferenceValue(value=one, support=SEEN) for one in values)
                for key, values in found.items()
            },
        )
        for name, found in told.items()
    ]
    write_attributes(path, [KeyFacts(key=key) for key in keys], {"x": 1}, records, len(records))
    return path


def embedded(tmp_path: Path, **more: object) -> Store:
    return embed_catalog(FakeEncoder(), FakeCatalog(SHOP), tmp_path / "store", "t", **more)  # type: ignore[arg-type]


def found(store: Store, *where: str) -> set[str]:
    hits = store.search(np.ones(32), 10, parse_filter(where))
    return {hit.id for hit in hits}


ENGINES = ["exact", *(["lance"] if importlib.util.find_spec("lancedb") else [])]


@pytest.mark.parametrize("engine", ENGINES)
def test_filters_reach_what_the_catalogue_lacks(tmp_path: Path, engine: str) -> None:
    store = embedded(tmp_path, attributes=attributes(tmp_path / "a.jsonl"), index=engine)
    assert found(store, "neck=V-NECK") == {"a"}
    assert found(store, "neck=v-neck|polo") == {"a"}
    assert found(store, "capacity=1.5 ton") == {"b"}
    assert found(store, "capacity>=1.5", "capacity<2 TON") == {"b"}
    assert found(store, "capacity=..1.4 ton") == set()
    assert found(store, "color=blue") == {"c"}, "a has a color of its own"
    assert found(store, "color=green") == {"d"}, "a key without values is none"
    assert found(store, "sleeve_length=long") == {"b"}
    assert found(store, "sleeve_length=short") == {"a"}
    escaped = HOSTILE.replace("\\", "\\\\").replace("=", "\\=").replace("|", "\\|")
    assert found(store, f"{escaped}={escaped}") == {"c"}


def test_hits_show_both_and_the_manifest_tells_the_source(tmp_path: Path) -> None:
    path = attributes(tmp_path / "a.jsonl")
    store = embedded(tmp_path, attributes=path)
    (hit,) = store.search(np.ones(32), 1, parse_filter(["neck=polo"]))
    assert hit.attributes == {
        "Sleeve_Length": ("Short",),
        "Color": ("Red",),
        "neck": ("v-neck", "polo"),
    }
    facts = store.manifest["attributes"]
    assert facts["keys"] == ["Sleeve_Length", "Color", "neck", "capacity", HOSTILE]
    assert {key: facts[key] for key in ("products", "values", "gave_way", "unknown")} == {
        "products": 4,
        "values": 7,
        "gave_way": 2,
        "unknown": 1,
    }
    assert facts["source"] == {"x": 1}


def test_other_attributes_make_another_table_and_no_vector_anew(tmp_path: Path) -> None:
    first = embedded(tmp_path)
    assert first.manifest["attributes"] is None and found(first, "color=red") == {"a", "b"}
    path = attributes(tmp_path / "a.jsonl")
    second = embedded(tmp_path, attributes=path)
    assert second.manifest["table"] != first.manifest["table"]
    assert second.manifest["counts"]["embedded"] == 0
    assert embedded(tmp_path, attributes=path).manifest["table"] == second.manifest["table"]
    attributes(path, {"c": {"neck": ["crew"]}})
    third = embedded(tmp_path, attributes=path)
    assert found(third, "neck=crew") == {"c"} and found(third, "neck=polo") == set()
    last = embedded(tmp_path)
    assert last.manifest["attributes"] is None
    assert last.search(np.ones(32), 1, parse_filter(["color=red"]))[0].attributes["Color"]


def test_attributes_of_another_catalogue_are_refused_before_anything_is_embedded(
    tmp_path: Path,
) -> None:
    path = attributes(tmp_path / "a.jsonl", {"x": {"neck": ["crew"]}})
    with pytest.raises(DataError, match="none of its 1 products") as caught:
        embedded(tmp_path, attributes=path)
    assert caught.value.where == str(path) and not (tmp_path / "store").exists()
    path.write_text("id,neck\n")
    with pytest.raises(DataError, match="not JSON"):
        embedded(tmp_path, attributes=path)


def test_the_column_keeps_its_type_over_many_chunks_and_empty_ones(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.list_(pa.string()))
    file = AttributeFile.open(attributes(tmp_path / "a.jsonl"))
    ids = pa.chunked_array([["a"], [], ["b", "c"]], pa.string())
    own = pa.chunked_array([pa.array([[]], kind), pa.array([], kind), pa.array([None, []], kind)])
    joined = join_attributes(ids, own, file)
    assert joined.column.type == kind and len(joined.column) == 3
    assert dict(joined.column[0].as_py())["neck"] == ["v-neck", "polo"]
    nothing = join_attributes(ids, own, AttributeFile.open(attributes(tmp_path / "none.jsonl", {})))
    assert [row.as_py() for row in nothing.column] == [[], [], []]


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("bound", [-9, 0, 3])
def test_bounds_agree_with_a_plain_comparison(operator: str, bound: int) -> None:
    """A range of numbers passes where it meets the bounds at all."""
    random = np.random.default_rng(bound + 10)
    drawn = [(int(low), int(more)) for low, more in random.integers((-12, 0), (9, 5), (60, 2))]
    shop = [
        Product(
            id=f"p{k}",
            title=str(k),
            attributes={"t": (f"{low} to {low + more} \u00b0C" if more else f"{low} \u00b0C",)},
        )
        for k, (low, more) in enumerate(drawn)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = embed_catalog(FakeEncoder(), FakeCatalog(shop), Path(folder) / "s", "t")
        hits = store.search(np.ones(32), 100, parse_filter([f"t{operator}{bound} \u00b0c"]))
    meets = {
        "<": lambda low, high: low < bound,
        "<=": lambda low, high: low <= bound,
        ">": lambda low, high: high > bound,
        ">=": lambda low, high: high >= bound,
    }[operator]
    wanted = {f"p{k}" for k, (low, more) in enumerate(drawn) if meets(low, low + more)}
    assert {hit.id for hit in hits} == wanted


def test_units_are_never_mixed_in_silence(tmp_path: Path) -> None:
    shop = [
        Product(id="a", title="1", attributes={"w": ("500 g",), "n": ("red",), "x": ("5",)}),
        Product(id="b", title="2", attributes={"w": ("1 kg", "1000 G"), "x": ("7 W",)}),
    ]
    store = embed_catalog(FakeEncoder(), FakeCatalog(shop), tmp_path / "s", "t")
    assert found(store, "w<600 g") == {"a"} and found(store, "w>=1 KG") == {"b"}
    for where, message in (
        ("w<600", "'w' is in 'g', 'kg'"),
        ("w<600 lb", "'w' is in 'g', 'kg'"),
        ("x<6", "no unit"),
        ("n<6", "has no numbers"),
        ("y<6", "no item has an attribute 'y'"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            found(store, where)
        assert caught.value.cure
