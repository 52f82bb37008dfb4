"""Agents 1 and 2: the schema is proposed batch by batch, tried, refined once, and then fixed.

    batches, most new n-grams first -> propose -> gatekeeper   until batches add almost nothing
    trial extraction -> usage -> refine -> gatekeeper

After arXiv 2511.11017 3.1 and 3.2. Deviations: samples are chosen, not drawn; a stated rule stops;
refinement sees how the schema is used; every change is a request to the gatekeeper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pydantic import Field

from moonshelf.config import Config
from moonshelf.errors import UsageError
from moonshelf.graph.backend import Backend
from moonshelf.graph.edits import AddClass, AddProperty, Usage
from moonshelf.graph.extraction import BatchStopped, Extractor, trial_outcomes
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.sample import Stopping, batches, thinned, unseen_estimate
from moonshelf.graph.usage import usage_of
from moonshelf.progress import Progress, silent

# Batches that may fail before any has worked.
FIRST_FAILURES = 3


class LearnSettings(Config):
    """How the schema is learned."""

    batch: int = Field(default=5, ge=1)
    """Documents a proposal is made from."""
    pool: int = Field(default=3000, ge=1)
    """Documents that batches are chosen from, evenly spaced over the source."""
    stopping: Stopping = Stopping()
    trial: int = Field(default=2000, ge=0)
    """Documents that a backend without costs tries the schema on; one with costs tries it on those
    that were sampled."""


class Learned(Config):
    """How the schema came to be."""

    version: int
    batches: int = 0
    sampled: int = 0
    """Documents that proposals were made from."""
    failed: int = 0
    """Batches for which the backend had no answer."""
    stopped: str = ""
    """Why reading ended."""
    unrefined: str = ""
    """Why refinement has no answer, where it has none: the proposals stand as they are."""
    tried: int = 0
    accepted: int = 0
    refused: int = 0
    waiting: int = 0
    """Edits that wait for a person."""
    seen: int = 0
    """Properties that occurred in the trial, and Chao1's estimate of how many there are."""
    richness: float = 0.0
    coverage: float = 0.0
    """Good-Turing: the share of all mentions that belongs to known properties."""


def learn(
    documents: Callable[[], Iterable[Document]],
    backend: Backend,
    gatekeeper: Gatekeeper,
    settings: LearnSettings | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Learned:
    """Grows and refines the gatekeeper's ontology until it is settled.

    Raises:
        BatchStopped: the first batches failed all.
        UsageError: the backend is set up wrongly.
    """
    settings, progress = settings or LearnSettings(), progress or silent
    before = len(gatekeeper.history.decisions)
    sampled, growth, failed, stopped = _propose(documents, backend, gatekeeper, settings, progress)
    tried = sampled
    if settings.trial and not hasattr(backend, "costs"):
        more = thinned(documents(), settings.trial)
        tried = list({one.id: one for one in (*sampled, *more)}.values())
    usage = _tried(tried, backend, gatekeeper.ontology, workers)
    unrefined = _refine(backend, gatekeeper, usage)
    ontology = gatekeeper.ontology
    estimate = unseen_estimate(
        usage[p.name].documents for p in ontology.properties if p.name in usage
    )
    outcomes = [one.outcome for one in gatekeeper.history.decisions[before:]]
    return Learned(
        version=ontology.version,
        batches=len(growth),
        sampled=len(sampled),
        failed=failed,
        stopped=stopped,
        unrefined=unrefined,
        tried=len(tried),
        accepted=outcomes.count("accepted"),
        refused=outcomes.count("refused"),
        waiting=len(gatekeeper.history.pending()),
        seen=estimate.seen,
        richness=round(estimate.richness, 3),
        coverage=round(estimate.coverage, 6),
    )


def _propose(
    documents: Callable[[], Iterable[Document]],
    backend: Backend,
    gatekeeper: Gatekeeper,
    settings: LearnSettings,
    progress: Progress,
) -> tuple[list[Document], list[tuple[int, int]], int, str]:
    """Agent 1 over batches; (documents read, growth a batch, batches that failed, why it ended)."""
    sampled: list[Document] = []
    growth: list[tuple[int, int]] = []
    failed = 0
    for batch in batches(documents(), settings.batch, pool=settings.pool):
        stopped = settings.stopping.reason(growth)
        if stopped:
            return sampled, growth, failed, stopped
        try:
            proposal = backend.propose(batch, gatekeeper.ontology)
        except UsageError:
            raise
        except Exception as error:
            failed += 1
            if failed >= FIRST_FAILURES and not growth:
                raise BatchStopped(
                    f"no schema can be learned: {error}",
                    cure="try another model, or start from an ontology of your own (--ontology)",
                ) from error
            # What never works must end, too.
            if failed > settings.stopping.most:
                return sampled, growth, failed, f"{failed} batches failed"
            continue
        decisions = gatekeeper.propose(proposal, backend.name)
        new = sum(1 for d in decisions if d.accepted and isinstance(d.edit, AddClass | AddProperty))
        total = len(gatekeeper.ontology.classes) + len(gatekeeper.ontology.properties)
        growth.append((new, total))
        sampled += batch
        progress(len(growth), settings.stopping.most, elements=total, new=new)
    return sampled, growth, failed, "all documents are read"


def _refine(backend: Backend, gatekeeper: Gatekeeper, usage: dict[str, Usage]) -> str:
    """Agent 2, once. A backend without an answer leaves the schema as it is; returns why."""
    try:
        edits = backend.refine(gatekeeper.ontology, usage)
    except UsageError:
        raise
    except Exception as error:
        return str(error) or type(error).__name__
    gatekeeper.submit(edits, usage, backend.name)
    return ""


def _tried(
    documents: Sequence[Document], backend: Backend, ontology: Ontology, workers: int | None
) -> dict[str, Usage]:
    return usage_of(trial_outcomes(documents, Extractor(backend, ontology), workers), ontology)
