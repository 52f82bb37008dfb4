"""From the state to the RDF store: what changed is put, what is gone is dropped, then checked.

The store follows the state. What it holds is noted only after it is on disk, so that a killed run
puts the last documents once more, which changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from moonshelf.graph.conflicts import conflicts
from moonshelf.graph.identity import Describer, Profile
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome, packed
from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.rdf.check import Violation, check
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document, Fact
from moonshelf.graph.resolve import Resolution, resolve
from moonshelf.graph.stages import Clock, Stages
from moonshelf.graph.state import State

PUT_TOGETHER = 1000
_PIECE = 500


@dataclass
class Written:
    """What the store holds now."""

    names: Any = None
    quads: int = 0
    same: int = 0
    variants: int = 0
    checked: int = 0
    violations: int = 0
    unfit: int = 0


def write_graph(
    state: State,
    folder: Path,
    ontology: Ontology,
    *,
    base: str | None,
    resolve: bool,
    clock: Clock,
    stages: Stages,
) -> Written:
    """Brings the store in ``folder`` to what ``state`` says, and checks what changed.

    Documents whose graph breaks a shape are taken out again and quarantined with the violation.

    Raises:
        StoreError: the store is damaged, in use, or has another base.
        UsageError: the extra ``graph`` is not installed.
    """
    if not (folder / "store.json").is_file():
        state.nothing_stored()
    written = Written()
    with clock.timed("settle"):
        state.overrule(_overruled(state, ontology))
    with GraphStore.open(folder, base=base) as store:
        writer = _Writer(state, store, ontology, written, stages)
        with clock.timed("write"):
            writer.drop()
            writer.put()
            store.put_ontology(ontology)
        with clock.timed("check"):
            writer.check()
        if resolve:
            with clock.timed("resolve"):
                writer.link()
        else:
            store.put_links([])
        store.flush()
        written.names, written.quads = store.names, len(store)
    return written


class _Writer:
    def __init__(
        self,
        state: State,
        store: GraphStore,
        ontology: Ontology,
        written: Written,
        stages: Stages,
    ) -> None:
        self.state, self.store, self.ontology = state, store, ontology
        self.written, self.stages = written, stages

    def drop(self) -> None:
        for piece in _pieces(self.state.to_drop(), PUT_TOGETHER):
            self.store.drop_many(piece)
            self.store.flush()
            self.state.dropped(piece)

    def put(self) -> None:
        due = self.state.to_put()
        overruled = self.state.overruled()
        done = 0
        with self.stages("writing the graph") as progress:
            for piece in _pieces(due, PUT_TOGETHER):
                entries = [
                    _entry(document, outcome, overruled.get(outcome.document, {}))
                    for document, outcome in _both(self.state, piece)
                ]
                self.written.unfit += len(self.store.put_many(entries, self.ontology))
                self.store.flush()
                self.state.put(piece)
                done += len(piece)
                progress(done, len(due))

    def check(self) -> None:
        """SHACL over what changed; over everything where the ontology did."""
        if self.state.recall("checked_by") != self.ontology.version:
            self.state.checked(False)
            self.state.remember("checked_by", self.ontology.version)
        due = self.state.to_check()
        self.written.checked = len(due)
        if due:
            with self.stages("checking shapes") as progress:
                found = check(self.store, self.ontology, documents=due, progress=progress)
                self._quarantine(list(found))
        self.state.checked()

    def _quarantine(self, violations: Sequence[Violation]) -> None:
        self.written.violations += len(violations)
        names = sorted({name for one in violations for name in one.documents})
        for piece in _pieces(names, PUT_TOGETHER):
            outcomes = []
            for document, outcome in _both(self.state, piece):
                said = [v for v in violations if document.id in v.documents]
                outcomes.append(_broken(outcome, said))
            self.state.finish(map(packed, outcomes))
        self.drop()

    def link(self) -> None:
        profiles = self._profiles()
        with self.stages("resolving products") as progress:
            found: Resolution = resolve(profiles, progress)
        self.store.put_links(found.links)
        self.state.remember("resolution", found.model_dump(mode="json"))
        relations = [link.relation for link in found.links]
        self.written.same = relations.count("sameAs")
        self.written.variants = relations.count("isVariantOf")

    def _profiles(self) -> Iterator[Profile]:
        """Products in the order of their ids, each with all documents about it."""
        describer = Describer(self.ontology)
        overruled = self.state.overruled()
        together = {name for group in self.state.shared_products() for name in group}
        for group in self.state.shared_products():
            pairs = _both(self.state, group)
            facts = [f for _, o in pairs for f in _kept(o, overruled.get(o.document, {}))]
            documents = [document for document, _ in pairs]
            owner = next(o.product_class for _, o in pairs)
            yield describer.profile(documents[0].about, owner, documents, facts)
        alone = sorted(self.state.ids("done") - together)
        for piece in _pieces(alone, _PIECE):
            for document, outcome in _both(self.state, piece):
                facts = _kept(outcome, overruled.get(outcome.document, {}))
                yield describer.profile(document.about, outcome.product_class, [document], facts)


def _overruled(state: State, ontology: Ontology) -> dict[str, dict[int, str]]:
    """Where several documents are about one product, it still has one value where one is allowed.

    Returns:
        Document -> place of a fact that gives way -> reason.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    definitions = {owned.name: owned for owned in ontology.properties}
    for group in state.shared_products():
        pairs = _both(state, group)
        places = [(o.document, k) for _, o in pairs for k in range(len(o.facts))]
        facts = [(f, definitions[f.property]) for _, o in pairs for f in o.facts]
        for k, reason in conflicts(facts, [document for document, _ in pairs]).items():
            name, place = places[k]
            found[name][place] = reason
    return found


def _entry(document: Document, outcome: Outcome, overruled: Iterable[int]) -> Entry:
    title = next((text for name, text in document.fields if name == "title"), "")
    return Entry(
        document=document.id,
        facts=tuple(_kept(outcome, overruled)),
        product_class=outcome.product_class,
        product=document.about,
        # A review's title says nothing about what the product is called.
        label=title if document.kind == "listing" else "",
        kind=document.kind,
        backend=outcome.fingerprint,
        ontology_version=outcome.version,
    )


def _kept(outcome: Outcome, overruled: Iterable[int]) -> list[Fact]:
    dropped = set(overruled)
    return [fact for k, fact in enumerate(outcome.facts) if k not in dropped]


def _broken(outcome: Outcome, violations: Sequence[Violation]) -> Outcome:
    messages = tuple(f"{v.property}: {v.constraint}: {v.message}" for v in violations)
    problem = Quarantined(
        document=outcome.document,
        step="shacl",
        what=f"its graph breaks {len(messages)} shapes, the first: {messages[0]}",
        cure="this is a defect of moonshelf: report it with this document",
        kind="Violation",
        errors=messages,
        digest=outcome.digest,
    )
    refusals = tuple(
        one for v in violations for one in v.refusals() if one.document == outcome.document
    )
    return outcome.model_copy(
        update={
            "status": "quarantined",
            "facts": (),
            "refusals": (*outcome.refusals, *refusals),
            "problem": problem,
        }
    )


def _both(state: State, ids: Sequence[str]) -> list[tuple[Document, Outcome]]:
    documents = state.documents_of(ids)
    found = ((document, state.outcome(document.id)) for document in documents)
    return [(document, outcome) for document, outcome in found if outcome is not None]


def _pieces(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    waiting = iter(ids)
    while piece := list(islice(waiting, size)):
        yield piece
