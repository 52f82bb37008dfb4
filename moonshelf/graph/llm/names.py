"""Names and lines made of what a model says: it writes freely, files and terminals do not."""

from __future__ import annotations

import re
import unicodedata


def class_named(text: str) -> str:
    """``air conditioner`` -> ``AirConditioner``; empty where no name can be made."""
    words = re.findall(r"[A-Za-z0-9]+", _ascii(text))
    joined = "".join(word[0].upper() + word[1:] for word in words)
    named = joined.lstrip("0123456789")[:64]
    return named[:1].upper() + named[1:]


def property_named(text: str) -> str:
    """``Cooling Capacity (kW)`` -> ``cooling_capacity_k_w``... as one lower-case name, or empty."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", _ascii(text))
    words = re.findall(r"[a-z0-9]+", spaced.lower())
    while words and not words[0][0].isalpha():
        words.pop(0)
    return "_".join(words)[:64].rstrip("_")


def short_line(text: str | None, longest: int) -> str:
    """One line of printable text: what a model says is shown in files and terminals."""
    plain = "".join(c if c.isprintable() else " " for c in text or "")
    return " ".join(plain.split())[:longest]


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
