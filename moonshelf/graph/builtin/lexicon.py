"""General words of e-commerce, read once from ``lexicon.toml``; data, not code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any


@cache
def lexicon() -> Mapping[str, Any]:
    """The tables of ``lexicon.toml``. Nobody changes them, so sharing them is safe."""
    text = files("moonshelf.graph.builtin").joinpath("lexicon.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def words(table: str, key: str) -> tuple[str, ...]:
    """One list of the lexicon."""
    return tuple(lexicon()[table][key])


def alternatives(forms: Iterable[str]) -> str:
    """A pattern of these forms, longest first; a blank matches any blanks or a dash."""
    ordered = sorted(set(forms), key=lambda form: (-len(form), form))
    return "|".join(r"[\s-]+".join(re.escape(p) for p in form.split(" ")) for form in ordered)
