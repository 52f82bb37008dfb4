"""Whether the schema depends on the order in which documents were read."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from moonshelf.config import Config
from moonshelf.graph.backend import Backend
from moonshelf.graph.evaluate.redundancy import jaccard
from moonshelf.graph.learn import LearnSettings, learn
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from moonshelf.progress import Progress, silent

ORDERS = 5


class Stability(Config):
    """``jaccard``: mean over pairs of schemas; ``properties``, ``classes``: of each schema."""

    orders: int
    jaccard: float
    properties: tuple[int, ...]
    classes: tuple[int, ...]


def stability(
    documents: Sequence[Document],
    make: Callable[[], Backend],
    settings: LearnSettings | None = None,
    *,
    orders: int = ORDERS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Stability:
    """Learns the schema from shuffled documents, each time with a new backend, and compares.

    Args:
        documents: what the schema is learned from.
        make: a new backend, which has studied nothing.
        settings: how a schema is learned.
        orders: how often.
        seed: of the shuffling.
    """
    schemas: list[Ontology] = []
    for turn in range(orders):
        (progress or silent)(turn, orders)
        shuffled = list(documents)
        random.Random(f"{seed} {turn}").shuffle(shuffled)
        backend = make()
        backend.study(lambda drawn=shuffled: drawn)
        with tempfile.TemporaryDirectory() as folder:
            gatekeeper = Gatekeeper(History.open(Path(folder), Ontology()))
            learn(lambda drawn=shuffled: drawn, backend, gatekeeper, settings, workers=1)
            schemas.append(gatekeeper.ontology)
    return Stability(
        orders=orders,
        jaccard=jaccard(schemas),
        properties=tuple(len(one.properties) for one in schemas),
        classes=tuple(len(one.classes) for one in schemas),
    )
