"""Distributions: every number is in one bin, ends and median are the numbers' own."""

from __future__ import annotations

import statistics
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.report.charts import (
    MOST_BINS,
    bins,
    histogram,
    numbers,
    plain,
    sparkline,
    word_bars,
)

counted = st.dictionaries(
    st.decimals(-(10**9), 10**9, places=3).map(lambda d: d.normalize()),
    st.integers(1, 5),
    min_size=1,
    max_size=60,
)


@given(counted)
def test_nothing_falls_between_bins(values: dict[Decimal, int]) -> None:
    ordered = sorted(values.items())
    found = bins(ordered)
    assert found is not None
    assert sum(found.counts) == sum(values.values())
    assert (found.low, found.high) == (min(values), max(values))
    spread = [value for value, times in ordered for _ in range(times)]
    assert found.middle == statistics.median_low(spread)
    assert found.counts[0] and found.counts[-1], "the ends are where the ends are"
    histogram(found, "kg")


def test_equal_steps_give_equal_bins_and_large_ratios_logarithms() -> None:
    even = bins([(Decimal(n), 1) for n in range(1, 2 * MOST_BINS + 1)])
    assert even is not None and not even.log and set(even.counts) == {2}
    # A thousand for each factor of ten: on a line, all but some would be in the first bin.
    powers = bins([(Decimal(10) ** (Decimal(n) / 10), 1) for n in range(61)])
    assert powers is not None and powers.log and max(powers.counts) <= 3


def test_numbers_that_are_one_float_are_no_error() -> None:
    near = [(Decimal(1) + Decimal(n) / 10**30, 1) for n in range(20)]
    found = bins(near)
    assert found is not None and sum(found.counts) == 20


def test_words_are_no_numbers() -> None:
    assert numbers([("2", 1), ("x", 5), ("NaN", 1), ("1.50", 3)]) == [
        (Decimal("1.50"), 3),
        (Decimal(2), 1),
    ]
    assert bins([]) is None


def test_numbers_are_shown_as_a_person_writes_them() -> None:
    shown = [plain(Decimal(n)) for n in ("2023", "15000", "1.50", "0.035", "3516.852842", "1E+30")]
    assert shown == ["2023", "15,000", "1.5", "0.035", "3516.9", "1e+30"]


def test_other_values_are_what_is_left_of_all_statements() -> None:
    assert ">7<" in word_bars([("red", 2), ("blue", 1)], 10)
    assert "other values" not in word_bars([("red", 2), ("blue", 1)], 3)


def test_a_line_needs_two_points() -> None:
    assert sparkline([3]) == ""
    assert sparkline([0, 0]).count("<polyline") == 1
