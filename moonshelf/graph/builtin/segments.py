"""Cuts a text where its author did: brackets, commas, bullets, lines, sentences, ``Key: value``.

Offsets are those of the original field; a segment never reaches over one of those marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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
# No end: "lbs. x 3", "No. 5", "in. wide".
_SENTENCE_ENDS = re.compile(r"(?:(?<=[^\W\d_]{3})|(?<=[\d)\]\"”%]))[.!?]+\s+(?![a-z\d×\s])|[;]\s+")
_LONGEST_KEY = 40
_KEY = re.compile(
    rf"(?:^|(?<=[;,|.])\s*)(?P<key>[^\W\d_](?:[^\W_]|[ /()&'’.-]){{1,{_LONGEST_KEY}}}?)"
    r"\s*(?:[:：]\s*|\t\s*|\s[-–=]>?\s(?=\d))(?=\S)"
)
_PAIRED = re.compile(r"[:：\t]|\s[-–=]>?\s\d")
_WEB = re.compile(r"https?$", re.IGNORECASE)
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
    """Pairs of a line, and sentences before the first."""
    line, keys = text[start:end], []
    if _PAIRED.search(line):
        keys = [m for m in _KEY.finditer(line) if not _WEB.search(m["key"])]
    if not keys:
        yield from _sentences(text, start, end)
        return
    yield from _sentences(text, start, start + keys[0].start())
    for k, found in enumerate(keys):
        stop = keys[k + 1].start() if k + 1 < len(keys) else end - start
        key = (start + found.start("key"), start + found.end("key"))
        yield from _trimmed(text, start + found.end(), start + stop, "value", False, key)


def _sentences(text: str, start: int, end: int) -> Iterator[Segment]:
    if end - start <= _LONGEST_LINE and not _SENTENCE_ENDS.search(text, start, end):
        yield from _trimmed(text, start, end, "line", False)
        return
    begin = start
    for mark in _SENTENCE_ENDS.finditer(text, start, end):
        yield from _trimmed(text, begin, mark.start(), "sentence", False)
        begin = mark.end()
    yield from _trimmed(text, begin, end, "sentence", False)


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
