"""Agent 3 over all documents that are due: extract, validate, write down. Nothing here stops.

An exception costs its own document, which goes to the quarantine with its reply. Two things do
stop a batch: an error that says the call itself is wrong (no such model, no such option), and a
backend with costs that fails many times in a row, because every further call would be paid for.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeAlias

from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.graph.backend import Backend, Costly
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome, Packed, Status, packed, slice_digest, unpacked
from moonshelf.graph.quarantine import Quarantined, Step, quarantined
from moonshelf.graph.records import Document
from moonshelf.graph.state import State
from moonshelf.graph.validate import Validator
from moonshelf.graph.workers import in_processes, in_threads, processes_work
from moonshelf.progress import Progress, silent

OnError: TypeAlias = Literal["quarantine", "stop"]
# Fewer documents are done by one process before others have started.
WORTH_SHARING = 200
THREADS = 4
FAILED_IN_A_ROW = 25
# Documents a transaction: what a crash may cost.
WRITTEN_TOGETHER = 64
LONGEST_UNWRITTEN_S = 2.0
_PIECE = 512


class BatchStopped(MoonshelfError):
    """The batch cannot go on; what is done is kept, and running again goes on from there."""


@dataclass
class Extractor:
    """``document -> outcome``, packed; never raises but for a wrong call.

    Slices are those of the ontology as it is: it does not change while documents are extracted.
    """

    backend: Backend
    ontology: Ontology
    fingerprint: str = field(init=False)
    validator: Validator = field(init=False)
    _slices: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.fingerprint = self.backend.fingerprint
        self.validator = Validator(self.ontology)

    def slice_of(self, product_class: str) -> str:
        if not product_class:  # quarantined: any change to the ontology may mend it
            return f"version {self.ontology.version}"
        if product_class not in self._slices:
            self._slices[product_class] = slice_digest(self.ontology, product_class)
        return self._slices[product_class]

    def outcome(self, document: Document) -> Outcome:
        """
        Raises:
            UsageError: the backend is set up wrongly; no document is to blame.
        """
        step: Step = "extract"
        try:
            extraction = self.backend.extract(document, self.ontology)
            step = "validate"
            facts, refusals = self.validator.check(extraction, document)
            owner = self.validator.product_class(extraction)
        except UsageError:
            raise
        except Exception as error:
            return self.failed(document, quarantined(document.id, step, error, document.digest))
        return Outcome(
            document=document.id,
            status="done" if facts else "empty",
            product_class=owner,
            digest=document.digest,
            slice=self.slice_of(owner),
            fingerprint=self.fingerprint,
            version=self.ontology.version,
            facts=tuple(facts),
            refusals=tuple(refusals),
        )

    def failed(self, document: Document, problem: Quarantined) -> Outcome:
        return Outcome(
            document=document.id,
            status="quarantined",
            digest=document.digest,
            slice=self.slice_of(""),
            fingerprint=self.fingerprint,
            version=self.ontology.version,
            problem=problem,
        )

    def packed(self, document: Document) -> Packed:
        """:meth:`outcome` for another process: an error of the call itself travels as a value."""
        try:
            return packed(self.outcome(document))
        except UsageError as error:
            return ("", "usage", error.what, error.where, error.cure)
        except Exception as error:  # what was found cannot be written down
            problem = quarantined(document.id, "validate", error, document.digest)
            return packed(self.failed(document, problem))

    def lost(self, document: Document, reason: str) -> Packed:
        error = BatchStopped(reason, cure="look at the document; --retry tries it again")
        return packed(
            self.failed(document, quarantined(document.id, "extract", error, document.digest))
        )


def extract_due(
    state: State,
    due: list[str],
    extractor: Extractor,
    *,
    on_error: OnError = "quarantine",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Counter[str]:
    """Extracts the documents ``due`` and writes every outcome to ``state``, in their order.

    Returns:
        How many came out with which status.

    Raises:
        BatchStopped: the first quarantined document with ``on_error="stop"``; or a backend with
            costs failed ``FAILED_IN_A_ROW`` times in a row.
        UsageError: the backend is set up wrongly.
    """
    progress = progress or silent
    counts: Counter[str] = Counter()
    waiting: list[Packed] = []
    written, in_a_row = time.monotonic(), 0
    costly = isinstance(extractor.backend, Costly)
    results = _results(_read(state, due), extractor, len(due), costly, workers)
    try:
        for done, row in enumerate(results, start=1):
            status: Status | str = row[1]
            if status == "usage":
                raise UsageError(row[2], where=row[3], cure=row[4])
            waiting.append(row)
            counts[status] += 1
            in_a_row = in_a_row + 1 if status == "quarantined" else 0
            if status == "quarantined" and (on_error == "stop" or costly):
                _stop_if_hopeless(row, on_error, in_a_row)
            late = time.monotonic() - written > LONGEST_UNWRITTEN_S
            if len(waiting) >= WRITTEN_TOGETHER or late:
                state.finish(waiting)
                waiting, written = [], time.monotonic()
            progress(done, len(due), quarantined=counts["quarantined"])
    finally:
        state.finish(waiting)
        close = getattr(results, "close", None)
        if close is not None:
            close()
    return counts


def trial_outcomes(
    documents: Sequence[Document], extractor: Extractor, workers: int | None = None
) -> Iterator[Outcome]:
    """Outcomes that nothing keeps: how a schema would do, in the order of ``documents``.

    Raises:
        UsageError: the backend is set up wrongly.
    """
    costly = isinstance(extractor.backend, Costly)
    for row in _results(documents, extractor, len(documents), costly, workers):
        if row[1] == "usage":
            raise UsageError(row[2], where=row[3], cure=row[4])
        yield unpacked(row)


def processors() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _results(
    documents: Iterable[Document],
    extractor: Extractor,
    count: int,
    costly: bool,
    workers: int | None,
) -> Iterator[Packed]:
    if costly:
        threads = workers or THREADS
        if threads > 1:
            return in_threads(documents, extractor.packed, workers=threads)
        return map(extractor.packed, documents)
    wanted = workers or (processors() if count >= WORTH_SHARING else 1)
    if processes_work():
        return in_processes(documents, extractor.packed, extractor.lost, workers=wanted)
    return map(extractor.packed, documents)


def _read(state: State, due: list[str]) -> Iterator[Document]:
    names = iter(due)
    while piece := list(islice(names, _PIECE)):
        yield from state.documents_of(piece)


def _stop_if_hopeless(row: Packed, on_error: OnError, in_a_row: int) -> None:
    problem = Quarantined.model_validate_json(row[-1])
    cure = f"{problem.cure}; " if problem.cure else ""
    if on_error == "stop":
        raise BatchStopped(
            problem.what,
            where=problem.where or f"document {problem.document}",
            cure=f"{cure}--on-error quarantine leaves such documents out",
        )
    if in_a_row >= FAILED_IN_A_ROW:
        raise BatchStopped(
            f"{in_a_row} documents failed in a row, the last with: {problem.what}",
            where=problem.where or f"document {problem.document}",
            cure=f"{cure}then run again with --retry",
        )
