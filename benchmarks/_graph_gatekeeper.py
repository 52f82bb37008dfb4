"""What the gatekeeper's rules are worth, for three agents that ask it for changes.

* ``builtin``: the rules' own requests, which are careful;
* ``restating``: also proposes, with every batch, each known property once more under another of
  its wordings;
* ``merging``: also asks to merge ``MERGES`` pairs of like form, drawn at random.

The last two are simulated: they ask for what a careless model may ask for (AutoPKG,
arXiv 2604.16950, reports merge decisions of small models that are mostly wrong), at a rate of ours.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

from benchmarks._graph_arms import (
    DEV,
    Part,
    Row,
    dev_scores,
    listings,
    pooled,
    read,
    refused,
    shares,
)
from benchmarks._open_schema import schooled
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.naming import property_name
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.edits import AddClass, AddProperty, Drop, Edit, Merge, Proposal, Usage
from moonshelf.graph.evaluate.facts import FactScores
from moonshelf.graph.evaluate.redundancy import redundancy
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document
from moonshelf.graph.schema import gatekeeper as rules
from moonshelf.graph.schema.history import Decision
from moonshelf.graph.usage import usage_of

SEEDS = 5
MERGES = 10
PROPOSED = "proposed"
"""The reason that the gatekeeper notes for what comes with a batch."""
ARMS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "no evidence": ("check_evidence",),
    "no evidence, no integrity": ("check_evidence", "check_integrity"),
}
"""Rules that an arm does not ask; without the second, everything that has a meaning is done."""
PROTOCOL = (
    "{documents} air-conditioner listings, builtin backend, one study for all arms; {dev}. Agents "
    "'restating' and 'merging' are simulated ({merges} random merges of like form, {seeds} seeds, "
    "figures are means over them). Added, dropped: elements, by accepted edits; proposed: before "
    "refinement, which drops what no document uses. Joined: merges of "
    "a gold property with anything else. Renamed: facts of the plain pipeline whose property now "
    "goes by the name of another. 95 % intervals from resampling the dev texts, arm and plain by "
    "the same draws"
)


class Restating(BuiltinBackend):
    """Proposes what is there again, under another of its wordings."""

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        own = super().propose(batch, ontology)
        taken = {p.name for p in (*ontology.properties, *own.properties)}
        taken |= {name for name, _ in ontology.aliases}
        again: list[PropertyDef] = []
        for known in ontology.properties:
            names = ((property_name(split(word)), word) for word in known.synonyms)
            free = next(((n, word) for n, word in names if n and n not in taken), None)
            if free is not None:
                taken.add(free[0])
                again.append(known.model_copy(update={"name": free[0], "label": free[1]}))
        return own.model_copy(update={"properties": (*own.properties, *again)})


class Merging(BuiltinBackend):
    """Asks to merge random pairs of properties of one form, no property twice."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        super().__init__(knowledge)
        self._random = random.Random(f"merges {seed}")

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        own = super().refine(ontology, usage)
        used = [p for p in ontology.properties if usage[p.name].documents]
        pairs = [(a.name, b.name) for a, b in combinations(used, 2) if _form(a) == _form(b)]
        self._random.shuffle(pairs)
        asked: list[Edit] = []
        taken = {name for edit in own if isinstance(edit, Merge) for name in edit.names}
        for pair in pairs:
            if len(asked) < MERGES and taken.isdisjoint(pair):
                taken.update(pair)
                asked.append(Merge(names=pair, into=pair[0], reason="they mean the same"))
        return [*own, *asked]


@contextlib.contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """A gatekeeper that does not ask these of its rules."""
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(patch.object(rules, name, lambda *_: None))
        yield


@dataclass(frozen=True)
class Built:
    """A schema, the decisions that led to it, and the facts by it."""

    ontology: Ontology
    proposed: Ontology
    """Before refinement."""
    decisions: tuple[Decision, ...]
    outcomes: list[Outcome]
    scores: FactScores

    @property
    def merges(self) -> list[Merge]:
        asked = [one.edit for one in self.decisions if one.accepted]
        return [edit for edit in asked if isinstance(edit, Merge)]


def gatekeeper(data: Path) -> Part:
    """Three agents before three gatekeepers."""
    documents = listings(data)
    study = BuiltinBackend()
    study.study(lambda: iter(documents))
    known = study.knowledge
    agents: dict[str, list[Callable[[], BuiltinBackend]]] = {
        "builtin": [lambda: BuiltinBackend(known)],
        "restating": [lambda: Restating(known)],
        "merging": [partial(Merging, known, seed) for seed in range(SEEDS)],
    }
    plain = _built(study, (), documents)
    arms: dict[str, Row] = {}
    for agent, makers in agents.items():
        for arm, rules_off in ARMS.items():
            runs = [_built(make(), rules_off, documents, plain) for make in makers]
            arms[f"{agent}: {arm}"] = _row(runs, plain)
    dev = DEV.format(texts=plain.scores.dev)
    protocol = PROTOCOL.format(documents=len(documents), dev=dev, merges=MERGES, seeds=SEEDS)
    return Part(protocol=protocol, arms=arms)


def _built(
    backend: BuiltinBackend,
    rules_off: Sequence[str],
    documents: Sequence[Document],
    plain: Built | None = None,
) -> Built:
    """``plain``: what the pipeline came to; the same schema is not read by twice."""
    with without(rules_off):
        writer, _ = schooled(backend, documents)
    ontology, decisions = writer.ontology, tuple(writer.history.decisions)
    last = max(one.after_version for one in decisions if one.edit.reason == PROPOSED)
    proposed = writer.history.ontology(last)
    if plain is not None and _elements(ontology) == _elements(plain.ontology):
        return replace(plain, proposed=proposed, decisions=decisions)
    outcomes = read(backend, ontology, documents)
    scores = dev_scores(outcomes, documents, ontology)
    return Built(ontology, proposed, decisions, outcomes, scores)


def _elements(ontology: Ontology) -> tuple[object, ...]:
    return ontology.classes, ontology.properties, ontology.aliases


def _row(runs: Sequence[Built], plain: Built) -> Row:
    """Means over runs; scores of their pooled counts."""
    alike = [redundancy(one.ontology, usage_of(one.outcomes, one.ontology)) for one in runs]
    merges = fmean(len(one.merges) for one in runs)
    lost = fmean(refused(one.outcomes).get("conflict", 0) for one in runs)
    before = refused(plain.outcomes).get("conflict", 0)
    return {
        "added": fmean(_accepted(one, AddClass, AddProperty) for one in runs),
        "dropped": fmean(_accepted(one, Drop) for one in runs),
        "merges": merges,
        "joined": fmean(_joined(one, plain) for one in runs),
        "properties": fmean(len(one.ontology.properties) for one in runs),
        "pairs alike in name per 100, proposed": fmean(
            redundancy(one.proposed, {}).alike_names for one in runs
        ),
        "near-duplicate pairs per 100": fmean(one.duplicates for one in alike),
        "renamed": fmean(_renamed(one, plain) for one in runs),
        "lost in conflicts": lost,
        "conflicts a merge": round((lost - before) / merges, 3) if merges else 0.0,
        **shares(
            pooled([one.scores.counts for one in runs]),
            pooled([plain.scores.counts for _ in runs]),
        ),
    }


def _accepted(run: Built, *kinds: type) -> int:
    return sum(one.accepted and isinstance(one.edit, kinds) for one in run.decisions)


def _joined(run: Built, plain: Built) -> int:
    """Merges in which a gold property meets another one, or none."""
    means = {pair.induced: pair.gold for pair in plain.scores.alignment.pairs if pair.value is None}
    known = {p.name for p in plain.ontology.properties}
    found = 0
    for merge in run.merges:
        names = {plain.ontology.present(name) for name in merge.names} & known
        found += len(names) > 1 and any(name in means for name in names)
    return found


def _renamed(run: Built, plain: Built) -> int:
    """Facts of the plain pipeline whose property is now called as another one was."""
    return sum(
        run.ontology.present(fact.property) != fact.property
        for outcome in plain.outcomes
        for fact in outcome.facts
    )


def _form(element: PropertyDef) -> tuple[str | None, ...]:
    return element.kind, element.datatype, element.dimension, element.unit
