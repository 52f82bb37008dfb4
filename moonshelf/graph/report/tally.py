"""One pass over all outcomes: what is counted of them, and which are kept to be shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from moonshelf.graph.evaluate.soundness import is_grounded
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.records import Document, Fact, Range, Refusal, TextEvidence
from moonshelf.graph.report.choose import Chooser
from moonshelf.graph.report.findings import Troubles, Turned
from moonshelf.graph.report.reach import ReachCounter
from moonshelf.graph.report.refused import candidate

EXAMPLES = 3
MOST_QUARANTINED = 50
MOST_OVERRULED = 20
_LONGEST_EXAMPLE = 80


class Tally:
    """Sees every document with its outcome, in the order of ids.

    Args:
        ontology: the one that the facts are of.
        total: how many outcomes there will be.
        overruled: facts that give way to those of another document: document -> place -> reason.
    """

    def __init__(
        self, ontology: Ontology, total: int, overruled: Mapping[str, Mapping[int, str]]
    ) -> None:
        self._ontology, self._overruled = ontology, overruled
        self.chooser, self.reach = Chooser(), ReachCounter(total, ontology)
        self.documents: Counter[str] = Counter()
        """Class -> documents."""
        self.stated: Counter[tuple[str, str]] = Counter()
        """(class, property) -> documents of this class that state it."""
        self.facts = self.textual = self.grounded = 0
        self.ranges: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = defaultdict(list)
        self._turned: dict[str, list[Refusal]] = defaultdict(list)
        self._steps: Counter[str] = Counter()
        self._conflicts: Counter[str] = Counter()
        self._overruled_examples: list[tuple[str, str, str]] = []
        self._quarantine: list[Quarantined] = []
        self._quarantined: Counter[str] = Counter()

    def add(self, document: Document | None, outcome: Outcome) -> None:
        """``document``: None for a row of the source that was none."""
        for refusal in outcome.refusals:
            self._turn_down(refusal)
        if outcome.problem is not None:
            self._quarantined[outcome.problem.step] += 1
            if len(self._quarantine) < MOST_QUARANTINED:
                self._quarantine.append(outcome.problem)
        if document is None:
            return
        if outcome.status != "quarantined":
            self.documents[outcome.product_class] += 1
        names = {self._ontology.present(fact.property) for fact in outcome.facts}
        self.stated.update((outcome.product_class, name) for name in names)
        given_way = self._overruled.get(outcome.document, {})
        texts = dict(document.fields)
        for place, fact in enumerate(outcome.facts):
            self._fact(fact, texts)
            if place in given_way and len(self._overruled_examples) < MOST_OVERRULED:
                example = (outcome.document, fact.property, given_way[place])
                self._overruled_examples.append(example)
        self.chooser.add(outcome, len(given_way))
        self.reach.add(document, outcome)

    def troubles(self) -> Troubles:
        """What did not become a fact or a document."""
        return Troubles(
            turned=tuple(
                Turned(step=step, times=times, examples=tuple(self._turned[step]))
                for step, times in self._steps.most_common()
            ),
            conflicts=tuple(self._conflicts.most_common()),
            overruled=sum(map(len, self._overruled.values())),
            overruled_examples=tuple(self._overruled_examples),
            quarantined=self._quarantined.total(),
            quarantine=tuple(self._quarantine),
            steps=tuple(self._quarantined.most_common()),
        )

    def _fact(self, fact: Fact, texts: Mapping[str, str]) -> None:
        name = self._ontology.present(fact.property)
        self.facts += 1
        self.ranges[name] += isinstance(fact.value, Range)
        if not isinstance(fact.evidence, TextEvidence):
            return
        self.textual += 1
        self.grounded += is_grounded(fact, texts)
        kept, raw = self.examples[name], fact.evidence.raw
        if len(kept) < EXAMPLES and len(raw) <= _LONGEST_EXAMPLE and raw not in kept:
            kept.append(raw)

    def _turn_down(self, refusal: Refusal) -> None:
        self._steps[refusal.step] += 1
        kept = self._turned[refusal.step]
        if len(kept) < EXAMPLES:
            kept.append(refusal)
        if refusal.step == "conflict" and (fact := candidate(refusal)) is not None:
            self._conflicts[fact.property] += 1
