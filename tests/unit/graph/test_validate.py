"""The ladder: what holds passes as it is, everything else is refused with its step. Never an
exception, never a candidate that vanishes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import (
    Amount,
    Document,
    Extraction,
    Fact,
    PictureEvidence,
    Range,
    Refusal,
    Span,
    TextEvidence,
)
from moonshelf.graph.validate import Validator, check

ONTOLOGY = Ontology(
    classes=(ClassDef(name=ROOT, parent=None), ClassDef(name="Fan"), ClassDef(name="Lamp")),
    properties=(
        PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
        PropertyDef(name="length", datatype="decimal", dimension="length", unit="meter"),
        PropertyDef(
            name="room_temperature", datatype="decimal", dimension="temperature", unit="celsius"
        ),
        PropertyDef(name="stars", datatype="integer", low=Decimal(1), high=Decimal(5)),
        PropertyDef(name="color", options=("Red", "gray"), many=True),
        PropertyDef(name="brand", kind="object"),
        PropertyDef(name="wifi", kind="feature", datatype="boolean", synonyms=("wi fi", "wlan")),
        PropertyDef(name="air_purifier", kind="feature", datatype="boolean"),
        PropertyDef(name="frost_free", kind="feature", datatype="boolean"),
        PropertyDef(name="rating", options=("3 star", "5 star")),
        PropertyDef(name="finish", options=("white", "stainless steel")),
        PropertyDef(name="version"),
        PropertyDef(name="lumen", datatype="integer", domain="Lamp"),
    ),
    aliases=(("wattage", "power"), ("Ventilator", "Fan")),
)


def document(text: str, more: str = "") -> Document:
    fields = (("title", text), ("description", more)) if more else (("title", text),)
    return Document(id="d", fields=fields)


def fact(text: str, raw: str, name: str, value: Any, unit: str | None = None, **more: Any) -> Fact:
    start = text.index(raw)
    span = Span(field=more.pop("field", "title"), start=start, end=start + len(raw))
    return Fact(
        document="d",
        property=name,
        value=value,
        unit=unit,
        evidence=TextEvidence(span=span, raw=raw),
        **{"confidence": 0.9, **more},
    )


def amount(text: str) -> Amount:
    return Amount(amount=Decimal(text))


def tried(text: str, *facts: Fact, owner: str = "Fan") -> tuple[list[Fact], list[Refusal]]:
    found = Extraction(document="d", product_class=owner, facts=facts)
    return check(found, document(text), ONTOLOGY)


def step(text: str, one: Fact, owner: str = "Fan") -> str:
    """The step at which a fact is refused; empty where it passes."""
    kept, refused = tried(text, one, owner=owner)
    assert len(kept) + len(refused) == 1
    return refused[0].step if refused else ""


@pytest.mark.parametrize(
    ("text", "raw", "name", "value", "unit"),
    [
        ("Fan 20 W", "20 W", "power", amount("20"), "W"),
        ("Fan 0.02 kW", "0.02 kW", "power", amount("20"), "kW"),
        ("Fan 1.5 kW", "1.5 kW", "power", amount("1500.00"), "kW"),
        ("1 Ton cooling", "1 Ton", "power", amount("3516.85284206667"), "Ton"),
        ("rod 6 ft 9 in long", "6 ft 9 in", "length", amount("2.0574"), "ft"),
        (
            "rod 10-20 cm",
            "10-20 cm",
            "length",
            Range(low=Decimal("0.1"), high=Decimal("0.2")),
            "cm",
        ),
        ("box 60 x 40 cm", "60", "length", amount("0.6"), "cm"),
        ("Fan 5 Star", "5 Star", "stars", 5, None),
        ("Fan 5 Star", "5 Star", "stars", amount("5"), None),
        ("Fan RED", "RED", "color", "red", None),
        ("Fan grey body", "grey", "color", "gray", None),
        ("by  LG  Home", "LG", "brand", "LG", None),
        ("with Wi-Fi inside", "Wi-Fi", "wifi", True, None),
        ("no Wi-Fi inside", "no Wi-Fi", "wifi", False, None),
        ("WLAN: nein (none)", "WLAN: nein (none)", "wifi", False, None),
        ("no Bluetooth, Wi-Fi", "no Bluetooth, Wi-Fi", "wifi", True, None),
        ("free Wi Fi", "free Wi Fi", "wifi", True, None),
        ("Frost-Free fridge", "Frost-Free", "frost_free", True, None),
        ("purifies, air purifiers", "air purifiers", "air_purifier", True, None),
        ("rated 5-Star", "5-Star", "rating", "5 star", None),
        ("Stainless-Steel", "Stainless-Steel", "finish", "stainless steel", None),
        ("Stainles steel body", "Stainles steel", "finish", "stainless steel", None),
        ("Length 5 cm", "5", "length", amount("0.05"), "cm"),
        ("Length (cm): 5", "5", "length", amount("0.05"), "cm"),
        ("5 cm wide, 2 m long", "5 cm wide, 2 m long", "length", amount("2"), "m"),
    ],
)
def test_what_the_text_states_passes(
    text: str, raw: str, name: str, value: Any, unit: str | None
) -> None:
    assert step(text, fact(text, raw, name, value, unit)) == ""


LONG = Range(low=Decimal("0.1"), high=Decimal(3))


@pytest.mark.parametrize(
    ("text", "raw", "name", "value", "unit", "wanted"),
    [
        ("Fan 20 W", "20 W", "voltage", amount("20"), "W", "vocabulary"),
        ("Fan 20 W", "20", "lumen", 20, None, "vocabulary"),  # of lamps
        ("Fan 20 W", "20 W", "power", "20", "W", "vocabulary"),  # a text
        ("Fan 20 W", "20 W", "power", True, "W", "vocabulary"),
        ("Fan 20 W", "20 W", "brand", "  ", None, "vocabulary"),
        ("Fan 20 W", "20 W", "power", amount("200"), "W", "span"),  # another number
        ("Fan 1.5 kW", "1.5 kW", "power", amount("1.5"), "kW", "span"),  # never converted
        ("Fan 1.5 kW", "5 kW", "power", amount("5000"), "kW", "span"),  # cuts a number
        ("Fan 20 W", "20 W", "power", amount("20"), None, "unit"),
        ("Fan 20 W", "20 W", "power", amount("20"), "cm", "unit"),
        ("Fan 20 W", "20 W", "power", amount("20000"), "kW", "unit"),  # no kW stands there
        ("rod 10-20 cm", "10-20 cm", "length", LONG, "cm", "span"),
        ("Fan 7 Star", "7 Star", "stars", 7, None, "range"),
        ("Fan 4.5 Star", "4.5 Star", "stars", amount("4.5"), None, "range"),
        ("Fan 9 W", "9 W", "power", amount("9E+80"), "W", "range"),
        ("Fan red", "red", "color", "blue", None, "option"),
        ("Fan blue", "blue", "color", "red", None, "span"),  # an option that nobody said
        ("by LG", "LG", "brand", "Samsung", None, "span"),
        ("Required part", "red", "color", "red", None, "span"),  # within another word
        ("a Bluetooth fan", "Bluetooth", "wifi", True, None, "span"),
        ("with Wi-Fi", "Wi-Fi", "wifi", False, None, "span"),
        ("no Wi-Fi", "no Wi-Fi", "wifi", True, None, "span"),
        ("Wi-Fi: not available", "Wi-Fi: not available", "wifi", True, None, "span"),
        ("wifi free zone", "wifi free", "wifi", True, None, "span"),
        ("an arm chair", "chair", "air_purifier", True, None, "span"),
        ("fresh air", "air", "air_purifier", True, None, "span"),
        ("Required part", "Required", "brand", "red", None, "span"),
        ("Required part", "Required", "color", "red", None, "span"),
        ("rated 5 Star", "5 Star", "rating", "3 star", None, "span"),
        ("for a while", "while", "finish", "white", None, "span"),
        ("version 15", "15", "version", "1.5", None, "span"),
        ("Length 5 cm", "5", "length", amount("5"), "m", "unit"),
        ("Length 5 cm, width 2 m", "5", "length", amount("5"), "m", "unit"),
        ("Weight 5 kg, width 2 m", "5", "length", amount("5"), "m", "unit"),
        ("5 cm wide, 2 m long", "5 cm wide, 2 m long", "length", amount("5"), "m", "span"),
        ("5 kg, 2 m", "5 kg, 2 m", "length", amount("5"), "m", "span"),
    ],
)  # fmt: skip
def test_what_it_does_not_state_is_refused_with_its_step(
    text: str, raw: str, name: str, value: Any, unit: str | None, wanted: str
) -> None:
    assert step(text, fact(text, raw, name, value, unit)) == wanted


def test_spans_are_compared_character_by_character() -> None:
    text = "Fan 20 W"
    good = fact(text, "20 W", "power", amount("20"), "W")

    def moved(**update: Any) -> Fact:
        evidence = good.evidence.model_copy(update=update)
        return good.model_copy(update={"evidence": evidence})

    assert step(text, good) == ""
    assert step(text, moved(span=Span(field="title", start=3, end=7))) == "span"
    assert step(text, moved(span=Span(field="title", start=4, end=9))) == "span"
    assert step(text, moved(span=Span(field="body", start=4, end=8))) == "span"
    assert step(text, moved(raw="20 w")) == "span"
    assert step(text, good.model_copy(update={"document": "other"})) == "span"
    assert step("Fan\u00a020 W", good) == ""
    assert step("Fan 20\u00a0W", good) == "span", "another blank is another text"


def test_a_translation_carries_the_value_but_not_the_span() -> None:
    text = "Ventilator, rot, 20 W"
    red = fact(text, "rot", "color", "red", translation="red")
    assert step(text, red) == ""
    assert step(text, red.model_copy(update={"translation": None})) == "span"
    assert step("Ventilator, blau", red) == "span"
    off = fact(text, "rot", "wifi", False, translation="without wifi")
    assert step(text, off) == ""


def test_former_names_and_unknown_classes() -> None:
    text = "Fan 20 W, 300"
    old = fact(text, "20 W", "wattage", amount("20"), "W")
    ((kept,), _) = tried(text, old, owner="Ventilator")
    assert kept.property == "power"
    unknown = Extraction(document="d", product_class="Spaceship", facts=(old,))
    assert Validator(ONTOLOGY).product_class(unknown) == ROOT
    assert len(check(unknown, document(text), ONTOLOGY)[0]) == 1


def test_values_come_out_in_their_listed_or_folded_form() -> None:
    text = "RED fan by LG"
    (red, brand), _ = tried(
        text, fact(text, "RED", "color", "RED"), fact(text, "LG", "brand", " LG ")
    )
    assert (red.value, brand.value) == ("Red", "lg")


def test_one_value_where_one_is_allowed_the_surest_then_the_first() -> None:
    text = "Fan 20 W or 30 W, 5 Star, 20 W"
    first = fact(text, "20 W", "power", amount("20"), "W")
    sure = fact(text, "30 W", "power", amount("30"), "W", confidence=0.95)
    evidence = TextEvidence(span=Span(field="title", start=26, end=30), raw="20 W")
    again = first.model_copy(update={"evidence": evidence})
    kept, refused = tried(text, first, sure)
    assert (kept, [r.step for r in refused]) == ([sure], ["conflict"])
    assert "30" in refused[0].reason
    unsure = sure.model_copy(update={"confidence": 0.9})
    assert tried(text, unsure, first)[0] == [first], "equally sure: the one said first"
    assert tried(text, first, again)[0] == [first, again], "two pieces of evidence"
    kept, refused = tried(text, first, first)
    assert (len(kept), refused[0].step) == (1, "conflict")
    both = [fact("red and gray", raw, "color", raw) for raw in ("red", "gray")]
    assert len(tried("red and gray", *both)[0]) == 2, "this property may have several"


def test_two_units_that_say_nearly_the_same_are_told_as_such() -> None:
    text = "1 Ton 12000 BTU"
    ton = fact(text, "1 Ton", "power", amount("3516.85284206667"), "Ton")
    btu = fact(text, "12000 BTU", "power", amount("3516"), "BTU", confidence=0.5)
    near = btu.model_copy(update={"value": amount("3516.85284206667")})
    assert tried(text, ton, near)[1] == []
    _, refused = tried(text, ton, btu)
    assert refused[0].step == "span", "3516 is not what the text says"


def test_a_picture_needs_no_words_but_the_vocabulary() -> None:
    seen = PictureEvidence(picture="h", encoder="e", score=0.8)
    red = Fact(document="d", property="color", value="red", evidence=seen, confidence=0.8)
    assert step("Fan", red) == ""
    assert step("Fan", red.model_copy(update={"value": "mauve"})) == "option"


def test_what_the_backend_refused_stays_refused() -> None:
    own = Refusal(document="d", step="guard", reason="of \ud800 accessories", candidate="{}")
    found = Extraction(document="d", product_class="Fan", facts=(), refusals=(own,))
    kept, refused = check(found, document("Fan"), ONTOLOGY)
    assert kept == []
    assert [(r.step, r.reason) for r in refused] == [("guard", "of \\ud800 accessories")]


TEXTS = st.text(max_size=12) | st.sampled_from(["20 W", "red", "1.5", "Wi-Fi", "\ud800", "١٢", ""])
VALUES = (
    st.booleans()
    | st.integers()
    | TEXTS
    | st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: Amount(amount=d))
    | st.tuples(st.decimals(-9, 9), st.decimals(10, 99)).map(lambda p: Range(low=p[0], high=p[1]))
)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, raw=TEXTS, value=VALUES, unit=TEXTS | st.none(), start=st.integers(0, 9),
       size=st.integers(1, 9), name=st.sampled_from([p.name for p in ONTOLOGY.properties]),
       translation=TEXTS | st.none())  # fmt: skip
def test_any_candidate_is_kept_or_refused(
    text: str, raw: str, value: Any, unit: str | None, start: int, size: int, name: str,
    translation: str | None,
) -> None:  # fmt: skip
    evidence = TextEvidence(span=Span(field="title", start=start, end=start + size), raw=raw)
    one = Fact(
        document="d",
        property=name,
        value=value,
        unit=unit,
        evidence=evidence,
        confidence=1,
        translation=translation,
    )
    for wording in (text, f"{text} {raw} {text}"):
        kept, refused = tried(wording, one)
        assert len(kept) + len(refused) == 1
        for found in refused:
            found.model_dump_json()
        for found in kept:
            found.model_dump_json()
            assert wording[start : start + size] == raw
