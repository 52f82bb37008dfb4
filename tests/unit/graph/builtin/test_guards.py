"""What stands under a guard word is not said of the product itself."""

from __future__ import annotations

import pytest

from moonshelf.graph.builtin.guards import guarded, zones
from moonshelf.graph.builtin.segments import segments


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


def test_a_sentence_guards_to_its_end_only():
    text = "It fits 24-inch stands. Weighs 5 kg."
    assert guard_of(text, "24-inch", title=False) == "compatibility"
    assert guard_of(text, "5 kg", title=False) is None
