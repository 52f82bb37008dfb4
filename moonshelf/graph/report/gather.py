"""From a graph folder to what its report shows: one pass over the outcomes, narrow queries.

Memory is bounded by the words that are counted, not by the number of documents. The state is the
truth of documents and facts; the store is asked for what a user of the graph would ask it for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from moonshelf.config import load_config
from moonshelf.graph.evaluate.folder import extraction_of
from moonshelf.graph.evaluate.sizes import Sizes, sizes
from moonshelf.graph.manifest import MANIFEST, ONTOLOGY, STORE, read_complete
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.outcome import STATUSES, Outcome
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Extraction
from moonshelf.graph.report.asking import Answers, ask
from moonshelf.graph.report.findings import About, ClassUse, Findings, Links, PropertyUse, Shown
from moonshelf.graph.report.links import links_of
from moonshelf.graph.report.story import story_of
from moonshelf.graph.report.tally import Tally
from moonshelf.graph.resolve import Resolution
from moonshelf.graph.schema.history import History
from moonshelf.graph.stages import Stages, quiet
from moonshelf.graph.state import State
from moonshelf.graph.summary import Summary
from moonshelf.progress import Progress

_REMEMBERED = 1 << 10


def gather(graph: Path, stages: Stages = quiet) -> Findings:
    """Reads a graph folder.

    Args:
        graph: a folder that ``graph build`` finished.
        stages: shows how far it is.

    Raises:
        StoreError: no graph, one whose build has not ended, or one that is damaged.
        UsageError: the extra ``graph`` is not installed.
    """
    manifest = read_complete(graph)
    history = History.open(graph / ONTOLOGY, create=False)
    ontology = history.ontology()
    with State.open(graph, create=False) as state:
        with stages("reading facts") as progress:
            tally = _tally(state, ontology, progress)
        with stages("asking the store") as progress:
            distinct = bool(state.shared_products())
            with GraphStore.open(graph / STORE, read_only=True) as store:
                answers = ask(store, ontology, distinct, progress)
        with stages("comparing products"):
            links = _links(state, ontology, manifest["settings"]["resolve"])
        uses = _uses(ontology, tally)
        return Findings(
            about=_about(manifest),
            summary=load_config(Summary, manifest["summary"], where=str(graph / MANIFEST)),
            sizes=_sizes(state, ontology),
            facts=tally.facts,
            textual=tally.textual,
            grounded=tally.grounded,
            ontology=ontology,
            classes=answers.classes,
            quads=answers.quads,
            properties=_properties(ontology, tally, uses, answers),
            uses=uses,
            shown=tuple(_shown(state, tally)),
            reach=tally.reach.reach(),
            troubles=tally.troubles(),
            links=links,
            story=story_of(history),
            questions=answers.questions,
        )


def _tally(state: State, ontology: Ontology, progress: Progress) -> Tally:
    total = sum(len(state.ids(status)) for status in STATUSES)
    tally = Tally(ontology, total, state.overruled())
    for done, outcome in enumerate(state.outcomes(), start=1):
        tally.add(state.document(outcome.document), outcome)
        progress(done, total, facts=tally.facts)
    return tally


def _sizes(state: State, ontology: Ontology) -> Sizes:
    documents = sum(len(state.ids(status)) for status in STATUSES)
    return sizes(_extractions(state), ontology, documents)


def _extractions(state: State) -> Iterator[Extraction]:
    return map(extraction_of, state.outcomes("done"))


def _uses(ontology: Ontology, tally: Tally) -> dict[str, ClassUse]:
    """Use of every class, what stands below it included."""
    documents: Counter[str] = Counter()
    stated: dict[str, Counter[str]] = {kind.name: Counter() for kind in ontology.classes}
    for name, number in tally.documents.items():
        documents.update(dict.fromkeys(ontology.lineage(name), number))
    for (name, owned), number in tally.stated.items():
        for above in ontology.lineage(name):
            stated[above][owned] += number
    return {
        name: ClassUse(documents=documents[name], properties=found)
        for name, found in stated.items()
    }


def _properties(
    ontology: Ontology, tally: Tally, uses: Mapping[str, ClassUse], answers: Answers
) -> tuple[PropertyUse, ...]:
    """Every property, the most used first."""
    found = [
        PropertyUse(
            definition=owned,
            documents=uses[ROOT].properties.get(owned.name, 0),
            possible=uses[owned.domain].documents,
            statements=answers.statements.get(owned.name, 0),
            ranges=tally.ranges[owned.name],
            values=answers.values[owned.name],
            examples=tuple(tally.examples[owned.name]),
        )
        for owned in ontology.properties
    ]
    return tuple(sorted(found, key=lambda one: (-one.documents, one.definition.name)))


def _shown(state: State, tally: Tally) -> Iterator[Shown]:
    overruled = state.overruled()
    for name, why in tally.chooser.chosen():
        document, outcome = state.document(name), state.outcome(name)
        if document is not None and outcome is not None:
            given_way = overruled.get(name, {})
            yield Shown(why=why, document=document, outcome=outcome, overruled=given_way)


def _links(state: State, ontology: Ontology, resolved: bool) -> Links:
    remembered = state.recall("resolution") if resolved else None
    resolution = Resolution() if remembered is None else Resolution.model_validate(remembered)

    @lru_cache(_REMEMBERED)
    def title(product: str) -> str:
        found = state.document(product)
        return product if found is None or not found.fields else found.fields[0][1]

    def outcome(product: str) -> Outcome | None:
        return state.outcome(product)

    return links_of(resolution, ontology, title, outcome)


def _about(manifest: Mapping[str, Any]) -> About:
    # A page may be passed on: no address of a server and no folder of somebody's machine.
    told = manifest.get("about_backend", {}).items()
    facts = {name: v for name, v in told if isinstance(v, str) and v and "://" not in v}
    return About(
        name=PurePath(manifest["source"]["name"]).name or "documents",
        backend=manifest["backend"],
        backend_facts=facts,
        moonshelf=manifest["moonshelf"],
        finished=manifest["finished"],
    )
