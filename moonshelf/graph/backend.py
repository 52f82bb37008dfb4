"""The one contract of the agents. Two backends keep it: ``builtin`` (rules) and ``llm`` (a model).

The paper's three agents are three methods. ``study`` is ours: a look at the whole corpus before the
first proposal, which rules need (what recurs?) and models do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from moonshelf.errors import MoonshelfError
from moonshelf.graph.edits import Edit, Proposal, Usage
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document, Extraction
from moonshelf.progress import Progress


class ExtractionError(MoonshelfError):
    """A backend could not answer for one document; the document is quarantined with all this.

    Args:
        reply: what the backend said last, verbatim, where it said anything.
        errors: every single complaint about that reply.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        cure: str = "",
        reply: str | None = None,
        errors: Sequence[str] = (),
    ) -> None:
        super().__init__(what, where=where, cure=cure)
        self.reply, self.errors = reply, tuple(errors)


class Backend(Protocol):
    """Proposes, refines, extracts. Never writes the ontology and never writes RDF."""

    name: str

    @property
    def fingerprint(self) -> str:
        """Changes when the same document could come out otherwise: version, model, prompts, what
        ``study`` learned. Part of the key under which an extraction is kept."""
        ...

    def study(
        self, documents: Callable[[], Iterable[Document]], progress: Progress | None = None
    ) -> None:
        """Reads the corpus once, in any number of passes over ``documents()``."""
        ...

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        """New classes and properties that ``batch`` needs and ``ontology`` lacks."""
        ...

    def refine(self, ontology: Ontology, usage: Mapping[str, Usage]) -> list[Edit]:
        """Changes to the whole ontology, each with its reason."""
        ...

    def extract(self, document: Document, ontology: Ontology) -> Extraction:
        """The class of the document's product and candidate facts within that class's slice.

        Raises:
            ExtractionError: the backend could not answer; the document is quarantined.
        """
        ...


@runtime_checkable
class Costly(Protocol):
    """A backend that is paid for by the call: it is asked no more than needed, and told of."""

    def costs(self) -> Mapping[str, float]:
        """calls, cached, prompt_tokens, reply_tokens, seconds, retries."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """What a backend offers whose ``study`` learns something: to know it again in a later run, when
    documents were added, so that those that did not change are not read otherwise."""

    def memory(self) -> str:
        """All that ``study`` learned."""
        ...

    def recall(self, memory: str) -> bool:
        """Takes the place of ``study``; False where ``memory`` is of another version."""
        ...
