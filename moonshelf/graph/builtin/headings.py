"""Lines that head others ("Wash care"): they recur, end in a noun of headings, and are never last.

"Machine wash cold" recurs as well, but it is a statement; the noun tells them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from moonshelf.graph.builtin.lexicon import words as lexicon_words
from moonshelf.graph.builtin.reading import is_title, line_key
from moonshelf.graph.builtin.segments import segments
from moonshelf.graph.records import Document

SHARE, LEAST, WORDS = 0.005, 10, 4
# A heading is hardly ever the last line.
ENDS = 0.2


def induce_headings(documents: Iterable[Document]) -> frozenset[str]:
    """Folded heading lines of a corpus."""
    count, last = Counter[str](), Counter[str]()
    total = 0
    for document in documents:
        total += 1
        lines = _lines(document)
        count.update(lines)
        last.update(lines[-1:])
    least = max(LEAST, SHARE * total)
    return frozenset(
        line
        for line, times in count.items()
        if times >= least and _may_head(line) and last[line] <= ENDS * times
    )


def _lines(document: Document) -> list[str]:
    return [
        line_key(text[s.start : s.end]) if s.kind == "line" else ""
        for k, (_, text) in enumerate(document.fields)
        if not is_title(document, k)
        for s in segments(text, False)
    ]


def _may_head(line: str) -> bool:
    words = line.split()
    return 0 < len(words) <= WORDS and words[-1] in _nouns()


@cache
def _nouns() -> frozenset[str]:
    return frozenset(lexicon_words("headings", "nouns"))
