"""Hard negatives: what may be drawn, against a slow reference; that all of it is; whom not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.hard_negatives import (
    NONE,
    HardNegatives,
    brand_codes,
    broad_queries,
    leaf_codes,
)
from moonshelf.catalog.product import Product
from moonshelf.catalog.writer import CatalogWriter

EMPTY = np.empty((0, 2), dtype=np.int64)


def allowed(
    item: int, rows: set[int], leaf: list[int], groups: list[int], right: set[int]
) -> set[int]:
    """The rule with nothing but Python sets."""
    return {
        other
        for other in rows - right - {item}
        if leaf[other] == leaf[item] >= 0 and not groups[other] == groups[item] >= 0
    }


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_only_allowed_items_and_none_only_where_there_is_none(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    leaf, groups = (
        data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)) for _ in range(2)
    )
    rows = data.draw(st.sets(st.integers(0, n - 1)))
    items = data.draw(st.lists(st.integers(0, n - 1), max_size=8))
    pair = st.tuples(st.integers(0, max(len(items) - 1, 0)), st.integers(0, n - 1))
    positives = data.draw(st.lists(pair, max_size=30)) if items else []
    found = HardNegatives(np.array(sorted(rows), dtype=np.int64), np.array(leaf), np.array(groups))
    picked = found.pick(
        np.array(items, dtype=np.int64),
        np.array(positives, dtype=np.int64).reshape(-1, 2),
        np.random.default_rng(data.draw(st.integers(0, 99))),
    )
    assert picked.dtype == np.int64 and len(picked) == len(items)
    for place, (item, other) in enumerate(zip(items, picked.tolist(), strict=True)):
        right = {i for k, i in positives if k == place}
        may = allowed(item, rows, leaf, groups, right)
        assert other in may if may else other == NONE


def test_every_allowed_item_is_drawn_about_as_often() -> None:
    """Also where most of the category is of the positive's own SPU and the first draws fail."""
    leaf, groups = np.zeros(300, dtype=np.int64), np.zeros(300, dtype=np.int64)
    groups[:5] = -1
    found = HardNegatives(np.arange(300), leaf, groups)
    picked = found.pick(np.full(4000, 299), EMPTY, np.random.default_rng(0))
    assert np.bincount(picked, minlength=5).min() > 700 and set(picked) == set(range(5))


def test_a_row_does_not_depend_on_the_others() -> None:
    leaf = np.arange(40) % 3
    found = HardNegatives(np.arange(40), leaf, np.full(40, -1))
    items = np.arange(20)
    once = found.pick(items, EMPTY, np.random.default_rng((3, 7)))
    assert np.array_equal(once, found.pick(items, EMPTY, np.random.default_rng((3, 7))))
    assert not np.array_equal(once, found.pick(items, EMPTY, np.random.default_rng((3, 8))))
    # What is known of row 0 changes row 0 alone.
    right = np.array([[0, once[0]]])
    other = found.pick(items, right, np.random.default_rng((3, 7)))
    assert other[0] != once[0] and np.array_equal(other[1:], once[1:])


def test_words_that_many_brands_answer_are_broad() -> None:
    brands = np.array([0, 0, 1, 2, 3])
    pairs = np.array([[7, 0], [7, 1], [7, 2], [8, 0], [8, 2], [8, 3], [9, 4], [8, 3]])
    assert broad_queries(pairs, brands).tolist() == [8]
    assert broad_queries(pairs, brands, 1).tolist() == [7, 8]
    assert broad_queries(EMPTY, brands).tolist() == []


@pytest.mark.parametrize("named", [True, False])
def test_categories_and_brands_of_a_catalogue(tmp_path: Path, named: bool) -> None:
    """The whole path is the leaf; no brand: the SPU stands in, and no SPU: the product itself."""
    paths = [("Wear", "Top"), ("Wear", "Top"), ("Home", "Top"), ("Wear",), (), ()]
    values = ["Acme", " acme ", "", "", "", ""]
    groups = ["", "", "g", "g", "", ""]
    with CatalogWriter(tmp_path / "shop") as writer:
        for row, (path, brand, group) in enumerate(zip(paths, values, groups, strict=True)):
            attributes = {"Brand": (brand,)} if named and brand else {"color": ("Red",)}
            writer.add_product(
                Product(f"p{row}", "a title", category=path, attributes=attributes, group=group)
            )
        catalog = writer.commit()
    leaf, brands = leaf_codes(catalog), brand_codes(catalog)
    assert leaf[0] == leaf[1] and len({*leaf[:4].tolist()}) == 3 and leaf[4] == leaf[5] == NONE
    assert (brands[0] == brands[1]) == named
    assert brands[2] == brands[3] and len({*brands.tolist()}) == (4 if named else 5)
