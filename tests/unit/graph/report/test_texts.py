"""Strangers' texts as HTML, and numbers for a person."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from moonshelf.graph.report.texts import cut, esc, fitting, left_out, percent, visible, width

HOSTILE = "<script>alert('x')</script>\x00\u202egpj.exe\ud800 \"quoted\" &amp;"


def test_markup_is_text_and_directions_stay_where_they_are() -> None:
    shown = esc(HOSTILE, 500)
    assert "<" not in shown and '"' not in shown and "'" not in shown
    assert not set(shown) & set("\x00\u202e\ud800")
    assert html.unescape(shown) == visible(HOSTILE)
    shown.encode()


@given(st.text(), st.integers(1, 30))
def test_any_text_is_bounded_and_can_be_written(text: str, most: int) -> None:
    shown = esc(text, most)
    shown.encode()
    assert len(html.unescape(shown)) <= most
    assert not set(shown) & set("<>\"'")


def test_joiners_and_every_letter_stay() -> None:
    kept = "\u200dمی\u200cخواهم 👩\u200d🔧 空调\n\t"
    assert visible(kept) == kept


@given(st.text(max_size=60), st.floats(20, 300))
def test_a_label_fits(text: str, most: float) -> None:
    assert width(fitting(text, 12, most), 12) <= most


def test_a_short_label_is_left_alone() -> None:
    assert fitting("cooling capacity", 11.5, 170) == "cooling capacity"
    assert cut("abc", 3) == "abc" and cut("abcd", 3) == "ab…"


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    assert percent(1) == "100 %" and percent(0) == "0 %" and percent(0.9531) == "95.3 %"
    assert percent(0.99999) == "> 99.9 %" and percent(0.00001) == "< 0.1 %"


def test_what_is_left_out_is_told() -> None:
    assert left_out(3, 3, "facts") == ""
    assert "3 of 1,200 facts" in left_out(3, 1200, "facts")
