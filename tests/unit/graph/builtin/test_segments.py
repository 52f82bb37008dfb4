"""Segments end where authors put marks; offsets are those of the original."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.builtin.segments import cut_at, segments
from tests.unit.graph.growth import assert_linear


def shown(text, title):
    return [text[s.start : s.end] for s in segments(text, title)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Fan 20 W, red (steel, 3 speeds)", ["Fan 20 W", "red", "steel", "3 speeds"]),
        ("Fan - White", ["Fan", "White"]),
        ("Fan-White", ["Fan-White"]),
        ("Fan 1,500 W,2,5 kg", ["Fan 1,500 W", "2,5 kg"]),
        ("a|b | c; d", ["a", "b", "c", "d"]),
        ("Modes-Auto/High/Low", ["Modes-Auto", "High", "Low"]),
        ("CS/CU-12 A/C", ["CS/CU-12 A/C"]),
        ("Anti-Viral + PM 2.5 Filter", ["Anti-Viral", "PM 2.5 Filter"]),
        ("<b>Fan</b> big", ["Fan", "big"]),
        ("", []),
        (")(", []),
    ],
)
def test_titles(text, parts):
    assert shown(text, True) == parts


def test_brackets_are_told_apart():
    found = segments("Fan (red) blue", True)
    assert [s.inside for s in found] == [False, True, False]


def test_lines_sentences_and_pairs():
    text = (
        "Composition\n100% cotton. Wash cold; do not wring\nLength: 173 cm\n"
        "Width: 30 cm, Weight: 5 kg\nColor\tRed\nsee http://x.y/z\n* 5 lbs. x 3 in. wide"
    )
    found = segments(text, False)
    assert [text[s.start : s.end] for s in found] == [
        "Composition",
        "100% cotton",
        "Wash cold",
        "do not wring",
        "173 cm",
        "30 cm",
        "5 kg",
        "Red",
        "see http://x.y/z",
        "5 lbs. x 3 in. wide",
    ]
    keys = {text[s.start : s.end]: text[slice(*s.key)] for s in found if s.key}
    assert keys == {"173 cm": "Length", "30 cm": "Width", "5 kg": "Weight", "Red": "Color"}
    assert [s.kind for s in found][:3] == ["line", "sentence", "sentence"]


@pytest.mark.parametrize("gap", [" ", "  ", "\u00a0 "])
def test_an_abbreviation_ends_no_sentence(gap):
    assert shown(f"Weighs approx.{gap}5 pounds. Made well", False) == [
        f"Weighs approx.{gap}5 pounds",
        "Made well",
    ]


def test_cut_titles():
    assert cut_at("Split AC (Copper, Whi...") == len("Split AC (Copper, Whi")
    assert cut_at("Split AC (Copper, …") == len("Split AC (Copper,")
    assert cut_at("Split AC.") is None


@settings(deadline=None)
@given(st.text(max_size=120), st.booleans())
def test_never_raises_and_never_overlaps(text, title):
    end = 0
    for segment in segments(text, title):
        assert end <= segment.start < segment.end <= len(text)
        assert text[segment.start : segment.end].strip()
        end = segment.end


@pytest.mark.parametrize("piece", ["(", "a,", "Key: ", "a: b, ", "<", "- ", "x. ", "\n", "a\t"])
@pytest.mark.parametrize("title", [True, False])
def test_long_texts_take_linear_time(piece, title):
    assert_linear(lambda length: segments(piece * length, title), 10_000)
