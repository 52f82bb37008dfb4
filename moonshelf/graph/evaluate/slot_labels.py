"""A graph against a person's labels, attribute by attribute: slots, and values in normal form.

The labelled attributes are looked for by name or wording ("Colour" is ``color``), as the tagger's
labels are; ``open_schema.py`` pairs keys by what they say instead. Half of the labelled texts says
which values were seen before and how values are normalized, the other half is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from moonshelf.config import Config
from moonshelf.errors import DataError
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.plan import plan_of
from moonshelf.graph.builtin.teach import Labels
from moonshelf.graph.evaluate.normalized import NormalizedScores, Normalizer, normalized_scores
from moonshelf.graph.evaluate.slots import Slots, SlotScores, slot_scores
from moonshelf.graph.evaluate.thresholds import fold_of
from moonshelf.graph.manifest import ONTOLOGY, read_manifest
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, TextEvidence
from moonshelf.graph.schema.history import History
from moonshelf.graph.state import State


class LabelScores(Config):
    """``unknown``: labelled attributes that the schema has no property for; all their slots count
    as missed. ``normalized``: None without labels in normal form."""

    slots: SlotScores
    unknown: tuple[str, ...]
    normalized: NormalizedScores | None = None


def slot_labels(graph: Path, labels: Labels, normalized: Labels | None = None) -> LabelScores:
    """The surest value of each labelled slot, as written in the text, against the labels.

    Args:
        graph: a folder that ``graph build`` made.
        labels: of ``builtin.teach.read_labels``, as written.
        normalized: the same documents and attributes in normal form.

    Raises:
        StoreError: no graph.
        DataError: fewer than two labelled texts are in it.
    """
    read_manifest(graph)
    ontology = History.open(graph / ONTOLOGY, create=False).ontology()
    plan = plan_of(ontology.properties, Knowledge())
    named = {name: plan.named(name) for told in labels.values() for name in told}
    names = {name: owned.name for name, owned in named.items() if owned is not None}
    halves: tuple[list[str], list[str]] = ([], [])
    found: dict[str, dict[str, str]] = {}
    with State.open(graph, create=False) as state:
        outcomes = {one.document: one for one in state.outcomes("done") if one.document in labels}
        for document in state.documents():
            if labels.get(document.id):
                halves[fold_of(document, 2)].append(document.id)
                found[document.id] = _surest(document, outcomes.get(document.id), names)
    scored, training = halves
    if not scored or not training:
        raise DataError(
            "fewer than two labelled texts are in this graph",
            where=str(graph),
            cure="give labels under the ids of its documents",
        )
    written = _slots(scored, labels)
    return LabelScores(
        slots=slot_scores([found[one] for one in scored], written, _slots(training, labels)),
        unknown=tuple(sorted(set(named) - set(names))),
        normalized=None
        if normalized is None
        else normalized_scores(
            [found[one] for one in scored],
            written,
            _slots(scored, normalized),
            Normalizer.learn(
                zip(_slots(training, labels), _slots(training, normalized), strict=True)
            ),
        ),
    )


def _slots(ids: Sequence[str], labels: Labels) -> list[Slots]:
    return [labels.get(one, {}) for one in ids]


def _surest(
    document: Document, outcome: Outcome | None, names: Mapping[str, str]
) -> dict[str, str]:
    """Attribute -> words of the surest fact that a text states."""
    surest: dict[str, str] = {}
    facts = () if outcome is None else outcome.facts
    for fact in sorted(facts, key=lambda one: -one.confidence):
        if isinstance(fact.evidence, TextEvidence):
            surest.setdefault(fact.property, fact.evidence.raw)
    return {name: surest[owned] for name, owned in names.items() if owned in surest}
