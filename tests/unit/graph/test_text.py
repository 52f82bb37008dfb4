"""Folding keeps the way back: whatever is found is a slice of the original."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.text import find, fold, fold_value, is_whole
from tests.unit.graph.growth import assert_linear


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
        ("ｶﾞﾗｽ", "ガラス"),
        ("\u0995\u09c7\u09be", "\u0995\u09cb"),
        ("ㄱㅏ", "가"),
        ("\u1100\u200b\u1161", "가"),
        ("®\ufe0f a\u034f", "® a"),
        (" \u0e33", " \u0e4d\u0e32"),
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
        ("कमीज लाल", "कम", []),
        ("कमीज लाल", "ज", []),
        ("कमीज लाल", "कमीज", ["कमीज"]),
        ("cafe\u0301 noir", "cafe", []),
        ("cafe\u0301 noir", "café", ["cafe\u0301"]),
        ("ｶﾞﾗｽのｺｯﾌﾟ", "ガラス", ["ｶﾞﾗｽ"]),
        ("ｶﾞﾗｽ", "カ", []),
        ("Dyson®\ufe0f V8", "dyson®", ["Dyson®\ufe0f"]),
        ("AC 12 000 BTU/h", "000 BTU/h", []),
        ("AC 12 000 BTU/h", "12", []),
        ("AC 12 000 BTU/h", "12 000", ["12 000"]),
        ("Note 12 128 GB", "128 GB", ["128 GB"]),
    ],
)
def test_finds(text, raw, slices):
    assert [text[a:b] for a, b in find(text, raw)] == slices
    assert find(fold(text), raw) == find(text, raw)
    assert all(is_whole(text, a, b) for a, b in find(text, raw))


def test_half_a_letter_is_not_whole():
    assert not is_whole("कमीज", 0, 2) and not is_whole("कमीज", 3, 4)
    assert is_whole("कमीज लाल", 0, 4) and is_whole("5\ufe0f in", 0, 1)


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


# Letters whose forms differ, and what may stand between them.
JOINED = "aé\u0301\u0323\u034f\ufe0f\u200b\u0995\u09c7\u09be\u09cbㄱㅏ각ｶﾞ\u3099 ´½1²-×ß\u0345"


@given(st.one_of(st.text(max_size=30), st.text(alphabet=JOINED, max_size=12)))
def test_composed_and_decomposed_forms_are_one(text):
    decomposed = fold(unicodedata.normalize("NFD", text)).text
    assert decomposed == fold(unicodedata.normalize("NFC", text)).text
    assert fold(decomposed).text == decomposed


@given(st.text(max_size=40), st.text(min_size=1, max_size=10), st.text(max_size=40))
def test_found_slices_are_what_was_asked(left, raw, right):
    text = f"{left} {raw} {right}"
    for a, b in find(text, raw):
        assert fold(text[a:b]).text.strip() == fold(raw).text.strip()


@pytest.mark.parametrize("filler", ["a", "é", " ", "\u0301", "1", "\x00", "½", "\u05d0", "0 00"])
def test_the_time_grows_with_the_text(filler):
    def work(length: int) -> None:
        text = filler * length + " end"
        assert fold(text).text.endswith(" end")
        assert find(text, "end") == [(len(text) - 3, len(text))]
        find(text, filler * 2)

    assert_linear(work, 10_000)


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
