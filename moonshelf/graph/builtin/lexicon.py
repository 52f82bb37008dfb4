"""General words of shops, read once from ``lexicon.toml`` and ``guards.toml``; data, not code."""

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
    """The tables of both files. Nobody changes them, so sharing them is safe."""
    folder = files("moonshelf.graph.builtin")
    tables: dict[str, Any] = {}
    for name in ("lexicon.toml", "guards.toml"):
        tables |= tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    return MappingProxyType(tables)


def words(table: str, key: str) -> tuple[str, ...]:
    """One list of the lexicon."""
    return tuple(lexicon()[table][key])


def alternatives(forms: Iterable[str]) -> str:
    """A pattern of these forms, longest first; a blank matches any blanks or a dash."""
    ordered = sorted(set(forms), key=lambda form: (-len(form), form))
    return "|".join(r"[\s-]+".join(re.escape(p) for p in form.split(" ")) for form in ordered)
