"""What a graph holds of each product: the documents about it, and those of their facts that stand.

Facts that a fact of another document overrules are left out, here as in the RDF store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact
from moonshelf.graph.state import State

_PIECE = 500


@dataclass(frozen=True, slots=True)
class Held:
    """One document about a product, what became of it, and its facts that stand."""

    document: Document
    outcome: Outcome
    facts: tuple[Fact, ...]


def held_products(state: State) -> Iterator[tuple[str, list[Held]]]:
    """(product, its documents with facts, the listing first), in an order that is always the same:
    products of several documents, then those of one, each by id."""
    overruled = state.overruled()

    def held(pairs: Iterable[tuple[Document, Outcome]]) -> Iterator[Held]:
        for document, outcome in pairs:
            yield Held(document, outcome, kept(outcome, overruled.get(document.id, {})))

    groups = state.shared_products()
    together = {name for group in groups for name in group}
    for group in groups:
        found = list(held(with_outcomes(state, group)))
        yield found[0].document.about, found
    for piece in pieces(sorted(state.ids("done") - together), _PIECE):
        for one in held(with_outcomes(state, piece)):
            yield one.document.about, [one]


def kept(outcome: Outcome, overruled: Iterable[int]) -> tuple[Fact, ...]:
    """The facts of an outcome without those at the places ``overruled``."""
    dropped = set(overruled)
    return tuple(fact for k, fact in enumerate(outcome.facts) if k not in dropped)


def with_outcomes(state: State, ids: Sequence[str]) -> list[tuple[Document, Outcome]]:
    """The documents of ``ids`` that have an outcome, each with it, in their order."""
    documents = state.documents_of(ids)
    found = ((document, state.outcome(document.id)) for document in documents)
    return [(document, outcome) for document, outcome in found if outcome is not None]


def pieces(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """``ids`` in lists of at most ``size``."""
    waiting = iter(ids)
    while piece := list(islice(waiting, size)):
        yield piece
