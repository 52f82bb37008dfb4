"""What the report asks of the store: narrow SPARQL, each query timed.

A query names the classes or properties that it counts, so that it walks the index of the product
statements and never the evidence, which is nine tenths of a store. The largest query of a report
grows with the statements of a dozen properties, not with the store.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, cast

from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.summary import counts, top_values
from moonshelf.graph.report.findings import Question
from moonshelf.progress import Progress

TOGETHER = 12
"""Classes or properties in one query."""
MOST_NUMBERS, MOST_WORDS = 2_000, 8
"""Values of a property that are asked for."""
_NAMES = re.compile(r"\{((?:\s*<[^<>]*>){3,}\s*)\}")
_LONGEST = 300


class Answers(NamedTuple):
    """What the store said.

    ``classes``: products by their own class, subclasses not added up. ``statements``: of every
    property, both ends of a range left out. ``values``: the most frequent of every property, each
    with its number of products.
    """

    quads: int
    classes: Mapping[str, int]
    statements: Mapping[str, int]
    values: Mapping[str, tuple[tuple[str, int], ...]]
    questions: tuple[Question, ...]


def ask(store: GraphStore, ontology: Ontology, distinct: bool, progress: Progress) -> Answers:
    """Asks all that a report needs.

    Args:
        store: of the graph.
        ontology: whose classes and properties are counted.
        distinct: some product has several documents, so that a statement may stand twice.
        progress: told after every property.
    """
    timed = _Timed(store)
    # They need the names and ``query`` alone.
    asked = cast(GraphStore, timed)
    kinds = {store.names.product_class(kind.name): kind.name for kind in ontology.classes}
    paths = {store.names.property(owned.name): owned.name for owned in ontology.properties}
    classes = _counted(asked, "?s a ?x", kinds, distinct)
    statements = _counted(asked, "?s ?x ?o", paths, distinct)
    values: dict[str, tuple[tuple[str, int], ...]] = {}
    for k, owned in enumerate(ontology.properties):
        most = MOST_NUMBERS if is_number(owned) else MOST_WORDS
        values[owned.name] = tuple(top_values(asked, owned, most))
        progress(k + 1, len(ontology.properties), queries=len(timed.questions))
    return Answers(len(store), classes, statements, values, tuple(timed.questions))


def is_number(owned: PropertyDef) -> bool:
    """Whether its values lie on a line."""
    return owned.datatype in ("integer", "decimal")


class _Timed:
    """A store whose queries are answered at once and in full, so that their time can be taken."""

    def __init__(self, store: GraphStore) -> None:
        self.names, self._database = store.names, store.database
        self.database = self
        self.questions: list[Question] = []

    def query(self, sparql: str) -> list[Any]:
        wall, own = time.perf_counter(), time.thread_time()
        rows = list(self._database.query(sparql))
        own, wall = time.thread_time() - own, time.perf_counter() - wall
        self.questions.append(
            Question(
                sparql=_short(sparql, self.names.base),
                milliseconds=round(1000 * wall, 3),
                cpu_milliseconds=round(1000 * own, 3),
                rows=len(rows),
            )
        )
        return rows


def _counted(
    store: GraphStore, pattern: str, names: Mapping[str, str], distinct: bool
) -> dict[str, int]:
    """Statements of a pattern by name, some names at a time. ``names``: IRI -> name."""
    found: dict[str, int] = {}
    for piece in _pieces(list(names)):
        for iri, number in counts(store, pattern, piece, distinct).items():
            found[names[iri]] = number
    return found


def _pieces(iris: Sequence[str]) -> Iterator[list[str]]:
    waiting = iter(iris)
    while piece := list(islice(waiting, TOGETHER)):
        yield piece


def _short(sparql: str, base: str) -> str:
    """A query for a person: a long list of names as their number, addresses by what ends them."""
    text = _NAMES.sub(lambda m: f"{{ {m[1].count('<')} names }}", sparql).replace(base, "")
    return " ".join(text.split())[:_LONGEST]
