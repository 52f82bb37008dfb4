"""Where a sentence ends: at a stop that belongs to no shortened word, number sign or initial.

"Weight 6 kg. 2 shelves"      ends: the unit is written without a dot
"3 in. 4 doors", "No. 5", "approx. 6 kg", "J. Crew"      do not
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from moonshelf.graph.builtin.lexicon import words

_STOP = re.compile(r"(?<![.!?])[.!?]+\s+")
_TAIL = re.compile(r"(?<![^\W\d_])[^\W\d_]+$")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)\W*$")
_NUMBER_BEFORE = re.compile(r"\d[^\S\r\n]?-?$|[½⅓⅔¼¾]\s?$")
# "Bluetooth: no. 2 jars": an answer; "Model no. 2": the sign of a number.
_ANSWERED = re.compile(r"[:=–—-]\s*$")
_NUMBERED = re.compile(r"#|[^\s]*\d")
_SINGLE = re.compile(r"[^\W\d_](?![^\W_])")
_LOOK_BACK = 40
_SIDES = frozenset("lwhd")
_LINKED = ("/", "²", "³", "°", "µ", "·")
# Marks that a sentence can end in before its stop.
_CLOSING = frozenset(")]}\"”'’′″%°²³™®+")


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Sentences of ``text[start:end]`` (one line), without their stops; time grows with it."""
    lower = text[start:end].islower()
    begin = start
    for mark in _STOP.finditer(text, start, end):
        if _ends(text, start, mark.start(), mark.end(), end, lower):
            yield begin, mark.start()
            begin = mark.end()
    yield begin, end


def without_stop(text: str, start: int, end: int) -> int:
    """``end`` before the stop of ``text[start:end]``; a shortened word keeps its dot."""
    stop = end - 1
    if stop <= start or text[stop] != "." or text[stop - 1] == ".":
        return end
    before = text[max(start, stop - _LOOK_BACK) : stop]
    tail = _TAIL.search(before)
    return end if tail and _is_short(tail[0].lower(), before[: tail.start()]) else stop


def _is_short(word: str, before: str) -> bool:
    """Whether a word is written with a dot, wherever it stands."""
    lists = ("always", "half_units", "units", "before_numbers", "before_names")
    if len(word) == 1:
        return not _letter_ends(word, before, False)
    return any(word in _listed(key) for key in lists)


def _ends(text: str, start: int, stop: int, after: int, end: int, lower: bool) -> bool:
    """Whether the stop at ``stop`` ends a sentence that goes on at ``after``."""
    if after >= end:
        return True
    follows = text[after]
    if follows == "×" or (follows.islower() and not (lower and _begins_a_word(text, after))):
        return False
    before = text[max(start, stop - _LOOK_BACK) : stop]
    if text[stop] != "." or text[stop + 1] == ".":
        return bool(before.strip())
    tail = _TAIL.search(before)
    if tail is None:
        return bool(before) and (before[-1].isalnum() or before[-1] in _CLOSING)
    return _word_ends(tail[0].lower(), before[: tail.start()], text, after)


def _begins_a_word(text: str, place: int) -> bool:
    """In a text without capitals a sentence begins with a small letter, but not "x 3"."""
    return _SINGLE.match(text, place) is None


def _word_ends(word: str, before: str, text: str, after: int) -> bool:
    """Whether a sentence ends behind ``word`` and its dot; ``before`` stands in front of it."""
    number = text[after].isdigit()
    if before.endswith(".") and len(word) < 3:
        return False  # "U.S.", "e.g."
    if word in ("no", "nos"):
        return bool(_ANSWERED.search(before)) or not _NUMBERED.match(text, after)
    if _NUMBER_BEFORE.search(before) and word in _listed("units"):
        return not (number or text[after].islower() or _SINGLE.match(text, after))
    if len(word) == 1:
        return _letter_ends(word, before, number)
    shortened = word in _listed("always") or word in _listed("half_units")
    if number:
        return not (shortened or word in _listed("before_numbers"))
    return not (shortened or word in _listed("before_names"))


def _letter_ends(letter: str, before: str, number: bool) -> bool:
    """A letter is a unit ("41 W.", "m³/h."), the name of a size or class, or an initial."""
    if _NUMBER_BEFORE.search(before) or before.endswith(_LINKED):
        return True
    named = _WORD_BEFORE.search(before)
    if named is not None and named[1].lower() in _listed("lettered"):
        return True
    return number and letter not in _SIDES and letter not in _listed("always")


@cache
def _listed(key: str) -> frozenset[str]:
    return frozenset(words("sentences", key))
