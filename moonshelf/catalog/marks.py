"""Which stretches of a text name a product's category or its attributes.

A text stays one string, so that it is tokenized as it always was; marks say of some of its
characters what they are. What nothing marks is title, description, or words of a stranger.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """What a stretch of text is made of, where it is neither title nor description."""

    CATEGORY = "category"
    ATTRIBUTE = "attribute"


class Span(NamedTuple):
    """Characters ``start`` to ``stop`` of a text (``text[start:stop]``) and what they are."""

    start: int
    stop: int
    mark: Mark


class Marked(NamedTuple):
    """A text and its marked stretches, in order and apart from each other."""

    text: str
    spans: tuple[Span, ...] = ()

    @classmethod
    def whole(cls, text: str, mark: Mark) -> Marked:
        """``text`` with everything in it marked."""
        return cls(text, (Span(0, len(text), mark),) if text else ())

    def at(self, place: int) -> Mark | None:
        """The mark of the character at ``place``; None where there is none."""
        for start, stop, mark in self.spans:
            if start <= place < stop:
                return mark
        return None

    def words(self) -> list[Marked]:
        """The words of the text, each marked as its first character is."""
        found, place = [], 0
        for word in self.text.split():
            place = self.text.index(word, place)
            mark = self.at(place)
            found.append(Marked.whole(word, mark) if mark else Marked(word))
            place += len(word)
        return found


def joined(parts: Iterable[Marked], separator: str) -> Marked:
    """``separator.join`` of the texts; marks stay on their characters, separators get none."""
    parts = list(parts)
    spans, place = [], 0
    for part in parts:
        spans += [Span(place + start, place + stop, mark) for start, stop, mark in part.spans]
        place += len(part.text) + len(separator)
    return Marked(separator.join(part.text for part in parts), tuple(spans))
