"""Names of properties: what a shop would print, from words that stand in the texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from moonshelf.graph.builtin.lexicon import lexicon
from moonshelf.graph.builtin.phrases import split

LONGEST = 64


def property_name(words: Iterable[str]) -> str:
    """``("swing", "ways")`` -> ``swing_ways``; "" where no letter is left."""
    parts = ["".join(c for c in w if c.isascii() and c.isalnum()).lower() for w in words]
    name = "_".join(p for p in parts if p)
    while name and not name[0].isalpha():
        name = name[1:].lstrip("_")
    return name[:LONGEST].rstrip("_")


def plural(word: str) -> str:
    """``way`` -> ``ways``; a word that looks plural stays."""
    if word.endswith("s"):
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("x", "ch", "sh")) else "s")


@cache
def key_names() -> Mapping[tuple[str, ...], str]:
    """Keys that mean a property with a usual name: ``("colour",) -> color``."""
    table = lexicon()["keys"]
    return {split(key): name for name, keys in table.items() for key in keys}


class Names:
    """Names given so far; a second owner of one gets another."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, *wishes: str) -> str | None:
        """The first wish that is free; None where none is."""
        for wish in wishes:
            if wish and wish not in self._given:
                self._given.add(wish)
                return wish
        return None
