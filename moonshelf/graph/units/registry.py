"""The unit registry: names, dimensions, exact factors, codes, and every way a unit is written.

It is data (``registry.toml``). A written form may have several readings, one a dimension at most
("ton" is a mass or a cooling power): the property's dimension decides, never the registry.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from moonshelf.errors import MoonshelfError
from moonshelf.graph.text import fold

DIGITS = 34
"""Significant digits of a factor that is no finite decimal."""
_GAPS = re.compile(r"[\s.-]+")


class UnitError(MoonshelfError):
    """An unknown unit, or two units of different dimensions."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. An amount times ``factor`` plus ``offset`` is the amount in the canonical unit.

    Attributes:
        code: UN/CEFACT Recommendation 20, None where it has none.
        symbol: for display, e.g. ``cm²``.
        synonyms: written forms in any letter case; a blank matches a dot, a dash or nothing.
        exact: written forms that count in this letter case only (``T``, ``m``, ``"``).
        usual: what a quantity in this unit is called where the text does not say.
        context: folded words that tell this reading from another unit written alike.
        before: written forms that stand before the number (``EER 12.5``).
        between: bounds outside which the ``exact`` forms mean something else (24K, 3000K).
        doubtful: the ``exact`` forms mean this unit only where a catalogue spells it out as well.
    """

    name: str
    dimension: str
    factor: Decimal
    symbol: str
    usual: str
    offset: Decimal = Decimal(0)
    code: str | None = None
    synonyms: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    between: tuple[Decimal, Decimal] | None = None
    doubtful: bool = False


class Registry:
    """Units by name and by written form. Immutable; :func:`registry` gives the shipped one."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = MappingProxyType({u.name: u for u in units})
        if len(self._units) != len(units):
            raise UnitError("a unit is defined twice", where="unit registry")
        dimensions: dict[str, list[Unit]] = {}
        folded: dict[str, list[Unit]] = {}
        exact: dict[str, list[Unit]] = {}
        for unit in units:
            dimensions.setdefault(unit.dimension, []).append(unit)
            for written in unit.synonyms:
                _add(folded, written_key(written), unit)
            for written in unit.exact:
                _add(exact, written, unit)
        self._dimensions = MappingProxyType({d: tuple(us) for d, us in dimensions.items()})
        self._folded = MappingProxyType({w: tuple(us) for w, us in folded.items()})
        self._exact = MappingProxyType({w: tuple(us) for w, us in exact.items()})

    def units(self) -> tuple[Unit, ...]:
        return tuple(self._units.values())

    def unit(self, name: str) -> Unit:
        """The unit of this registry name; UnitError where there is none."""
        try:
            return self._units[name]
        except KeyError:
            raise UnitError(
                f"no unit {name!r}", where="unit registry", cure="use a name of registry.toml"
            ) from None

    def readings(self, written: str) -> tuple[Unit, ...]:
        """Every unit that is written so, one a dimension, the commonest first; () if none."""
        exact = self._exact.get(written.strip(), ())
        folded = self._folded.get(written_key(written), ())
        return tuple(dict.fromkeys((*exact, *folded)))

    def find(self, written: str, dimension: str | None = None) -> Unit | None:
        """The unit written so, of ``dimension`` where given; None where there is none."""
        for unit in self.readings(written):
            if dimension is None or unit.dimension == dimension:
                return unit
        return None

    def dimensions(self) -> tuple[str, ...]:
        return tuple(self._dimensions)

    def canonical(self, dimension: str) -> Unit:
        """The unit with factor 1 of a dimension; UnitError for an unknown one."""
        return self.of(dimension)[0]

    def of(self, dimension: str) -> tuple[Unit, ...]:
        """Units of a dimension, the canonical one first; UnitError for an unknown dimension."""
        try:
            return self._dimensions[dimension]
        except KeyError:
            raise UnitError(
                f"no dimension {dimension!r}",
                where="unit registry",
                cure=f"choose among {', '.join(self._dimensions)}",
            ) from None


def written_key(written: str) -> str:
    """What written forms are compared by: folded, without blanks, dots and dashes."""
    return _GAPS.sub("", fold(written).text)


@cache
def registry() -> Registry:
    """The shipped registry, read once. It cannot change, so sharing it is safe."""
    text = files("moonshelf.graph.units").joinpath("registry.toml").read_text(encoding="utf-8")
    return read_registry(tomllib.loads(text))


def read_registry(data: Mapping[str, Any]) -> Registry:
    """A registry from the tables of ``registry.toml``.

    Raises:
        UnitError: a unit defined twice, or a dimension whose first unit is not canonical.
    """
    units = []
    for dimension, table in data["dimension"].items():
        for k, row in enumerate(table["units"]):
            unit = _unit(row, dimension, table["property"])
            if k == 0 and (unit.factor != 1 or unit.offset != 0):
                raise UnitError(
                    f"the first unit of {dimension} has factor {unit.factor}",
                    where="unit registry",
                    cure="put the canonical unit first",
                )
            units.append(unit)
    return Registry(units)


def _unit(row: Mapping[str, Any], dimension: str, usual: str) -> Unit:
    between = row.get("between")
    return Unit(
        name=row["name"],
        dimension=dimension,
        factor=_decimal(row["factor"]),
        symbol=row["symbol"],
        usual=row.get("property", usual),
        offset=_decimal(row.get("offset", "0")),
        code=row.get("code"),
        synonyms=tuple(row.get("words", ())),
        exact=tuple(row.get("exact", ())),
        context=tuple(row.get("context", ())),
        before=tuple(row.get("before", ())),
        between=(Decimal(between[0]), Decimal(between[1])) if between else None,
        doubtful=row.get("doubtful", False),
    )


def _decimal(text: str) -> Decimal:
    above, _, below = text.partition("/")
    if not below:
        return Decimal(above)
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(above) / Decimal(below)


def _add(table: dict[str, list[Unit]], written: str, unit: Unit) -> None:
    found = table.setdefault(written, [])
    same = next((u for u in found if u.dimension == unit.dimension and u is not unit), None)
    if same is not None:
        raise UnitError(f"{written!r} is both {same.name} and {unit.name}", where="unit registry")
    if unit not in found:
        found.append(unit)
