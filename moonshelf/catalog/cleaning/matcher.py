"""Finds many phrases in a text in one pass, whole words alone, the longest first.

Phrases are compared by their compact form, the forms of their words in one: "t-shirt", "T shirt"
and "tshirts" are one phrase. A dictionary over words does this exactly and in linear time. (An
automaton over characters finds the longest *string*, and where that ends inside a word it has to
give up the shorter phrase that was whole: "red dr" in "red dress".)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from moonshelf.catalog.cleaning.words import words

Run = tuple[int, int, str]


class Matcher:
    """A dictionary of compact forms for :meth:`find`."""

    def __init__(self, forms: Iterable[str]) -> None:
        self._forms = frozenset(forms)
        self._openings = frozenset(f[:end] for f in self._forms for end in range(1, len(f) + 1))

    def find(self, text: str) -> Iterator[Run]:
        """(start, end, compact form) of phrases in order, none within another: at every place the
        longest, and on behind it."""
        found = words(text)
        place = 0
        while place < len(found):
            last, form, compact = place, "", ""
            for k in range(place, len(found)):
                compact += found[k].form
                if compact not in self._openings:
                    break
                if compact in self._forms:
                    last, form = k, compact
            if form:
                yield found[place].start, found[last].end, form
            place = last + 1


def compact_form(text: str) -> str:
    """The forms of a text's words in one; empty where it has none."""
    return "".join(word.form for word in words(text))
