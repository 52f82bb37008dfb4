"""What a title shows of its structure: how it begins, its chain of nouns, its list in brackets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, takewhile

from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.lexicon import words
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading, Word

OPENING = 4
_DASHES = ("-", "‐", "‑")
# A phrase that ends so many titles, word for word, says nothing of any of them.
BOILERPLATE, BOILERPLATE_SHARE = 10, 0.01


@dataclass(frozen=True, slots=True)
class Title:
    """A title as masked words.

    Attributes:
        opening: up to four words before the first quantity or mark.
        follower: what stands behind the first word: ``#ton``, ``split``, "" at the end.
        chain: noun phrases outside brackets, each cut at its first preposition.
        parts: every segment with whether it is inside brackets, whole ones only.
        all: every word.
        words: every word, in order: equal for titles that say the same of another amount.
        glued: units of quantities like 183V, which may be codes.
        joined: words of the opening that dashes join: two of "Coca-Cola Zero".
    """

    opening: tuple[str, ...]
    follower: str
    chain: tuple[tuple[str, ...], ...]
    parts: tuple[tuple[bool, tuple[str, ...]], ...]
    all: frozenset[str]
    words: tuple[str, ...]
    glued: tuple[str, ...] = ()
    joined: int = 1


def title_of(reading: FieldReading) -> Title:
    """The title that this field is."""
    parts = [(s, tuple(w for w in ws if w.end < reading.whole)) for s, ws in reading.parts()]
    first = next((ws for _, ws in parts if ws), ())
    opening: list[str] = []
    for word in first:
        if word.word[0] == "#" or len(opening) == OPENING:
            break
        opening.append(word.word)
    follower = first[1].word if len(first) > 1 else ""
    return Title(
        opening=tuple(opening),
        follower=follower,
        chain=tuple(tuple(w.word for w in ws) for ws in chain(reading)),
        parts=tuple((s.inside, tuple(w.word for w in ws)) for s, ws in parts if ws),
        all=frozenset(w.word for w in reading.words),
        words=tuple(w.word for w in reading.words),
        glued=tuple(
            str(w.quantity.unit)
            for w in reading.words
            if w.quantity is not None and is_glued_letter(reading.text, w.quantity)
        ),
        joined=_joined_words(reading.text, first),
    )


def _joined_words(text: str, found: Sequence[Word]) -> int:
    """How many words from the first on have a dash between them."""
    gaps = (text[a.end : b.start] for a, b in pairwise(found))
    return 1 + sum(1 for _ in takewhile(lambda gap: gap in _DASHES, gaps))


def distinct(titles: Iterable[Title]) -> list[Title]:
    """Titles without repetition and without the boilerplate at their ends (a shop's own name)."""
    kept = list({title.words: title for title in titles}.values())
    ends = Counter(title.chain[-1] for title in kept if len(title.chain) > 1)
    least = max(BOILERPLATE, BOILERPLATE_SHARE * len(kept))
    return [
        replace(title, chain=title.chain[:-1])
        if len(title.chain) > 1 and ends[title.chain[-1]] >= least and len(title.chain[-1]) > 1
        else title
        for title in kept
    ]


def chain(reading: FieldReading) -> Iterator[tuple[Word, ...]]:
    """Phrases outside brackets, up to the first preposition or guard of each."""
    for segment, found in reading.parts():
        if segment.inside:
            continue
        kept: list[Word] = []
        for word in found:
            if word.end >= reading.whole or (kept and word.word in prepositions()):
                break
            zone = guarded(reading.zones, word.start, word.end)
            if zone is not None and zone.guard != "negation" and not zone.behind:
                break
            kept.append(word)
        if kept:
            yield tuple(kept)


def is_glued_letter(text: str, quantity: Quantity) -> bool:
    """One capital right behind the digits ("183V"): a unit, or the end of a code."""
    raw = text[quantity.start : quantity.end]
    return raw[-1].isupper() and raw[:-1].isdigit()


def is_code_like(word: str) -> bool:
    """Whether a masked word has a digit or stands for a quantity."""
    return word[0] == "#" or any(c.isdigit() for c in word)


@cache
def prepositions() -> frozenset[str]:
    return frozenset(words("stop", "prepositions"))


@cache
def stops() -> frozenset[str]:
    """Words that are no content."""
    return _joined(words("stop", key) for key in ("prepositions", "articles", "joiners"))


@cache
def colors() -> frozenset[str]:
    """Single words that name or shade a color."""
    return _joined((words("colors", "names"), words("colors", "finishes"), ("colour", "color")))


@cache
def audience() -> frozenset[str]:
    """Words for whom a product is."""
    return _joined((words("descriptors", "audience"),))


@cache
def descriptors() -> frozenset[str]:
    return _joined((words("descriptors", "general"), words("descriptors", "audience")))


def _joined(lists: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset(word for phrase_list in lists for phrase in phrase_list for word in (phrase,))
