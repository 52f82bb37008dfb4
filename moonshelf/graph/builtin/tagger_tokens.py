"""Texts as the tagger sees them: small tokens with offsets, and what is known of each.

A token is a run of letters of one case pattern, a number, or a single mark: values begin and end
between tokens, also in "BlackALTERNATE" and "10Colors". The blank-separated word around a token is
a feature of its own, so that codes keep their shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from moonshelf.graph.builtin.quantities import quantities
from moonshelf.graph.builtin.reading import folded, mask

_TOKEN = re.compile(
    r"[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ]+|[A-ZÀ-ÖØ-Þ]+(?![a-zß-öø-ÿ])|\d+(?:[.,]\d+)*|[^\W\d_]|\S"
)
_CHUNK = re.compile(r"\S+")
_KEY = re.compile(r"([^\W\d_][\w /#.-]{1,24}?)\s*[:#]\s*$")
_LONGEST_KEY = 32
_EDGE = "<edge>"


@dataclass(frozen=True, slots=True)
class Token:
    """``text[start:end]``; ``word``: folded."""

    start: int
    end: int
    word: str


def tokens(text: str) -> list[Token]:
    """Tokens of a text, in order; never raises."""
    return [Token(m.start(), m.end(), folded(m[0]) or m[0]) for m in _TOKEN.finditer(text)]


def shape(text: str) -> str:
    """ "YA-24a" -> "AA-00a"; runs longer than three are cut to three."""
    found: list[str] = []
    for character in text:
        kind = "0" if character.isdigit() else character
        if character.isalpha():
            kind = "A" if character.isupper() else "a"
        if found[-3:] != [kind] * 3:
            found.append(kind)
    return "".join(found)


def word_features(
    text: str, field: str, found: Sequence[Token], seen: Counter[str]
) -> list[set[str]]:
    """Features of every token of one field, lexicon and category left out.

    Args:
        text: the field's text.
        field: its name.
        found: its tokens.
        seen: how often each word occurs in the whole document.
    """
    chunks = _chunks(text, found)
    numbers = _quantity_marks(text, found)
    words = [_EDGE, _EDGE, *(token.word for token in found), _EDGE, _EDGE]
    shapes = [_EDGE, _EDGE, *(shape(text[t.start : t.end]) for t in found), _EDGE, _EDGE]
    rows: list[set[str]] = []
    for k, token in enumerate(found):
        row = _window(words, shapes, k + 2)
        chunk, first, last = chunks[k]
        row.add(f"chunk={folded(chunk)}")
        row.add(f"cshape={shape(chunk)}")
        row.add(f"in={'B' if first else 'I'}{'E' if last else ''}")
        for step in (-1, 1):
            place = k + step
            if 0 <= place < len(found):
                row.add(f"cshape{step:+}={shape(chunks[place][0])}")
        row.update(f"q{step:+}={numbers[k + step]}" for step in (-2, -1, 0, 1, 2)
                   if 0 <= k + step < len(found) and numbers[k + step])  # fmt: skip
        row.update(_position(text, field, found, k))
        row.add(f"times={min(seen[token.word], 3)}")
        rows.append(row)
    return rows


def _window(words: Sequence[str], shapes: Sequence[str], k: int) -> set[str]:
    word = words[k]
    row = {f"w{step:+}={words[k + step]}" for step in (-2, -1, 0, 1, 2)}
    row |= {f"s{step:+}={shapes[k + step]}" for step in (-1, 0, 1)}
    row |= {f"p{n}={word[:n]}" for n in (2, 3, 4)} | {f"e{n}={word[-n:]}" for n in (2, 3, 4)}
    row.add(f"w-1|w={words[k - 1]}|{word}")
    row.add(f"w|w+1={word}|{words[k + 1]}")
    row.add(f"w-2|w-1={words[k - 2]}|{words[k - 1]}")
    row.add(f"w+1|w+2={words[k + 1]}|{words[k + 2]}")
    row.add(f"length={min(len(word), 8)}")
    return row


def _position(text: str, field: str, found: Sequence[Token], k: int) -> set[str]:
    start = found[k].start
    row = {f"field={field}", f"at={field}{min(k, 4)}", f"left={field}{min(len(found) - 1 - k, 4)}"}
    row.add(f"part={field}{5 * k // len(found)}")
    line = text.rfind("\n", 0, start) + 1
    key = _KEY.search(text, max(line, start - _LONGEST_KEY), start)
    if key:
        row.add(f"key={folded(key[1])}")
    return row


def _chunks(text: str, found: Sequence[Token]) -> list[tuple[str, bool, bool]]:
    """The blank-separated word around each token; whether the token is its first or last."""
    spans = [m.span() for m in _CHUNK.finditer(text)]
    rows, k = [], 0
    for token in found:
        while spans[k][1] <= token.start:
            k += 1
        start, end = spans[k]
        rows.append((text[start:end], token.start == start, token.end == end))
    return rows


def _quantity_marks(text: str, found: Sequence[Token]) -> list[str]:
    """B or I and the unit, where the quantity lexer finds something; "" elsewhere."""
    marks = [""] * len(found)
    k = 0
    for quantity in quantities(text):
        while k < len(found) and found[k].start < quantity.start:
            k += 1
        begin = "B"
        while k < len(found) and found[k].end <= quantity.end:
            marks[k] = begin + mask(quantity) + (f"/{quantity.axis}" if quantity.axis else "")
            begin, k = "I", k + 1
    return marks
