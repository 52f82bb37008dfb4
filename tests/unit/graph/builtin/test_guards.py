"""What stands under a guard word is not said of the product itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.builtin.guards import guarded, zones
from moonshelf.graph.builtin.segments import segments
from tests.unit.graph.growth import assert_linear


def guard_of(text, words, title=True):
    found = zones(text, segments(text, title))
    start = text.index(words)
    zone = guarded(found, start, start + len(words))
    return zone.guard if zone else None


@pytest.mark.parametrize(
    ("text", "words", "guard"),
    [
        ("Fan without Wi-Fi", "Wi-Fi", "negation"),
        ("Non-Inverter AC", "Inverter", "negation"),
        ("no built-in battery", "battery", "negation"),
        ("no Wi-Fi and a timer", "timer", None),
        ("not red, blue", "blue", None),
        ("Model No. 24H Hot & Cold", "Hot & Cold", None),
        ("BPA-free bottle", "BPA", "negation"),
        ("Wind-Free Technology", "Wind-Free Technology", None),
        ("3 Star Wind-Free AC", "3 Star", None),
        ("Batteries not included", "Batteries", "negation"),
        ("Stand fits 24-inch screens", "24-inch", "compatibility"),
        ("Stand for 1 Ton, 1.1 Ton", "1.1 Ton", "compatibility"),
        ("Stand for 1 Ton (White)", "White", None),
        ("Case compatible with Alveo K9", "Alveo", "compatibility"),
        ("Shirt for men, blue", "men", None),
        ("Fan for home 20 W", "20 W", None),
        ("twice as fast than Caldera", "Caldera", "comparison"),
        ("comes with 2 m cable", "2 m", "bundle"),
        ("Kettle with Keep Warm", "Keep Warm", None),
        ("forest green", "green", None),
    ],
)
def test_guards(text, words, guard):
    assert guard_of(text, words) == guard


@pytest.mark.parametrize("repeats", [1, 10, 40, 400])
def test_a_zone_reaches_over_all_that_stand_in_it(repeats):
    text = "It fits " + "no a " * repeats + "and Wi-Fi AC"
    assert guard_of(text, "Wi-Fi", title=False) == "compatibility"
    assert guard_of("no a " * repeats + "and Wi-Fi AC", "Wi-Fi", title=False) is None


def test_a_denial_behind_hides_no_other_zone():
    text = "not BPA-free and red"
    assert guard_of(text, "BPA-free") == "negation"


@given(st.lists(st.sampled_from(["no ", "for ", "red ", "BPA-free ", "than ", ", ", "5 ", ". "])))
def test_the_nearest_zone_is_found(pieces):
    """As among all zones, one by one."""
    text = "".join(pieces)
    found = zones(text, segments(text, True))
    for start in range(len(text)):
        covering = [
            zone
            for zone in found
            if zone.start < start + 4 and start < zone.end
            if not (zone.behind and start + 4 > zone.end)
        ]
        assert guarded(found, start, start + 4) == (covering[-1] if covering else None)


def test_the_time_grows_with_the_text():
    def work(length: int) -> None:
        text = "It fits " + "no a " * length + "red " * length
        found = zones(text, segments(text, False))
        for start in range(0, len(text), 4):
            guarded(found, start, start + 3)

    assert_linear(work, 4_000)


def test_a_sentence_guards_to_its_end_only():
    text = "It fits 24-inch stands. Weighs 5 kg."
    assert guard_of(text, "24-inch", title=False) == "compatibility"
    assert guard_of(text, "5 kg", title=False) is None
