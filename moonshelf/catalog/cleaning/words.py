"""Words of a text as the entity tagger compares them, with their place in the original.

Two words are one when they differ only in case, width, composition of accents, a possessive or a
plural s. A word is a run of letters and digits with their accents; in scripts that put no blanks
between words every sign is one. (The graph's ``text.py`` folds whole texts and maps offsets back;
here the words are cut first, so that there is nothing to map.)
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

# Scripts that write words without blanks between them.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# Numbers with their decimals; runs of letters and digits with a possessive or an elision.
_PLAIN = re.compile(r"\d+[.,]\d+(?![a-zA-Z])|[a-zA-Z0-9]+(?:'[a-zA-Z]{1,2}(?![a-zA-Z]))?")
_POSSESSIVE = re.compile(r"['’]s?$")
# Endings behind which a plural is -es: dresses, watches, boxes.
_HISSING = ("sses", "shes", "ches", "xes", "zzes")
# Words that end in these have no s to lose: glass, status, tennis.
_SINGULAR = ("ss", "us", "is")
_SHORTEST_PLURAL = 4


class Word(NamedTuple):
    """``text[start:end]``, and the form by which it is compared."""

    start: int
    end: int
    form: str


def words(text: str) -> list[Word]:
    """The words of a text in order. Any text, however odd."""
    pattern = _PLAIN if text.isascii() else _pattern()
    found = (Word(m.start(), m.end(), form(m[0])) for m in pattern.finditer(text))
    return [word for word in found if word.form]


@lru_cache(maxsize=1 << 16)
def form(word: str) -> str:
    """What a word is compared by: folded, without possessive and plural s. Pure, so remembering
    it is safe."""
    folded = word if word.isascii() else unicodedata.normalize("NFKC", word)
    folded = unicodedata.normalize("NFC", _POSSESSIVE.sub("", folded.casefold()))
    return singular(folded)


def singular(word: str) -> str:
    """An English plural without its ending; other words as they are. Applied to values and texts
    alike, so that what matters is that both lose the same."""
    if len(word) < _SHORTEST_PLURAL or not word.endswith("s") or word.endswith(_SINGULAR):
        return word
    if word.endswith("ies") and len(word) > _SHORTEST_PLURAL:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_HISSING) else word[:-1]


@cache
def _pattern() -> re.Pattern[str]:
    """``_PLAIN`` for every script."""
    marks = re.escape("".join(c for c in map(chr, range(0x300, 0xFFFF)) if _is_mark(c)))
    letter = rf"[^\W_{_UNSPACED}]"
    parts = (
        rf"\d+[.,]\d+(?!{letter})",
        rf"[{_UNSPACED}][{marks}]*",
        rf"{letter}(?:{letter}|[{marks}])*(?:['’]{letter}{{1,2}}(?!{letter}))?",
    )
    return re.compile("|".join(parts))


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"
