"""Table cells into typed fields. Each function takes one cell and either returns the value or
raises a :class:`DataError` naming the column, what it holds and what it should hold.

None, NaN and blank text mean "missing" everywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from moonshelf.catalog.product import EVENT_KINDS, SPLITS
from moonshelf.errors import DataError

TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
LATEST = 4_102_444_800  # the year 2100 in unix seconds: beyond it the unit is wrong
_SPLIT_WORDS = {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "dev": "val",
    "testing": "test",
}


def bad(column: str, value: object, wanted: str, cure: str = "") -> DataError:
    """The error of one cell. The place is added by whoever knows the row."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return DataError(
        f"column {column!r} holds {shown}, not {wanted}",
        cure=cure or "correct the row",
    )


def is_missing(value: object) -> bool:
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, list | tuple | dict) and not value)
    )


def text(value: object, column: str) -> str:
    """Text or a number as text (``1163.0`` is ``1163``: pandas writes whole numbers so)."""
    if is_missing(value):
        return ""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise bad(column, value, "text (it has half a surrogate pair)")
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(column, value, "text")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def number(value: object, column: str) -> float | None:
    """A finite number, or None when missing."""
    if is_missing(value):
        return None
    try:
        if isinstance(value, bool | bytes):
            raise TypeError
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        cure = "write plain numbers like 1299.00, without currency or thousands separators"
        raise bad(column, value, "a number", cure) from None
    if not math.isfinite(found):
        raise bad(column, value, "a finite number")
    return found


def price(value: object, column: str) -> float | None:
    found = number(value, column)
    if found is not None and found < 0:
        raise bad(column, value, "a price (it is negative)")
    return found


def whole(value: object, column: str) -> int | None:
    found = number(value, column)
    if found is None:
        return None
    if not found.is_integer():
        raise bad(column, value, "a whole number")
    return int(found)


def time(value: object, column: str, unit: str = "s") -> int | None:
    """Unix seconds out of a number in ``unit``, an ISO 8601 text or a date; no zone means UTC."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        plain = value.strip()
        digits = plain.removeprefix("-").replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and len(digits) != 8):
            try:
                value = datetime.fromisoformat(plain)  # 8 digits are a date: 20200916
            except ValueError:
                cure = "write unix seconds or ISO 8601, e.g. 2020-09-16T10:00:00Z"
                raise bad(column, value, "a time", cure) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return math.floor(aware.timestamp())
    found = number(value, column)
    assert found is not None
    seconds = math.floor(found / TIME_UNITS[unit])
    if not 0 <= seconds < LATEST:
        cure = "pass --set time_unit=ms (or us, ns) when the times are not in seconds"
        raise bad(column, value, "a time in unix seconds between 1970 and 2100", cure)
    return seconds


def split(value: object, column: str) -> str:
    """train | val | test; ``validation``, ``dev`` and the like are understood."""
    word = text(value, column).lower()
    word = _SPLIT_WORDS.get(word, word)
    if word not in SPLITS:
        raise bad(column, value, "a split", f"write one of {', '.join(SPLITS)}")
    return word


def event_kind(value: object, column: str) -> str:
    word = text(value, column).lower()
    if word not in EVENT_KINDS:
        raise bad(column, value, "a kind of event", f"write one of {', '.join(EVENT_KINDS)}")
    return word


def texts(value: object, column: str, separator: str = "") -> tuple[str, ...]:
    """Several texts: a list, or one text cut at ``separator``; blanks are left out."""
    if is_missing(value):
        return ()
    if isinstance(value, list | tuple):
        return tuple(found for v in value if (found := text(v, column)))
    whole_text = text(value, column)
    parts = whole_text.split(separator) if separator else [whole_text]
    return tuple(part for p in parts if (part := p.strip()))


def numbers(value: object, column: str, separator: str = "") -> tuple[float, ...]:
    """Several numbers, like :func:`texts`."""
    parts: Sequence[object]
    if is_missing(value):
        return ()
    if isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, str) and separator:
        parts = value.split(separator)
    else:
        parts = [value]
    found = [number(v, column) for v in parts]
    if any(v is None for v in found):
        raise bad(column, value, "a list of numbers")
    return tuple(v for v in found if v is not None)


def json_object(value: object, column: str) -> Mapping[str, object]:
    """A dict, a list of (key, value) pairs (an Arrow map), or the JSON text of an object."""
    if is_missing(value):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise bad(column, value, "a JSON object") from None
    if isinstance(value, list) and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        value = dict(value)
    if not isinstance(value, Mapping):
        raise bad(column, value, "a JSON object")
    return value


def attributes(pairs: Mapping[str, object], column: str, separator: str = "") -> dict[str, Any]:
    """Key -> one or more values, missing ones left out."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in pairs.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        name = str(key).strip()
        values = texts(value, f"{column}.{name}" if column else name, separator)
        if values and name:
            found[name] = values
    return found
