"""What the lexer finds: one quantity, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from moonshelf.graph.builtin.terms import Term

Kind = Literal["measure", "star", "modes", "pack", "year", "bare"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What ``text[start:end]`` states.

    Attributes:
        low: the value, or the lower end of a range; as written, never converted (only "6 ft 9 in"
            is expressed in its smaller unit).
        high: the upper end of a range.
        unit: registry name of the commonest reading; None where there is no unit.
        written_unit: the unit as written.
        readings: every reading, one a dimension: "ton" is a mass or a cooling power, and the
            property's dimension decides.
        axis: the side measured: length, width, height, depth, diameter, thickness; or first,
            second, third, fourth in a size that does not name its sides.
        kind: measure | star (5 Star) | modes (6-in-1) | pack (pack of 3) | year (2022 Model) |
            bare (a number and nothing that says of what).
        tolerance: the 2 of "24 ± 2".
        bound: the value is the most ("up to 30 m") or the least ("over 30 m").
        group: span of the whole size "A x B x C".
    """

    start: int
    end: int
    low: Decimal
    high: Decimal | None = None
    unit: str | None = None
    written_unit: str | None = None
    readings: tuple[str, ...] = ()
    axis: str | None = None
    kind: Kind = "measure"
    tolerance: Decimal | None = None
    bound: Literal["most", "least"] | None = None
    group: tuple[int, int] | None = None


def quantity_of(term: Term) -> Quantity:
    """A term as a quantity of its own."""
    return Quantity(
        term.start,
        term.end,
        term.number,
        unit=term.readings[0].name if term.readings else None,
        written_unit=term.written,
        readings=tuple(u.name for u in term.readings),
        axis=term.axis,
    )
