"""From the state to the RDF store: what changed is put, what is gone is dropped, then checked.

The store follows the state. What it holds is noted only after it is on disk, so that a killed run
puts the last documents once more, which changes nothing.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moonshelf.graph.conflicts import conflicts
from moonshelf.graph.held import held_products, kept, pieces, with_outcomes
from moonshelf.graph.identity import Describer, Profile
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome, packed
from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.rdf.check import Violation, check
from moonshelf.graph.rdf.folder import lock, refuse
from moonshelf.graph.rdf.library import extra
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.records import Document, Refusal
from moonshelf.graph.resolve import Resolution, Scorer, resolve
from moonshelf.graph.stages import Clock, Stages
from moonshelf.graph.state import State

PUT_TOGETHER = 1000
# How long those who read the store may take to leave it.
WAIT_S = 30.0
# Documents put at one time that are worth tidying up after.
MANY = 10 * PUT_TOGETHER
QUADS = "quads"
"""Under what the state remembers how many quads the store was left with."""
_REASONS = 5


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
    reasons: tuple[str, ...] = ()
    """Why facts are unfit, of the first few."""
    remade: bool = False
    """The store was not as the last build left it, and was made anew."""


def refuse_early(folder: Path, *, base: str | None, resolve: bool) -> None:
    """What :func:`write_graph` would refuse, told before documents cost time or money.

    Raises:
        StoreError: the store has another base or format, or stays in use.
        UsageError: a base that is none, or the extra ``graph`` is not installed.
    """
    for name in ("pyoxigraph", "rdflib", "pyshacl"):
        extra(name)
    if resolve:
        Scorer()
    refuse(folder, base, WAIT_S)


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

    A store that holds another number of quads than the last build left there was changed by
    somebody else: it is made anew. ``rdf/compare.py`` finds what a number does not show.

    Documents whose graph breaks a shape are taken out again and quarantined with the violation.

    Raises:
        StoreError: the store is damaged, in use, or has another base.
        UsageError: the extra ``graph`` is not installed.
    """
    written = Written()
    if not (folder / "store.json").is_file():
        state.nothing_stored()
    elif _changed_by_others(state, folder, base):
        empty_store(state, folder)
        written.remade = True
    state.remember(QUADS, None)
    with clock.timed("settle"):
        state.overrule(_overruled(state, ontology))
    with GraphStore.open(folder, base=base, wait_s=WAIT_S) as store:
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
    state.remember(QUADS, written.quads)
    return written


def empty_store(state: State, folder: Path) -> None:
    """Deletes the database of the store in ``folder``, whose base stays; all of it is to be put.

    Raises:
        StoreError: somebody uses it.
    """
    state.remember(QUADS, None)
    with lock(folder, shared=False, wait_s=WAIT_S):
        state.nothing_stored()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _changed_by_others(state: State, folder: Path, base: str | None) -> bool:
    """Whether the number of quads is another than was left. A killed build left none noted."""
    left = state.recall(QUADS)
    if left is None:
        return False
    with GraphStore.open(folder, base=base, wait_s=WAIT_S) as store:
        return len(store) != left


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
        for piece in pieces(self.state.to_drop(), PUT_TOGETHER):
            self.store.drop_many(piece)
            self.store.flush()
            self.state.dropped(piece)

    def put(self) -> None:
        due = self.state.to_put()
        overruled = self.state.overruled()
        done = 0
        with self.stages("writing the graph") as progress:
            for piece in pieces(due, PUT_TOGETHER):
                entries = [
                    entry_of(document, outcome, overruled.get(outcome.document, {}))
                    for document, outcome in with_outcomes(self.state, piece)
                ]
                self._unfit(self.store.put_many(entries, self.ontology))
                self.store.flush()
                self.state.put(piece)
                done += len(piece)
                progress(done, len(due))
        if done >= MANY:
            self.store.optimize()

    def _unfit(self, refused: Sequence[Refusal]) -> None:
        written = self.written
        written.unfit += len(refused)
        said = (f"document {one.document}: {one.reason}" for one in refused)
        written.reasons = (*written.reasons, *said)[:_REASONS]

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
        for piece in pieces(names, PUT_TOGETHER):
            outcomes = []
            for document, outcome in with_outcomes(self.state, piece):
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
        """Products, always in the same order, each by its listings alone: a review may name another
        product, and the same review of two products does not make them one."""
        describer = Describer(self.ontology)
        for product, held in held_products(self.state):
            listings = [one for one in held if one.document.kind == "listing"]
            documents = [one.document for one in listings]
            facts = [fact for one in listings for fact in one.facts]
            yield describer.profile(product, held[0].outcome.product_class, documents, facts)


def _overruled(state: State, ontology: Ontology) -> dict[str, dict[int, str]]:
    """Where several documents are about one product, it still has one value where one is allowed.

    Returns:
        Document -> place of a fact that gives way -> reason.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    definitions = {owned.name: owned for owned in ontology.properties}
    for group in state.shared_products():
        pairs = with_outcomes(state, group)
        places = [(o.document, k) for _, o in pairs for k in range(len(o.facts))]
        facts = [(f, definitions[f.property]) for _, o in pairs for f in o.facts]
        for k, reason in conflicts(facts, [document for document, _ in pairs]).items():
            name, place = places[k]
            found[name][place] = reason
    return found


def entry_of(document: Document, outcome: Outcome, overruled: Iterable[int]) -> Entry:
    """What the store should hold of a document, less the facts at the places ``overruled``."""
    title = next((text for name, text in document.fields if name == "title"), "")
    return Entry(
        document=document.id,
        facts=kept(outcome, overruled),
        product_class=outcome.product_class,
        product=document.about,
        # A review's title says nothing about what the product is called.
        label=title if document.kind == "listing" else "",
        kind=document.kind,
        backend=outcome.fingerprint,
        ontology_version=outcome.version,
    )


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
