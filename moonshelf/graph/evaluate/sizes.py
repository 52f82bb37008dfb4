"""The table that the paper prints, for a graph of ours, with the paper's own numbers beside it.

The paper's headline is the share of properties that are used at least once anywhere. It says
nothing about how many facts of a text were found or whether they are right, so here it is called
what it is: schema instantiation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from moonshelf.config import Config
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Extraction
from moonshelf.graph.usage import shown_value

LEAST = (1, 2, 3, 5, 10)
PAPER: Mapping[str, float | int] = {
    "classes": 42,
    "properties": 69,
    "data_properties": 20,
    "object_properties": 49,
    "triples": 7459,
    "processed": 282,
    "total": 291,
    "schema_instantiation": 0.971,
}
"""arXiv 2511.11017: 291 descriptions of air conditioners, GPT-4.1 mini."""


class Sizes(Config):
    """Sizes of a schema and its graph.

    ``triples``: one a product for its class, one a distinct property and value; evidence, labels
    and the ontology itself are not counted.
    """

    classes: int
    properties: int
    data_properties: int
    """Literals, features included."""
    object_properties: int
    triples: int
    processed: int
    """Documents that a graph was made of."""
    total: int
    schema_instantiation: float
    """Share of properties with a fact in at least one document."""
    instantiation_at: dict[int, float]
    """The same with "in at least k documents"."""
    instantiation_by_class: dict[str, float]
    """Of the properties that documents of a class can have, the share that one of them has."""
    paper: Mapping[str, float | int] = PAPER


def sizes(found: Iterable[Extraction], ontology: Ontology, total: int) -> Sizes:
    """
    Args:
        found: extractions of the documents in the graph.
        ontology: the one extracted by.
        total: how many documents were given.
    """
    used: Counter[str] = Counter()
    of_class: dict[str, set[str]] = defaultdict(set)
    triples = processed = 0
    for one in found:
        stated = {(ontology.present(f.property), shown_value(f)) for f in one.facts}
        names = {name for name, _ in stated}
        used.update(names)
        of_class[one.product_class] |= names
        triples += 1 + len(stated)
        processed += bool(stated)
    kinds = Counter(owned.kind for owned in ontology.properties)
    count = len(ontology.properties)
    at = {
        k: _share(sum(used[owned.name] >= k for owned in ontology.properties), count) for k in LEAST
    }
    slices = {name: [p.name for p in ontology.slice(name)] for name in sorted(of_class)}
    return Sizes(
        classes=len(ontology.classes),
        properties=count,
        data_properties=kinds["data"] + kinds["feature"],
        object_properties=kinds["object"],
        triples=triples,
        processed=processed,
        total=total,
        schema_instantiation=at[1],
        instantiation_at=at,
        instantiation_by_class={
            name: _share(sum(p in of_class[name] for p in offered), len(offered))
            for name, offered in slices.items()
        },
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
