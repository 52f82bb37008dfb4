"""Category rebalance: towards what is shown, by leaving out alone, the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.cleaning.exposure import Exposure, category_codes, exposure_of
from moonshelf.catalog.cleaning.rebalance import rebalance
from moonshelf.catalog.cleaning.shares import total_variation
from moonshelf.catalog.product import Event
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError
from tests.unit.catalog.cleaning.drawn import PRODUCTS, draw_pairs, rows_of, write_style_shop

LAST = PRODUCTS - 1  # of the test split


def shown(*items: int, kind: str = "exposure", time: int = 10) -> tuple[Event, ...]:
    return tuple(Event(time, "u", f"p{item}", kind) for item in items)


def shop_with(path: Path, *events: Event) -> Catalog:
    return write_style_shop(path / "catalog", events)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Shown: things/bar 6 times, things/cross 3, toys/bar 1 (products 0, 1, 2 modulo 4)."""
    return shop_with(tmp_path_factory.mktemp("shop"), *shown(0, 4, 8, 0, 4, 8, 1, 5, 1, 2))


def test_shares_come_near_and_nothing_is_shown_twice(shop: Catalog) -> None:
    pairs, exposure = draw_pairs(shop, 1, 400), exposure_of(shop)
    cleaned = rebalance(pairs, exposure, tolerated=0.05, least=0)
    left = np.bincount(exposure.codes[cleaned.pairs.item], minlength=len(exposure.counts))
    before = np.bincount(exposure.codes[pairs.item], minlength=len(exposure.counts))
    facts = cleaned.facts
    assert total_variation(left, exposure.counts) == pytest.approx(facts["total variation after"])
    assert facts["total variation after"] <= 0.05 + 1e-12 < facts["total variation before"]
    assert total_variation(before, exposure.counts) == pytest.approx(
        facts["total variation before"]
    )
    kept = [row for row, why in zip(rows_of(pairs), cleaned.why, strict=True) if why == 0]
    assert rows_of(cleaned.pairs) == kept
    # The fourth category was never shown; its pairs are the first to go.
    never = exposure.counts[exposure.codes[pairs.item]] == 0
    assert set(cleaned.why[never]) <= {0, 2} and set(cleaned.why[~never]) <= {0, 1}


def test_the_seed_alone_decides_which_pairs_stay(shop: Catalog) -> None:
    pairs, exposure = draw_pairs(shop, 1, 400), exposure_of(shop)
    one, same, other = (rebalance(pairs, exposure, least=0, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.why, same.why) and not np.array_equal(one.why, other.why)
    assert one.counts() == other.counts()


def test_pairs_of_a_category_are_drawn_evenly(shop: Catalog) -> None:
    pairs, exposure = draw_pairs(shop, 1, 200), exposure_of(shop)
    stays = np.mean(
        [rebalance(pairs, exposure, least=0, seed=seed).why == 0 for seed in range(200)], axis=0
    )
    for code in range(len(exposure.counts)):
        here = stays[exposure.codes[pairs.item] == code]
        expected = here.mean()
        spread = 5 * np.sqrt(expected * (1 - expected) / 200)
        assert np.abs(here - expected).max() <= spread + 1e-9


def test_least_wins_over_the_tolerance_and_says_so(shop: Catalog) -> None:
    pairs, exposure = draw_pairs(shop, 1, 400), exposure_of(shop)
    strict = rebalance(pairs, exposure, tolerated=0.01, least=0)
    assert len(strict.pairs) < 0.5 * len(pairs) and strict.facts["within the tolerance"]
    kept = rebalance(pairs, exposure, tolerated=0.01, least=0.8)
    assert len(kept.pairs) == 320 and not kept.facts["within the tolerance"]
    assert kept.facts["largest part within the tolerance"] == len(strict.pairs)
    assert kept.facts["total variation after"] < kept.facts["total variation before"]
    assert len(rebalance(pairs, exposure, tolerated=0, least=1).pairs) == 400
    assert len(rebalance(pairs, exposure, tolerated=1, least=0).pairs) == 400


def test_a_target_out_of_reach_is_an_error(shop: Catalog) -> None:
    pairs, exposure = draw_pairs(shop, 1, 400), exposure_of(shop)
    missing = exposure.codes[pairs.item] != exposure.codes[0]
    with pytest.raises(DataError, match=r"60\.0% of what is shown is in categories without pairs"):
        rebalance(pairs.select(missing), exposure, tolerated=0.05, least=0)
    for wrong in ({"tolerated": -0.1}, {"least": 1.5}):
        with pytest.raises(UsageError, match="no share"):
            rebalance(pairs, exposure, **wrong)


def test_depth_joins_categories(shop: Catalog) -> None:
    names, codes = category_codes(shop, 1)
    assert names == ("", "things", "toys")
    assert [names[code] for code in codes[:4]] == ["things", "things", "toys", ""]
    assert category_codes(shop, 0)[0] == ("", "things > bar", "things > cross", "toys > bar")
    top = exposure_of(shop, depth=1)
    assert dict(zip(top.names, top.counts.tolist(), strict=True)) == {"": 0, "things": 9, "toys": 1}
    with pytest.raises(UsageError, match="no level"):
        exposure_of(shop, depth=-1)


def test_only_train_items_before_the_cut_count(tmp_path: Path) -> None:
    events = (*shown(0, LAST), *shown(1, time=99), *shown(4, 2, kind="purchase"))
    catalog = shop_with(tmp_path, *events)
    assert told(exposure_of(catalog)) == {"things > bar": 1, "things > cross": 1}
    assert told(exposure_of(catalog, before=99)) == {"things > bar": 1}
    assert not exposure_of(catalog).stands_in
    with pytest.raises(DataError, match="no event of a train item"):
        exposure_of(catalog, before=10)


def test_without_exposures_all_events_stand_in_and_are_named(tmp_path: Path) -> None:
    events = (*shown(0, 1, kind="purchase"), *shown(1, 2, kind="click"), *shown(LAST))
    found = exposure_of(shop_with(tmp_path, *events))
    assert found.stands_in and found.source == "click events and purchase events"
    assert told(found) == {"things > bar": 1, "things > cross": 2, "toys > bar": 1}


def test_without_a_log_there_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no event of a train item"):
        exposure_of(shop_with(tmp_path))


def told(exposure: Exposure) -> dict[str, int]:
    found = zip(exposure.names, exposure.counts.tolist(), strict=True)
    return {name: count for name, count in found if count}
