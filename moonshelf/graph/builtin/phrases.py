"""Finds many phrases in one pass over the words of a segment, the longest first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from moonshelf.graph.builtin.reading import Word, folded

Payload = TypeVar("Payload")
Phrase = tuple[str, ...]
# Words of one phrase stand beside each other, or are joined by one of these.
_GAP = re.compile(r"[^\S\r\n]{0,2}[-‐‑–/'’.&+]?[^\S\r\n]{0,2}")
_KEY_UNIT = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$|\s+in\s+\S{1,12}\s*$", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]{1,2}(?![^\W_]))?|&|#[a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Match(Generic[Payload]):
    """``words[first:last]`` are the phrase that ``payload`` was given for."""

    first: int
    last: int
    payload: Payload


class Phrases(Generic[Payload]):
    """A dictionary of phrases (folded words) for :meth:`find`."""

    def __init__(self, entries: Iterable[tuple[Phrase, Payload]]) -> None:
        table: dict[str, dict[Phrase, Payload]] = {}
        for phrase, payload in entries:
            if phrase:
                table.setdefault(phrase[0], {}).setdefault(phrase, payload)
        self._table: Mapping[str, tuple[tuple[int, dict[Phrase, Payload]], ...]] = {
            first: tuple(_by_size(found)) for first, found in table.items()
        }

    def __bool__(self) -> bool:
        return bool(self._table)

    def at(self, words: Sequence[Word], place: int, text: str) -> Match[Payload] | None:
        """The longest phrase that begins at ``words[place]``."""
        for size, found in self._table.get(words[place].word, ()):
            if place + size > len(words):
                continue
            phrase = tuple(w.word for w in words[place : place + size])
            if phrase in found and _joined(words, place, size, text):
                return Match(place, place + size, found[phrase])
        return None

    def find(
        self, words: Sequence[Word], text: str, nested: bool = False
    ) -> Iterator[Match[Payload]]:
        """Phrases in ``words`` (of one segment), in order.

        Args:
            words: of one segment.
            text: the field they stand in.
            nested: also those within another; else the longest, and on behind it.
        """
        place = 0
        while place < len(words):
            match = self.at(words, place, text) if words[place].word in self._table else None
            if match is None:
                place += 1
                continue
            yield match
            place = place + 1 if nested else match.last


def split(phrase: str) -> Phrase:
    """Words of a phrase as :class:`Word` has them."""
    found = (folded(w) if w[0] not in "&#" else w for w in _WORD.findall(phrase))
    return tuple("and" if w == "&" else w for w in found)


def key_words(key: str) -> Phrase:
    """Words of a key without the unit that it may end in: "Weight (kg)", "Weight in kg"."""
    return split(_KEY_UNIT.sub("", key)) or split(key)


def compact(words: Iterable[str]) -> str:
    """A phrase without blanks: equal for "wi-fi" and "wifi"."""
    return "".join(words)


def _by_size(
    found: Mapping[Phrase, Payload],
) -> Iterator[tuple[int, dict[Phrase, Payload]]]:
    for size in sorted({len(p) for p in found}, reverse=True):
        yield size, {p: payload for p, payload in found.items() if len(p) == size}


def _joined(words: Sequence[Word], place: int, size: int, text: str) -> bool:
    for k in range(place, place + size - 1):
        if words[k].segment != words[k + 1].segment:
            return False
        if not _GAP.fullmatch(text, words[k].end, words[k + 1].start):
            return False
    return True
