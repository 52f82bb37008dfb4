"""How much of what the texts say became a fact, by class; and the words that most often did not.

The figures are those of ``evaluate/coverage.py``, added up by class. The words are for the user who
asks what to do next: a phrase that many texts share and that is no fact may be worth a property.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from moonshelf.graph.builtin.reading import read_document
from moonshelf.graph.evaluate.coverage import Reached, text_coverage
from moonshelf.graph.evaluate.folder import extraction_of
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, TextEvidence
from moonshelf.graph.report.choose import lot
from moonshelf.graph.report.findings import ClassReach, Missed, Reach
from moonshelf.graph.text import fold_value

MOST_READ, MOST_FOR_PHRASES = 20_000, 3_000
"""Documents that are read for figures, and for phrases; of more, every so many by hash."""
MOST_WORDS = 30
LONGEST_PHRASE = 60
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
# A word, and no ellipsis behind it: what was cut short says nothing.
_SAYS = re.compile(r"[^\W\d_](?!.*(?:\.{2}|\u2026)$)|[\u00b0%]")
_NO_LIMIT = 1 << 30


class ReachCounter:
    """Sees every document once.

    Args:
        total: how many there will be.
        ontology: whose classes' wordings are no missed phrases: they say the class.
    """

    def __init__(self, total: int, ontology: Ontology) -> None:
        self._kinds = {words for kind in ontology.classes for words in (kind.label, *kind.synonyms)}
        self._figures = -(-total // MOST_READ)
        self._phrases = -(-total // MOST_FOR_PHRASES)
        self._seen = self._read = self._for_phrases = 0
        self._documents: Counter[str] = Counter()
        self._counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._numbers, self._words = _Words(), _Words()

    def add(self, document: Document, outcome: Outcome) -> None:
        """``outcome`` is that of ``document``."""
        self._seen += 1
        draw = lot(document.id)
        if draw % self._figures == 0:
            self._read += 1
            self._count(document, outcome)
        if draw % self._phrases == 0:
            self._for_phrases += 1
            for words in _unreached(document, outcome):
                if fold_value(words) not in self._kinds:
                    self._words.add(words, document.id)

    def reach(self) -> Reach:
        """What was counted."""
        classes = [
            ClassReach(
                name=name,
                documents=documents,
                units=self._reached(name, "units"),
                segments=self._reached(name, "segments"),
            )
            for name, documents in sorted(self._documents.items(), key=lambda o: (-o[1], o[0]))
        ]
        return Reach(
            read=self._read,
            documents=self._seen,
            classes=tuple(classes),
            numbers=self._numbers.most(),
            phrases=self._words.most(),
            phrases_read=self._for_phrases,
        )

    def _count(self, document: Document, outcome: Outcome) -> None:
        found = text_coverage([document], {document.id: extraction_of(outcome)}, _NO_LIMIT)
        self._documents[outcome.product_class] += 1
        for what in ("units", "segments"):
            one: Reached = getattr(found, what)
            both = self._counts[outcome.product_class, what]
            both[0] += one.mentions
            both[1] += one.reached
        for line in found.missed:
            self._numbers.add(line.removeprefix(f"{document.id}: "), document.id)

    def _reached(self, name: str, what: str) -> Reached:
        mentions, reached = self._counts[name, what]
        share = round(reached / mentions, 6) if mentions else 0.0
        return Reached(mentions=mentions, reached=reached, share=share)


class _Words:
    """Counts wordings, digits masked; remembers each as it first came, and where."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._first: dict[str, tuple[str, str]] = {}

    def add(self, words: str, document: str) -> None:
        key = _DIGITS.sub("#", fold_value(words[:LONGEST_PHRASE]))
        if _SAYS.search(key):
            self._times[key] += 1
            self._first.setdefault(key, (words[:LONGEST_PHRASE], document))

    def most(self) -> tuple[Missed, ...]:
        ranked = sorted(self._times.items(), key=lambda one: (-one[1], one[0]))[:MOST_WORDS]
        return tuple(
            Missed(
                words=key, times=times, example=self._first[key][0], document=self._first[key][1]
            )
            for key, times in ranked
        )


def _unreached(document: Document, outcome: Outcome) -> list[str]:
    """Segments short enough for a phrase that overlap the words of no fact."""
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for fact in outcome.facts:
        if isinstance(fact.evidence, TextEvidence):
            span = fact.evidence.span
            places[span.field].append((span.start, span.end))
    return [
        field.raw(segment.start, segment.end)
        for field in read_document(document)
        for segment in field.segments
        if segment.end - segment.start <= LONGEST_PHRASE
        and not any(a < segment.end and segment.start < b for a, b in places[field.name])
    ]
