"""Attributes and numbers in turn: which number a word between two of them belongs to.

"Depth 31 cm. Height 81 cm" and "31 cm depth 81 cm height" differ in how they begin and end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from moonshelf.graph.builtin.lexicon import lexicon
from moonshelf.graph.builtin.lexicon import words as lexicon_words
from moonshelf.graph.builtin.phrases import Phrase, split
from moonshelf.graph.builtin.reading import Word
from moonshelf.graph.builtin.titles import stops

# What may stand between a number and its noun.
_AFTER_GAP = re.compile(r"\.?[^\S\r\n]{0,2}[-–(]?[^\S\r\n]?")
_BEFORE_GAP = re.compile(
    r"[^\S\r\n]{0,2}(?:[:=(–-]|of|is|:\s*up to|up to)?[^\S\r\n]{0,2}", re.IGNORECASE
)
_LINKS = ("of", "is", "up", "to", "upto", "approx", "about", "around")
_LONGEST = 2


def own_runs(words: Sequence[Word], place: int, text: str) -> tuple[Phrase, Phrase]:
    """Up to two plain words behind and before ``words[place]`` that are no neighbor's."""
    after, before = _run(words, place, 1, text), _run(words, place, -1, text)
    behind, ahead = _linked(words, place, -1, text), _linked(words, place, 1, text)
    if behind is None and ahead is None:
        return after, before
    led = _is_led(words, place, text)
    return (
        () if led and ahead is not None else after,
        () if not led and behind is not None else before,
    )


def _is_led(words: Sequence[Word], place: int, text: str) -> bool:
    """Whether the attributes of this chain stand before their numbers."""
    first = last = place
    while (k := _linked(words, first, -1, text)) is not None:
        first = k
    while (k := _linked(words, last, 1, text)) is not None:
        last = k
    if _names(_run(words, first, -1, text)[-1:]):
        return True
    behind = _run(words, last, 1, text)
    if _names(behind[:1]) or _names(behind[1:]):
        return False
    # Only "31 cm. Height 81 cm" and "31 cm, Height: 81 cm" tell then.
    between = text[words[first].end : words[first + 1].start]
    second = next(k for k in range(first + 1, last + 1) if words[k].quantity is not None)
    return "." in between or text[words[second - 1].end : words[second].start].strip() in (":", "=")


def _linked(words: Sequence[Word], place: int, step: int, text: str) -> int | None:
    """The next or previous number, where nothing but words of an attribute parts the two."""
    for k in range(place + 2 * step, place + (_LONGEST + 2) * step, step):
        if not 0 <= k < len(words):
            return None
        if words[k].quantity is not None:
            left, right = min(place, k), max(place, k)
            apart = right - left - 1
            after, before = _run(words, left, 1, text), _run(words, right, -1, text)
            return k if len(after) == len(before) == apart and _names(after[-1:]) else None
    return None


def _run(words: Sequence[Word], place: int, step: int, text: str) -> Phrase:
    """Up to two plain words beside ``words[place]``."""
    found: list[str] = []
    k = place + step
    last = words[place]
    while 0 <= k < len(words) and len(found) < _LONGEST:
        word = words[k]
        first, second = (last, word) if step > 0 else (word, last)
        gap = _AFTER_GAP if step > 0 else _BEFORE_GAP
        if word.quantity is not None or not gap.fullmatch(text, first.end, second.start):
            break
        if step < 0 and not found and word.word in _LINKS:
            last, k = word, k + step
            continue
        if word.word in stops():
            break
        found.append(word.word)
        last, k = word, k + step
    return tuple(found if step > 0 else found[::-1])


def _names(words: Phrase) -> bool:
    return any(word in _nouns() for word in words)


@cache
def _nouns() -> frozenset[str]:
    """Last words of attributes and parts. The lexicon cannot change, so neither can this."""
    named = (form for lists in lexicon()["named"].values() for forms in lists for form in forms)
    heads = (*lexicon_words("heads", "attributes"), *lexicon_words("heads", "parts"))
    return frozenset(split(form)[-1] for form in (*named, *heads))
