"""Counts what recurs in a corpus: the evidence that ``induce.py`` makes a schema of.

One pass over documents. Everything is counted once a document, under masked and folded words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.codes import (
    CodeHabits,
    find_codes,
    find_standards,
    is_code_unit,
    token_key,
)
from moonshelf.graph.builtin.colors import find_colors, find_materials
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.leftover import Phrase, items
from moonshelf.graph.builtin.measures import Name, names_of, reading_of, words_and_pairs
from moonshelf.graph.builtin.phrases import Phrases, key_words
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.spelled import Spelled, has_doubtful, is_doubtful
from moonshelf.graph.builtin.terms import SIDES
from moonshelf.graph.builtin.titles import is_glued_letter
from moonshelf.graph.text import fold_value

LONGEST_ITEM = 5
LONGEST_VALUE = 60
# A segment of more words is no list and no line, whatever its marks.
LONGEST_SEGMENT = 120
# Capitals before a code are part of it only if they are few: GIC, not SHIZEN.
LONGEST_HEAD = 4


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
        for item in items(reading, words, codes, self.survey.brands, self.survey.types):
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
