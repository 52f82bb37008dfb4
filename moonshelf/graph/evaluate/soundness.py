"""Whether a graph is sound: every fact grounded, no document lost, what is set aside, SHACL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moonshelf.config import Config
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, TextEvidence


class Soundness(Config):
    documents: int
    facts: int
    grounded: int
    """Facts whose raw words stand at their span, character by character."""
    grounding: float
    """Their share of the facts with evidence in a text. 1 where there is no fact."""
    quarantined: int
    quarantine_rate: float
    empty: int
    """Documents without a fact that nothing went wrong with."""
    lost: tuple[str, ...]
    """Documents given that have no outcome, by set difference; it stays empty."""
    invented: tuple[str, ...]
    """Outcomes of documents that were never given; it stays empty."""
    violations: int | None = None
    """Of SHACL shapes; None where nobody checked."""


def soundness(
    documents: Iterable[Document],
    outcomes: Iterable[Outcome],
    given: Iterable[str] | None = None,
    violations: int | None = None,
) -> Soundness:
    """
    Args:
        documents: texts that facts point into.
        outcomes: what became of them.
        given: ids that went in, unreadable rows included; by default those of ``documents``.
        violations: what the SHACL check said.
    """
    texts = {one.id: dict(one.fields) for one in documents}
    wanted = set(texts) if given is None else set(given)
    statuses: dict[str, str] = {}
    facts = grounded = textual = 0
    for one in outcomes:
        statuses[one.document] = one.status
        facts += len(one.facts)
        for fact in one.facts:
            textual += isinstance(fact.evidence, TextEvidence)
            grounded += is_grounded(fact, texts.get(one.document, {}))
    kinds = list(statuses.values())
    return Soundness(
        documents=len(wanted),
        facts=facts,
        grounded=grounded,
        grounding=round(grounded / textual, 6) if textual else 1.0,
        quarantined=kinds.count("quarantined"),
        quarantine_rate=round(kinds.count("quarantined") / len(wanted), 6) if wanted else 0.0,
        empty=kinds.count("empty"),
        lost=tuple(sorted(wanted - set(statuses))),
        invented=tuple(sorted(set(statuses) - wanted)),
        violations=violations,
    )


def is_grounded(fact: Fact, texts: Mapping[str, str]) -> bool:
    """Whether the raw words of ``fact`` stand where it says; a picture's fact has no words."""
    if not isinstance(fact.evidence, TextEvidence):
        return False
    span, raw = fact.evidence.span, fact.evidence.raw
    text = texts.get(span.field, "")
    return span.end <= len(text) and text[span.start : span.end] == raw
