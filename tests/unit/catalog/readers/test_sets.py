"""What the public sets share, and the real ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from moonshelf.catalog.problem import Located
from moonshelf.catalog.readers import load_reader, reader_for
from moonshelf.catalog.readers.sets import drawn_split, total_rows
from moonshelf.errors import UsageError
from tests.unit.catalog.readers.sets import write


def test_drawn_splits_have_their_shares() -> None:
    counts = Counter(drawn_split(f"query {k}") for k in range(5000))
    assert 3800 < counts["train"] < 4200
    assert 400 < counts["val"] < 600
    assert 400 < counts["test"] < 600


@pytest.mark.parametrize("name", ["hm", "myntra", "grocery", "homedepot"])
@pytest.mark.parametrize("options", [{"kind": "nothing"}, {"kinds": "all"}])
def test_every_set_refuses_options_it_does_not_have(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    reader = load_reader(name)
    with pytest.raises(UsageError, match="kind"):
        next(reader.read(tmp_path, options))
    assert reader.total(tmp_path) is None


def test_a_total_needs_every_file(tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.parquet" for k in range(2)]
    write(files[0], [{"id": "a"}, {"id": "b"}])
    assert total_rows(*files) is None
    write(files[1], [{"id": "c"}])
    assert total_rows(*files) == 3


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
