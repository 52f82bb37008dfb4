"""The traps of units in product texts, each a test; and a lexer that never raises."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.graph.builtin.marks import decimal_mark
from moonshelf.graph.builtin.numbers import read
from moonshelf.graph.builtin.quantities import amounts, numerals, quantities
from moonshelf.graph.builtin.reading import read_document
from moonshelf.graph.records import Document
from tests.unit.graph.growth import assert_linear


def shown(text, mark=None):
    """Slice, value (or low..high) and unit or kind of each quantity."""
    return [
        (
            text[q.start : q.end],
            f"{q.low}" if q.high is None else f"{q.low}..{q.high}",
            q.unit or q.kind,
        )
        for q in quantities(text, mark)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What pint gets wrong when it reads raw text.
        ("12,5 kg", [("12,5 kg", "12.5", "kilogram")]),
        ("6 ft 9 in", [("6 ft 9 in", "81", "inch")]),
        ("6'9\"", [("6'9\"", "81", "inch")]),
        ("6 feet, 9 inches", [("6 feet, 9 inches", "81", "inch")]),
        ('24"', [('24"', "24", "inch")]),
        ("24″ × 36”", [("24″", "24", "inch"), ("36”", "36", "inch")]),
        ("0.5 cu. ft", [("0.5 cu. ft", "0.5", "cubic_foot")]),
        ("20 dB", [("20 dB", "20", "decibel")]),
        ("20 dB(A)", [("20 dB(A)", "20", "decibel_a")]),
        ("20 dBA", [("20 dBA", "20", "decibel_a")]),
        # Cooling.
        ("12000 BTU/h", [("12000 BTU/h", "12000", "btu_per_hour")]),
        ("5.00kW (1.5T)", [("5.00kW", "5.00", "kilowatt"), ("1.5T", "1.5", "ton")]),
        ("EER 12.5, SEER: 16", [
            ("EER 12.5", "12.5", "btu_per_watt_hour"),
            ("SEER: 16", "16", "seasonal_btu_per_watt_hour"),
        ]),
        ("SEER2 15.2, 16 SEER2", [
            ("SEER2 15.2", "15.2", "seasonal_btu_per_watt_hour_2"),
            ("16 SEER2", "16", "seasonal_btu_per_watt_hour_2"),
        ]),
        ("12.5 EER, COP 3.2", [
            ("12.5 EER", "12.5", "btu_per_watt_hour"), ("COP 3.2", "3.2", "watt_per_watt"),
        ]),
        ("300 m³/h or 200 CFM", [
            ("300 m³/h", "300", "cubic_meter_per_hour"),
            ("200 CFM", "200", "cubic_foot_per_minute"),
        ]),
        ("VESTAR 1.Ton", [("1.Ton", "1", "ton")]),
        ("1.5Ton 3Star", [("1.5Ton", "1.5", "ton"), ("3Star", "3", "star")]),
        # Ranges and tolerances.
        ("16-30°C", [("16-30°C", "16..30", "celsius")]),
        ("16°C – 30 °C", [("16°C – 30 °C", "16..30", "celsius")]),
        ("between 16 and 30 °C", [("16 and 30 °C", "16..30", "celsius")]),
        ("5 to 7 kg", [("5 to 7 kg", "5..7", "kilogram")]),
        ("-20 °C to 50 °C", [("-20 °C to 50 °C", "-20..50", "celsius")]),
        ("100-240V", [("100-240V", "100..240", "volt")]),
        ("24 ± 2 °C", [("24 ± 2 °C", "24", "celsius")]),
        ("24°C +/- 2°C", [("24°C +/- 2°C", "24", "celsius")]),
        ("±5%", [("±5%", "-5..5", "percent")]),
        ("-20 to 10 °C", [("-20 to 10 °C", "-20..10", "celsius")]),
        ("-20 to -5 °C", [("-20 to -5 °C", "-20..-5", "celsius")]),
        ("-20...+50 °C", [("-20...+50 °C", "-20..50", "celsius")]),
        ("−10…40 °C", [("−10…40 °C", "-10..40", "celsius")]),
        ("at -20/+50 °C", [("-20/+50 °C", "-20..50", "celsius")]),
        ("from -5 to 10 °C", [("-5 to 10 °C", "-5..10", "celsius")]),
        ("between -20 and -5 °C", [("-20 and -5 °C", "-20..-5", "celsius")]),
        ("-40 - -20 dB", [("-40 - -20 dB", "-40..-20", "decibel")]),
        # Two signs that make no range: neither end is the value.
        ("-5 to -20 °C", []),
        ("-20 -10 °C", []),
        ("5 to -7 kg", []),
        ("-12 to 12 V", []),
        ("Haier -1.5 to 2 Ton", [("1.5 to 2 Ton", "1.5..2", "ton")]),
        # A falling "range" is none.
        ("9-5 kg", [("9", "9", "bare"), ("5 kg", "5", "kilogram")]),
        ("Haier -1.5 Ton", [("1.5 Ton", "1.5", "ton")]),
        # Fractions.
        ("4 3/4 in", [("4 3/4 in", "4.75", "inch")]),
        ("4-3/4 inch", [("4-3/4 inch", "4.75", "inch")]),
        ("4¾”", [("4¾”", "4.75", "inch")]),
        ("½ cup 3/4 in", [("½", "0.5", "bare"), ("3/4 in", "0.75", "inch")]),
        ("24/7 help", [("24", "24", "bare"), ("7", "7", "bare")]),
        # Counts.
        ("6-in-1", [("6-in-1", "6", "modes")]),
        ("5 In 1 Convertible", [("5 In 1", "5", "modes")]),
        ("Pack of 3", [("Pack of 3", "3", "pack")]),
        ("Pack Of (1)", [("Pack Of (1", "1", "pack")]),
        ("12-pack, 2 pcs", [("12-pack", "12", "pack"), ("2 pcs", "2", "pack")]),
        ("2 x 500 ml", [("2", "2", "pack"), ("500 ml", "500", "milliliter")]),
        ("500 ml x 2", [("500 ml", "500", "milliliter"), ("2", "2", "pack")]),
        ("5 Star", [("5 Star", "5", "star")]),
        ("4.5-Star", [("4.5-Star", "4.5", "star")]),
        ("0.25 ct, 12 ct", [("0.25 ct", "0.25", "carat"), ("12 ct", "12", "pack")]),
        # Years are no quantities.
        ("2022 Model", [("2022", "2022", "year")]),
        ("(White, 2022)", [("2022", "2022", "year")]),
        ("2022 Mode...", [("2022", "2022", "year")]),
        ("Model 2022-23", [("2022", "2022", "year"), ("23", "23", "bare")]),
        ("2022 W", [("2022 W", "2022", "watt")]),
        ("2022 pieces", [("2022 pieces", "2022", "pack")]),
        # Digits inside codes are nothing.
        ("R32 PM2.5 SRK13CRS 24K 3100S AR18CY5", []),
        ("white (CAI18EK3R30F0)", []),
        ("5th of 1st", []),
        # Nor are the ends of codes: what counts down or is padded is no range and no amount.
        ("Part# 365063-001 HP", [("365063", "365063", "bare")]),
        ('417192-004 462587-003" New', [
            ("417192", "417192", "bare"), ("462587", "462587", "bare"),
        ]),
        ("00125-50 V", []),
        ("314933-637 HP", [("314933", "314933", "bare")]),
        ("dial PL13090JSG-28A, SB174Y37-1L", []),
        ("DDR4-3200 MHz P3-600MHz", [
            ("3200 MHz", "3200", "megahertz"), ("600MHz", "600", "megahertz"),
        ]),
        ("PAR38-18W", [("18W", "18", "watt")]),
        ("10000-20000 mAh", [("10000-20000 mAh", "10000..20000", "milliampere_hour")]),
        ("18 000-12 000 BTU/h", [("18 000", "18000", "bare"),
                                 ("12 000 BTU/h", "12000", "btu_per_hour")]),
        ("0.12345-50 V", [("0.12345-50 V", "0.12345..50", "volt")]),
        ("99.12345-50 V", [("99.12345", "99.12345", "bare"), ("50 V", "50", "volt")]),
        ("03-06 months", [("03-06 months", "3..6", "month")]),
        # Marks that are quotes, not inches or feet.
        ('the "Model 24" case', [("24", "24", "bare")]),
        ("'Size 5' shoes", [("5", "5", "bare")]),
        ("the 90's", [("90", "90", "bare")]),
        # A bare "in" is a word.
        ("24 in stock", [("24", "24", "bare")]),
        ("10 in white", [("10", "10", "bare")]),
        ("24 in. wide", [("24 in", "24", "inch")]),
        ("5.1in Hose", [("5.1in", "5.1", "inch")]),
        # Letters that are units only within bounds or in one letter case.
        ("3000K light", [("3000K", "3000", "kelvin")]),
        ("4G 5G 3D 2X", []),
        # A letter that begins a word of its own.
        ("1938 T-shirt, 6 W-Shaped legs, 7 T.J. Os", [
            ("1938", "1938", "bare"), ("6", "6", "bare"), ("7", "7", "bare"),
        ]),
        ("60 W-A19 bulb, 12 V-2 A", [
            ("60 W", "60", "watt"), ("12 V", "12", "volt"), ("2 A", "2", "ampere"),
        ]),
        ("5 m, 5 M", [("5 m", "5", "meter"), ("5", "5", "bare")]),
        # Money is no property.
        ("₹1500 or Rs. 200 or 15 dollars", []),
        ("٢٫٥ kg, ３ ｋｇ", [("٢٫٥ kg", "2.5", "kilogram"), ("３", "3", "bare")]),
    ],
)  # fmt: skip
def test_reads(text, expected):
    assert shown(text) == expected


def test_ton_keeps_both_readings():
    """The property's dimension decides, so the lexer must not."""
    (found,) = quantities("1.5 Ton")
    assert found.readings == ("ton", "ton_refrigeration")
    (found,) = quantities("1.5 TR")
    assert found.readings == ("ton_refrigeration",)


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("10 x 20 x 30 cm", ["first", "second", "third"]),
        ("10cm × 20cm", ["first", "second"]),
        ("20cmx30cm", ["first", "second"]),
        ("10 by 20 cm", ["first", "second"]),
        ("35.5W x 28D x 82.8H cm", ["width", "depth", "height"]),
        ("L10 x W5 x H3 cm", ["length", "width", "height"]),
        ("40 x 50 x 60 mm (L x W x H)", ["length", "width", "height"]),
        ("(WxDxH): 40 x 50 x 60 mm", ["width", "depth", "height"]),
        ("24 in. W x 30 in. H", ["width", "height"]),
        ('24"W x 30"H', ["width", "height"]),
        ("3/4 in. x 1-1/2 in. x 8 ft.", ["first", "second", "third"]),
    ],
)
def test_sizes_name_their_sides(text, sides):
    found = quantities(text)
    assert [q.axis for q in found] == sides
    assert len({q.group for q in found}) == 1
    assert all(q.unit for q in found)


def test_a_size_shares_its_unit():
    found = quantities("10 x 20 x 30 cm")
    assert [(q.low, q.unit) for q in found] == [
        (10, "centimeter"),
        (20, "centimeter"),
        (30, "centimeter"),
    ]
    assert found[0].group == (0, 15)


def test_single_sides_are_named():
    (found,) = quantities("72 inches tall")
    assert (found.low, found.axis) == (72, "height")


@pytest.mark.parametrize(
    ("text", "bound"), [("up to 52°C", "most"), ("Max. 5 kg", "most"), ("over 30 m", "least")]
)
def test_bounds(text, bound):
    assert quantities(text)[0].bound == bound


def test_tolerance():
    (found,) = quantities("24 ± 2 °C")
    assert (found.low, found.tolerance) == (24, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Undecidable: abstain.
        ("1,500 W", []),
        ("1.500 W", []),
        # The text tells how its author writes decimals.
        ("1.5 kg 1,500 W", ["1.5", "1500"]),
        ("1,5 kg 1.500 W", ["1.5", "1500"]),
        ("1,5 kg 1,500 W", ["1.5", "1.500"]),
        ("1.5 kg, 1,5 kg, 1,500 W", ["1.5", "1.5"]),
        # Decided by themselves.
        ("1,500.25 W", ["1500.25"]),
        ("1.500,25 W", ["1500.25"]),
        ("1,500,000 W", ["1500000"]),
        ("1,50,000 W", ["150000"]),
        ("1\u00a0500 W", ["1500"]),
        ("0.375 in", ["0.375"]),
        ("0,375 kg", ["0.375"]),
        (".5 kg", ["0.5"]),
        ("1.2.3 kg", []),
        # Set apart by a plain blank: one number where nothing else can be meant.
        ("Klima uređaj 12 000 BTU/h", ["12000"]),
        ("1 500 000 W", ["1500000"]),
        ("12 000,5 W", ["12000.5"]),
        ("1 500 - 2 000 W", ["1500"]),
        ("1 000-1 500 W", ["1000"]),
        ("1 500 W", []),
        ("2 500 ml", []),
        ("Note 12 128 GB", []),
        ("Pack of 2 500 ml", ["2", "500"]),
        ("S21 128 GB, ML350 370 kg", ["128", "370"]),
        ("5 100% cotton", ["5", "100"]),
        ("Size 10 200 x 300 mm", ["10", "200", "300"]),
        # No number is the rest of one.
        ("Rs12 000 W", []),
        ("1,500 000 W", []),
        # Too long to be one.
        ("8901234567890", []),
        ("8901234567890 W", []),
        ("1.1234567890123 m", []),
        ("890123456789", ["890123456789"]),
        # No evidence of decimals.
        ("LG AC 2022,5 Star 1,500 W", ["2022.5"]),
        ("2022,5 kg 1,500 W", ["2022.5"]),
        ("iPhone 11,12 Pro 1,500 mAh", ["11.12"]),
        ("sizes 6,7 and 8, 1,200 ml", ["6.7", "8"]),
        ("sizes 5, 6,7 L, 1,200 ml", ["5", "6.7"]),
        ("Bluetooth 5.0, 1.200 W", ["5.0"]),
        ("USB 3.0 A, 1.200 W", ["3.0"]),
    ],
)
def test_thousands_and_decimals(text, expected):
    assert [str(q.low) for q in quantities(text)] == expected


def test_the_caller_may_know_the_mark():
    assert quantities("1,500 W", ".")[0].low == 1500
    assert quantities("1,500 W", ",")[0].low == Decimal("1.5")
    assert quantities("1,5 kg 1,500 W", "?")[1:] == []


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        # Who writes a decimal comma sets thousands apart by blanks; "2 500 ml" may be a pack.
        ("1 500 W", ",", ["1500"]),
        ("1 500,5 W", ",", ["1500.5"]),
        ("2 500 ml", ",", []),
        ("12 500 ml", ",", []),
        ("Note 12 128 GB", ".", ["12", "128"]),
        ("Power: 1 500 W", ".", []),
        ("1 050 W", ".", ["1050"]),
        ("Klima 12 000 BTU/h", ".", ["12000"]),
        ("1 500 W", "?", []),
    ],
)
def test_blanks_within_numbers_by_the_mark(text, mark, expected):
    assert [str(q.low) for q in quantities(text, mark)] == expected


@pytest.mark.parametrize(
    ("text", "corpus", "expected"),
    [
        ("2 Ton AC 2022,5 Star 24,000 BTU", ".", "24000"),
        ("2,5 kg AC 24,000 BTU", ".", None),
        ("2,5 kg AC 24,000 BTU", ",", "24.000"),
        ("2,5 kg AC 24,000 BTU", None, "24.000"),
    ],
)
def test_a_document_against_its_corpus(text, corpus, expected):
    (field,) = read_document(Document(id="d", fields=(("title", text),)), corpus)
    found = [w.quantity for w in field.words if w.quantity and w.quantity.unit == "btu_per_hour"]
    assert [str(q.low) for q in found if q] == ([expected] if expected else [])


def test_evidence_of_decimals():
    assert decimal_mark("1.5 kg") == "."
    assert decimal_mark("1,5 kg") == ","
    assert decimal_mark("sizes 36,38") is None
    assert decimal_mark("1,500") is None
    assert decimal_mark("1.5 and 2,5 kg") is None
    assert decimal_mark("Bluetooth 5.0 and 2,5 kg") == ","
    assert decimal_mark("$12.50") == "."
    assert decimal_mark("1.500,25 W") == ","
    assert read("12,34,567") == 1234567


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.5 Ton 5 Star", ["1.5", "5"], ["1", "15"]),
        ("12,5 kg", ["12.5"], ["12", "125"]),
        ("1,500 W", ["1500", "1.5"], ["1", "500"]),
        ("6 ft 9 in", ["6", "9", "81"], ["69"]),
        ("4 3/4 in", ["4.75"], ["3", "43"]),
        ("4/5", ["4", "5", "0.8"], []),
        ("Ftl50tv16v2", ["50", "16", "2"], ["501"]),
        ("Two-way", ["2"], []),
        ("12 000 BTU/h", ["12000"], ["12", "0"]),
        ("1 500 W", ["1500", "1", "500"], []),
        ("2022 500 W", ["2022", "500"], ["2022500"]),
        ("8901234567890", [], ["890123456789", "0"]),
        ("-20 to -5 °C", ["-20", "-5"], []),
        ("no number", [], ["0"]),
    ],
)
def test_numerals(text, inside, outside):
    found = numerals(text)
    assert found == sorted(set(found))
    assert all(Decimal(n) in found for n in inside)
    assert not any(Decimal(n) in found for n in outside)


def test_amounts_convert_what_is_written():
    assert Decimal("60.96") in amounts('24"', "centimeter")
    assert Decimal("18000") in amounts("1.5 Ton", "btu_per_hour")
    assert Decimal("1500") in amounts("1.5 Ton", "kilogram")
    assert Decimal("5") in amounts("5", "kilogram")
    assert Decimal("60.96") not in amounts("24 kg", "centimeter")


HARD = "0123456789.,x×-–/ \"'″±½٣kgcminTon°CStar%()\n\x00\u202e\ud800<b>&#34;"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.text(alphabet=HARD, max_size=60)))
def test_never_raises_and_spans_stand_in_the_text(text):
    done = 0
    for q in quantities(text):
        assert done <= q.start < q.end <= len(text)
        assert any(c.isnumeric() for c in text[q.start : q.end])
        assert q.high is None or q.low <= q.high
        assert (q.unit is None) == (not q.readings)
        assert q.low in numerals(text[q.start : q.end]) or q.group or q.low < 0 or q.high
        done = q.end
    numerals(text)
    amounts(text, "centimeter")


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "5 kg ", "1x", '"', "1,", "pack of 5 ", "\x00", "±1", "1 000 ", "1 500 ", "-1...-"],
)
def test_a_long_text_takes_linear_time(piece):
    assert_linear(lambda length: numerals(piece * length), 2_000)
