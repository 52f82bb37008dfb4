"""Exact conversion between units of one dimension: a decimal in, a decimal out.

The factors are our own and exact; pint checks every one of them in the tests. It is not asked at
run time: it needs half a second to load, and raw text must never reach it anyway (it reads
``12,5 kg`` as 125 kg and ``1.5 ton`` as a mass).
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from moonshelf.graph.units.registry import DIGITS, UnitError, registry

KEPT = 15
"""Significant digits of a converted amount: more than any text states, fewer than factors hold."""
LONGEST = 100
"""Digits that are written out."""


def convert(amount: Decimal, unit: str, to: str) -> Decimal:
    """``amount`` of ``unit`` in the unit ``to`` (registry names).

    The same unit gives the same amount, digit by digit; otherwise the result is rounded to 15
    significant digits and carries no trailing zeros.

    Raises:
        UnitError: an unknown unit, units of two dimensions, or an amount that is no finite number.
    """
    source, target = registry().unit(unit), registry().unit(to)
    if source.dimension != target.dimension:
        raise UnitError(
            f"{unit} measures {source.dimension}, {to} measures {target.dimension}",
            cure="give the property the dimension of its values",
        )
    if not amount.is_finite():
        raise UnitError(f"{amount} is no amount")
    if source is target:
        return amount
    try:
        with localcontext() as context:
            context.prec = DIGITS
            exact = (amount * source.factor + source.offset - target.offset) / target.factor
            context.prec = KEPT
            return plain(+exact)
    except ArithmeticError as error:
        raise UnitError(f"{amount} {unit} cannot be expressed in {to}") from error


def plain(amount: Decimal) -> Decimal:
    """The same number without trailing zeros, written out: 1.50 -> 1.5, 1E+3 -> 1000.

    No digit is rounded, whatever the context. What would need more than 100 digits is no
    measurement and comes back as it is.
    """
    if amount == 0:
        return Decimal(0)
    if not amount.is_finite() or abs(amount.adjusted()) >= LONGEST:
        return amount
    written = format(amount, "f")
    return Decimal(written.rstrip("0").rstrip(".") if "." in written else written)
