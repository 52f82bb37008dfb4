"""The schema of one graph folder: learned once, learned further on demand, decided on by a person.

Learning happens in a folder of its own, and the finished history is moved in place whole. A killed
run learns again from the same beginning and ends with the same history, byte for byte.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moonshelf.errors import UsageError
from moonshelf.graph.backend import Backend
from moonshelf.graph.learn import Learned, LearnSettings, learn
from moonshelf.graph.manifest import ONTOLOGY, PARTIAL
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import FILE as LOG
from moonshelf.graph.schema.history import History
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

    def settle(
        self, how: Literal["once", "again", "never"], documents: int
    ) -> tuple[Ontology, Learned]:
        """The schema to extract by, and how it was learned.

        Args:
            how: learn where there is none, learn further, or keep what is there.
            documents: how many there are, to tell later how many came after.

        Raises:
            UsageError: nothing to keep, or another base than the schema began with.
        """
        state = self.state
        known, begun = state.recall("learned"), state.recall("learning")
        if self.base is not None and (self.folder / LOG).is_file():
            History.open(self.folder, self.base)  # refuses another base
        if known is not None and begun is None and how != "again":
            return self._keep(), Learned.model_validate(known)
        if begun is None:
            size = (self.folder / LOG).stat().st_size if known is not None else 0
            begun = {"bytes": size}
            state.remember("learning", begun)
        self._study()
        learned = self._learn(how, begun["bytes"])
        state.remember("learned", learned.model_dump(mode="json"))
        state.remember("learned_from", documents)
        state.remember("learning", None)
        return History.open(self.folder).ontology(), learned

    def _keep(self) -> Ontology:
        """The schema that is there, with what a person decided since."""
        if not self._remembered():
            self._study()
        gatekeeper = Gatekeeper(History.open(self.folder), self.review)
        if self.review is not None and self.review.is_file():
            gatekeeper.decide_pending(usage_of(self.state.outcomes(), gatekeeper.ontology))
        return gatekeeper.ontology

    def _learn(self, how: Literal["once", "again", "never"], kept: int) -> Learned:
        """Learns on top of the first ``kept`` bytes of the history."""
        partial = self.out / PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self.folder.mkdir(exist_ok=True)
        if kept:
            (partial / LOG).write_bytes((self.folder / LOG).read_bytes()[:kept])
        history = History.open(partial, None if kept else self.base)
        gatekeeper = Gatekeeper(history, self.review)
        if how != "never":
            with self.stages("learning the schema") as progress:
                learned = learn(
                    self.documents,
                    self.backend,
                    gatekeeper,
                    self.settings,
                    progress,
                    self.workers,
                )
        elif kept or self.base is not None:
            learned = Learned(version=gatekeeper.ontology.version, stopped="kept as it was given")
        else:
            raise UsageError(
                "there is no schema to keep", cure="pass --ontology FILE, or leave out --frozen"
            )
        (partial / LOG).replace(self.folder / LOG)
        shutil.rmtree(partial, ignore_errors=True)
        return learned

    # ---- what the backend learned of the corpus

    def _study(self) -> None:
        with self.stages("studying") as progress:
            self.backend.study(self.documents, progress)
        memory = getattr(self.backend, "memory", None)
        told = None if memory is None else {"backend": self.backend.name, "memory": memory()}
        self.state.remember("studied", told)

    def _remembered(self) -> bool:
        """Whether the backend knows again what it saw when the schema was learned: a document that
        is added must not change how all others are read."""
        told = self.state.recall("studied")
        recall = getattr(self.backend, "recall", None)
        if told is None or recall is None or told["backend"] != self.backend.name:
            return False
        return bool(recall(told["memory"]))
