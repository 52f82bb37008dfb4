"""The span check and the one retry of the ``llm`` backend, before a model that errs as told.

The model is simulated (``_simulated_model.py``): it reads the right answers off labels and spoils a
stated share of them. So the figures tell what the checks do with errors of each kind. How often any
real model makes them is not known here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from benchmarks._graph_arms import Part, Row, dev_scores, listings, pooled, read, refused, shares
from benchmarks._graph_spans import Trusting
from benchmarks._simulated_model import Faults, SimulatedModel
from moonshelf.graph.evaluate.facts import Count
from moonshelf.graph.evaluate.gold import GoldSet, Labelled, gold_ontology, labelled, read_gold
from moonshelf.graph.evaluate.scores import Score
from moonshelf.graph.evaluate.soundness import is_grounded
from moonshelf.graph.llm import extracting
from moonshelf.graph.llm.asking import Asker, Question
from moonshelf.graph.llm.backend import LlmBackend
from moonshelf.graph.llm.facts import Field, found_facts, read_fields
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, Refusal
from tests.unit.graph.fake_llm import FakeLlm

SEEDS = 2
KIND = "product_type"
RATE, MANY, EACH = 0.1, 0.3, 0.05
ERRORS: Mapping[str, Faults] = {
    "no errors": Faults(),
    f"{RATE:.0%} invented": Faults(invented=RATE),
    f"{RATE:.0%} of another listing": Faults(foreign=RATE),
    f"{RATE:.0%} shifted": Faults(shifted=RATE),
}
BROKEN: Mapping[str, Faults] = {
    f"{RATE:.0%} broken replies": Faults(broken=RATE),
    f"{MANY:.0%} broken replies": Faults(broken=MANY),
}
ALL = Faults(invented=EACH, foreign=EACH, shifted=EACH, broken=RATE)
PROTOCOL = (
    "SIMULATED model, no claim about real ones: it answers over the chat protocol from the labels "
    "of {texts} dev texts of the gold set (schema and classes given, the kind of product is the "
    "class alone unless said) and errs in a stated share of slots (a property of a text, {slots} a "
    "text): values that nobody wrote, values of another listing, right values with neighboring "
    "words as proof; or of replies (cut off, prose, schema, a key too many, of another text). All: "
    "{each:.0%} of each error and {rate:.0%} broken replies. Place only: the words must stand in "
    "the text, whatever they say. Figures a run, means over {seeds} seeds of errors, the same for "
    "all arms. Nowhere: facts whose words do not stand at their place; right words: share of facts "
    "whose words overlap the labelled ones; refused: by the rungs span and unit; quarantined: "
    "documents. 95 % intervals from resampling texts, arm and plain (of the same errors) by the "
    "same draws"
)


@dataclass(frozen=True)
class Checks:
    """Which checks an arm has."""

    place: bool = True
    """The words stand in the text."""
    says: bool = True
    """They say the value."""
    retry: bool = True


PLAIN = Checks()
SPAN_ARMS = {
    "plain": PLAIN,
    "place only": Checks(says=False),
    "no span check": Checks(place=False, says=False),
}
RETRY_ARMS = {"plain": PLAIN, "no retry": Checks(retry=False)}
ALL_ARMS = {
    **SPAN_ARMS,
    "no retry": Checks(retry=False),
    "neither": Checks(place=False, says=False, retry=False),
}


class OneTry(Asker):
    """Asks once."""

    def ask(self, question: Question, tries: int = 1) -> dict[str, Any]:
        return super().ask(question, 1)


class WithoutRetry(LlmBackend):
    """Asks every question once."""

    def _asker(self) -> Asker:
        dialect = self.probed().dialect
        return OneTry(self._settings, self._client, self._cache, self._ledger, dialect)


@contextlib.contextmanager
def unplaced() -> Iterator[None]:
    """Words that do not stand in the text are read as if they were the text."""

    def trusted(
        document: Document, fields: Sequence[Field], owned: PropertyDef, said: Mapping[str, Any]
    ) -> list[Fact | Refusal]:
        raw = said["raw"]
        found: list[Fact | Refusal] = []
        for words in dict.fromkeys([raw] if isinstance(raw, str) else raw or []):
            mine = {**said, "raw": words}
            held = found_facts(document, fields, owned, mine)
            if any(isinstance(one, Refusal) and one.step == "span" for one in held):
                alone = document.model_copy(update={"fields": ((fields[0].reading.name, words),)})
                held = found_facts(alone, read_fields(alone), owned, mine)
            found += held
        return found

    with patch.object(extracting, "found_facts", trusted):
        yield


@dataclass(frozen=True)
class Run:
    """What came of one seed of errors."""

    outcomes: list[Outcome]
    counts: Sequence[Count]
    places: Score
    costs: Mapping[str, float]


def model(data: Path) -> Part:
    """Every kind of error, with and without the check or the retry that is meant for it."""
    documents = listings(data)
    bench = Bench(documents, read_gold())
    options = Bench(documents, read_gold(), kind_as_option=True)
    arms: dict[str, Row] = {}
    for given, cases, checks in (
        (bench, ERRORS, SPAN_ARMS),
        (options, {"no errors, kind as an option": Faults()}, SPAN_ARMS),
        (bench, BROKEN, RETRY_ARMS),
        (bench, {"all": ALL}, ALL_ARMS),
    ):
        for case, faults in cases.items():
            runs = {name: given.runs(faults, one) for name, one in checks.items()}
            plain = pooled([one.counts for one in runs["plain"]])
            for name, found in runs.items():
                arms[f"{case}: {name}"] = given.row(found, plain)
    protocol = PROTOCOL.format(
        texts=len(bench.texts),
        slots=len(bench.gold.properties),
        each=EACH,
        rate=RATE,
        seeds=SEEDS,
    )
    return Part(protocol=protocol, arms=arms)


class Bench:
    """The dev texts, the schema that the model is given, and runs over them.

    Args:
        documents: among which the texts are found.
        gold: their labels. What kind of product it is, is asked as the class.
        kind_as_option: ask for it as a property with options, too.
    """

    def __init__(
        self, documents: Sequence[Document], gold: GoldSet, kind_as_option: bool = False
    ) -> None:
        self.kinds = {one.document.id: kind_of(one) for one in labelled(documents, gold, "dev")}
        self.ontology = with_kinds(gold, kind_as_option)
        self.documents, self.gold = documents, gold if kind_as_option else without_kind(gold)
        self.texts = labelled(documents, self.gold, "dev")
        self._fields = {one.document.id: dict(one.document.fields) for one in self.texts}

    def runs(self, faults: Faults, checks: Checks) -> list[Run]:
        """A run a seed; without errors there is nothing to draw."""
        return [
            self.run(faults, checks, seed) for seed in range(SEEDS if faults != Faults() else 1)
        ]

    def run(self, faults: Faults, checks: Checks, seed: int) -> Run:
        told = SimulatedModel(self.texts, self.gold.properties, self.kinds, faults, seed)
        with FakeLlm(told.brain) as server, contextlib.ExitStack() as stack:
            server.pick = told.pick
            settings = LlmSettings(model="simulated", base_url=server.url, longest_wait_s=0)
            backend = (LlmBackend if checks.retry else WithoutRetry)(settings)
            stack.callback(backend.close)
            if not checks.place:
                stack.enter_context(unplaced())
            validator = None if checks.says else Trusting(self.ontology)
            texts = [one.document for one in self.texts]
            outcomes = read(backend, self.ontology, texts, validator)
            scores = dev_scores(outcomes, self.documents, self.ontology, self.gold)
            return Run(outcomes, scores.counts, scores.places, backend.costs())

    def row(self, runs: Sequence[Run], plain: Sequence[Count]) -> Row:
        """Means over runs, scores of their pooled counts. ``plain`` has as many runs."""
        states = [[one.status for one in run.outcomes] for run in runs]
        return {
            "facts": fmean(sum(len(one.facts) for one in run.outcomes) for run in runs),
            "nowhere": fmean(self._nowhere(run) for run in runs),
            "right words": fmean(run.places.precision for run in runs),
            "refused": fmean(_refused(run) for run in runs),
            "calls": fmean(run.costs["calls"] for run in runs),
            "second tries": fmean(run.costs["corrected"] for run in runs),
            "quarantined": fmean(one.count("quarantined") for one in states),
            **shares(pooled([run.counts for run in runs]), plain),
        }

    def _nowhere(self, run: Run) -> int:
        return sum(
            not is_grounded(fact, self._fields[outcome.document])
            for outcome in run.outcomes
            for fact in outcome.facts
        )


def _refused(run: Run) -> int:
    steps = refused(run.outcomes)
    return steps.get("span", 0) + steps.get("unit", 0)


def with_kinds(gold: GoldSet, kind_as_option: bool) -> Ontology:
    """The gold schema with a class for every kind of product in it."""
    given = gold_ontology(gold)
    classes = (ClassDef(name=class_name(kind)) for kind in gold.properties[KIND].values)
    properties = (one for one in given.properties if kind_as_option or one.name != KIND)
    return Ontology(classes=(*given.classes, *classes), properties=tuple(properties))


def without_kind(gold: GoldSet) -> GoldSet:
    """The gold set without the kind of product."""
    texts = (
        one.model_copy(update={"facts": tuple(f for f in one.facts if f.property != KIND)})
        for one in gold.texts
    )
    properties = {name: owned for name, owned in gold.properties.items() if name != KIND}
    return GoldSet(properties=properties, texts=tuple(texts))


def kind_of(text: Labelled) -> str | None:
    """The class of a text; None where no kind of product is stated."""
    kinds = (str(fact.value) for fact in text.text.facts if fact.property == KIND)
    return next(map(class_name, kinds), None)


def class_name(kind: str) -> str:
    """``split air conditioner`` -> ``SplitAirConditioner``."""
    return "".join(word.capitalize() for word in kind.split())
