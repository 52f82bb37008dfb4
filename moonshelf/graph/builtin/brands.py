"""Makers, from where they stand: at the beginning of titles, there and hardly anywhere else.

A brand recurs at the beginning ("Blue Star 1.5 Ton"), or stands once where brands stand ("VESTAR
1.5 Ton": a beginning before what follows other brands). Spellings are one brand when they agree
without blanks and dashes: O General, O-General, OGENERAL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from moonshelf.graph.builtin.lexicon import words as lexicon_words
from moonshelf.graph.builtin.titles import (
    OPENING,
    Title,
    audience,
    colors,
    descriptors,
    is_code_like,
    stops,
)

Phrase = tuple[str, ...]
# A brand begins so many of the titles that hold it; a word that stands elsewhere more often is a
# common word of the catalogue ("home", "main"), and at most the beginning of a name. Fewer are
# enough where half of the time a number follows, so that the name surely ends there.
OPENS, OPENS_BEFORE_NUMBERS = 0.75, 0.5
# Words of one name: "blue star", "white westinghouse".
BOUND = 0.8
# So many titles show by themselves that a word belongs to the name before it ("crown bolt").
FIRM = 3
# What follows brands at least so often, in so many titles, of so many makers, shows a brand before.
CONTEXT, CONTEXT_TITLES, CONTEXT_MAKERS = 0.8, 10, 3
# A name of two words begins so many of the titles that hold it.
BEGINS = 0.5
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
    barred, counts = _Barred(type_words), _Counts.of(titles)
    openings = counts.openings
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for short in _bound_openings(counts, barred):
        longer = _extended(short, counts, barred)
        firm = openings[longer] >= FIRM and _is_sure(longer, counts, barred)
        name = longer if firm else short
        spellings["".join(name)][" ".join(name)] += openings[name]
    for first in sorted(p for p in openings if len(p) == 1):
        word = first[0]
        if openings[first] < RECURS or counts.is_common(word) or word in barred:
            continue
        name = _extended(first, counts, barred)
        if _is_sure(name, counts, barred):
            spellings["".join(name)][" ".join(name)] += openings[name]
    names = {c: max(s.items(), key=lambda p: (p[1], p[0]))[0] for c, s in spellings.items()}
    documents = {compact: sum(found.values()) for compact, found in spellings.items()}
    found = Brands(names, documents, frozenset(), _longest(names))
    return Brands(names, documents, _contexts(titles, found), found.longest)


def _longest(names: Mapping[str, str]) -> int:
    # A compact spelling may be written in one word more than the commonest is.
    return max((len(name.split()) for name in names.values()), default=0) + 1


class _Barred:
    """Words that no brand begins with."""

    def __init__(self, type_words: Collection[str]) -> None:
        self.types = frozenset(type_words)
        self.functions = frozenset(lexicon_words("functions", "words")) - self.types
        self.words = self.types | colors() | descriptors() | stops()

    def __contains__(self, word: str) -> bool:
        return word in self.words or is_code_like(word)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Titles that begin with a phrase, that hold a pair of neighbors, that hold a word; those that
    begin with a word and a number or nothing behind it."""

    titles: Mapping[str, Sequence[Title]]
    """By their first word."""
    openings: Mapping[Phrase, int]
    longer_ones: Mapping[Phrase, Sequence[Phrase]]
    pairs: Mapping[tuple[str, str], int]
    held: Mapping[str, int]
    numbered: Mapping[str, int]

    @classmethod
    def of(cls, titles: Sequence[Title]) -> _Counts:
        by_first: defaultdict[str, list[Title]] = defaultdict(list)
        openings, held, numbered = Counter[Phrase](), Counter[str](), Counter[str]()
        pairs: Counter[tuple[str, str]] = Counter()
        for title in titles:
            held.update(title.all)
            openings.update(title.opening[:k] for k in range(1, len(title.opening) + 1))
            pairs.update(set(pairwise(title.words)))
            if title.opening:
                by_first[title.opening[0]].append(title)
                numbered[title.opening[0]] += is_code_like(title.follower or "#")
        longer: defaultdict[Phrase, list[Phrase]] = defaultdict(list)
        for phrase in openings:
            longer[phrase[:-1]].append(phrase)
        return cls(by_first, openings, longer, pairs, held, numbered)

    def beginning(self, name: Phrase) -> list[Title]:
        """The titles that begin with ``name``."""
        return [t for t in self.titles[name[0]] if t.opening[: len(name)] == name]

    def is_common(self, word: str) -> bool:
        """Whether a word is one of the catalogue and no name by itself."""
        opens = self.openings[(word,)]
        ends = 2 * self.numbered[word] >= opens
        return opens < (OPENS_BEFORE_NUMBERS if ends else OPENS) * self.held[word]

    def longer(self, name: Phrase) -> Phrase | None:
        """The opening of one more word that nearly all titles have that begin with ``name``."""
        found = self.longer_ones.get(name, ())
        best = max(found, key=lambda p: (self.openings[p], p), default=None)
        if best is None or self.openings[best] < max(RECURS, BOUND * self.openings[name]):
            return None
        return best

    def bound(self, name: Phrase) -> bool:
        """Whether the last word follows the one before it and hardly anything else."""
        return self.pairs[name[-2], name[-1]] >= BOUND * self.held[name[-1]]


def _extended(name: Phrase, counts: _Counts, barred: _Barred) -> Phrase:
    """The longest opening that titles of one maker share, up to what says what is sold."""
    while len(name) < OPENING and (best := counts.longer(name)) is not None:
        word = best[-1]
        general = word in barred.functions or (word in barred and word in colors())
        plain = counts.bound(best) if general else word not in barred
        if word not in ("and", "of", "n") and not plain:
            break
        name = best
    while name[-1] in stops():
        name = name[:-1]
    return name


def _is_sure(name: Phrase, counts: _Counts, barred: _Barred) -> bool:
    """Whether an opening is a maker and no beginning of what is sold.

    Two titles that begin alike may be of one product ("Karlby Office Chair"): its words are a name
    where both titles say elsewhere what is sold, or for whom, or where dashes join them.
    """
    mine = counts.beginning(name)
    if len(name) > 1 and counts.openings[name] < FIRM:
        rest = [t.words[len(name) :] for t in mine]
        sold = all(barred.types.intersection(words) for words in rest)
        meant = all(words[:1] and words[0] in audience() for words in rest)
        if not (sold or meant or all(t.joined >= len(name) for t in mine)):
            return False
    return not _only_begins_a_type(name, mine, barred)


def _bound_openings(counts: _Counts, barred: _Barred) -> list[Phrase]:
    """Names of two words whose first alone is a common word: Blue Star, Red Tape, Crown Bolt."""
    found = []
    openings = counts.openings
    for name in sorted(p for p in openings if len(p) == 2):
        first, second = name
        if first not in barred and not counts.is_common(first):
            continue
        bound = counts.bound(name) and openings[name] >= BEGINS * counts.pairs[name]
        alone = openings[name] >= FIRM and counts.longer(name[:1]) == name
        plain = second not in barred and not is_code_like(first) and first not in barred.types
        named = bound or (alone and first not in barred)
        if named and plain and openings[name] >= RECURS and first not in stops():
            found.append(name)
    return found


def _only_begins_a_type(name: Phrase, titles: Sequence[Title], barred: _Barred) -> bool:
    """Whether what follows is always the same type, as in "Personal Air Cooler"."""
    after = Counter(t.opening[len(name)] if len(t.opening) > len(name) else "#" for t in titles)
    word, count = max(after.items(), key=lambda pair: (pair[1], pair[0]))
    return word in barred.types and count >= BOUND * after.total() and count > 1


def _contexts(titles: Sequence[Title], brands: Brands) -> frozenset[str]:
    following = Counter(title.follower for title in titles)
    makers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for title in titles:
        brand = brands.opening(title)
        if brand is not None and brand == "".join(title.opening[:1]):
            makers[title.follower][brand] += 1
    return frozenset(
        word
        for word, shown in makers.items()
        if following[word] >= CONTEXT_TITLES and len(shown) >= CONTEXT_MAKERS and word
        if shown.total() >= CONTEXT * following[word]
    )
