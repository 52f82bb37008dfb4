"""Candidates with words: brand, codes, colors, materials, features, kinds of a thing, options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from moonshelf.graph.builtin.candidate import (
    CERTAIN,
    IN_PROSE,
    LIKELY,
    SURE,
    WEAK,
    Candidate,
    Page,
)
from moonshelf.graph.builtin.codes import SHORTEST, find_codes, find_standards
from moonshelf.graph.builtin.colors import find_colors, find_materials
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.makers import SHORTEST_NAME, brand_places
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.segments import Segment
from moonshelf.graph.builtin.titles import colors, descriptors, is_code_like, prepositions, stops
from moonshelf.graph.builtin.wording import functions
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.text import fold_value

Spans = Sequence[tuple[int, int]]
_DASH_GAPS = re.compile(r"\s*([-/])\s*")
LONGEST_KIND = 4
LONGEST_HEADED = 60
# Letters and digits of the number that ends the name of a series.
LONGEST_NUMBER = 6
# Words between a denial and the feature that it denies: "no built-in Wi-Fi".
DENIED_OVER = 2
# A first word in capitals that is no abbreviation, and so many words behind it that are not.
SHORTEST_SHOUT, LISTENED = 5, 4
_PLUS = re.compile(r"\s*[+]\s")


def find_brand(page: Page, title: FieldReading) -> Candidate | None:
    """The maker: the known one that the title begins with, the first known one in it, or an unknown
    one where makers stand or written as makers write themselves."""
    definition = page.plan.roles.get("brand")
    first = title.segments[0] if title.segments else None
    if definition is None or first is None:
        return None
    words = [w for w in title.words if w.segment >= 0]
    brands = page.corpus.brands
    for begin, end in brand_places(words, brands):
        compact = "".join(w.word for w in words[begin:end])
        start, stop = words[begin].start, words[end - 1].end
        raw = title.text[start:stop]
        opening = begin == 0
        certain = opening or (len(compact) >= SHORTEST_NAME and not raw.islower())
        if certain and stop < title.whole and not _other(title, start, stop):
            name = brand_value(brands.names, compact)
            confidence = CERTAIN if opening else LIKELY
            if name is not None:
                return Candidate(definition, name, title.name, start, stop, confidence)
    return _unknown_brand(page, title, words, definition)


def _other(title: FieldReading, start: int, stop: int) -> bool:
    zone = guarded(title.zones, start, stop)
    return zone is not None and not zone.behind


def _unknown_brand(
    page: Page, title: FieldReading, words: Sequence[Word], definition: PropertyDef
) -> Candidate | None:
    if len(words) < 2:
        return None
    word = words[0]
    if words[1].word not in page.corpus.brands.contexts and not _shouted(title, words):
        return None
    common = word.word in colors() or word.word in descriptors() or word.word in stops()
    raw = title.text[word.start : word.end]
    if common or is_code_like(word.word) or raw.islower() or word.word in page.types:
        return None
    return Candidate(definition, word.word, title.name, word.start, word.end, WEAK)


def code_value(raw: str) -> str:
    """A model code without stray blanks beside its dashes."""
    return _DASH_GAPS.sub(r"\1", fold_value(raw))


def designation_value(raw: str) -> str:
    """R-32 as r32."""
    return "".join(c for c in fold_value(raw) if c not in " -")


def brand_value(names: Mapping[str, str], compact: str) -> str | None:
    """The usual spelling of a known maker, one that the text's own spelling says too."""
    known = names.get(compact)
    return None if known is None else known.replace(" and ", " & ")


def _shouted(title: FieldReading, words: Sequence[Word]) -> bool:
    """The title begins with one long word in capitals and goes on otherwise: "ZEPHYRA Desk Fan"."""
    first, *others = (title.text[w.start : w.end] for w in words[: LISTENED + 1])
    loud = first.isalpha() and first.isupper() and len(first) >= SHORTEST_SHOUT
    quiet = not any(raw.isupper() and raw.isalpha() and len(raw) > 1 for raw in others)
    return loud and quiet and words[0].word not in functions()


def find_models(page: Page, reading: FieldReading) -> Iterator[Candidate]:
    """Model codes of a title."""
    definition = page.plan.roles.get("model_number")
    if definition is None or not reading.title:
        return
    for start, end in find_codes(reading, page.corpus.habits, page.brand):
        value = code_value(reading.text[start:end])
        yield Candidate(definition, value, reading.name, start, end, SURE)


def find_designations(page: Page, reading: FieldReading) -> Iterator[Candidate]:
    """R32, IP65 and the like."""
    for name, start, end in find_standards(reading.text):
        definition = page.plan.standards.get(name)
        if definition is not None and end < reading.whole:
            value = designation_value(reading.text[start:end])
            yield Candidate(definition, value, reading.name, start, end, CERTAIN)


def find_words(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word]
) -> Iterator[Candidate]:
    """Candidates of one segment."""
    known = list(brand_places(words, page.corpus.brands)) if reading.title else []
    yield from _colors(page, reading, segment, words, known)
    yield from _materials(page, reading, segment, words, known)
    yield from _features(page, reading, segment, words)
    yield from _kinds(page, reading, segment, words)
    yield from _options(page, reading, segment, words)


def _candidate(
    definition: PropertyDef,
    reading: FieldReading,
    segment: Segment,
    words: Sequence[Word],
    first: int,
    last: int,
    confidence: float,
) -> Candidate | None:
    start, end = words[first].start, words[last - 1].end
    value = fold_value(reading.text[start:end])
    if end >= reading.whole or not value:
        return None
    sureness = confidence * (IN_PROSE if segment.kind == "sentence" else 1)
    return Candidate(definition, value, reading.name, start, end, sureness)


def _colors(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word], known: Spans
) -> Iterator[Candidate]:
    definition = page.plan.roles.get("color")
    if definition is None or not (reading.title or segment.key):
        return
    # "White with silver strip": behind a preposition it is the color of something else.
    end = next((k for k, w in enumerate(words) if k and w.word in prepositions()), len(words))
    for first, last in find_colors(words[:end], reading.text):
        if not _overlaps(first, last, known):
            found = _candidate(definition, reading, segment, words, first, last, SURE)
            if found is not None:
                yield found


def _materials(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word], known: Spans
) -> Iterator[Candidate]:
    definition = page.plan.roles.get("material")
    if definition is None:
        return
    for match in find_materials(words, reading.text):
        if match.last < len(words) and words[match.last].word in page.plan.slots:
            continue  # "Mesh Filter" says what the filter is made of
        if not _overlaps(match.first, match.last, known):
            found = _candidate(definition, reading, segment, words, match.first, match.last, LIKELY)
            if found is not None:
                yield found


def _features(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word]
) -> Iterator[Candidate]:
    """A phrase that states a feature, or denies it ("Non-Inverter")."""
    for match in page.plan.features.find(words, reading.text, nested=True):
        start, end = words[match.first].start, words[match.last - 1].end
        if end >= reading.whole:
            continue
        zone = guarded(reading.zones, start, end)
        denied = zone is not None and zone.guard == "negation" and not zone.behind
        if zone is not None and denied:
            # A denial of something else in between ("no timer, Wi-Fi") is none of this.
            denied = len(split(reading.text[zone.start : start])) <= DENIED_OVER
            start = min(start, zone.word) if denied else start
        sureness = SURE * (IN_PROSE if segment.kind == "sentence" else 1)
        yield Candidate(
            match.payload, not denied, reading.name, start, end, sureness, guarded=denied
        )


def _kinds(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word]
) -> Iterator[Candidate]:
    """What is before a head ("HD Filter"); known kinds and series by themselves."""
    done: set[int] = set()
    for k, word in enumerate(words):
        definition = page.plan.slots.get(word.word)
        if definition is None or k == 0 or word.end > reading.whole:
            continue
        first = _kind_begins(page, words, k, reading)
        if first < k:
            found = _candidate(definition, reading, segment, words, first, k, SURE)
            if found is not None:
                done.update(range(first, k + 1))
                yield found
    if not done and (definition := _coordinated(page, reading, words)) is not None:
        found = _candidate(definition, reading, segment, words, 0, len(words), LIKELY)
        if found is not None and len(words) < LONGEST_KIND:
            done.update(range(len(words)))
            yield found
    for match in page.plan.values.find(words, reading.text):
        if done.intersection(range(match.first, match.last)):
            continue
        alone = match.last - match.first == len(words)
        is_series = page.plan.roles.get("series") is match.payload
        if not (alone or is_series):
            continue
        first, last = match.first, match.last
        if is_series:
            last = _series_ends(page, words, last, reading)
        found = _candidate(match.payload, reading, segment, words, first, last, LIKELY)
        if found is not None:
            yield found


def _coordinated(page: Page, reading: FieldReading, words: Sequence[Word]) -> PropertyDef | None:
    """The head that this segment shares with the next: "Anti-Viral + PM 2.5 Filter"."""
    place = words[0].segment if words else -1
    if place < 0 or place + 1 >= len(reading.segments):
        return None
    here, later = reading.segments[place], reading.segments[place + 1]
    if not _PLUS.match(reading.text, here.end) or later.end - later.start > LONGEST_HEADED:
        return None
    last = split(reading.text[later.start : later.end])[-1:]
    return page.plan.slots.get(last[0]) if last else None


def _series_ends(page: Page, words: Sequence[Word], last: int, reading: FieldReading) -> int:
    """With the names behind it: "Vectra Elite", "Kiyora 5200FX"; up to two, the number last.

    What the product is ("AC") and what it has ("Wi-Fi") is no name, nor is a short code ("3S").
    """
    end = last
    while end < len(words) and end - last < 2 and not is_code_like(words[end - 1].word):
        word = words[end]
        if word.word in page.types or page.plan.features.at(words, end, reading.text):
            break
        raw = reading.text[word.start : word.end]
        close = reading.text[words[end - 1].end : word.start] == " "
        common = word.word in functions() or word.word in descriptors() or word.word in colors()
        alone = len(raw) == 1 and not (raw.isupper() and end + 1 == len(words))
        if alone or not close or common or word.quantity is not None or raw.islower():
            break
        numbered = raw[0].isdigit() and SHORTEST <= len(raw) <= LONGEST_NUMBER
        if is_code_like(word.word) and not numbered:
            break
        if word.word in stops() and word.word != "plus":
            break
        end += 1
    return end


def _kind_begins(page: Page, words: Sequence[Word], head: int, reading: FieldReading) -> int:
    """Where the words before a head begin: those known, else all that the segment has behind its
    last "with" or "and", if few."""
    begin = max(0, head - LONGEST_KIND)
    for match in page.plan.values.find(words[begin:head], reading.text):
        if begin + match.last == head:
            return begin + match.first
    breaks = (k for k in range(head - 1, -1, -1) if words[k].word in stops())
    begin = next(breaks, -1) + 1
    few = head - begin <= LONGEST_KIND and reading.title
    # Behind a "with" lower-case words are prose: "the one that you wanted".
    few = few and (begin == 0 or begin == head or not reading.text[words[begin].start].islower())
    plain = few and all(w.quantity is None and w.word not in colors() for w in words[begin:head])
    whole = head == len(words) - 1
    return begin if few and plain and whole else head


def _options(
    page: Page, reading: FieldReading, segment: Segment, words: Sequence[Word]
) -> Iterator[Candidate]:
    for match in page.plan.options.find(words, reading.text):
        definition, option = match.payload
        start, end = words[match.first].start, words[match.last - 1].end
        if end < reading.whole:
            sureness = LIKELY * (IN_PROSE if segment.kind == "sentence" else 1)
            yield Candidate(definition, option, reading.name, start, end, sureness)


def _overlaps(first: int, last: int, spans: Spans) -> bool:
    return any(first < b and a < last for a, b in spans)
