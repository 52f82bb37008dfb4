"""The gatekeeper: the one writer of the schema. Agents and people ask, it decides, the log keeps.

    edit -> apply (has it a meaning?) -> integrity (locks, data) -> evidence (of agents) -> log

arXiv 2511.11017 lets its second agent rewrite the whole ontology in one pass. Here that agent's
wishes are edits, each of which is decided alone, and no data is ever orphaned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from moonshelf.graph.edits import AddClass, AddProperty, Edit, Proposal, Retype, Usage
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.schema.apply import EditError, apply, common_ancestor
from moonshelf.graph.schema.history import PERSON, Decision, History
from moonshelf.graph.schema.review import Verdict, read_review, review_id, write_review
from moonshelf.graph.schema.rules import InUse, check_evidence, check_integrity

REVIEWED = frozenset({"merge", "rename", "split", "retype", "drop"})
"""Operations that wait where there is a review file: those that change what is there already."""
_FITS = "within the rules"


class Gatekeeper:
    """Decides edits and keeps the history of a schema.

    Args:
        history: the log that decisions go to.
        review: a file (see ``review.py``) in which agents' changes wait for a person; without one
            the rules alone decide.
        reviewed: operations that wait.
        hold: the file is read, and written by :meth:`write_form` alone: for decisions that may yet
            be thrown away, as a person's verdicts must not go with them.
    """

    def __init__(
        self,
        history: History,
        review: Path | None = None,
        *,
        reviewed: Iterable[str] = REVIEWED,
        hold: bool = False,
    ) -> None:
        self.history = history
        self._review = review
        self._reviewed = frozenset(reviewed)
        self._hold = hold

    @property
    def ontology(self) -> Ontology:
        """The present version."""
        return self.history.ontology()

    def propose(self, proposal: Proposal, by: str) -> list[Decision]:
        """Adds what a batch of documents suggests: classes, parents first, then properties.

        A property that is there already, of the same type and of other classes, is widened to the
        nearest class above both instead. The review file is not touched: nobody has read yet what
        a person wrote into it.
        """
        edits: list[Edit] = [
            AddClass(element=element, reason="proposed") for element in _parents_first(proposal)
        ]
        edits += [AddProperty(element=e, reason="proposed") for e in proposal.properties]
        return self._log(self._drafted(edits, {}, by))

    def submit(self, edits: Sequence[Edit], usage: Mapping[str, Usage], by: str) -> list[Decision]:
        """Decides each edit in turn, each on the version that the one before led to.

        Args:
            edits: of an agent or a person.
            usage: of every element that has data, by name. What is missing counts as not counted,
                and then nothing that could lose data is allowed.
            by: name of the backend, or ``person``, whose word stands in for evidence.

        Raises:
            UsageError: the review file cannot be read. Nothing was decided.
        """
        done = self.decide_pending(usage)
        return done + self._keep(self._drafted(edits, usage, by))

    def decide_pending(self, usage: Mapping[str, Usage]) -> list[Decision]:
        """Does what a person wrote into the review file, and writes the file anew.

        Raises:
            UsageError: the review file cannot be read.
        """
        if self._review is None:
            return []
        waiting = self.history.pending()
        known = {name: decision.edit for name, decision in waiting.items()}
        draft = _Draft(self.ontology, usage)
        for verdict in read_review(self._review, known):
            draft.add(_judged(draft, waiting[verdict.id], verdict))
        return self._keep(draft)

    def write_form(self) -> None:
        """The review file anew: what waits now, undecided."""
        if self._review is not None:
            waiting = {name: (d.edit, d.by, d.reason) for name, d in self.history.pending().items()}
            if waiting or self._review.exists():
                write_review(self._review, waiting)

    def _drafted(self, edits: Iterable[Edit], usage: Mapping[str, Usage], by: str) -> _Draft:
        draft = _Draft(self.ontology, usage)
        waiting = self.history.pending()
        rejected = self.history.rejected()
        for wish in edits:
            # A property of further classes is an addition, whatever edit it takes.
            waits = self._review is not None and wish.op in self._reviewed
            edit = _widened(draft.ontology, wish) if by != PERSON else wish
            place = review_id(edit)
            if by != PERSON and waits:
                if place in waiting:
                    continue
                draft.add(_queued(draft, edit, by, place, place in rejected))
            else:
                draft.add(_decided(draft, edit, by))
        return draft

    def _log(self, draft: _Draft) -> list[Decision]:
        self.history.append(draft.decisions)
        return draft.decisions

    def _keep(self, draft: _Draft) -> list[Decision]:
        decisions = self._log(draft)
        if not self._hold:
            self.write_form()
        return decisions


class _Draft:
    """Decisions on their way to the log, and the version they would lead to."""

    def __init__(self, ontology: Ontology, usage: Mapping[str, Usage]) -> None:
        self.ontology, self.usage = ontology, usage
        self.decisions: list[Decision] = []

    def add(self, found: tuple[Decision, Ontology]) -> None:
        decision, self.ontology = found
        self.decisions.append(decision)

    def decision(self, edit: Edit, by: str, reason: str, **more: object) -> Decision:
        """A refusal on the version at hand, unless ``more`` says otherwise."""
        version = self.ontology.version
        fields = {
            "edit": edit,
            "outcome": "refused",
            "reason": reason,
            "by": by,
            "before_version": version,
            "after_version": version,
            **more,
        }
        return Decision.model_validate(fields)


def _decided(draft: _Draft, edit: Edit, by: str, **more: object) -> tuple[Decision, Ontology]:
    """By the rules alone; evidence is asked of agents."""
    person = PERSON in (by, more.get("decided_by"))
    if not person:
        edit = _unlocked(edit)
    try:
        after = apply(draft.ontology, edit)
        used = InUse(draft.ontology, draft.usage)
        check_integrity(draft.ontology, after, edit, used)
        if not person:
            check_evidence(draft.ontology, edit, used)
    except EditError as error:
        # Where a person had said yes, this is no no of theirs.
        refused = {**more, "decided_by": "gatekeeper"}
        return draft.decision(edit, by, error.what, **refused), draft.ontology
    kept = {"outcome": "accepted", "after_version": after.version, **more}
    return draft.decision(edit, by, edit.reason, **kept), after


def _queued(
    draft: _Draft, edit: Edit, by: str, place: str, rejected: bool
) -> tuple[Decision, Ontology]:
    """Put before a person, unless one said no before, or it is against what nobody may break."""
    if rejected:
        reason = "a person rejected it before"
        return draft.decision(edit, by, reason), draft.ontology
    opinion = _FITS
    try:
        used = InUse(draft.ontology, draft.usage)
        check_integrity(draft.ontology, apply(draft.ontology, edit), edit, used)
    except EditError as error:
        return draft.decision(edit, by, error.what), draft.ontology
    try:
        check_evidence(draft.ontology, edit, used)
    except EditError as error:
        opinion = f"against it: {error.what}"
    return draft.decision(edit, by, opinion, outcome="pending", review=place), draft.ontology


def _judged(draft: _Draft, waiting: Decision, verdict: Verdict) -> tuple[Decision, Ontology]:
    """What a person decided; the rules of integrity hold for persons too."""
    more = {"review": verdict.id, "decided_by": PERSON}
    if verdict.decision == "reject":
        reason = verdict.note or "a person rejected it"
        return draft.decision(waiting.edit, waiting.by, reason, **more), draft.ontology
    decision, after = _decided(draft, waiting.edit, waiting.by, **more)
    if decision.accepted and verdict.note:
        decision = decision.model_copy(update={"reason": verdict.note})
    return decision, after


def _unlocked(edit: Edit) -> Edit:
    """Locks are set by people: in the base of a history, or by an edit of their own."""
    if isinstance(edit, AddClass | AddProperty) and edit.element.locked:
        element = edit.element.model_copy(update={"locked": False})
        return edit.model_copy(update={"element": element})
    return edit


def _widened(ontology: Ontology, edit: Edit) -> Edit:
    """For a property that is there for other classes: a wish to widen its domain."""
    if not isinstance(edit, AddProperty):
        return edit
    new = edit.element
    old = next((p for p in ontology.properties if p.name == ontology.present(new.name)), None)
    if old is None or _type(old) != _type(new):
        return edit
    try:
        domain = common_ancestor(ontology, [old.domain, new.domain])
    except ValueError:  # of an unknown class: refused as the addition it is
        return edit
    if domain == old.domain:
        return edit
    return Retype(name=old.name, domain=domain, reason=f"also of {new.domain}")


def _type(element: PropertyDef) -> tuple[str | None, ...]:
    return (element.kind, element.datatype, element.dimension, element.unit)


def _parents_first(proposal: Proposal) -> Iterator[ClassDef]:
    """In the order given, except that a parent goes before its children."""
    waiting = list(proposal.classes)
    while waiting:
        names = {element.name for element in waiting}
        ready = [e for e in waiting if e.parent not in names]
        # A circle has no first: it is handed in as it is, and refused.
        ready = ready or waiting
        yield from ready
        waiting = [e for e in waiting if e not in ready]
