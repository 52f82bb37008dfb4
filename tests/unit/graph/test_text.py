"""Folding keeps the way back: whatever is found is a slice of the original."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.text import find, fold, fold_value


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("1.5 Ton", "1.5 ton"),
        ("ＦＵＬＬ Width", "full width"),
        ("Wi‑Fi – fast — now", "wi-fi - fast - now"),
        ("24″ × 36”", '24" x 36"'),
        ("a\u00a0\t\r\n b", "a b"),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("4½", "4 1/2"),
        ("½", "1/2"),
        ("10² m²", "10^2 m2"),
        ("Straße", "strasse"),
        ("cafe\u0301", "café"),
        ("ﬁt", "fit"),
        ("x\x00y", "x y"),
        ("", ""),
    ],
)
def test_folds(text, folded):
    assert fold(text).text == folded


def test_spans_lead_back():
    text = "Größe\u00a0\u00a0—  4½ Zoll"
    folded = fold(text)
    place = folded.text.index("4 1/2")
    start, end = folded.span(place, place + 5)
    assert text[start:end] == "4½"
    assert text[slice(*folded.span(0, len("grös")))] == "Größ"
    assert text[slice(*folded.span(0, len("grösse")))] == "Größe"


def test_a_stretch_outside_is_an_error():
    with pytest.raises(ValueError, match="no stretch"):
        fold("abc").span(2, 4)
    with pytest.raises(ValueError, match="no stretch"):
        fold("abc").span(2, 2)


@pytest.mark.parametrize(
    ("text", "raw", "slices"),
    [
        ("1.5 Ton 5 Star", "5 star", ["5 Star"]),
        ("1.5 Star", "5 star", []),
        ("Required RED, red", "red", ["RED", "red"]),
        ("25 cm", "5 cm", []),
        ("1,250 W", "250 W", []),
        ("SIZE: 12,5 kg", "12,5", ["12,5"]),
        ("12,5 kg", "12", []),
        ("Wi‑Fi and wi-fi", "Wi-Fi", ["Wi‑Fi", "wi-fi"]),
        ("5 cm  ×\n6 cm", "5 cm x 6 cm", ["5 cm  ×\n6 cm"]),
        ("4½ in", "1/2", []),
        ("4½ in", "½ in", []),
        ("赤い綿のシャツ", "綿", ["綿"]),
        ("Straße", "s", []),
        ("anything", "  ", []),
        ("1.5Ton", "1.5", ["1.5"]),
    ],
)
def test_finds(text, raw, slices):
    assert [text[a:b] for a, b in find(text, raw)] == slices


def test_fold_value_trims():
    assert fold_value(" Off-White, ") == "off-white"
    assert fold_value("WHITE\u00a0 Gold") == "white gold"


@given(st.text(max_size=60), st.data())
def test_every_stretch_leads_to_its_source(text, data):
    """Each folded stretch comes from the slice it names: folding the slice gives it again, up to
    what a neighbor adds (a blank before a fraction, a mark joined to a letter)."""
    folded = fold(text)
    if not folded.text:
        return
    start = data.draw(st.integers(0, len(folded.text) - 1))
    end = data.draw(st.integers(start + 1, len(folded.text)))
    a, b = folded.span(start, end)
    assert 0 <= a < b <= len(text)
    assert folded.text[start:end].replace(" ", "").replace("^", "") in fold(text[a:b]).text.replace(
        " ", ""
    ).replace("^", "")


@given(st.text(max_size=80))
def test_folding_twice_changes_nothing(text):
    once = fold(text).text
    assert fold(once).text == once


@given(st.text(max_size=40), st.text(min_size=1, max_size=10), st.text(max_size=40))
def test_found_slices_are_what_was_asked(left, raw, right):
    text = f"{left} {raw} {right}"
    for a, b in find(text, raw):
        assert fold(text[a:b]).text.strip() == fold(raw).text.strip()


@pytest.mark.parametrize("filler", ["a", "é", " ", "\u0301", "1", "\x00", "½", "\u05d0"])
def test_a_megabyte_takes_no_time(filler):
    text = filler * 200_000 + " end"
    assert fold(text).text.endswith(" end")
    assert find(text, "end") == [(len(text) - 3, len(text))]


def test_random_bytes_never_raise():
    draw = random.Random(7)
    for _ in range(200):
        text = "".join(
            chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)]))
            for _ in range(50)
        )
        fold(text)
        find(text, text[10:20])
        fold("\ud800" + text)
