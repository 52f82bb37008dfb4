"""A sentence ends behind units and before numbers, never behind a shortened word."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.builtin.segments import segments
from moonshelf.graph.builtin.sentences import sentences, without_stop
from tests.unit.graph.growth import assert_linear

UNITS = [
    "kg",
    "g",
    "cm",
    "mm",
    "m",
    "W",
    "V",
    "Hz",
    "L",
    "dB(A)",
    "%",
    "°C",
    "h",
    "A",
    "m³/h",
    "kWh",
]
ENDS = ["Not waterproof", "Wi-Fi", "Size M", "Energy class B", "2 doors", "Bluetooth 5.0", "For TV"]
SHORT = [
    "Item no. 5",
    "Approx. 6 kg",
    "Max. 3 W",
    "In 3 in. wide",
    "5 lbs. 3 oz. tin",
    "By J. Crew",
    "Vol. 2",
]


def parts(text):
    return [text[a:b] for a, b in sentences(text, 0, len(text))]


def pairs(text):
    found = segments(text, False)
    return [(text[slice(*s.key)] if s.key else "", text[s.start : s.end]) for s in found]


claims = st.one_of(
    st.builds(
        lambda noun, n, unit: f"{noun} {n} {unit}",
        st.sampled_from(["Weight", "Maximum load", "Height", "Power", "Box of"]),
        st.one_of(st.integers(1, 999), st.decimals("0.1", "99.9", places=1)),
        st.sampled_from(UNITS),
    ),
    st.sampled_from(ENDS + SHORT),
)


@settings(deadline=None)
@given(st.lists(claims, min_size=1, max_size=6), st.sampled_from([". ", "! ", ".  ", ".\u00a0"]))
def test_claims_are_sentences_of_their_own(said, stop):
    assert parts(stop.join(said)) == said


@settings(deadline=None)
@given(claims, st.lists(claims, max_size=4), st.sampled_from([": ", ":"]))
def test_a_value_ends_with_its_sentence(value, more, colon):
    text = ". ".join([f"Key{colon}{value}", *more]) + "."
    (key, first), *others = pairs(text)
    assert (key, first) == ("Key", value)
    assert [said.rstrip(".") for _, said in others] == more


@settings(deadline=None)
@given(st.lists(claims, min_size=1, max_size=5))
def test_keys_do_not_reach_over_sentences(values):
    text = ". ".join(f"Key {'abcde'[k]}: {value}" for k, value in enumerate(values))
    assert pairs(text) == [(f"Key {'abcde'[k]}", value) for k, value in enumerate(values)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bluetooth: no. 2 jars", ["Bluetooth: no", "2 jars"]),
        ("Model no. 2 jars", ["Model no. 2 jars"]),
        ("Size S. Oliver", ["Size S", "Oliver"]),
        ("From S. Oliver", ["From S. Oliver"]),
        ("3 in. Made of steel", ["3 in", "Made of steel"]),
        ("24 in. W x 3 in. D", ["24 in. W x 3 in. D"]),
        ("made by Co. Ltd. 5 kg", ["made by Co. Ltd. 5 kg"]),
        ("U.S. plug", ["U.S. plug"]),
        ("weight 5 kg. depth 3 m", ["weight 5 kg", "depth 3 m"]),
        ("Weight 5 kg. depth 3 m", ["Weight 5 kg. depth 3 m"]),
        ("H. 3 cm W. 2 cm", ["H. 3 cm W. 2 cm"]),
        ("2 sq. 5", ["2 sq. 5"]),
    ],
)
def test_shortened_words_and_letters(text, found):
    assert parts(text) == found


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Fits: Metal; Wood; PVC.", ["Metal; Wood; PVC"]),
        ("Weight: 5 kg; depth 31 cm", ["5 kg", "depth 31 cm"]),
        ("Width: 3 in.", ["3 in."]),
        ("By: Crew Inc.", ["Crew Inc."]),
        ("Color: black.", ["black"]),
        ("Color: black...", ["black..."]),
    ],
)
def test_values(text, values):
    assert [said for _, said in pairs(text)] == values


@settings(deadline=None)
@given(st.text(alphabet="aB1.;!? \n°C:x", max_size=60))
def test_nothing_is_lost_but_stops(text):
    found = list(sentences(text, 0, len(text)))
    assert found[0][0] == 0 and found[-1][1] == len(text)
    for (_, end), (start, _) in pairwise(found):
        assert end < start and not text[end:start].strip(" .!?\n")
    assert 0 <= len(text) - without_stop(text, 0, len(text)) <= 1


@pytest.mark.parametrize("piece", [".", ". ", "; ", "a: b; ", "1. ", "No. ", "A. ", "x: 1; "])
def test_the_time_grows_with_the_text(piece):
    assert_linear(lambda length: segments(piece * length, False), 8_000)
