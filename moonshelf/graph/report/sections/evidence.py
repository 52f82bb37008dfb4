"""Documents with their facts: the words of the text marked, and beside it what they state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from moonshelf.graph.records import Fact, PictureEvidence, Refusal, TextEvidence
from moonshelf.graph.report.findings import Findings, PropertyUse, Shown, Why
from moonshelf.graph.report.picture import KINDS, kind_of, name_of
from moonshelf.graph.report.refused import candidate
from moonshelf.graph.report.sections.marking import Marking
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.sections.values import value_of
from moonshelf.graph.report.texts import bar, bdi, esc, left_out
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.text import fold_value

MOST_FACTS, MOST_REFUSALS = 40, 12
_TITLES: Mapping[Why, str] = {
    "most facts": "The most facts",
    "turned down": "With candidates turned down",
    "drawn by hash": "Drawn by the hash of their id",
    "without facts": "Without a fact",
}


def evidence(found: Findings) -> Section:
    """A sample of documents, chosen by rules that the graph alone decides."""
    uses = {use.definition.name: use for use in found.properties}
    lead = (
        "What a document says, and what was made of it. A mark is the exact words that state a "
        "fact, its number leads to the fact; dotted words were read and turned down. This is a "
        "sample: the documents with most facts, some in which something was turned down, some "
        "without a fact, and some drawn by the hash of their id."
    )
    legend = "".join(f'<li class="k-{name}">{label}</li>' for name, label in KINDS.items())
    body = [f'<ul class="legend">{legend}<li class="k-no">turned down</li></ul>']
    why = None
    for place, shown in enumerate(found.shown):
        if shown.why != why:
            why = shown.why
            body.append(f"<h3>{_TITLES[why]}</h3>")
        body.append(Card(place, shown, uses).to_html())
    body.append(left_out(len(found.shown), found.summary.ledger.documents, "documents"))
    body.append(
        '<p class="note">Any other: <code>moonshelf graph show GRAPH ID --html FILE</code> writes '
        "this of one document, whole, with its links and conflicts.</p>"
    )
    return Section("evidence", "Facts and their evidence", lead, "".join(body))


@dataclass
class Card:
    """One document: its texts with their marks, its facts, what was turned down.

    ``place`` is part of the ids of marks; ``whole``: nothing of it is cut or left out.
    """

    place: int
    shown: Shown
    uses: Mapping[str, PropertyUse]
    whole: bool = False

    def to_html(self) -> str:
        outcome, document = self.shown.outcome, self.shown.document
        order = {name: k for k, (name, _) in enumerate(document.fields)}
        ranked = sorted(enumerate(outcome.facts), key=lambda one: position(one[1], order))
        refusals = outcome.refusals
        if not self.whole:
            ranked, refusals = ranked[:MOST_FACTS], refusals[:MOST_REFUSALS]
        facts = [fact for _, fact in ranked]
        kinds = [self._kind(fact) for fact in facts]
        marking = Marking(self.place, document, facts, kinds, refusals, self.whole)
        rows = "".join(
            self._fact(number, fact, self.shown.overruled.get(k, ""), marking.linked(number))
            for number, (k, fact) in enumerate(ranked, start=1)
        )
        rows = f'<ol class="facts">{rows}</ol>' if rows else '<p class="soft">No fact.</p>'
        rows += left_out(len(facts), len(outcome.facts), "facts")
        told = f"{document.kind} \u00b7 {spoken(outcome.product_class)}"
        return (
            f'<article class="doc"><p class="eyebrow"><b>{bdi(document.id, 60)}</b> {esc(told)}</p>'
            f"{marking.to_html()}{rows}{self._refusals(refusals)}</article>"
        )

    def _kind(self, fact: Fact) -> str:
        use = self.uses.get(fact.property)
        return "word" if use is None else kind_of(use)

    def _fact(self, number: int, fact: Fact, reason: str, linked: bool) -> str:
        use = self.uses.get(fact.property)
        name = spoken(fact.property) if use is None else name_of(use)
        value = value_of(fact, None if use is None else use.definition)
        given = f'<span class="no">{esc(reason)}</span>' if reason else ""
        link = f'<a href="#d{self.place}m{number}">{number}</a>' if linked else f"<i>{number}</i>"
        return (
            f'<li id="d{self.place}f{number}" class="k-{self._kind(fact)} f{number}'
            f'{" gone" if reason else ""}"><span class="no-chip">{link}</span>'
            f'<span class="p">{esc(name, 60)}</span><span class="val">{bdi(value, 80)}</span>'
            f'<span class="src">{_source(fact, value)}{given}</span>'
            f'<span class="sure" title="confidence">{bar(fact.confidence)}'
            f"{fact.confidence:.2f}</span></li>"
        )

    def _refusals(self, refusals: Sequence[Refusal]) -> str:
        if not refusals:
            return ""
        lines = "".join(
            f'<li><span class="step">{esc(one.step)}</span> {refusal_line(one)}</li>'
            for one in refusals
        )
        rest = left_out(len(refusals), len(self.shown.outcome.refusals), "candidates")
        return f'<p class="eyebrow">Turned down</p><ul class="turned">{lines}</ul>{rest}'


def refusal_line(refusal: Refusal) -> str:
    """One refused candidate: what it was, and why."""
    fact = candidate(refusal)
    if fact is None:
        what = f"<code>{esc(refusal.candidate, 120)}</code>"
    else:
        what = f"{esc(spoken(fact.property), 60)} <b>{bdi(value_of(fact, None), 60)}</b>"
        if isinstance(fact.evidence, TextEvidence):
            what += f" \u201c{bdi(fact.evidence.raw, 80)}\u201d"
    return f"{what}: {bdi(refusal.reason, 240)}"


def position(fact: Fact, order: Mapping[str, int]) -> tuple[int, int, int, str]:
    """Facts in the order of reading; those of pictures last."""
    if isinstance(fact.evidence, PictureEvidence):
        return len(order), 0, 0, fact.property
    span = fact.evidence.span
    return order.get(span.field, len(order)), span.start, span.end, fact.property


def _source(fact: Fact, value: str) -> str:
    """The words, where the value does not repeat them, or the picture."""
    return "".join(_told(fact, value))


def _told(fact: Fact, value: str) -> Iterator[str]:
    if isinstance(fact.evidence, PictureEvidence):
        seen = f"seen in picture {fact.evidence.picture[:12]} by {fact.evidence.encoder}"
        yield esc(f"{seen}, score {fact.evidence.score:.2f}")
        return
    if fold_value(fact.evidence.raw) != fold_value(value):
        yield f"\u201c{bdi(fact.evidence.raw, 120)}\u201d"
    if fact.translation:
        yield f" in English \u201c{bdi(fact.translation, 120)}\u201d"
