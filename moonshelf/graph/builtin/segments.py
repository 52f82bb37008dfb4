"""Cuts a text where its author did: brackets, commas, bullets, lines, sentences, ``Key: value``.

Offsets are those of the original field; a segment never reaches over one of those marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from moonshelf.graph.builtin.sentences import sentences, without_stop

Kind = Literal["part", "line", "sentence", "value", "heading"]
LONGEST_TITLE = 300
_MARKUP = r"<[^<>\n]{0,200}>"
# A comma within a number (1,500 W; 2,5 kg; not 2022,5 Star) is no mark; a dash is one only beside a
# blank.
# A colon before a number belongs to it ("height: 6 ft"); any other ends a phrase.
_TITLE_MARKS = re.compile(
    rf"(?P<open>[(\[{{])|(?P<close>[)\]}}])|{_MARKUP}|[|;•·\n\r\t]"
    r"|,(?!\d{3}(?!\d))(?!(?<=\d,)(?<!\d{4},)\d{1,2}\s?[^\W\d_])|(?<!\d),"
    r"|\s[-–—+/]+\s|(?<=[^\W\d_])[-–]\s|\s?:\s(?!\s?\d)|\s\+|(?<=[a-z]{3})/(?=[A-Z][a-z]{2})"
)
_LINE_MARKS = re.compile(rf"[\n\r]+|{_MARKUP}|[•●▪►✓✔·]|(?<=\s)\*(?=\s)")
_LONGEST_KEY = 40
_KEY = re.compile(
    rf"(?:^|(?<=[;,|.])\s*)(?P<key>[^\W\d_](?:[^\W_]|[ /()&'’.-]){{1,{_LONGEST_KEY}}}?)"
    r"\s*(?:[:：]\s*|\t\s*|\s[-–=]>?\s(?=\d))(?=\S)"
)
_PAIRED = re.compile(r"[:：\t]|\s[-–=]>?\s\d")
_WEB = re.compile(r"https?$", re.IGNORECASE)
_SEMICOLON = re.compile(r";\s+")
_DIGIT = re.compile(r"\d")
_CUT = re.compile(r"\s*(?:\.{2,}|…)\s*$")
_LONGEST_LINE = 80


@dataclass(frozen=True, slots=True)
class Segment:
    """``text[start:end]``, blanks around it left out.

    Attributes:
        kind: part of a title; a short line; a sentence; the value of a ``Key: value`` pair; a
            line that heads others.
        inside: within brackets.
        key: span of the key of a value.
        heading: span of the line above that heads it ("Wash care" / "Machine wash cold").
    """

    start: int
    end: int
    kind: Kind
    inside: bool = False
    key: tuple[int, int] | None = None
    heading: tuple[int, int] | None = None


def segments(text: str, title: bool) -> list[Segment]:
    """Segments of one field, in order, not overlapping; never raises.

    Args:
        text: the field.
        title: whether it is a title: one line of names, numbers and lists, no sentences.
    """
    return list(_title(text) if title else _lines(text))


def cut_at(text: str) -> int | None:
    """Where an ellipsis begins that shortens ``text``; None where the text is whole.

    What touches it may be the beginning of something longer and is not to be trusted.
    """
    found = _CUT.search(text, max(0, len(text) - 8))
    return found.start() if found else None


def _title(text: str) -> Iterator[Segment]:
    depth, begin = 0, 0
    for mark in _TITLE_MARKS.finditer(text):
        yield from _trimmed(text, begin, mark.start(), "part", depth > 0)
        begin = mark.end()
        if mark["open"]:
            depth += 1
        elif mark["close"]:
            depth = max(0, depth - 1)
    yield from _trimmed(text, begin, len(text), "part", depth > 0)


def _lines(text: str) -> Iterator[Segment]:
    begin = 0
    for mark in _LINE_MARKS.finditer(text):
        yield from _line(text, begin, mark.start())
        begin = mark.end()
    yield from _line(text, begin, len(text))


def _line(text: str, start: int, end: int) -> Iterator[Segment]:
    """The sentences of a line; a value ends with the sentence of its key."""
    found = list(sentences(text, start, end))
    alone = len(found) == 1 and not _SEMICOLON.search(text, start, end)
    kind: Kind = "line" if alone and end - start <= _LONGEST_LINE else "sentence"
    for begin, stop in found:
        yield from _sentence(text, begin, stop, kind)


def _sentence(text: str, start: int, end: int, kind: Kind) -> Iterator[Segment]:
    """Pairs of a sentence, and what stands before the first."""
    sentence, keys = text[start:end], []
    if _PAIRED.search(sentence):
        keys = [m for m in _KEY.finditer(sentence) if not _WEB.search(m["key"])]
    if not keys:
        yield from _clauses(text, start, end, kind)
        return
    yield from _clauses(text, start, start + keys[0].start(), kind)
    for k, found in enumerate(keys):
        begin = start + found.end()
        stop = start + keys[k + 1].start() if k + 1 < len(keys) else end
        key = (start + found.start("key"), start + found.end("key"))
        whole = without_stop(text, begin, stop)
        last = _value_ends(text, begin, whole)
        yield from _trimmed(text, begin, last, "value", False, key)
        if last < whole:
            yield from _clauses(text, last, stop, kind)


def _value_ends(text: str, start: int, end: int) -> int:
    """A list of words is one value ("metal; wood"); a number behind a semicolon is of its own."""
    mark = _SEMICOLON.search(text, start, end)
    return mark.start() if mark and _DIGIT.search(text, mark.end(), end) else end


def _clauses(text: str, start: int, end: int, kind: Kind) -> Iterator[Segment]:
    begin = start
    for mark in _SEMICOLON.finditer(text, start, end):
        yield from _trimmed(text, begin, mark.start(), kind, False)
        begin = mark.end()
    yield from _trimmed(text, begin, end, kind, False)


def _trimmed(
    text: str, start: int, end: int, kind: Kind, inside: bool, key: tuple[int, int] | None = None
) -> Iterator[Segment]:
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    if start < end:
        yield Segment(start, end, kind, inside, key)


def _is_edge(character: str) -> bool:
    return character.isspace() or character in ",;|*•·\x00"
