"""Agents 1 and 2: the schema is proposed batch by batch, tried, refined once, and then fixed.

    batches, most new n-grams first -> propose -> gatekeeper   until batches add almost nothing
    trial extraction -> usage -> refine -> gatekeeper

After arXiv 2511.11017 3.1 and 3.2. Deviations: samples are chosen, not drawn; a stated rule stops;
refinement sees how the schema is used; every change is a request to the gatekeeper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pydantic import Field

from moonshelf.config import Config
from moonshelf.errors import UsageError
from moonshelf.graph.backend import Backend, Costly
from moonshelf.graph.edits import AddClass, AddProperty, Usage
from moonshelf.graph.extraction import BatchStopped, Extractor, trial_outcomes
from moonshelf.graph.outcome import Outcome
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
    samples: int | None = Field(default=None, ge=1)
    """Documents that proposals are made from, at most."""
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
    held: Callable[[], Iterable[Outcome]] = tuple,
) -> Learned:
    """Grows and refines the gatekeeper's ontology until it is settled.

    Args:
        documents: to learn from.
        backend: proposes, extracts for the trial, refines.
        gatekeeper: decides; its history keeps what is learned.
        settings: see :class:`LearnSettings`.
        progress: of the batches.
        workers: for the trial.
        held: outcomes that a graph holds already: what they use counts like what the trial used.

    Raises:
        BatchStopped: the first batches failed all.
        UsageError: the backend is set up wrongly.
    """
    settings, progress = settings or LearnSettings(), progress or silent
    before = len(gatekeeper.history.decisions)
    sampled, growth, failed, stopped = _propose(documents, backend, gatekeeper, settings, progress)
    tried = sampled
    if settings.trial and not isinstance(backend, Costly):
        more = thinned(documents(), settings.trial)
        tried = list({one.id: one for one in (*sampled, *more)}.values())
    outcomes = trial_outcomes(tried, Extractor(backend, gatekeeper.ontology), workers)
    usage = usage_of(_in_use(outcomes, held), gatekeeper.ontology)
    unrefined = _refine(backend, gatekeeper, usage)
    ontology = gatekeeper.ontology
    estimate = unseen_estimate(
        usage[p.name].documents for p in ontology.properties if p.name in usage
    )
    decided = [one.outcome for one in gatekeeper.history.decisions[before:]]
    return Learned(
        version=ontology.version,
        batches=len(growth),
        sampled=len(sampled),
        failed=failed,
        stopped=stopped,
        unrefined=unrefined,
        tried=len(tried),
        accepted=decided.count("accepted"),
        refused=decided.count("refused"),
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
    failed, stopped = 0, ""
    reason: Exception | None = None
    for batch in batches(documents(), settings.batch, pool=settings.pool):
        if settings.samples is not None:
            batch = batch[: settings.samples - len(sampled)]
        stopped = settings.stopping.reason(growth)
        stopped = stopped or ("" if batch else f"{settings.samples} documents are read")
        # What never works must end, too.
        stopped = stopped or (f"{failed} batches failed" if failed > settings.stopping.most else "")
        if stopped:
            break
        try:
            proposal = backend.propose(batch, gatekeeper.ontology)
        except UsageError:
            raise
        except Exception as error:
            failed, reason = failed + 1, error
            if failed >= FIRST_FAILURES and not growth:
                break
            continue
        decisions = gatekeeper.propose(proposal, backend.name)
        new = sum(1 for d in decisions if d.accepted and isinstance(d.edit, AddClass | AddProperty))
        total = len(gatekeeper.ontology.classes) + len(gatekeeper.ontology.properties)
        growth.append((new, total))
        sampled += batch
        progress(len(growth), settings.stopping.most, elements=total, new=new)
    if reason is not None and not growth:
        raise BatchStopped(
            f"no schema can be learned: {reason}",
            cure="try another model, or start from an ontology of your own (--ontology)",
        ) from reason
    return sampled, growth, failed, stopped or "all documents are read"


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


def _in_use(tried: Iterable[Outcome], held: Callable[[], Iterable[Outcome]]) -> Iterator[Outcome]:
    """What the trial found, and of all other documents what is held of them."""
    read: set[str] = set()
    for outcome in tried:
        if outcome.status != "quarantined":
            read.add(outcome.document)
            yield outcome
    yield from (outcome for outcome in held() if outcome.document not in read)
