"""What is denied or made optional behind itself: "Wi-Fi not included", "Wi-Fi (optional)"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from moonshelf.graph.builtin.lexicon import alternatives, words
from moonshelf.graph.builtin.segments import Segment

# Words before a denial that it speaks of, in prose and in the list that a title is.
REACH, REACH_IN_TITLES = 5, 2
_WORD = re.compile(r"[^\W_]+")
_CLAUSE = re.compile(
    r"[,;.!?\n\r|•()\[\]{}]|\s[-–—/+]\s|(?<![^\W_])(?:but|while|although)(?![^\W_])"
)
_AND = re.compile(r"(?<![^\W_])(?:and|plus)(?![^\W_])|&", re.IGNORECASE)
# Between what is spoken of and the denial; a comma only where the clause ends behind it.
_GAP = re.compile(r"(?:[\s(\[:=*]|[-–—])*")
_COMMA = re.compile(r"\s*,\s*$")
_LOOK_BACK = 80


def behind(text: str, segments: Sequence[Segment], place: int) -> Iterator[tuple[int, int, bool]]:
    """Stretches (start, end) before the denials of a segment, and whether they are options."""
    segment = segments[place]
    for match in _free().finditer(text, segment.start, segment.end):
        yield *match.span("what"), False
    for match in _pattern().finditer(text, segment.start, segment.end):
        first = segments[place - 1] if place else None
        found = _subject(text, match, segment, first)
        if found is not None:
            yield *found, match["option"] is not None


def _subject(
    text: str, match: re.Match[str], segment: Segment, before: Segment | None
) -> tuple[int, int] | None:
    """The words that ``match`` speaks of; in brackets alone, those before the bracket."""
    least, here = segment.start, segment
    if match.start() == segment.start and before is not None and segment.inside:
        least, here = before.start, before
    least = max(least, match.start() - _LOOK_BACK)
    end = _trimmed(text, least, match.start())
    if match["ends"] is not None and (comma := _COMMA.search(text, least, end)):
        end = comma.start()
    begin = _clause(text, least, end)
    several = [m.start() for m in _WORD.finditer(text, begin, end)]
    reach = REACH_IN_TITLES if here.kind == "part" or match["ready"] is not None else REACH
    return (several[-reach:][0], end) if several else None


def _trimmed(text: str, start: int, end: int) -> int:
    """``end`` without the marks before it."""
    while end > start and _GAP.fullmatch(text, end - 1, end):
        end -= 1
    return end


def _clause(text: str, start: int, end: int) -> int:
    """Where the clause begins that ends at ``end``."""
    for mark in _CLAUSE.finditer(text, start, end):
        start = mark.end()
    for mark in _AND.finditer(text, start, end):
        if _verb().search(text, start, mark.start()):
            start = mark.end()
    return start


@cache
def _verb() -> re.Pattern[str]:
    return _whole(alternatives(words("behind", "verbs")))


@cache
def _free() -> re.Pattern[str]:
    """ "BPA-free"."""
    free = alternatives(words("guards", "free"))
    return re.compile(rf"(?P<what>(?<![^\W_])[^\W_]+)(?=[\s-]+(?:{free})(?![^\W_]))", re.IGNORECASE)


@cache
def _pattern() -> re.Pattern[str]:
    """Denials and options. ``ends``: the clause ends behind; ``ready``: of one word alone."""
    listed = {key: alternatives(words("behind", key)) for key in _LISTS}
    clause_ends = r"(?=\s*(?:\.?\s*$|[,;!?)\]|\n\r]))"
    no = r"(?:not|never|[^\W\d_]+n['’]t)(?:\s+(?:be|yet|currently|always|been))?"
    denied = rf"{no}\s+(?:{listed['availability']})|{listed['denied']}"
    both = alternatives(words("guards", "behind"))
    denied = rf"(?:(?:is|are|was|were|has|have)\s+)?(?:{denied}|{both})"
    option = rf"(?:(?:is|are|may be|can be)\s+)?(?:{listed['option']})"
    ends = rf"(?:{listed['option_ends']}){clause_ends}"
    ready = rf"(?P<ready>{listed['ready']})(?!\s+to\b)"
    return _whole(
        rf"(?P<option>{option}|(?P<ends>{ends})|{ready})|(?:{denied})"
        rf"|(?:{listed['answers']}){clause_ends}"
    )


_LISTS = ("availability", "denied", "answers", "option", "option_ends", "ready")


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", re.IGNORECASE)
