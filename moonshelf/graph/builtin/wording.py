"""Phrases out of items: features, kinds of a thing ("dust filter"), counts ("4 way swing"), series.

A run of words in the middle of a title is no phrase yet ("hot and cold wi fi inverter"). It is cut
where its words do not belong together, first by what stands alone elsewhere, then by how often two
neighbors meet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from moonshelf.graph.builtin.colors import is_color, is_material
from moonshelf.graph.builtin.lexicon import words
from moonshelf.graph.builtin.measures import attributes
from moonshelf.graph.builtin.naming import key_names
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.builtin.survey import Survey, Tally
from moonshelf.graph.builtin.titles import descriptors, is_code_like, stops

Phrase = tuple[str, ...]
# Two neighbors are one phrase when the rarer of them is mostly beside the other.
BOUND = 0.7
# A phrase stands alone if it fills a bracket or a comma's space so often.
ALONE = 2
LONGEST = 4
# Nearly all that say it are of one maker: a name of theirs, no feature of many.
ONE_MAKER, KNOWN = 0.95, 0.6
# A head of kinds ("filter") has so many different words before it, and hardly ever none.
KINDS, BARE_HEAD = 3, 0.3
# A series stands right behind its maker, or beside a code.
NAMED = 0.4
# A single word that never stands alone is a feature only if it is common.
COMMON, VERY_COMMON = 0.03, 0.1
# So many documents say it under a key, for each that says it alone.
KEYED = 0.5
NUMBER_WORDS = frozenset({"dual", "double", "twin", "triple", "single", "two", "three", "four"})


@dataclass
class Wording:
    """Phrases of a corpus by what they are. Values: documents that say them."""

    features: dict[Phrase, Tally] = field(default_factory=dict)
    slots: dict[str, dict[Phrase, int]] = field(default_factory=dict)
    """Head -> words before it -> documents."""
    counts: dict[Phrase, int] = field(default_factory=dict)
    """Words behind a bare number."""
    series: dict[Phrase, Tally] = field(default_factory=dict)


def wording_of(survey: Survey, least: int) -> Wording:
    """What the items of a corpus say; phrases in fewer than ``least`` documents do not count."""
    phrases = _phrases(survey)
    valued = _valued(phrases, survey)
    found = Wording()
    found.counts = _counts(phrases, least)
    found.slots = _slots(phrases, valued, least)
    taken = {(*m, h) for h, kinds in found.slots.items() for m in kinds}
    taken |= {(h,) for h in found.slots}
    for phrase, tally in sorted(phrases.items(), key=lambda pair: (-pair[1].documents, pair[0])):
        if phrase in taken or tally.documents < 2 or not _is_wording(phrase):
            continue
        if phrase[-1] in valued or _is_key(phrase, survey, least):
            continue
        if _is_series(phrase, tally, survey):
            if tally.beside_name >= NAMED * tally.documents or _stands_alone(tally):
                _add(found.series.setdefault(_named(phrase), Tally()), tally, whole=True)
        elif phrase[-1] in found.slots or _is_name(tally, survey):
            continue  # a kind that is too rare to be known; a shop or a maker
        elif tally.documents >= least and _stands(phrase, tally, survey):
            found.features[phrase] = tally
    return found


def _phrases(survey: Survey) -> dict[Phrase, Tally]:
    """Items cut into phrases; counts of the same phrase from several items are added."""
    alone = {
        phrase
        for phrase, tally in survey.items.items()
        if tally.whole >= ALONE and len(phrase) <= LONGEST and not phrase[-1].startswith("#")
    }
    merged: defaultdict[Phrase, Tally] = defaultdict(Tally)
    for phrase in sorted(survey.items):
        tally = survey.items[phrase]
        if phrase in alone:
            _add(merged[phrase], tally, whole=True)
            continue
        for piece in pieces(phrase, alone, survey.pairs, survey.held):
            _add(merged[piece], tally, whole=False)
    return dict(merged)


def pieces(
    phrase: Phrase,
    alone: set[Phrase],
    pairs: Mapping[tuple[str, str], int],
    held: Mapping[str, int],
) -> Iterator[Phrase]:
    """``phrase`` cut into what stands alone elsewhere, and the rest where its words part."""
    run: list[str] = []
    place = 0
    while place < len(phrase):
        size = next(
            (
                n
                for n in range(min(LONGEST, len(phrase) - place), 0, -1)
                if phrase[place : place + n] in alone and not _continues(phrase, place, n)
            ),
            0,
        )
        if size:
            yield from _runs(run, pairs, held)
            run = []
            yield phrase[place : place + size]
            place += size
        else:
            run.append(phrase[place])
            place += 1
    yield from _runs(run, pairs, held)


def _continues(phrase: Phrase, place: int, size: int) -> bool:
    """Whether the phrase belongs to the number word before it: "dual inverter"."""
    return place > 0 and phrase[place - 1] in NUMBER_WORDS and size == 1


def _runs(
    run: Sequence[str], pairs: Mapping[tuple[str, str], int], held: Mapping[str, int]
) -> Iterator[Phrase]:
    begin = 0
    for k in range(1, len(run) + 1):
        if k == len(run) or not _bound(run[k - 1], run[k], pairs, held):
            piece = tuple(run[begin:k])
            while piece and piece[0] in stops():
                piece = piece[1:]
            while piece and piece[-1] in stops():
                piece = piece[:-1]
            if 0 < len(piece) <= LONGEST:
                yield piece
            begin = k


def _bound(
    first: str, second: str, pairs: Mapping[tuple[str, str], int], held: Mapping[str, int]
) -> bool:
    if "#in1" in (first, second):
        return False
    if first in ("#", "and") or second == "and" or first in NUMBER_WORDS:
        return True
    return pairs.get((first, second), 0) >= BOUND * min(held[first], held[second])


def _add(tally: Tally, more: Tally, whole: bool) -> None:
    tally.documents += more.documents
    tally.brands.update(more.brands)
    tally.whole += more.whole if whole else 0
    tally.beside_name += more.beside_name
    tally.opening += more.opening
    tally.raw.update(more.raw if whole else {})


def _counts(phrases: Mapping[Phrase, Tally], least: int) -> dict[Phrase, int]:
    """One or two words behind a number: "# way swing", "# speeds"."""
    found: Counter[Phrase] = Counter()
    for phrase, tally in phrases.items():
        rest = phrase[1:]
        if phrase[0] == "#" and 1 <= len(rest) <= 2 and all(_is_counted(w) for w in rest):
            found[rest] += tally.documents
    kept = {rest: count for rest, count in found.items() if count >= least}
    # "# way" and "# way swing" are one count, under its fuller name.
    for rest in sorted(kept):
        longer = next((o for o in sorted(kept) if len(o) == 2 and o[:1] == rest), None)
        if longer is not None and len(rest) == 1:
            kept[longer] += kept.pop(rest)
    return kept


def _valued(phrases: Mapping[Phrase, Tally], survey: Survey) -> frozenset[str]:
    """Last words of phrases that elsewhere are values of a key: where some write "Wash care" above
    "Machine wash cold", the line is no feature for those who leave the heading out."""
    keyed: Counter[Phrase] = Counter()
    for values in survey.values.values():
        for value, documents in values.items():
            keyed[split(value)] += documents
    alone, told = Counter[str](), Counter[str]()
    for phrase, tally in phrases.items():
        alone[phrase[-1]] += tally.documents
        told[phrase[-1]] += keyed[phrase]
    return frozenset(word for word in told if told[word] >= max(ALONE, KEYED * alone[word]))


def _is_key(phrase: Phrase, survey: Survey, least: int) -> bool:
    """Whether it is what keys are called, and so names a property and is none that is or is not:
    "fabric", "length"."""
    said = survey.keys[phrase].documents if phrase in survey.keys else 0
    return said >= least or phrase in key_names() or phrase in attributes()


def _slots(
    phrases: Mapping[Phrase, Tally], valued: Collection[str], least: int
) -> dict[str, dict[Phrase, int]]:
    """Heads with kinds: "hd filter", "dust filter", "pm # filter". A material is no such head
    ("synthetic leather"), nor is the end of what keys have as values ("machine wash cold")."""
    kinds: dict[str, dict[Phrase, int]] = defaultdict(dict)
    makers: dict[str, set[str]] = defaultdict(set)
    total: Counter[str] = Counter()
    for phrase, tally in phrases.items():
        head = phrase[-1]
        total[head] += tally.documents
        plain = len(phrase) > 1 and phrase[0] != "#" and "#in1" not in phrase and _is_plain(head)
        if plain and tally.whole >= ALONE:
            kinds[head][phrase[:-1]] = tally.documents
            makers[head].update(tally.brands)
    found = {}
    for head, before in sorted(kinds.items()):
        bare = phrases[(head,)].documents if (head,) in phrases else 0
        enough = len(before) >= KINDS and sum(before.values()) >= 2 * least
        various = len(makers[head]) > 1 or not any(t.brands for t in phrases.values())
        noun = head not in valued and not is_material((head,))
        if noun and enough and various and bare <= BARE_HEAD * total[head]:
            found[head] = before
    return found


def _is_counted(word: str) -> bool:
    return _is_plain(word) and word not in descriptors() and not is_color((word,))


def _is_plain(word: str) -> bool:
    return not is_code_like(word) and len(word) > 1 and word not in stops()


def _is_wording(phrase: Phrase) -> bool:
    if any(w.startswith("#") for w in phrase):
        return False
    plain = [w for w in phrase if not is_code_like(w) and w not in stops()]
    if any(is_material((w,)) for w in phrase):
        return False
    if plain and plain[0] in denials():
        return False
    return any(len(w) > 1 and w not in descriptors() for w in plain)


def _is_series(phrase: Phrase, tally: Tally, survey: Survey) -> bool:
    """A name of one maker: no function, and no part of its codes."""
    coded = any(w in survey.tails or w in survey.heads or is_code_like(w) for w in phrase)
    coded = coded or all(w in suffixes() for w in phrase)
    return _one_maker(tally, survey) and not coded and not any(w in functions() for w in phrase)


def _named(phrase: Phrase) -> Phrase:
    """The name of a series without the "new" before it."""
    return phrase[1:] if len(phrase) > 1 and phrase[0] in prefixes() else phrase


def _is_name(tally: Tally, survey: Survey) -> bool:
    """Part of who makes or sells it: titles begin with it, or it goes with the name of one maker.

    Whatever its words say: "Home Appliances" names a shop.
    """
    named = _one_maker(tally, survey) and tally.beside_name >= NAMED * tally.documents
    return named or tally.opening >= max(ALONE + 1, NAMED * tally.documents)


def _stands_alone(tally: Tally) -> bool:
    """It mostly fills a bracket or a comma's space, as a name that is told and not said of."""
    return tally.whole > ALONE and 2 * tally.whole >= tally.documents


def _stands(phrase: Phrase, tally: Tally, survey: Survey) -> bool:
    """Whether a feature is more than words of something longer."""
    first, last = phrase[0], phrase[-1]
    if last in survey.type_words or last.removesuffix("s") in survey.type_words:
        return False
    several = len(tally.brands) > 1
    if len(phrase) > 1:
        return tally.whole > 0 or several or any(w in functions() for w in phrase)
    common = several and tally.documents >= COMMON * survey.documents
    if first in functions():
        return tally.whole > 1 or tally.documents >= VERY_COMMON * survey.documents
    return tally.whole > 1 or common


@cache
def functions() -> frozenset[str]:
    return frozenset(words("functions", "words"))


@cache
def suffixes() -> frozenset[str]:
    return frozenset(words("series", "suffixes"))


@cache
def prefixes() -> frozenset[str]:
    return frozenset(words("series", "prefixes"))


@cache
def denials() -> frozenset[str]:
    return frozenset(words("guards", "negation"))


def _one_maker(tally: Tally, survey: Survey) -> bool:
    if len(survey.brands.names) < 5 or survey.branded < survey.documents / 2:
        return False
    makers = tally.brands.total()
    known = makers > 0 and makers >= KNOWN * tally.documents
    return known and max(tally.brands.values()) >= ONE_MAKER * makers
