"""What is denied, optional or told of the wearer is no fact of the product."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.builtin.guards import guarded, zones
from moonshelf.graph.builtin.segments import segments
from tests.unit.graph.growth import assert_linear


def guard_of(text, words, title=False):
    found = zones(text, segments(text, title))
    start = text.index(words)
    zone = guarded(found, start, start + len(words))
    return zone.guard if zone else None


THINGS = ["Wi-Fi", "remote control", "child lock", "USB"]
NO = [
    "no {}", "without {}", "does not have {}", "doesn't support {}", "lacks {}", "excl. {}",
    "cannot connect to {}", "not {} enabled", "neither {} nor a timer", "{} not included",
    "{} is not available on this model", "{} unavailable", "{} isn't supported", "{} - no",
    "{} (not available in EU)", "{} adapter sold separately", "{} (not supplied)", "{} missing",
]  # fmt: skip
MAYBE = [
    "{} optional", "optional {}", "{} (optional)", "{} is optional", "{} can be added",
    "{} module can be added", "{} dongle required", "upgrade to {} version available",
    "works without {}", "never needs {}", "{} available as an extra at extra cost", "{} ready",
    "requires {}", "{} via an optional module", "{} on selected models",
]  # fmt: skip
YES = ["with {}", "{}", "has {} and a timer", "not only {}", "now with {}.", "built-in {}"]


@pytest.mark.parametrize(("form", "thing"), list(product(NO + MAYBE, THINGS)))
def test_what_is_denied_or_optional_is_guarded(form, thing):
    text = f"White, 20 W. {form.format(thing)}. 5 doors"
    assert guard_of(text, thing) in ("negation", "option")
    assert guard_of(text, "20 W") is None
    assert guard_of(text, "5 doors") is None


@pytest.mark.parametrize(("form", "thing"), list(product(MAYBE, THINGS)))
def test_what_is_optional_is_not_denied(form, thing):
    assert guard_of(f"White. {form.format(thing)}", thing) == "option"


@pytest.mark.parametrize(("form", "thing"), list(product(YES, THINGS)))
def test_what_is_there_is_not_guarded(form, thing):
    assert guard_of(f"No wheels\n{form.format(thing)}\nBag not included", thing) is None


items = st.lists(st.sampled_from([*THINGS, "timer", "handle"]), min_size=2, max_size=5, unique=True)


@settings(deadline=None)
@given(items, st.sampled_from(["or", "nor"]), st.sampled_from([", ", " "]))
def test_a_denial_reaches_over_a_list_with_or(things, word, comma):
    text = f"no {', '.join(things[:-1])}{comma}{word} {things[-1]}"
    assert {guard_of(text, thing) for thing in things} == {"negation"}


@settings(deadline=None)
@given(items)
def test_a_list_without_or_is_unclear_behind_its_first(things):
    text = f"no {', '.join(things)}"
    found = [guard_of(text, thing) for thing in things]
    assert found == ["negation", *["option"] * (len(things) - 1)]


@pytest.mark.parametrize(
    ("text", "words", "guard"),
    [
        ("no Bluetooth, 16 W speakers", "16 W", None),
        ("no Bluetooth, but Wi-Fi", "Wi-Fi", None),
        ("no timer, Wi-Fi is there", "Wi-Fi", None),
        ("without wheels and handles", "handles", "option"),
        ("no wheels and handles", "handles", None),
        ("requires 2 batteries", "2 batteries", None),
        ("Has Wi-Fi and batteries are not included", "Wi-Fi", None),
        ("Oak frame, mattress not included", "Oak", None),
        ("Assembly required", "Assembly required", None),
        ("Not for children under 6 years", "6 years", "compatibility"),
        ("For children, 6 doors", "6 doors", None),
        ("Model no. 5 Wi-Fi", "Wi-Fi", None),
    ],
)
def test_where_a_denial_ends(text, words, guard):
    assert guard_of(text, words) == guard


def test_a_denial_in_the_brackets_of_a_title():
    assert guard_of("Fan with Wi-Fi (not included)", "Wi-Fi", title=True) == "negation"
    assert guard_of("Fan 20 W, Wi-Fi (optional)", "20 W", title=True) is None
    assert guard_of("Fan with Wi-Fi (bulb not included)", "Wi-Fi", title=True) is None


WORN = [
    'The model (height 5\'8", chest 33") is wearing a size S',
    'Our model has height 5\'8" and bust 33"',
    "Model is 175 cm tall and wears size S",
    "The product is a size M on a model of height 6' and shoulders 18\"",
    "Size M worn by a model of 183 cm",
]


@pytest.mark.parametrize("said", WORN)
@pytest.mark.parametrize("before", ["", "Crew neck. ", "Length 70 cm\n"])
def test_the_wearer_is_not_the_garment(said, before):
    text = f"{before}{said}. Sleeve 60 cm. Cotton"
    start = len(before)
    found = zones(text, segments(text, False))
    for number in ("5'8", "33", "175", "6'", "18", "183"):
        if number in said:
            place = text.index(number, start)
            guard = guarded(found, place, place + len(number))
            assert guard is not None and guard.guard == "wearer"
    assert guard_of(text, "Sleeve 60 cm") is None
    assert guard_of(text, "Cotton") is None


@pytest.mark.parametrize("heading", ["Model statistics", "Model's stats:", "model measurements"])
def test_lines_below_a_heading_of_the_wearer(heading):
    text = f"{heading}\n1. The model wears size M\n2. Height-6', Chest-38\"\nWeight: 300 g"
    assert guard_of(text, "6'") == guard_of(text, "38") == "wearer"
    assert guard_of(text, "300 g") is None


@pytest.mark.parametrize(
    "text",
    [
        "This model is 90 cm tall",
        "This model has height adjustment of 20 cm",
        "Model: X200, 30 cm",
        "The model comes with a 5 m cable",
        "A scale model of 30 cm height",
    ],
)
def test_a_model_may_be_a_product(text):
    assert not [z for z in zones(text, segments(text, False)) if z.guard == "wearer"]


@pytest.mark.parametrize(
    "piece",
    ["no a, ", "a or ", "not included ", "(optional) ", "model wears ", "and not ", "a-no-"],
)
def test_the_time_grows_with_the_text(piece):
    def work(length: int) -> None:
        text = "no " + piece * length
        zones(text, segments(text, False))

    assert_linear(work, 3_000)
