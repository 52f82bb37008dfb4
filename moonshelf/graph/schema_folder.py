"""The schema of one graph folder: learned once, learned further on demand, decided on by a person.

Learning happens in a folder of its own, and the finished history is moved in place whole. A killed
run learns again from the same beginning and ends with the same history, byte for byte.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moonshelf.errors import StoreError, UsageError
from moonshelf.files import fsync_folder, write_bytes_atomically
from moonshelf.graph.backend import Backend, Remembering
from moonshelf.graph.learn import Learned, LearnSettings, learn
from moonshelf.graph.manifest import ONTOLOGY, PARTIAL
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import FILE as LOG
from moonshelf.graph.schema.history import History
from moonshelf.graph.schema.rules import check_base
from moonshelf.graph.stages import Stages
from moonshelf.graph.state import State
from moonshelf.graph.usage import usage_of


@dataclass
class SchemaFolder:
    """``OUT/ontology`` and what the state remembers of it.

    ``base``: what a new schema starts from; ``review``: file in which changes wait for a person.
    """

    out: Path
    state: State
    backend: Backend
    documents: Callable[[], Iterable[Document]]
    base: Ontology | None
    review: Path | None
    settings: LearnSettings
    workers: int | None
    stages: Stages

    @property
    def folder(self) -> Path:
        return self.out / ONTOLOGY

    def settle(self, how: Literal["once", "again", "never"], run: int) -> tuple[Ontology, Learned]:
        """The schema to extract by, and how it was learned.

        Args:
            how: learn where there is none, learn further, or keep what is there.
            run: whose documents it is learned from.

        Raises:
            UsageError: nothing to keep, a base that is none, or another one than the schema began
                with.
            StoreError: the history of the schema is not there any more, or damaged.
        """
        state = self.state
        known, begun = state.recall("learned"), state.recall("learning")
        self._refuse(known)
        if known is not None and begun is None and how != "again":
            return self._keep(), Learned.model_validate(known)
        if begun is None:
            size = (self.folder / LOG).stat().st_size if known is not None else 0
            begun = {"bytes": size}
            state.remember("learning", begun)
        self._study()
        learned = self._learn(how, begun["bytes"])
        state.remember("learned", learned.model_dump(mode="json"))
        state.learn_from(run)
        state.remember("learning", None)
        # Not before: a run that is killed learns again, and must find what a person decided.
        gatekeeper = Gatekeeper(History.open(self.folder), self.review)
        gatekeeper.write_form()
        return gatekeeper.ontology, learned

    def _refuse(self, known: Mapping[str, Any] | None) -> None:
        """What cannot work, before a backend is asked anything."""
        if self.base is not None:
            check_base(self.base)
        there = (self.folder / LOG).is_file()
        version = History.open(self.folder, self.base).ontology().version if there else -1
        if known is not None and version < known["version"]:
            raise StoreError(
                "the history of the schema is missing, or ends too early",
                where=str(self.folder / LOG),
                cure="restore the file from a copy, or build the graph anew in another folder",
            )

    def _keep(self) -> Ontology:
        """The schema that is there, with what a person decided since."""
        if not self._remembered():
            self._study()
        gatekeeper = Gatekeeper(History.open(self.folder), self.review)
        self._decide(gatekeeper)
        gatekeeper.write_form()  # it may be lost
        return gatekeeper.ontology

    def _decide(self, gatekeeper: Gatekeeper) -> None:
        """Does what a person wrote into the review file."""
        if self.review is not None and self.review.is_file():
            gatekeeper.decide_pending(usage_of(self.state.outcomes(), gatekeeper.ontology))

    def _learn(self, how: Literal["once", "again", "never"], kept: int) -> Learned:
        """Learns on top of the first ``kept`` bytes of the history."""
        partial = self.out / PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.folder.mkdir(exist_ok=True)
        if kept:
            write_bytes_atomically(partial / LOG, (self.folder / LOG).read_bytes()[:kept])
        history = History.open(partial, None if kept else self.base)
        gatekeeper = Gatekeeper(history, self.review, hold=True)
        self._decide(gatekeeper)
        if how != "never":
            with self.stages("learning the schema") as progress:
                learned = learn(
                    self.documents,
                    self.backend,
                    gatekeeper,
                    self.settings,
                    progress,
                    self.workers,
                    self.state.outcomes,
                )
        elif kept or self.base is not None:
            learned = Learned(version=gatekeeper.ontology.version, stopped="kept as it was given")
        else:
            raise UsageError(
                "there is no schema to keep", cure="pass --ontology FILE, or leave out --frozen"
            )
        (partial / LOG).replace(self.folder / LOG)
        fsync_folder(self.folder)
        shutil.rmtree(partial, ignore_errors=True)
        return learned

    # ---- what the backend learned of the corpus

    def _study(self) -> None:
        with self.stages("studying") as progress:
            self.backend.study(self.documents, progress)
        told = None
        if isinstance(self.backend, Remembering):
            told = {"backend": self.backend.name, "memory": self.backend.memory()}
        self.state.remember("studied", told)

    def _remembered(self) -> bool:
        """Whether the backend knows again what it saw when the schema was learned: a document that
        is added must not change how all others are read."""
        told = self.state.recall("studied")
        if told is None or not isinstance(self.backend, Remembering):
            return False
        return told["backend"] == self.backend.name and self.backend.recall(told["memory"])
