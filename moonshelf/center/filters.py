"""Which items may answer a search: a typed filter and the words users write it in.

    category=Apparel/Topwear      the path starts with Apparel > Topwear
    color=Red|Blue                the attribute has one of these values (among others, perhaps)
    price<=500   price=10..50     the price lies in the range; an item without a price never does
    power>=1.5 kW   size=36..40   a number of the attribute does, in the unit that it is given in

Clauses add up (AND), ``|`` offers alternatives (OR). Names compare without regard to case and
Unicode form. A backslash takes the meaning from ``| / . = < >`` and itself:
``category=Bath\\/Body``. ``attributes.price=low`` reaches an attribute that is called like a field.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from moonshelf.errors import UsageError

_CURE = 'write "category=Apparel/Topwear", "color=Red|Blue" or "price<=500"'
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_UNIT = r"(?:[^\s0-9.,|<>=\\][^|<>=\\]{0,39})?"
# A number with its unit, or a range of them: "1.5 ton", "16 to 30 °c".
_AMOUNT = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_HELD = re.compile(rf"({_NUMBER})(?: to ({_NUMBER}))?\s*({_UNIT})")
_PRICE = re.compile(r"\s*price\s*(<=|>=|<|>|=)(.*)", re.IGNORECASE | re.DOTALL)
_MAX_EXPRESSION = 4096


def fold(name: str) -> str:
    """The form in which names compare: NFKC, case-folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True, slots=True)
class Between:
    """A number of attribute ``key`` lies between ``low`` and ``high``, both included.

    ``unit`` is as written and compared folded; empty: the one that all values have.
    """

    key: str
    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What an item must have. Names are kept as written and folded when they are looked up.

    Attributes:
        categories: clauses; each holds alternatives, each alternative is a path prefix.
        attributes: clauses ``(key, values)``; the item has at least one of ``values`` for ``key``.
        price_min, price_max: inclusive bounds in the catalogue's own currency.
        numbers: clauses; the item has a number within each of them.
    """

    categories: tuple[tuple[tuple[str, ...], ...], ...] = ()
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    price_min: float = -math.inf
    price_max: float = math.inf
    numbers: tuple[Between, ...] = ()

    @property
    def bounds_price(self) -> bool:
        return self.price_min > -math.inf or self.price_max < math.inf

    @property
    def empty(self) -> bool:
        """True when every item passes."""
        return not (self.categories or self.attributes or self.numbers or self.bounds_price)

    def facets(self) -> list[list[tuple[str, ...]]]:
        """The clauses of names as alternatives of folded facets (AND of ORs)."""
        clauses = [[category_facet(path) for path in paths] for paths in self.categories]
        clauses += [[attribute_facet(k, v) for v in values] for k, values in self.attributes]
        return clauses


def category_facet(path: Iterable[str]) -> tuple[str, ...]:
    """The facet of one category prefix; every item below it has it."""
    return ("category", *(fold(part) for part in path))


def attribute_facet(key: str, value: str) -> tuple[str, ...]:
    """The facet of one attribute value."""
    return ("attribute", fold(key), fold(value))


def parse_filter(expressions: Iterable[str]) -> Filter | None:
    """Reads filter expressions (see the top of this file); None when there are none.

    Raises:
        UsageError: naming the expression that is not one, with examples.
    """
    categories: list[tuple[tuple[str, ...], ...]] = []
    attributes: list[tuple[str, tuple[str, ...]]] = []
    numbers: list[Between] = []
    low, high = -math.inf, math.inf
    any_expression = False
    for expression in expressions:
        any_expression = True
        if len(expression) > _MAX_EXPRESSION:
            raise _refusal(expression[:40] + "...", f"is longer than {_MAX_EXPRESSION} characters")
        if (price := _PRICE.fullmatch(expression)) is not None:
            new_low, new_high = _price_range(expression, price[1], price[2])
            low, high = max(low, new_low), min(high, new_high)
            continue
        if (between := _between(expression)) is not None:
            numbers.append(between)
            continue
        key, values = _key_and_values(expression)
        if fold(key) == "category":
            categories.append(tuple(_path(expression, value) for value in values))
        else:
            attributes.append((_name(key), tuple(_unescape(value).strip() for value in values)))
    if not any_expression:
        return None
    return Filter(tuple(categories), tuple(attributes), low, high, tuple(numbers))


def numbers_of(value: str) -> tuple[float, float, str] | None:
    """Low and high end and unit of a folded attribute value; None where it is no number."""
    found = _HELD.fullmatch(value)
    if found is None:
        return None
    low = float(found[1])
    return low, float(found[2]) if found[2] else low, found[3]


def _name(key: str) -> str:
    return _unescape(re.sub(r"^\s*attributes\.", "", key, flags=re.IGNORECASE)).strip()


def _between(expression: str) -> Between | None:
    """A clause of numbers; None where ``expression`` is another kind of clause."""
    place = _first(expression, "=<>!~")
    if place < 0 or expression[place] in "!~" or not expression[:place].strip():
        return None
    key, rest = expression[:place], expression[place:]
    if fold(key) == "category":
        return None
    if rest[0] == "=":
        return _in_range(expression, _name(key), rest[1:])
    operator = rest[:2] if rest[1:2] == "=" else rest[0]
    amount = _AMOUNT.fullmatch(rest[len(operator) :].strip())
    if amount is None:
        shown = rest[len(operator) :].strip()
        raise _refusal(expression, f"compares {_name(key)!r} with {shown!r}, not a number")
    low, high = _bounds(operator, _number(expression, amount[1]))
    return Between(_name(key), low, high, amount[2].strip())


def _in_range(expression: str, key: str, text: str) -> Between | None:
    """``10..50 cm``; None where one end is no number: then it is a name."""
    low, dots, high = text.partition("..")
    ends = [_AMOUNT.fullmatch(end.strip()) for end in (low, high) if end.strip()]
    if not dots or not ends or None in ends:
        return None
    found = [end for end in ends if end is not None]
    units = {fold(end[2]): end[2].strip() for end in found if end[2]}
    if len(units) > 1:
        raise _refusal(expression, f"is in two units ({', '.join(units.values())})")
    bounds = (
        _number(expression, found[0][1]) if low.strip() else -math.inf,
        _number(expression, found[-1][1]) if high.strip() else math.inf,
    )
    if bounds[0] > bounds[1]:
        raise _refusal(expression, "has its lower bound above its upper bound")
    return Between(key, *bounds, next(iter(units.values()), ""))


def _first(text: str, signs: str) -> int:
    """Place of the first of ``signs`` that no backslash protects; -1 where there is none."""
    place = 0
    while place < len(text):
        if text[place] in signs:
            return place
        place += 2 if text[place] == "\\" else 1
    return -1


def _key_and_values(expression: str) -> tuple[str, list[str]]:
    parts = _split(expression, "=", most=1)
    if len(parts) != 2:
        raise _refusal(expression, "has no '='")
    key, values = parts[0], _split(parts[1], "|")
    if not key.strip() or key.rstrip()[-1] in "!<>~":
        raise _refusal(expression, "has no name before '=' or an operator other than '='")
    if any(not value.strip() for value in values):
        raise _refusal(expression, "has an empty value")
    return key, values


def _path(expression: str, value: str) -> tuple[str, ...]:
    parts = [_unescape(part).strip() for part in _split(value, "/")]
    while parts and not parts[-1]:  # a trailing slash, as in a folder's name
        parts.pop()
    if not parts or not all(parts):
        raise _refusal(expression, "has an empty level in the category path")
    return tuple(parts)


def _price_range(expression: str, operator: str, text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    if dots and operator == "=":
        bounds = (
            _number(expression, low) if low.strip() else -math.inf,
            _number(expression, high) if high.strip() else math.inf,
        )
        if bounds[0] > bounds[1]:
            raise _refusal(expression, "has its lower bound above its upper bound")
        return bounds
    return _bounds(operator, _number(expression, text))


def _bounds(operator: str, value: float) -> tuple[float, float]:
    """Open bounds become the neighboring float, so that every engine only knows closed ones."""
    return {
        "=": (value, value),
        "<=": (-math.inf, value),
        "<": (-math.inf, math.nextafter(value, -math.inf)),
        ">=": (value, math.inf),
        ">": (math.nextafter(value, math.inf), math.inf),
    }[operator]


def _number(expression: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _refusal(expression, f"compares with {text.strip()!r}, not a number")
    return value


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    """``text`` at every ``separator`` that no backslash protects; escapes stay in place."""
    parts, current, position = [], "", 0
    while position < len(text):
        if text[position] == "\\" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if text[position] == separator and (most < 0 or len(parts) < most):
            parts.append(current)
            current = ""
        else:
            current += text[position]
        position += 1
    return [*parts, current]


def _unescape(text: str) -> str:
    return re.sub(r"\\([|/.=<>\\])", r"\1", text)


def _refusal(expression: str, why: str) -> UsageError:
    return UsageError(f"the filter {expression!r} {why}", where="--where", cure=_CURE)
