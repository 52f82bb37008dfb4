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

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from moonshelf import __version__
from moonshelf.config import Config
from moonshelf.errors import DataError, StoreError
from moonshelf.files import lock_folder, write_bytes_atomically, write_json_atomically
from moonshelf.graph.backend import Backend
from moonshelf.graph.documents import Source
from moonshelf.graph.extraction import BatchStopped, Extractor, OnError, extract_due
from moonshelf.graph.intake import Intake
from moonshelf.graph.learn import Learned, LearnSettings
from moonshelf.graph.manifest import FORMAT, MANIFEST, ONTOLOGY, STORE, refuse_foreign, sweep
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.pictures import read_pictures
from moonshelf.graph.quarantine import FILE as QUARANTINE
from moonshelf.graph.quarantine import Quarantined, write_quarantine
from moonshelf.graph.schema.history import History
from moonshelf.graph.schema_folder import SchemaFolder
from moonshelf.graph.spending import Meter
from moonshelf.graph.stages import Stages, quiet
from moonshelf.graph.state import State
from moonshelf.graph.summary import (
    Shapes,
    Summary,
    little_learned,
    ontology_counts,
    take_stock,
)
from moonshelf.graph.writing import refuse_early, write_graph


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
    """Ids of all rows of the source."""
    unread: set[str] = field(default_factory=set)
    """Those of rows that are no documents."""
    changed: set[str] = field(default_factory=set)
    """Those of documents that were done now."""
    counted: dict[str, int] = field(default_factory=dict)

    def run(self) -> Summary:
        settings = self.settings
        refuse_early(self.out / STORE, base=settings.base, resolve=settings.resolve)
        meter = Meter(self.state, self.backend)
        self.stages = meter.watching(self.stages)
        try:
            return self._stage_by_stage(meter)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # what stopped it is what is to be told
                meter.note()
            raise

    def _stage_by_stage(self, meter: Meter) -> Summary:
        with meter.clock.timed("read"):
            self._read()
        self._manifest("building")
        with meter.clock.timed("learn"):
            ontology, learned = self._schema()
        with meter.clock.timed("extract"):
            self._extract(ontology)
        written = write_graph(
            self.state,
            self.out / STORE,
            ontology,
            base=self.settings.base,
            resolve=self.settings.resolve,
            clock=meter.clock,
            stages=self.stages,
        )
        with meter.clock.timed("report"):
            self._lists(ontology, written.names)
            summary = self._summary(ontology, learned)
        summary = summary.model_copy(
            update={
                "quads": written.quads,
                "same": written.same,
                "variants": written.variants,
                "shapes": Shapes(checked=written.checked, violations=written.violations),
                "unfit": written.unfit,
                "unfit_reasons": written.reasons,
                "remade": written.remade,
                **self._spent(meter),
            }
        )
        self._manifest("complete", summary)
        return summary

    # ---- read

    def _read(self) -> None:
        """Takes in the source. Rows that are no documents are quarantined under their place."""
        self.run_number = self.state.begin()
        self.state.forget_unread()
        intake = Intake(self.state, self.run_number)
        with self.stages("reading") as progress:
            intake.read(self.source, progress)
        self.given, self.unread = intake.given, {one.id for one in intake.unread}
        if intake.unread and self.settings.on_error == "stop":
            error = intake.unread[0].error
            cure = f"{error.cure}; --on-error quarantine leaves such rows out".lstrip("; ")
            raise BatchStopped(error.what, where=error.where or intake.unread[0].id, cure=cure)
        if not self.given:
            raise DataError("there is no document", where=self.source.name, cure="name another")
        intake.finish()
        gone = self.state.gone(self.run_number, self.source.kinds)
        self.counted["pruned"] = len(gone) if self.settings.prune else 0
        self.counted["gone"] = 0 if self.settings.prune else len(gone)
        if self.settings.prune:
            self.state.forget(gone)

    def _schema(self) -> tuple[Ontology, Learned]:
        return SchemaFolder(
            self.out,
            self.state,
            self.backend,
            lambda: (d for d in self.state.documents(self.run_number) if d.kind != "picture"),
            base=self.base,
            review=self.review,
            settings=self.settings.learning,
            workers=self.settings.workers,
            stages=self.stages,
        ).settle(self.settings.learn, self.run_number)

    # ---- extract

    def _extract(self, ontology: Ontology) -> None:
        extractor = Extractor(self.backend, ontology)
        pictures = self.state.pictures()
        without_text = set(pictures)
        due = [
            name
            for name in self.state.to_do(
                self.run_number, extractor.fingerprint, extractor.slice_of, self.settings.retry
            )
            if name not in without_text
        ]
        self.counted["extracted"] = len(due)
        self.changed = self.given.intersection(due)
        with self.stages("extracting") as progress:
            extract_due(
                self.state,
                due,
                extractor,
                on_error=self.settings.on_error,
                workers=self.settings.workers,
                progress=progress,
            )
        if pictures:
            with self.stages("reading pictures") as progress:
                read = read_pictures(self.state, pictures, ontology, progress)
            self.counted["extracted"] += len(read)
            self.changed |= self.given & read

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
        return Summary(
            ledger=take_stock(self.state, self.given),
            unchanged=len(self.given - self.unread - self.changed),
            **counted,
            facts=counts["facts"] - overruled,
            refused=refused,
            **sizes,
            learned=learned,
            little_learned=little_learned(
                self.backend.name,
                len(self.given - self.unread),
                len(ontology.properties),
                self._schema_was_given,
            ),
            new_since_learned=self.state.unlearned(self.run_number),
        )

    def _schema_was_given(self) -> bool:
        history = History.open(self.out / ONTOLOGY, create=False)
        return bool(history.ontology(history.versions.start).properties)

    def _spent(self, meter: Meter) -> dict[str, Any]:
        """What this run took, and all runs together."""
        meter.note()
        now = meter.this_run()
        return {
            "costs": now.costs,
            "seconds": now.seconds,
            "peak_memory": now.peak_memory,
            "in_all": self.state.spent(),
        }

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


def _problems(outcomes: Iterable[Outcome]) -> Iterator[Quarantined]:
    return (one.problem for one in outcomes if one.problem is not None)
