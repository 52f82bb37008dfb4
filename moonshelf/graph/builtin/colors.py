"""Color and material words, general to all shops, with the shades and finishes around a color."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from moonshelf.graph.builtin.lexicon import words
from moonshelf.graph.builtin.phrases import Match, Phrases, split
from moonshelf.graph.builtin.reading import Word


def find_colors(found: Sequence[Word], text: str) -> Iterator[tuple[int, int]]:
    """Places [first, last) of colors in the words of a segment: "Off-White", "Ivory Matte"."""
    for match in _colors().find(found, text):
        first, last = match.first, match.last
        while first and found[first - 1].word in _shades() and _close(found, first - 1, text):
            first -= 1
        while (
            last < len(found) and found[last].word in _finishes() and _close(found, last - 1, text)
        ):
            last += 1
        if last < len(found) and found[last].word in _others() and _close(found, last - 1, text):
            continue
        yield first, last


def find_materials(found: Sequence[Word], text: str) -> Iterator[Match[str]]:
    """Materials in the words of a segment, the longest name first ("stainless steel")."""
    return _materials().find(found, text)


def is_material(phrase: Sequence[str]) -> bool:
    return " ".join(phrase) in _material_names()


def is_color(phrase: Sequence[str]) -> bool:
    return bool(phrase) and all(w in _shades() or w in _names() for w in phrase)


def _close(found: Sequence[Word], place: int, text: str) -> bool:
    return text[found[place].end : found[place + 1].start].strip(" \u00a0-–") == ""


@cache
def _colors() -> Phrases[str]:
    return Phrases((split(name), name) for name in words("colors", "names"))


@cache
def _materials() -> Phrases[str]:
    return Phrases((split(name), name) for name in words("materials", "names"))


@cache
def _material_names() -> frozenset[str]:
    return frozenset(words("materials", "names"))


@cache
def _names() -> frozenset[str]:
    return frozenset(w for name in words("colors", "names") for w in split(name))


@cache
def _shades() -> frozenset[str]:
    return frozenset(words("colors", "shades"))


@cache
def _others() -> frozenset[str]:
    return frozenset(words("colors", "not_before"))


@cache
def _finishes() -> frozenset[str]:
    return frozenset(words("colors", "finishes"))
