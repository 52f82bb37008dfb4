"""Units: every factor against pint, conversions exact, dimensions never mixed."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from moonshelf.graph.units.convert import convert, plain
from moonshelf.graph.units.registry import UnitError, read_registry, registry

# Our name -> pint's, where they differ. None: pint has no such unit; checked below by hand.
PINT = {
    "thousandth_inch": "thou",
    "celsius": "degC",
    "fahrenheit": "degF",
    "btu_per_hour": "BTU / hour",
    "ton_refrigeration": "refrigeration_ton",
    "kilowatt_hour": "kilowatt * hour",
    "watt_hour": "watt * hour",
    "milliampere_hour": "milliampere * hour",
    "ampere_hour": "ampere * hour",
    "volt_ampere": "volt * ampere",
    "kilovolt_ampere": "kilovolt * ampere",
    "revolution_per_minute": "revolution / minute",
    "kilometer_per_hour": "kilometer / hour",
    "mile_per_hour": "mile / hour",
    "meter_per_second": "meter / second",
    "cubic_meter_per_hour": "meter**3 / hour",
    "cubic_foot_per_minute": "foot**3 / minute",
    "liter_per_minute": "liter / minute",
    "liter_per_hour": "liter / hour",
    "gallon_per_minute": "gallon / minute",
    "newton_meter": "newton * meter",
    "pound_foot": "force_pound * foot",
    "candela_per_square_meter": "candela / meter**2",
    "megabit_per_second": "megabit / second",
    "gigabit_per_second": "gigabit / second",
    "megabyte_per_second": "megabyte / second",
    "gigabyte_per_second": "gigabyte / second",
    "gram_per_square_meter": "gram / meter**2",
    "decitex": "dtex",
    "cubic_yard": "yard**3",
    "square_yard": "yard**2",
    "square_meter": "meter**2",
    "square_centimeter": "centimeter**2",
    "square_foot": "foot**2",
    "square_inch": "inch**2",
    "cubic_meter": "meter**3",
    "cubic_centimeter": "centimeter**3",
    "cubic_foot": "foot**3",
    "cubic_inch": "inch**3",
    # An unspecified ton is read as metric.
    "ton": "metric_ton",
    "atmosphere": "standard_atmosphere",
}
# Dimensions without a physical unit behind them, and calendar time (pint's months are days).
CONVENTIONS = {
    "calendar_time",
    "sound_level",
    "level",
    "pixels",
    "pixel_density",
    "frame_rate",
    "fineness",
    "energy_efficiency_ratio",
    "seasonal_energy_efficiency_ratio",
    "seasonal_energy_efficiency_ratio_2",
    "coefficient_of_performance",
    "seasonal_coefficient_of_performance",
    "sun_protection",
    "proportion",
}


@pytest.fixture(scope="module")
def pint_units():
    return pytest.importorskip("pint").UnitRegistry()


PHYSICAL = [u.name for u in registry().units() if u.dimension not in CONVENTIONS]


@pytest.mark.parametrize("name", PHYSICAL)
@pytest.mark.parametrize("amount", ["1", "12.5"])
def test_every_factor_agrees_with_pint(pint_units, name, amount):
    unit = registry().unit(name)
    canonical = registry().canonical(unit.dimension).name
    theirs = pint_units.Quantity(float(amount), PINT.get(name, name))
    expected = theirs.to(PINT.get(canonical, canonical)).magnitude
    # pint rounds the BTU to seven digits, and its acre is made of survey feet.
    assert float(convert(Decimal(amount), name, canonical)) == pytest.approx(expected, rel=5e-6)


@pytest.mark.parametrize(
    ("amount", "unit", "to", "result"),
    [
        ("24", "inch", "centimeter", "60.96"),
        ("81", "inch", "foot", "6.75"),
        ("1.5", "ton_refrigeration", "btu_per_hour", "18000"),
        ("12000", "btu_per_hour", "ton_refrigeration", "1"),
        ("12.5", "kilogram", "gram", "12500"),
        ("2", "year", "month", "24"),
        ("1", "mile", "foot", "5280"),
        ("212", "fahrenheit", "celsius", "100"),
        ("-40", "celsius", "fahrenheit", "-40"),
        ("0", "celsius", "kelvin", "273.15"),
        ("1", "gallon", "cubic_inch", "231"),
        ("1.50", "kilogram", "kilogram", "1.50"),
        ("0", "gram", "kilogram", "0"),
        ("5", "megapixel", "pixel", "5000000"),
        ("5E+12", "megapixel", "pixel", "5000000000000000000"),
        ("1", "psi", "kilopascal", "6.89475729316836"),
    ],
)
def test_converts_exactly(amount, unit, to, result):
    assert str(convert(Decimal(amount), unit, to)) == result


def test_there_and_back():
    for unit in registry().units():
        canonical = registry().canonical(unit.dimension).name
        there = convert(Decimal("7.25"), unit.name, canonical)
        back = convert(there, canonical, unit.name)
        assert float(back) == pytest.approx(7.25, rel=1e-12), unit.name


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("decibel", "decibel_a"),
        ("btu_per_watt_hour", "watt_per_watt"),
        ("ton", "ton_refrigeration"),
        ("gigabyte", "gigabit_per_second"),
        ("month", "day"),
        ("seasonal_btu_per_watt_hour", "seasonal_btu_per_watt_hour_2"),
    ],
)
def test_dimensions_never_mix(unit, to):
    with pytest.raises(UnitError, match="measures"):
        convert(Decimal(1), unit, to)


def test_no_amount_is_an_error():
    for amount in ("NaN", "Infinity"):
        with pytest.raises(UnitError, match="no amount"):
            convert(Decimal(amount), "gram", "kilogram")
    with pytest.raises(UnitError):
        convert(Decimal("1E999999"), "kilometer", "micrometer")


@pytest.mark.parametrize(
    ("written", "dimension", "name"),
    [
        ("Ton", None, "ton"),
        ("Ton", "mass", "ton"),
        ("ton", "power", "ton_refrigeration"),
        ("TR", None, "ton_refrigeration"),
        ("cu. ft", None, "cubic_foot"),
        ("cu.ft.", None, "cubic_foot"),
        ("Sq. Ft.", None, "square_foot"),
        ("dB", None, "decibel"),
        ("dB(A)", None, "decibel_a"),
        ("dBA", None, "decibel_a"),
        ("BTU/h", None, "btu_per_hour"),
        ("m³/h", None, "cubic_meter_per_hour"),
        ("m3/h", None, "cubic_meter_per_hour"),
        ("kW", None, "kilowatt"),
        ("KW", None, "kilowatt"),
        ('"', None, "inch"),
        ("″", None, "inch"),
        ("m", None, "meter"),
        ("M", None, None),
        ("G", None, None),
        ("T", "power", "ton_refrigeration"),
        ("t", "power", None),
        ("ounce", "volume", None),
        ("furlong", None, None),
        ("", None, None),
    ],
)
def test_written_forms(written, dimension, name):
    found = registry().find(written, dimension)
    assert (found.name if found else None) == name


def test_the_registry_is_whole():
    units = registry()
    for dimension in units.dimensions():
        canonical = units.canonical(dimension)
        assert (canonical.factor, canonical.offset) == (1, 0)
        assert len({u.code for u in units.of(dimension) if u.code}) == len(
            [u for u in units.of(dimension) if u.code]
        )
    for unit in units.units():
        assert unit.factor > 0 and unit.symbol
        assert unit.context or unit.name != "ton_refrigeration"
    assert registry() is units


def test_a_broken_registry_is_refused():
    row = {"name": "a", "factor": "1", "symbol": "a", "words": ["a"]}
    with pytest.raises(UnitError, match="twice"):
        read_registry({"dimension": {"x": {"property": "x", "units": [row, row]}}})
    other = row | {"name": "b", "factor": "2"}
    with pytest.raises(UnitError, match="both"):
        read_registry({"dimension": {"x": {"property": "x", "units": [row, other]}}})
    with pytest.raises(UnitError, match="canonical"):
        read_registry({"dimension": {"x": {"property": "x", "units": [other]}}})
    with pytest.raises(UnitError, match="no unit"):
        registry().unit("cubit")
    with pytest.raises(UnitError, match="no dimension"):
        registry().canonical("beauty")


def test_thirds_are_kept_to_thirty_four_digits():
    factor = registry().unit("ton_refrigeration").factor
    exact = Fraction("12660670.23144") / 3600
    assert abs(Fraction(factor) - exact) < Fraction(1, 10**29)


def test_a_pound_on_a_square_inch_is_exact():
    exact = Fraction("4.4482216152605") / Fraction("0.64516")
    assert abs(Fraction(registry().unit("psi").factor) - exact) < Fraction(1, 10**32)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.50", "1.5"),
        ("1E+3", "1000"),
        ("0.00", "0"),
        ("1000", "1000"),
        ("0.1", "0.1"),
        ("1E+30", "1" + "0" * 30),
        ("-1234567890123456789012345678901.50", "-1234567890123456789012345678901.5"),
        ("1E+999999", "1E+999999"),
    ],
)
def test_plain_numbers(text, written):
    with localcontext() as context:
        context.prec = 5
        assert str(plain(Decimal(text))) == written
