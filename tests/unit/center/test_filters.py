"""Filter expressions: what they mean, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.center.filters import Between, Filter, numbers_of, parse_filter
from moonshelf.errors import UsageError


def test_clauses_of_each_kind():
    where = parse_filter(["category=Apparel/Topwear|Shoes/", "color=Red|Blue", "price<=500"])
    assert where == Filter(
        categories=((("Apparel", "Topwear"), ("Shoes",)),),
        attributes=(("color", ("Red", "Blue")),),
        price_max=500.0,
    )


def test_no_expressions_are_no_filter():
    assert parse_filter([]) is None


def test_price_bounds_add_up():
    where = parse_filter(["price>=10", "price<50", "price=5..40"])
    assert where is not None
    assert (where.price_min, where.price_max) == (10.0, 40.0)
    strict = parse_filter(["price<50", "price > 1"])
    assert strict is not None
    assert strict.price_max == math.nextafter(50, 0)
    assert strict.price_min == math.nextafter(1, 2)
    assert parse_filter(["price=..5"]) == Filter(price_max=5.0)
    assert parse_filter(["price=5"]) == Filter(price_min=5.0, price_max=5.0)


def test_backslash_protects_separators():
    where = parse_filter([r"category=Bath\/Body/Soap", r"size=5\|6", r"a\=b=c\\d"])
    assert where is not None
    assert where.categories == ((("Bath/Body", "Soap"),),)
    assert where.attributes == (("size", ("5|6",)), ("a=b", ("c\\d",)))


def test_an_attribute_called_like_a_field_is_reachable():
    where = parse_filter(["attributes.price=low", "attributes.category=x"])
    assert where is not None
    assert where.attributes == (("price", ("low",)), ("category", ("x",)))


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("power>=1.5 kW", Between("power", 1.5, math.inf, "kW")),
        ("Sleeve Length < -2cm", Between("Sleeve Length", -math.inf, math.nextafter(-2, -9), "cm")),
        ("size=36..40", Between("size", 36, 40)),
        ("size=36 .. 40 fl oz", Between("size", 36, 40, "fl oz")),
        ("size=36 cm..40 CM", Between("size", 36, 40, "CM")),
        ("size=..40", Between("size", -math.inf, 40)),
        ("attributes.price>5", Between("price", math.nextafter(5, 6), math.inf)),
        (r"a\<b\=c<=5", Between("a<b=c", -math.inf, 5)),
    ],
)
def test_numbers_of_attributes_have_bounds(expression, wanted):
    where = parse_filter([expression])
    assert where is not None and not where.empty
    assert where == Filter(numbers=(wanted,))


@pytest.mark.parametrize("value", ["etc..", "a..b", "..", r"1\..5", "5", "<5", "1.5 ton"])
def test_what_is_no_range_is_a_name(value):
    where = parse_filter([f"size={value}"])
    assert where == Filter(attributes=(("size", (value.replace("\\", ""),)),))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1.5 ton", (1.5, 1.5, "ton")),
        ("-3", (-3, -3, "")),
        ("16 to 30 \u00b0c", (16, 30, "\u00b0c")),
        ("5 to go", (5, 5, "to go")),
        ("12x5", (12, 12, "x5")),
        ("red", None),
        ("v5", None),
        ("1,5 kg", None),
        ("1 2", None),
        ("", None),
    ],
)
def test_numbers_within_values(value, wanted):
    assert numbers_of(value) == wanted


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "color",
        "=Red",
        "color=",
        "color=Red||Blue",
        "color!=Red",
        "category=",
        "category=A//B",
        "price<=cheap",
        "price<=nan",
        "price=9..1",
        "price>=1e999",
        "x=" + "y" * 5000,
        "power<=much",
        "power<=",
        "<=5",
        "power=9 W..1 W",
        "power=1 kW..9 W",
        "power>=" + "9" * 400,
        "category<5",
    ],
)
def test_nonsense_is_named(expression):
    with pytest.raises(UsageError) as caught:
        parse_filter([expression])
    assert expression[:40] in caught.value.what
    assert caught.value.cure


@given(st.text(max_size=30))
def test_any_text_gives_a_filter_or_a_usage_error(text):
    try:
        where = parse_filter([text])
    except UsageError:
        return
    assert isinstance(where, Filter)


@given(st.text(min_size=1, max_size=20).filter(lambda t: t.strip()))
def test_an_escaped_value_comes_back_as_it_was(value):
    escaped = "".join("\\" + c if c in "|/.=\\" else c for c in value)
    where = parse_filter([f"key={escaped}"])
    assert where is not None
    assert where.attributes == (("key", (value.strip(),)),)
