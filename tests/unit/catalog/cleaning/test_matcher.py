"""Words and phrases in texts: whole words, the longest, in any letters; no text breaks it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.catalog.cleaning.matcher import Matcher, compact_form
from moonshelf.catalog.cleaning.words import singular, words
from tests.log_shop import HOSTILE

WORDS = st.sampled_from(("red", "dress", "dark", "t", "shirt", "tshirt", "5", "darkred"))
PHRASES = st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=6)


def slow_find(phrases: set[str], text: str) -> list[tuple[int, int, str]]:
    """Every run of words, the longest first at each place, and on behind it."""
    found, cut, place = [], words(text), 0
    while place < len(cut):
        for end in range(len(cut), place, -1):
            form = "".join(word.form for word in cut[place:end])
            if form in phrases:
                found.append((cut[place].start, cut[end - 1].end, form))
                place = end
                break
        else:
            place += 1
    return found


@settings(deadline=None, max_examples=300)
@given(PHRASES, st.lists(WORDS, max_size=9), st.sampled_from((" ", "-", " / ", ", ")))
def test_it_finds_what_the_slow_way_finds(
    phrases: list[list[str]], text: list[str], gap: str
) -> None:
    forms = {compact_form(" ".join(phrase)) for phrase in phrases}
    whole = gap.join(text)
    assert list(Matcher(forms).find(whole)) == slow_find(forms, whole)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40) | st.sampled_from(HOSTILE))
def test_any_text_has_words_in_order_within_it(text: str) -> None:
    found = words(text)
    assert all(0 <= word.start < word.end <= len(text) and word.form for word in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    forms = {word.form for word in found}
    assert [text[s:e] for s, e, _ in Matcher(forms).find(text)] or not found


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("red", "Blue RED dress", "RED"),
        ("red", "Required reading", None),
        ("red", "red, dress", "red"),
        ("dress", "two summer DRESSES", "DRESSES"),
        ("Dresses", "a dress", "dress"),
        ("accessories", "one accessory", "accessory"),
        ("glass", "a glass vase", "glass"),
        ("Men", "Nike Men's shoe", "Men's"),
        ("t-shirt", "white T shirts here", "T shirts"),
        ("Tshirts", "a t-shirt", "t-shirt"),
        ("V-neck", "deep V neck", "V neck"),
        ("rouge", "Ｒｏｕｇｅ noir", "Ｒｏｕｇｅ"),
        ("café", "cafe\u0301 au lait", "cafe\u0301"),
        ("straße", "STRASSE", "STRASSE"),
        ("1.5 ton", "a 1.5 ton AC", "1.5 ton"),
        ("5 ton", "a 1.5 ton AC", None),
        ("\u8fde\u8863\u88d9", "\u7ea2\u8272\u8fde\u8863\u88d9\u5973", "\u8fde\u8863\u88d9"),
        ("हिन्दी", "यह हिन्दी है", "हिन्दी"),
    ],
)
def test_what_is_one_wording(value: str, text: str, said: str | None) -> None:
    found = [text[start:end] for start, end, _ in Matcher({compact_form(value)}).find(text)]
    assert found == ([said] if said else [])


def test_the_longest_stands_and_a_shorter_one_is_not_lost() -> None:
    forms = {compact_form(value) for value in ("dark blue", "blue", "blue dress shoe")}
    find = Matcher(forms).find
    assert [form for *_, form in find("dark blue dress")] == ["darkblue"]
    assert [form for *_, form in find("blue dress sandal")] == ["blue"]
    assert [form for *_, form in find("blue dress shoes")] == ["bluedressshoe"]


def test_plurals_lose_their_ending_and_nothing_else() -> None:
    pairs = {"shoes": "shoe", "watches": "watch", "boxes": "box", "berries": "berry"}
    same = ("glass", "bus", "gas", "is", "dress", "shoe", "tennis")
    assert {word: singular(word) for word in pairs} == pairs
    assert [singular(word) for word in same] == list(same)


def test_nothing_is_found_in_nothing() -> None:
    assert not list(Matcher(()).find("red dress")) and not list(Matcher({"red"}).find(""))
