"""How the schema came to be: how it grew, what was decided last, what waits for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from moonshelf.graph.edits import AddClass, AddProperty, Drop, Edit, Merge, Split
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.report.findings import Story
from moonshelf.graph.schema.history import Decision, History

LAST, MOST_PENDING = 15, 30


def story_of(history: History) -> Story:
    """The history of a schema, bounded."""
    decisions, waiting = history.decisions, history.pending()
    counts = Counter((one.edit.op, one.outcome) for one in decisions)
    still = Counter(one.edit.op for one in waiting.values())
    operations = dict.fromkeys(one.edit.op for one in decisions)
    first = history.ontology(history.versions.start)
    return Story(
        versions=len(history.versions),
        counts=tuple(
            (op, counts[op, "accepted"], counts[op, "refused"], still[op]) for op in operations
        ),
        growth=growth(first, decisions),
        decisions=len(decisions),
        last=tuple(decisions[: -LAST - 1 : -1]),
        pending=tuple(waiting.values())[:MOST_PENDING],
    )


def growth(first: Ontology, decisions: Sequence[Decision]) -> tuple[int, ...]:
    """Elements (classes and properties) at first and after each accepted decision."""
    more = (_more(one.edit) for one in decisions if one.accepted)
    return tuple(accumulate(more, initial=len(first.classes) + len(first.properties)))


def _more(edit: Edit) -> int:
    """How many elements more there are after an edit."""
    if isinstance(edit, AddClass | AddProperty):
        return 1
    if isinstance(edit, Merge):
        return 1 - len(set(edit.names))
    if isinstance(edit, Split):
        return len(edit.into) - 1
    return -1 if isinstance(edit, Drop) else 0
