"""Makers, from where they stand: at the beginning of titles, there and hardly anywhere else.

A brand recurs at the beginning ("Blue Star 1.5 Ton"), or stands once where brands stand ("VESTAR
1.5 Ton": a beginning before what follows other brands). Spellings are one brand when they agree
without blanks and dashes: O General, O-General, OGENERAL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from moonshelf.graph.builtin.titles import (
    OPENING,
    Title,
    colors,
    descriptors,
    is_code_like,
    stops,
)

Phrase = tuple[str, ...]
# A brand begins at least half of the titles that hold it.
OPENS = 0.5
# Words of one name: "blue star", "white westinghouse".
BOUND = 0.8
# What follows brands at least so often, in so many titles, shows a brand before it.
CONTEXT, CONTEXT_TITLES = 0.8, 10
RECURS = 2


@dataclass(frozen=True, slots=True)
class Brands:
    """Names by their compact spelling, and what follows a name at the beginning of a title.

    Attributes:
        names: compact spelling -> commonest spelling (folded).
        documents: compact spelling -> titles that begin with it.
        contexts: masked words behind a brand that show it to be one.
        longest: words of the longest name.
    """

    names: Mapping[str, str]
    documents: Mapping[str, int]
    contexts: frozenset[str]
    longest: int

    def opening(self, title: Title) -> str | None:
        """Compact spelling of the known brand that a title begins with."""
        for size in range(min(self.longest, len(title.opening)), 0, -1):
            compact = "".join(title.opening[:size])
            if compact in self.names:
                return compact
        return None


def induce_brands(titles: Sequence[Title], type_words: Collection[str]) -> Brands:
    """Brands of a corpus.

    Args:
        titles: distinct ones.
        type_words: words that name kinds of products and their forms; no brand is one.
    """
    barred = _Barred(type_words)
    held: Counter[str] = Counter()
    openings: Counter[Phrase] = Counter()
    following: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for title in titles:
        held.update(title.all)
        openings.update(title.opening[:k] for k in range(1, len(title.opening) + 1))
        following[title.follower] += 1
        pairs.update(set(zip(title.words, title.words[1:], strict=False)))
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for name in _bound_openings(openings, pairs, held, barred):
        spellings["".join(name)][" ".join(name)] += openings[name]
    for first in sorted(p for p in openings if len(p) == 1):
        word = first[0]
        if openings[first] < RECURS or openings[first] < OPENS * held[word] or word in barred:
            continue
        name = _extended(first, openings, pairs, held, barred)
        if not _only_begins_a_type(name, titles, barred):
            spellings["".join(name)][" ".join(name)] += openings[name]
    names = {c: max(s.items(), key=lambda p: (p[1], p[0]))[0] for c, s in spellings.items()}
    counts = {compact: sum(found.values()) for compact, found in spellings.items()}
    found = Brands(names, counts, frozenset(), _longest(names))
    return Brands(names, counts, _contexts(titles, found, following), found.longest)


def _longest(names: Mapping[str, str]) -> int:
    # A compact spelling may be written in one word more than the commonest is.
    return max((len(name.split()) for name in names.values()), default=0) + 1


class _Barred:
    """Words that no brand begins with."""

    def __init__(self, type_words: Collection[str]) -> None:
        self.types = frozenset(type_words)
        self.words = self.types | colors() | descriptors() | stops()

    def __contains__(self, word: str) -> bool:
        return word in self.words or is_code_like(word)


def _extended(
    name: Phrase,
    openings: Mapping[Phrase, int],
    pairs: Mapping[tuple[str, str], int],
    held: Mapping[str, int],
    barred: _Barred,
) -> Phrase:
    """``name`` with the words that always follow it and follow hardly anything else."""
    while len(name) < OPENING:
        longer = [p for p in openings if len(p) == len(name) + 1 and p[:-1] == name]
        if not longer:
            break
        best = max(longer, key=lambda p: (openings[p], p))
        word = best[-1]
        if openings[best] < RECURS or openings[best] < BOUND * openings[name]:
            break
        bound = pairs[name[-1], word] >= BOUND * held[word]
        joins = word in ("and", "of", "n")
        if not joins and not (bound and (word not in barred or word in colors())):
            break
        name = best
    while name[-1] in stops():
        name = name[:-1]
    return name


def _bound_openings(
    openings: Mapping[Phrase, int],
    pairs: Mapping[tuple[str, str], int],
    held: Mapping[str, int],
    barred: _Barred,
) -> list[Phrase]:
    """Names of two words whose first alone is a common word: Blue Star, Red Tape, S. Oliver."""
    found = []
    for name in sorted(p for p in openings if len(p) == 2):
        first, second = name
        if first not in barred and openings[name[:1]] >= OPENS * held[first]:
            continue
        bound = pairs[name] >= BOUND * held[second] and openings[name] >= OPENS * pairs[name]
        plain = second not in barred and not is_code_like(first) and first not in barred.types
        if bound and plain and openings[name] >= RECURS and first not in stops():
            found.append(name)
    return found


def _only_begins_a_type(name: Phrase, titles: Sequence[Title], barred: _Barred) -> bool:
    """Whether what follows is always the same type, as in "Personal Air Cooler"."""
    after = Counter(
        t.opening[len(name)] if len(t.opening) > len(name) else "#"
        for t in titles
        if t.opening[: len(name)] == name
    )
    word, count = max(after.items(), key=lambda pair: (pair[1], pair[0]))
    return word in barred.types and count >= BOUND * after.total() and count > 1


def _contexts(
    titles: Sequence[Title], brands: Brands, following: Mapping[str, int]
) -> frozenset[str]:
    shown = Counter(t.follower for t in titles if brands.opening(t) == "".join(t.opening[:1]))
    return frozenset(
        word
        for word, count in shown.items()
        if following[word] >= CONTEXT_TITLES and count >= CONTEXT * following[word] and word
    )
