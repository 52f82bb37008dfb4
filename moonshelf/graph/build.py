"""The whole way from documents to a graph, resumable at every document.

    read -> learn (study, propose, refine) -> extract -> settle -> write RDF -> resolve -> SHACL

OUT/manifest.json     what this folder is, how it was made, the last summary
    ontology/         log.jsonl (the schema's history), ontology.ttl, shapes.ttl
    state.sqlite      every document with its outcome: the truth
    store/            the RDF store, made from the state
    quarantine.jsonl  documents without facts for a reason, written from the state

Running again goes on where a run ended, however it ended. Documents whose text, schema slice and
backend are as they were are not done again. After arXiv 2511.11017; the deviations are in
docs/methods.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from moonshelf import __version__
from moonshelf.config import Config
from moonshelf.errors import DataError, MoonshelfError, StoreError
from moonshelf.files import lock_folder, write_bytes_atomically, write_json_atomically
from moonshelf.graph.backend import Backend
from moonshelf.graph.documents import Source, Unread
from moonshelf.graph.extraction import BatchStopped, Extractor, OnError, extract_due
from moonshelf.graph.learn import Learned, LearnSettings
from moonshelf.graph.manifest import FORMAT, MANIFEST, ONTOLOGY, STORE, refuse_foreign, sweep
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome, packed
from moonshelf.graph.quarantine import FILE as QUARANTINE
from moonshelf.graph.quarantine import Quarantined, quarantined, write_quarantine
from moonshelf.graph.records import Document
from moonshelf.graph.schema_folder import SchemaFolder
from moonshelf.graph.stages import Clock, Stages, quiet
from moonshelf.graph.state import State
from moonshelf.graph.summary import Shapes, Summary, ontology_counts, take_stock
from moonshelf.graph.writing import write_graph

_SEEN_TOGETHER = 1000


class BuildSettings(Config):
    """How a graph is built."""

    learn: Literal["once", "again", "never"] = "once"
    """The schema: learned where there is none, learned further, or kept as it is."""
    learning: LearnSettings = LearnSettings()
    prune: bool = False
    """Delete documents that the source holds no longer."""
    retry: bool = False
    """Try quarantined documents again."""
    on_error: OnError = "quarantine"
    workers: int | None = Field(default=None, ge=1)
    """Processes (threads for a backend with costs); by default as many as there are processors."""
    resolve: bool = True
    base: str | None = None
    """Base of all IRIs."""


def build(
    source: Source,
    backend: Backend,
    out: Path | str,
    settings: BuildSettings | None = None,
    *,
    ontology: Ontology | None = None,
    review: Path | None = None,
    stages: Stages = quiet,
) -> Summary:
    """Makes, continues or updates the graph in ``out``.

    Args:
        source: the documents, all of them: what is not in it is ``gone``.
        backend: proposes, refines, extracts.
        out: the folder of the graph.
        settings: see :class:`BuildSettings`.
        ontology: what a new graph's schema starts from; its locked elements stay as they are.
        review: file in which changes to the schema wait for a person.
        stages: ``label -> context manager of a Progress``, e.g. ``Console.progress``.

    Raises:
        StoreError: ``out`` is something else, damaged, or in use.
        UsageError: settings or backend are wrong.
        BatchStopped: see ``extraction.py``; what is done is kept.
    """
    out = Path(out)
    busy = StoreError(
        "another build works in this folder", where=str(out), cure="wait until it is done"
    )
    refuse_foreign(out)
    with lock_folder(out, busy), State.open(out) as state:
        sweep(out)
        return _Build(
            source, backend, out, settings or BuildSettings(), state, ontology, review, stages
        ).run()


@dataclass
class _Build:
    source: Source
    backend: Backend
    out: Path
    settings: BuildSettings
    state: State
    base: Ontology | None
    review: Path | None
    stages: Stages
    run_number: int = 0
    given: set[str] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    counted: dict[str, int] = field(default_factory=dict)

    def run(self) -> Summary:
        with self.clock.timed("read"):
            self._read()
        self._manifest("building")
        with self.clock.timed("learn"):
            ontology, learned = self._schema()
        with self.clock.timed("extract"):
            self._extract(ontology)
        written = write_graph(
            self.state,
            self.out / STORE,
            ontology,
            base=self.settings.base,
            resolve=self.settings.resolve,
            clock=self.clock,
            stages=self.stages,
        )
        with self.clock.timed("report"):
            self._lists(ontology, written.names)
            summary = self._summary(ontology, learned)
        summary = summary.model_copy(
            update={
                "quads": written.quads,
                "same": written.same,
                "variants": written.variants,
                "shapes": Shapes(checked=written.checked, violations=written.violations),
                "unfit": written.unfit,
                "seconds": self.clock.seconds,
            }
        )
        self._manifest("complete", summary)
        return summary

    # ---- read

    def _read(self) -> None:
        """Takes in the source. Rows that are no documents are quarantined under their place."""
        self.run_number = self.state.begin()
        self.state.forget_unread()
        batch: list[tuple[int, Document]] = []
        unread: list[Unread] = []
        with self.stages("reading") as progress:
            for place, item in enumerate(self.source):
                item = self._named(item, place)
                self.given.add(item.id)
                if isinstance(item, Unread):
                    unread.append(item)
                else:
                    batch.append((place, item))
                if len(batch) == _SEEN_TOGETHER:
                    self.state.see(batch, self.run_number)
                    batch = []
                progress(place + 1, self.source.total, unreadable=len(unread))
        self.state.see(batch, self.run_number)
        if unread and self.settings.on_error == "stop":
            error = unread[0].error
            cure = f"{error.cure}; --on-error quarantine leaves such rows out".lstrip("; ")
            raise BatchStopped(error.what, where=error.where or unread[0].id, cure=cure)
        if not self.given:
            raise DataError("there is no document", where=self.source.name, cure="name another")
        self.state.finish(packed(_unread(one)) for one in unread)
        gone = self.state.gone(self.run_number)
        self.counted["pruned"] = len(gone) if self.settings.prune else 0
        self.counted["gone"] = 0 if self.settings.prune else len(gone)
        if self.settings.prune:
            self.state.forget(gone)

    def _named(self, item: Document | Unread, place: int) -> Document | Unread:
        """``item`` under an id that nothing else has and that can be written down."""
        try:
            (item.about if isinstance(item, Document) else item.id).encode()
        except UnicodeEncodeError as error:
            shown = item.id.encode("utf-8", "backslashreplace").decode()
            item = Unread(shown, DataError(f"its id is no text: {error.reason}", where=shown))
        if item.id not in self.given:
            return item
        name = f"{item.id} (again, item {place + 1})"
        error = (
            item.error
            if isinstance(item, Unread)
            else DataError(f"id {item.id!r} is taken", where=name, cure="give each row its own id")
        )
        return Unread(name, error)

    def _schema(self) -> tuple[Ontology, Learned]:
        return SchemaFolder(
            self.out,
            self.state,
            self.backend,
            lambda: self.state.documents(self.run_number),
            base=self.base,
            review=self.review,
            settings=self.settings.learning,
            workers=self.settings.workers,
            stages=self.stages,
        ).settle(self.settings.learn, len(self.given))

    # ---- extract

    def _extract(self, ontology: Ontology) -> None:
        extractor = Extractor(self.backend, ontology)
        due = self.state.to_do(
            self.run_number, extractor.fingerprint, extractor.slice_of, self.settings.retry
        )
        self.counted["extracted"] = len(due)
        with self.stages("extracting") as progress:
            extract_due(
                self.state,
                due,
                extractor,
                on_error=self.settings.on_error,
                workers=self.settings.workers,
                progress=progress,
            )

    # ---- what is told

    def _lists(self, ontology: Ontology, names: Any) -> None:
        from moonshelf.graph.rdf.schema_graph import ontology_turtle
        from moonshelf.graph.rdf.shapes import shapes_turtle

        folder = self.out / ONTOLOGY
        write_bytes_atomically(folder / "ontology.ttl", ontology_turtle(ontology, names))
        write_bytes_atomically(folder / "shapes.ttl", shapes_turtle(ontology, names))
        write_quarantine(self.out / QUARANTINE, _problems(self.state.outcomes("quarantined")))

    def _summary(self, ontology: Ontology, learned: Learned) -> Summary:
        counts = self.state.counts()
        counted: dict[str, Any] = dict(self.counted)
        refused = {k.removeprefix("refused "): v for k, v in counts.items() if k != "facts"}
        overruled = sum(map(len, self.state.overruled().values()))
        if overruled:
            refused["conflict"] = refused.get("conflict", 0) + overruled
        sizes: dict[str, Any] = ontology_counts(ontology, self.state.property_documents())
        costs = getattr(self.backend, "costs", None)
        return Summary(
            ledger=take_stock(self.state, self.given),
            unchanged=len(self.given) - self.counted["extracted"],
            **counted,
            facts=counts["facts"] - overruled,
            refused=refused,
            **sizes,
            learned=learned,
            new_since_learned=max(0, len(self.given) - (self.state.recall("learned_from") or 0)),
            costs={} if costs is None else dict(costs()),
        )

    def _manifest(self, status: str, summary: Summary | None = None) -> None:
        value = {
            "format": FORMAT,
            "kind": "graph",
            "status": status,
            "moonshelf": __version__,
            "backend": self.backend.name,
            "source": {"name": self.source.name, **self.source.facts},
            "settings": self.settings.model_dump(mode="json"),
            "finished": time.time() if status == "complete" else None,
        }
        if summary is not None:
            value["fingerprint"] = self.backend.fingerprint
            about = getattr(self.backend, "about", None)
            value["about_backend"] = {} if about is None else about()
            value["summary"] = summary.model_dump(mode="json")
        write_json_atomically(self.out / MANIFEST, value)


def _unread(item: Unread) -> Outcome:
    error: MoonshelfError = item.error
    return Outcome(
        document=item.id,
        status="quarantined",
        digest="",
        slice="",
        fingerprint="",
        version=0,
        problem=quarantined(item.id, "read", error),
    )


def _problems(outcomes: Iterable[Outcome]) -> Iterator[Quarantined]:
    return (one.problem for one in outcomes if one.problem is not None)
