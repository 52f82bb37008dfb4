"""Lexical forms of literals: text that every RDF syntax can hold, numbers without an exponent.

A text may hold what XML 1.0 (and with it RDF/XML and many tools) has no form for: control
characters, lone surrogates, U+FFFE and U+FFFF. Such a character is written as ``\\u{1F}``, and the
backslash of a text that reads like one as ``\\u{5C}``. Every other text stays as it is;
:func:`unescape` gives back the original, whatever it was.
"""

from __future__ import annotations

import re
from decimal import Decimal

from moonshelf.errors import DataError

DIGITS = 60
"""Longest number written out, in digits; beyond it a text is no measurement but an accident."""
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]|\\\\(?=u\\{)")
_ESCAPED = re.compile(r"\\u\{([0-9A-F]{1,4})\}")


def escape(text: str) -> str:
    """``text`` as a literal can hold it; see above."""
    return _UNFIT.sub(lambda found: f"\\u{{{ord(found[0]):X}}}", text)


def unescape(text: str) -> str:
    """The text that :func:`escape` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def decimal_form(number: Decimal) -> str:
    """Canonical ``xsd:decimal``: no exponent, no trailing zeros, no negative zero.

    Raises:
        DataError: not finite, or longer than :data:`DIGITS` when written out.
    """
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise DataError(f"{number} is no number")
    if len(digits) > DIGITS or abs(exponent) > DIGITS:
        raise DataError(f"a number of more than {DIGITS} digits cannot be written")
    if not any(digits):
        return "0"
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def integer_form(number: int) -> str:
    """Canonical ``xsd:integer``; DataError beyond :data:`DIGITS` digits."""
    if abs(number) >= 10**DIGITS:
        raise DataError(f"a number of more than {DIGITS} digits cannot be written")
    return str(number)
