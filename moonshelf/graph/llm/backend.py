"""The ``llm`` backend: the three agents of arXiv 2511.11017, asked of a model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from moonshelf.chat.client import Client, RequestRefused, ServerError
from moonshelf.chat.ledger import Ledger
from moonshelf.errors import MoonshelfError
from moonshelf.graph.backend import ExtractionError
from moonshelf.graph.edits import Edit, Proposal, Usage
from moonshelf.graph.llm.asking import Asker, BadAnswer
from moonshelf.graph.llm.cache import Cache
from moonshelf.graph.llm.extracting import Reader
from moonshelf.graph.llm.probe import Probed, probe
from moonshelf.graph.llm.prompts import prompts_digest
from moonshelf.graph.llm.proposing import proposal_question, read_proposal
from moonshelf.graph.llm.refining import read_edits, refine_questions
from moonshelf.graph.llm.settings import LlmSettings
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document, Extraction
from moonshelf.progress import Progress

VERSION = 2  # raise it when the same reply gives other facts


class LlmBackend:
    """Keeps the contract of ``moonshelf/graph/backend.py`` with a model. Threads may share it.

    The server is probed once, when it is first needed. Answers are checked, cached and counted;
    the same question is the same answer only where it comes from the cache.
    """

    name = "llm"

    def __init__(self, settings: LlmSettings) -> None:
        """
        Raises:
            UsageError: the ``openai`` package is missing.
            StoreError: the cache cannot be used.
        """
        self._settings = settings
        self._ledger = Ledger(settings.prices)
        self._client = Client(settings, self._ledger)
        self._cache = Cache(settings.cache)
        self._lock = threading.Lock()
        self._probed: Probed | None = None

    @property
    def fingerprint(self) -> str:
        settings = self._settings.model_dump(
            mode="json",
            include={
                *("model", "temperature", "seed", "extra_body", "most_reply_tokens"),
                *("keys_a_call", "longest_text", "translate"),
            },
        )
        parts = [VERSION, prompts_digest(), self.probed().dialect, settings]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def probed(self) -> Probed:
        """What the server turned out to speak.

        Raises:
            UsageError: nothing usable, or no server.
        """
        with self._lock:
            if self._probed is None:
                self._probed = probe(self._settings, self._client, self._cache, self._ledger)
            return self._probed

    def about(self) -> dict[str, Any]:
        """For the manifest of a build: model, address, dialect and why it is none stricter."""
        return {
            "model": self._settings.model,
            "base_url": self._settings.base_url,
            **self.probed().model_dump(mode="json"),
        }

    def study(
        self, documents: Callable[[], Iterable[Document]], progress: Progress | None = None
    ) -> None:
        """Probes the server; a model needs no look at the corpus."""
        self.probed()

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        """
        Raises:
            ExtractionError: no usable answer.
            UsageError: wrong key, model or address.
        """
        question = proposal_question(batch, ontology, self._settings)
        with _no_answer_is_an_error("the proposal for a batch"):
            return read_proposal(self._asker().ask(question), batch, ontology)

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        """Of a large ontology, parts without an answer are left out (``unanswered`` in the ledger).

        Raises:
            ExtractionError: no part has a usable answer.
            UsageError: wrong key, model or address.
        """
        edits: list[Edit] = []
        questions = list(refine_questions(ontology, usage))
        failed: list[MoonshelfError | BadAnswer] = []
        for question in questions:
            try:
                edits += read_edits(self._asker().ask(question), ontology)
            except (BadAnswer, ServerError, RequestRefused) as error:
                failed.append(error)
        if failed and len(failed) == len(questions):
            with _no_answer_is_an_error("the refinement of the ontology"):
                raise failed[-1]
        return edits

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        """
        Raises:
            ExtractionError: no usable answer; the document is quarantined.
            UsageError: wrong key, model or address.
        """
        with _no_answer_is_an_error(f"document {document.id}"):
            return Reader(self._asker(), self._settings).extract(document, ontology)

    def costs(self) -> Mapping[str, float]:
        """See :class:`Ledger`."""
        return self._ledger.totals()

    def close(self) -> None:
        """Gives back connections and the cache file."""
        self._client.close()
        self._cache.close()

    def _asker(self) -> Asker:
        dialect = self.probed().dialect
        return Asker(self._settings, self._client, self._cache, self._ledger, dialect)


@contextlib.contextmanager
def _no_answer_is_an_error(where: str) -> Iterator[None]:
    try:
        yield
    except BadAnswer as error:
        raise ExtractionError(
            f"the model gave no usable answer: {error.errors[0]}",
            where=where,
            cure="try another model, or look at the reply in the quarantine",
            reply=error.reply,
            errors=error.errors,
        ) from error
    except (ServerError, RequestRefused) as error:
        raise ExtractionError(error.what, where=where, cure=error.cure) from error
