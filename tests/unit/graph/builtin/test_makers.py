"""Makers are the longest opening that their titles share, and no common word of the catalogue."""

from __future__ import annotations

import pytest

from moonshelf.graph.builtin.brands import induce_brands
from moonshelf.graph.builtin.codes import CodeHabits, find_codes
from moonshelf.graph.builtin.reading import read_field
from moonshelf.graph.builtin.titles import distinct, title_of

KINDS = {"lamp", "fan", "chair"}
WORDS = ("Oval", "Tall", "Slim", "Round", "Square", "Narrow", "Curved", "Flat")


def makers(*texts, kinds=KINDS):
    listing = distinct(title_of(read_field("title", text, True, ".")) for text in texts)
    return set(induce_brands(listing, kinds).names.values())


def several(opening, count=4):
    return [f"{opening} {word} Lamp" for word in WORDS[:count]]


@pytest.mark.parametrize("name", ["Alveo", "Crown Bolt", "Red Tape Works", "Knape & Vogt"])
@pytest.mark.parametrize("count", [3, 8])
def test_the_longest_common_opening(name, count):
    """Also where the last word stands elsewhere ("Hex Bolt")."""
    texts = [*several(name, count), "Hex Bolt 20 W", "Oak Works 3 m"]
    assert makers(*texts) == {name.lower().replace("&", "and")}


def test_a_common_word_of_the_catalogue_is_no_maker():
    """It begins as many titles as others hold it; what it begins may be a name."""
    elsewhere = [f"{word} Home Lamp" for word in WORDS[:4]]
    firsts = ["Home Styles Lamp", "Home Accents Fan", "Home Legend Chair"]
    assert makers(*elsewhere, *firsts) == set()
    assert makers(*elsewhere, *firsts, *several("Home Decorators")) == {"home decorators"}


def test_a_number_behind_it_shows_that_a_name_ends():
    texts = ["Hitano 20 W Lamp", "Hitano 3 m Fan", "Split Lamp 20 W Hitano", "Fan Hitano White"]
    assert makers(*texts) == {"hitano"}
    assert makers("Main Door Oak", "Main Deck Fan", "Crown Main", "Oval Main Lamp") == set()


@pytest.mark.parametrize("noun", ["Bookcase", "Office Chair", "Garden Bench", "Lamp"])
def test_two_titles_of_one_product_show_no_maker(noun):
    assert makers(f"Karlby {noun} with Arms", f"Karlby {noun} without Arms") == set()


@pytest.mark.parametrize("name", ["Filament Design", "Best Barns"])
def test_two_titles_show_a_maker_that_say_elsewhere_what_is_sold(name):
    assert makers(f"{name} Oval Lamp", f"{name} 3 m Fan") == {name.lower()}


def test_for_whom_it_is_or_a_dash_shows_where_a_name_ends():
    assert makers("Park Avenue Men Tie", "Park Avenue Men Black Scarf") == {"park avenue"}
    assert makers("Coca-Cola 330 ml Can", "Coca-Cola Zero Bottle") == {"coca cola"}
    assert makers("Coca Cola 330 ml Can", "Coca Cola Zero Bottle") == set()


def test_an_unknown_maker_needs_a_place_of_several_makers():
    """What follows one maker alone is part of its names."""
    one = [f"Behrens Premium {word} {k} W Lamp" for k, word in enumerate(WORDS * 2, 10)]
    listing = distinct(title_of(read_field("title", text, True, ".")) for text in one)
    assert induce_brands(listing, KINDS).contexts == frozenset()


def codes(text, habits, brand=None):
    return [text[a:b] for a, b in find_codes(read_field("title", text, True, "."), habits, brand)]


def test_makers_and_kinds_are_no_part_of_a_code():
    known = frozenset({"lg", "tv", "gic", "cztt"})
    habits = CodeHabits(heads=known, tails=known, names=frozenset({"lg", "tv"}))
    assert codes("LG OLED55C1PUB TV", habits) == ["OLED55C1PUB"]
    assert codes("TV OLED55C1PUB LG", habits) == ["OLED55C1PUB"]
    assert codes("GIC 18PGC5-WVA", habits) == ["GIC 18PGC5-WVA"]
    assert codes("Lamp AR18CY5 CZTT", habits) == ["AR18CY5 CZTT"]


@pytest.mark.parametrize("again", ["WB-007R5W", "WB007R5W", "WB.007.R5W"])
def test_a_code_beside_itself_is_one(again):
    found = codes(f"Lamp WB-007R5W {again}", CodeHabits())
    assert found[0] == "WB-007R5W" and all(" " not in code for code in found)
