"""Counts what recurs in a corpus: the evidence that ``induce.py`` makes a schema of.

One pass over documents. Everything is counted once a document, under masked and folded words.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.codes import (
    CodeHabits,
    find_codes,
    find_standards,
    is_code_unit,
    is_standard,
    token_key,
)
from moonshelf.graph.builtin.colors import find_colors, find_materials
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.measures import Name, names_of, reading_of, words_and_pairs
from moonshelf.graph.builtin.phrases import Phrases, key_words
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.spelled import Spelled, has_doubtful, is_doubtful
from moonshelf.graph.builtin.terms import SIDES
from moonshelf.graph.builtin.titles import is_code_like, is_glued_letter, prepositions, stops
from moonshelf.graph.text import fold_value

Phrase = tuple[str, ...]
LONGEST_ITEM = 5
# A known name elsewhere in a title may be a common word ("w", "gas").
SHORTEST_NAME = 4
LONGEST_VALUE = 60
# A segment of more words is no list and no line, whatever its marks.
LONGEST_SEGMENT = 120
# Words of a segment that names a thing with its material.
LONGEST_MADE = 4
# Capitals before a code are part of it only if they are few: GIC, not SHIZEN.
LONGEST_HEAD = 4
_SPOKEN = ("#", "#in1")


@dataclass
class Tally:
    """How often something was said.

    Attributes:
        documents: how many say it.
        brands: of which makers.
        whole: documents in which it fills a bracket, a comma's space or a line.
        beside_name: documents in which its maker stands right before it, or a code beside it.
        opening: documents whose title begins with it.
        raw: the ways it was written.
    """

    documents: int = 0
    brands: Counter[str] = field(default_factory=Counter)
    whole: int = 0
    beside_name: int = 0
    opening: int = 0
    raw: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Item:
    """Words of one segment that are left when what is known is taken out.

    Attributes:
        words: as :class:`Word`.
        whole: they are all that the segment holds.
        beside_name: a brand stands right before, or a code beside.
    """

    words: tuple[Word, ...]
    whole: bool
    beside_name: bool

    @property
    def phrase(self) -> Phrase:
        return tuple(w.word for w in self.words)


@dataclass
class Survey:
    """All counts."""

    brands: Brands
    types: Phrases[str]
    type_words: frozenset[str]
    habits: CodeHabits = field(default_factory=CodeHabits)
    documents: int = 0
    branded: int = 0
    items: defaultdict[Phrase, Tally] = field(default_factory=lambda: defaultdict(Tally))
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    measures: Counter[str] = field(default_factory=Counter)
    """Documents with a quantity in a unit (registry name)."""
    named: Counter[tuple[str, Name]] = field(default_factory=Counter)
    """(unit, words around it)."""
    fractions: int = 0
    """Stars that are no whole number."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Stars, years, packs, sizes."""
    beside: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind of count, word beside it)."""
    keys: defaultdict[Phrase, Tally] = field(default_factory=lambda: defaultdict(Tally))
    values: defaultdict[Phrase, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    listed: Counter[Phrase] = field(default_factory=Counter)
    """Documents in which a key has several values."""
    colors: int = 0
    materials: Counter[str] = field(default_factory=Counter)
    standards: Counter[str] = field(default_factory=Counter)
    codes: int = 0
    designations: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    tails: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    heads: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    plain_case: set[str] = field(default_factory=set)
    """Words that stand somewhere in another case than all capitals."""
    spelled: Spelled = field(default_factory=Spelled)

    @cached_property
    def brand_words(self) -> frozenset[str]:
        return frozenset(w for name in self.brands.names.values() for w in name.split())

    def add(
        self, readings: Sequence[FieldReading], brand: str | None, kind: Callable[[], str]
    ) -> None:
        """Counts one document; ``kind`` tells its kind, where that is needed."""
        self.documents += 1
        self.branded += brand is not None
        _Counting(self, brand, kind).document(readings)


class _Counting:
    """One document on its way into the survey: each thing counts once."""

    def __init__(self, survey: Survey, brand: str | None, kind: Callable[[], str]) -> None:
        self.survey, self.brand, self.kind = survey, brand, kind
        self.seen: set[object] = set()

    def first(self, *what: object) -> bool:
        if what in self.seen:
            return False
        self.seen.add(what)
        return True

    def document(self, readings: Sequence[FieldReading]) -> None:
        every = [w for reading in readings for w in reading.words]
        context = words_and_pairs(every)
        for word in sorted({w.word for w in every}):
            self.survey.held[word] += 1
        for reading in readings:
            self._cases(reading)
            for name, _, _ in find_standards(reading.text):
                self.survey.standards[name] += self.first("standard", name)
            codes = list(find_codes(reading, self.survey.habits, self.brand))
            self._codes(reading, codes)
            for segment, words in reading.parts():
                self._measures(reading, words, context)
                self._general(reading, words)
                key = segment.key or segment.heading
                if key is not None:
                    self._pair(reading, key, (segment.start, segment.end))
                elif reading.title or segment.kind == "line":
                    self._items(reading, words, codes)

    def tally(self, table: defaultdict[object, Tally], key: object, raw: str) -> Tally | None:
        """The tally of ``key`` with this document counted; None where it was already."""
        if not self.first(id(table), key):
            return None
        found = table[key]
        found.documents += 1
        if len(found.raw) < 8 or raw in found.raw:
            found.raw[raw] += 1
        if self.brand is not None:
            found.brands[self.brand] += 1
        return found

    def _cases(self, reading: FieldReading) -> None:
        if reading.text.isupper():
            return
        for word in reading.words:
            raw = reading.text[word.start : word.end]
            if word.quantity is None and not raw.isupper():
                self.survey.plain_case.add(word.word)

    def _codes(self, reading: FieldReading, codes: Sequence[tuple[int, int]]) -> None:
        self.survey.codes += bool(codes) and self.first("code")
        for start, end in codes:
            token = reading.text[start:end]
            self.tally(self.survey.designations, token_key(token), token)  # type: ignore[arg-type]
        ends = {end: start for start, end in codes}
        starts = {start for start, _ in codes}
        for k, word in enumerate(reading.words):
            raw = reading.text[word.start : word.end]
            if not (raw.isupper() and raw.isalpha() and 2 <= len(raw) <= 6):
                continue
            before = reading.words[k - 1] if k else None
            if before is not None and reading.text[before.end : word.start] == " ":
                quantity = before.quantity
                if before.end in ends or (
                    quantity is not None and is_glued_letter(reading.text, quantity)
                ):
                    self.tally(self.survey.tails, word.word, raw)  # type: ignore[arg-type]
            if (
                len(raw) <= LONGEST_HEAD
                and word.end + 1 in starts
                and reading.text[word.end] == " "
            ):
                self.tally(self.survey.heads, word.word, raw)  # type: ignore[arg-type]

    def _measures(
        self, reading: FieldReading, words: Sequence[Word], context: frozenset[str]
    ) -> None:
        survey = self.survey
        for k, word in enumerate(words):
            quantity = word.quantity
            if quantity is None or word.end >= reading.whole:
                continue
            zone = guarded(reading.zones, word.start, word.end)
            if zone is not None and zone.guard != "negation":
                continue
            if is_code_unit(reading.text, quantity, survey.habits, self.brand):
                continue
            if quantity.group is not None and quantity.kind == "measure":
                survey.kinds["size"] += self.first("kind", "size")
                if quantity.axis in SIDES:
                    name = Name("side", (quantity.axis,))
                    unit = reading_of(quantity.readings, context).name
                    survey.named[unit, name] += self.first("named", unit, name)
            elif quantity.kind == "measure":
                known = reading_of(quantity.readings, context)
                unit = known.name
                if is_doubtful(quantity, known):
                    continue
                if has_doubtful(quantity) and self.first("spelled", unit):
                    survey.spelled.add(self.kind(), unit, quantity.low)
                survey.measures[unit] += self.first("unit", unit)
                for name in names_of(reading, words, k):
                    survey.named[unit, name] += self.first("named", unit, name)
            elif quantity.kind != "bare":
                survey.kinds[quantity.kind] += self.first("kind", quantity.kind)
                survey.fractions += quantity.low != quantity.low.to_integral_value()
                for name in names_of(reading, words, k):
                    if len(name.phrase) == 1 and name.relation != "key":
                        key = (quantity.kind, name.phrase[0])
                        survey.beside[key] += self.first("beside", key)

    def _general(self, reading: FieldReading, words: Sequence[Word]) -> None:
        """Colors, materials and designations, which are known in general."""
        survey = self.survey
        for _ in find_colors(words, reading.text):
            survey.colors += self.first("color")
            break
        for match in find_materials(words, reading.text):
            survey.materials[match.payload] += self.first("material", match.payload)

    def _pair(self, reading: FieldReading, key: tuple[int, int], value: tuple[int, int]) -> None:
        words = key_words(reading.text[key[0] : key[1]])
        if not words or len(words) > LONGEST_ITEM:
            return
        raw = reading.text[value[0] : value[1]]
        if not self.tally(self.survey.keys, words, raw[:LONGEST_VALUE]):  # type: ignore[arg-type]
            self.survey.listed[words] += self.first("listed", words)
        if len(raw) <= LONGEST_VALUE and (shown := fold_value(raw)):
            self.survey.values[words][shown] += self.first("value", words, shown)

    def _items(
        self, reading: FieldReading, words: Sequence[Word], codes: Sequence[tuple[int, int]]
    ) -> None:
        if len(words) > LONGEST_SEGMENT:
            return
        for item in items(reading, words, codes, self.survey):
            phrase = item.phrase
            for pair in pairwise(phrase):
                self.survey.pairs[pair] += self.first("pair", pair)
            # Lines are statements: their words are not taken out of them.
            if len(phrase) > 2 * LONGEST_ITEM or not (reading.title or item.whole):
                continue
            raw = reading.text[item.words[0].start : item.words[-1].end]
            found = self.tally(self.survey.items, phrase, raw)  # type: ignore[arg-type]
            if found is not None:
                found.whole += item.whole
                found.beside_name += item.beside_name
                found.opening += reading.title and item.words[0].start == reading.words[0].start


def items(
    reading: FieldReading,
    words: Sequence[Word],
    codes: Sequence[tuple[int, int]],
    known: Survey,
) -> Iterator[Item]:
    """What is left of a segment without brands, types, colors, materials, codes and quantities.

    Bare counts and modes stay, as their nouns name them ("4 way swing").
    """
    taken = _taken(reading, words, codes, known)
    if "material" in taken and len(words) <= LONGEST_MADE and set(taken) <= {"", "material"}:
        # "Mesh filter" is a kind of filter; alone, the material is all there is.
        if len(words) > 1:
            yield Item(tuple(words), True, False)
        return
    begin = 0
    for k in range(len(words) + 1):
        stop = k == len(words) or taken[k] != ""
        if not stop:
            continue
        run, coded = _trim(words[begin:k])
        if run and run[-1].end < reading.whole:
            before = taken[begin - 1] if begin else ""
            after = taken[k] if k < len(words) else ""
            inside = reading.segments[run[0].segment].inside
            named = before in ("brand", "code") or (before == "quantity" and inside)
            yield Item(tuple(run), len(run) == len(words), named or coded or after == "code")
        begin = k + 1


def _taken(
    reading: FieldReading,
    words: Sequence[Word],
    codes: Sequence[tuple[int, int]],
    known: Survey,
) -> list[str]:
    """For each word what takes it out; "" for those that stay."""
    taken = [""] * len(words)
    for k, word in enumerate(words):
        if _is_in(word, codes):
            taken[k] = "code"
        elif word.quantity is not None and word.word not in _SPOKEN:
            taken[k] = "quantity"
        elif k and word.word in prepositions():
            taken[k] = "preposition"
        elif (zone := guarded(reading.zones, word.start, word.end)) and not zone.behind:
            taken[k] = "guarded"
    for first, last in find_colors(words, reading.text):
        taken[first:last] = ["color"] * (last - first)
    for match in find_materials(words, reading.text):
        taken[match.first : match.last] = ["material"] * (match.last - match.first)
    for match in known.types.find(words, reading.text):
        taken[match.first : match.last] = ["type"] * (match.last - match.first)
    for first, last in brand_places(words, known.brands):
        taken[first:last] = ["brand"] * (last - first)
    return taken


def _is_in(word: Word, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a word touches one of ``spans``, which are in order and apart."""
    k = bisect_right(spans, (word.end, 0)) - 1
    return k >= 0 and spans[k][0] < word.end and word.start < spans[k][1]


def maker_of(readings: Sequence[FieldReading], brands: Brands) -> str | None:
    """Compact spelling of the first known brand of the title."""
    title = next((r for r in readings if r.title), None)
    if title is None:
        return None
    words = [w for w in title.words if w.segment >= 0]
    for first, last in brand_places(words, brands):
        compact = "".join(w.word for w in words[first:last])
        if (first == 0 or len(compact) >= SHORTEST_NAME) and not guarded(
            title.zones, words[first].start, words[last - 1].end
        ):
            return compact
    return None


def brand_places(words: Sequence[Word], brands: Brands) -> Iterator[tuple[int, int]]:
    """Places [first, last) of known brands, however they are spelled."""
    place = 0
    while place < len(words):
        for size in range(min(brands.longest, len(words) - place), 0, -1):
            if "".join(w.word for w in words[place : place + size]) in brands.names:
                yield place, place + size
                place += size
                break
        else:
            place += 1


def _trim(run: Sequence[Word]) -> tuple[Sequence[Word], bool]:
    """Without stops and codes at its edges; whether there was a code ("18K Durafresh")."""
    coded = False
    while run and (run[0].word in stops() or _is_short_code(run[0])):
        coded = coded or _is_short_code(run[0])
        run = run[1:]
    while run and (run[-1].word in stops() or _is_short_code(run[-1])):
        coded = coded or _is_short_code(run[-1])
        run = run[:-1]
    return run, coded


def _is_short_code(word: Word) -> bool:
    return word.quantity is None and is_code_like(word.word) and not is_standard(word.word)
