"""Facts of one document, by the plan of its class: find, guard, keep each value once.

After arXiv 2511.11017's third agent ("emit a value only if the text states it"): here every
candidate begins as a span, and a value that no span states cannot arise.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.candidate import Candidate, Corpus, Page
from moonshelf.graph.builtin.classify import Classifier
from moonshelf.graph.builtin.codes import CodeHabits
from moonshelf.graph.builtin.find_numbers import find_numbers
from moonshelf.graph.builtin.find_pairs import find_pairs
from moonshelf.graph.builtin.find_tagged import find_tagged
from moonshelf.graph.builtin.find_words import (
    find_brand,
    find_designations,
    find_models,
    find_words,
)
from moonshelf.graph.builtin.guards import Zone, guarded
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.makers import maker_of
from moonshelf.graph.builtin.measures import words_and_pairs
from moonshelf.graph.builtin.plan import Plan, plan_of
from moonshelf.graph.builtin.reading import FieldReading, read_document
from moonshelf.graph.builtin.spelled import Bounds, KindOf, bounds_by_kind, bounds_for, has_doubtful
from moonshelf.graph.builtin.tagger import Tagger
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.records import Document, Extraction, Fact, Refusal, Span, TextEvidence

ABSTAIN = 0.5
"""Below this a rule's candidate is not worth a refusal either. A tagger has a threshold of its own,
chosen by labels where there were enough."""
# Several values of a single-valued property: more of them say less.
MOST_RIVALS = 3
# More values of one property are no list of a product's any more.
MOST_VALUES = 100
# Own properties that tell the kind of a product that no title names.
VOTES = 2
_ANY = ""


class Reader:
    """Extracts by one ontology, one body of knowledge and perhaps a tagger. Holds nothing of any
    document."""

    def __init__(
        self, knowledge: Knowledge, ontology: Ontology, tagger: Tagger | None = None
    ) -> None:
        self.knowledge, self.ontology, self.tagger = knowledge, ontology, tagger
        self.classifier = Classifier(ontology)
        self.corpus = corpus_of(knowledge)
        self._headings = frozenset(knowledge.headings)
        self._plans: dict[str, Plan] = {}
        self._kind_of = KindOf(knowledge.classes)
        self._spelled = bounds_by_kind(knowledge.spelled)

    def extract(self, document: Document) -> Extraction:
        """The class and the candidate facts of a document; those under a guard as refusals."""
        readings = read_document(document, self.knowledge.mark, self._headings)
        owner = self.classifier.of(readings, document.category)
        if owner == ROOT:
            owner = self._by_properties(readings, document)
        page = self._page(readings, owner, document)
        zones = {reading.name: reading.zones for reading in readings}
        kept: list[Candidate] = []
        rivals: defaultdict[str, list[Candidate]] = defaultdict(list)
        refusals: list[Refusal] = []
        refused: Counter[str] = Counter()
        for candidate in _ranked(self._found(document, page)):
            zone = _guard(candidate, zones)
            if zone is not None or candidate.other:
                refused[candidate.definition.name] += 1
                if refused[candidate.definition.name] <= MOST_VALUES:
                    refusals.append(_refusal(document, candidate, zone, readings))
            elif candidate.tagged or candidate.confidence >= ABSTAIN:
                others = rivals[candidate.definition.name]
                if _is_new(candidate, others):
                    others.append(candidate)
                    kept.append(candidate)
        kept = [c for c in kept if not _is_part_of_a_series(c, kept, page.plan)]
        return Extraction(
            document=document.id,
            product_class=owner,
            facts=tuple(_fact(document, c, readings) for c in kept),
            refusals=tuple(refusals),
        )

    def _found(self, document: Document, page: Page) -> Iterator[Candidate]:
        yield from _candidates(page)
        if self.tagger is not None:
            yield from find_tagged(page, document, self.tagger, self.ontology)

    def _by_properties(self, readings: Sequence[FieldReading], document: Document) -> str:
        """The kind whose own properties an unnamed product has: two at least, and no other's."""
        page = self._page(readings, _ANY, document)
        found = (c for c in _candidates(page) if not c.other)
        said = {c.definition.name: c.definition.domain for c in found}
        votes = Counter(domain for domain in said.values() if domain != ROOT)
        if len(votes) == 1 and votes.total() >= VOTES:
            return next(iter(votes))
        return ROOT

    def _page(self, readings: Sequence[FieldReading], owner: str, document: Document) -> Page:
        if owner not in self._plans:
            everything = self.ontology.properties
            owned = everything if owner == _ANY else self.ontology.slice(owner)
            self._plans[owner] = plan_of(owned, self.knowledge)
        context = words_and_pairs([w for reading in readings for w in reading.words])
        return Page(
            readings=readings,
            plan=self._plans[owner],
            corpus=self.corpus,
            brand=maker_of(readings, self.corpus.brands),
            context=context,
            types=self.classifier.words,
            spelled=self._bounds(readings, document.category, context),
        )

    def _bounds(
        self, readings: Sequence[FieldReading], category: str, context: frozenset[str]
    ) -> Bounds:
        """What documents of this kind spell out, where this one has a doubtful unit at all."""
        quantities = (w.quantity for reading in readings for w in reading.words)
        if not self._spelled or not any(q is not None and has_doubtful(q) for q in quantities):
            return {}
        return bounds_for(self._kind_of(readings, category), context, self._spelled)


def corpus_of(knowledge: Knowledge) -> Corpus:
    names = dict(knowledge.brands)
    longest = max((len(name.split()) for name in names.values()), default=0) + 1
    kinds = (wording for kind in knowledge.classes for wording in kind.synonyms)
    return Corpus(
        brands=Brands(names, {}, frozenset(knowledge.contexts), longest),
        habits=CodeHabits(
            frozenset(knowledge.common_codes),
            frozenset(knowledge.code_tails),
            frozenset(knowledge.code_heads),
            frozenset(knowledge.code_units),
            frozenset(word for phrase in (*names.values(), *kinds) for word in phrase.split()),
        ),
        usual=dict(knowledge.usual_readings),
    )


def _candidates(page: Page) -> Iterator[Candidate]:
    title = next((r for r in page.readings if r.title), None)
    if title is not None and (brand := find_brand(page, title)):
        yield brand
    for reading in page.readings:
        yield from find_models(page, reading)
        yield from find_designations(page, reading)
        for segment, words in reading.parts():
            if segment.kind != "heading":
                yield from find_numbers(page, reading, words)
                yield from find_words(page, reading, segment, words)
                yield from find_pairs(page, reading, segment, words)


def _ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Surest first; equal ones in the order of the text."""
    return sorted(candidates, key=lambda c: -c.confidence)


def _guard(candidate: Candidate, zones: dict[str, tuple[Zone, ...]]) -> Zone | None:
    if candidate.guarded:
        return None
    return guarded(zones[candidate.field], candidate.start, candidate.end)


def _is_new(candidate: Candidate, rivals: Sequence[Candidate]) -> bool:
    """Whether it says what none of the same property says: another value, where there is room."""
    if len(rivals) >= (MOST_VALUES if candidate.definition.many else MOST_RIVALS):
        return False
    if any(c.value == candidate.value and type(c.value) is type(candidate.value) for c in rivals):
        return False
    if isinstance(candidate.value, bool) and rivals:
        return False
    return not any(_within(candidate, c) or _retells(candidate, c) for c in rivals)


def _is_part_of_a_series(candidate: Candidate, kept: Sequence[Candidate], plan: Plan) -> bool:
    """The 5200FX of "Kiyora 5200FX" begins no model code."""
    series, models = plan.roles.get("series"), plan.roles.get("model_number")
    if series is None or candidate.definition is not models:
        return False
    return any(
        c.definition is series and c.field == candidate.field and c.start <= candidate.start < c.end
        for c in kept
    )


def _within(candidate: Candidate, other: Candidate) -> bool:
    """Part of a longer statement of the same property ("steel" of "stainless steel")."""
    same = candidate.field == other.field
    return same and other.start <= candidate.start and candidate.end <= other.end


def _retells(candidate: Candidate, other: Candidate) -> bool:
    """Rule and tagger stand on the same words and disagree where they end: the surer one stays."""
    overlap = candidate.start < other.end and other.start < candidate.end
    return candidate.tagged != other.tagged and candidate.field == other.field and overlap


def _fact(document: Document, found: Candidate, readings: Sequence[FieldReading]) -> Fact:
    raw = _text(found.field, readings)[found.start : found.end]
    return Fact(
        document=document.id,
        property=found.definition.name,
        value=found.value,
        unit=found.unit,
        evidence=TextEvidence(
            span=Span(field=found.field, start=found.start, end=found.end), raw=raw
        ),
        confidence=round(found.confidence, 4),
    )


def _refusal(
    document: Document, found: Candidate, zone: Zone | None, readings: Sequence[FieldReading]
) -> Refusal:
    fact = _fact(document, found, readings)
    reason = f"the words name {found.other!r}, which the schema has no property for"
    if zone is not None:
        text = _text(found.field, readings)
        word = text[zone.start : zone.end] if zone.behind else text[zone.word : zone.start]
        reason = f"{zone.guard}: it stands under {word.strip()!r}"
    return Refusal(
        document=document.id,
        step="vocabulary" if zone is None else "guard",
        reason=reason,
        candidate=json.dumps(fact.model_dump(mode="json"), sort_keys=True),
    )


def _text(name: str, readings: Sequence[FieldReading]) -> str:
    return next(r.text for r in readings if r.name == name)
