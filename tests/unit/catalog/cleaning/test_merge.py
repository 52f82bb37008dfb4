"""SPU merge: nothing is counted twice or lost, and every sample is a pair that happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.cleaning.choosing import asked
from moonshelf.catalog.cleaning.merge import merge
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError
from tests.unit.catalog.cleaning.drawn import draw_pairs, rows_of, write_style_shop
from tests.unit.catalog.cleaning.test_dedup import preference


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_style_shop(tmp_path_factory.mktemp("shop") / "catalog")


def slow_groups(pairs: PairSet, by: str) -> list[list[int]]:
    """Places of each sample, by products as objects."""
    shop, kinds = pairs.catalog, asked(pairs)

    def style(row: int) -> str:
        product = shop[row]
        return f"group {product.group}" if product.group else f"alone {product.id}"

    found = defaultdict(list)
    for place in range(len(pairs)):
        query: object = int(kinds[place])
        if by == "query":
            row, own = int(pairs.query[place]), pairs.query_kind[place] == 0
            query = style(row) if own else row
        found[style(int(pairs.item[place])), query].append(place)
    return list(found.values())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 9999), st.integers(1, 60), st.sampled_from(("item", "query")))
def test_merge_is_the_rule_group_by_group(shop: Catalog, seed: int, count: int, by: str) -> None:
    pairs = draw_pairs(shop, seed, count)
    cleaned = merge(pairs, by=by)  # type: ignore[arg-type]
    expected = {}
    for places in slow_groups(pairs, by):
        stands = min(places, key=lambda place: preference(pairs, place))
        sums = [fold(pairs.columns[n][places]) for n, fold in (("count", sum), ("level", max))]
        expected[stands] = (*map(int, sums), int(pairs.time[places].max()))
    kept = np.flatnonzero(cleaned.why == 0)
    assert kept.tolist() == sorted(expected)
    for k, place in enumerate(kept.tolist()):
        merged = cleaned.pairs
        found = (int(merged.count[k]), int(merged.level[k]), int(merged.time[k]))
        assert found == expected[place]
        for name in ("query_kind", "query", "item", "similarity"):
            assert np.array_equal(
                merged.columns[name][k], pairs.columns[name][place], equal_nan=True
            )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9999), st.integers(1, 80))
def test_counts_are_conserved_and_twice_is_once(shop: Catalog, seed: int, count: int) -> None:
    pairs = draw_pairs(shop, seed, count)
    for by in ("query", "item"):
        once = merge(pairs, by=by)  # type: ignore[arg-type]
        assert once.pairs.count.sum() == pairs.count.sum()
        twice = merge(once.pairs, by=by)  # type: ignore[arg-type]
        assert not twice.why.any() and rows_of(twice.pairs) == rows_of(once.pairs)
    assert len(merge(pairs, by="item").pairs) <= len(merge(pairs, by="query").pairs)
    known = merge(pairs, by="item").facts["pairs whose item belongs to no SPU"]
    assert known == sum(not shop[int(row)].group for row in pairs.item)


def test_after_the_merge_no_two_samples_of_a_kind_share_an_spu(shop: Catalog) -> None:
    merged = merge(draw_pairs(shop, 5, 200)).pairs
    seen = {
        (shop[int(item)].group or shop[int(item)].id, int(kind))
        for item, kind in zip(merged.item, asked(merged), strict=True)
    }
    assert len(seen) == len(merged)


def test_counts_that_do_not_fit_are_an_error(shop: Catalog) -> None:
    pairs = draw_pairs(shop, 5, 200)
    huge = np.full(200, np.iinfo(np.int32).max, dtype=np.int32)
    with pytest.raises(DataError, match="more events"):
        merge(replace(pairs, columns={**pairs.columns, "count": huge}))


def test_nothing_merges_into_nothing(shop: Catalog) -> None:
    none = draw_pairs(shop, 0, 5).select(np.zeros(5, dtype=bool))
    assert not len(merge(none).pairs)
