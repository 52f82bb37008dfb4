"""The class that a property belongs to: the one whose products alone have it.

A property that all shops' products may have stays with the root. Only a clear case moves one down,
because a document whose class nobody recognized loses what belongs to that class.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from moonshelf.graph.builtin.classify import top_kind
from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.records import Document

# Documents that are asked.
SAMPLE = 1500
# Of those that state a property, nearly all are of one class, and there are enough of them.
SHARE, LEAST = 0.98, 8
# What any product may have, whatever this shop mostly sells.
EVERYWHERE = frozenset(
    {"brand", "model_number", "color", "material", "series", "model_year", "pack_quantity"}
    | {"dimensions", "weight", "length", "width", "height", "depth"}
)


def with_domains(knowledge: Knowledge, documents: Sequence[Document]) -> Knowledge:
    """``knowledge`` with properties moved to the classes below the root that own them."""
    if not knowledge.classes or not knowledge.properties:
        return knowledge
    everything = Ontology(
        classes=(*Ontology().classes, *knowledge.classes), properties=knowledge.properties
    )
    stride = max(1, len(documents) // SAMPLE)
    owners = _owners(Reader(knowledge, everything), everything, documents[::stride])
    moved = tuple(
        p if p.name in EVERYWHERE else p.model_copy(update={"domain": _owner(owners[p.name])})
        for p in knowledge.properties
    )
    return knowledge.model_copy(update={"properties": moved})


def _owners(
    reader: Reader, ontology: Ontology, documents: Iterable[Document]
) -> defaultdict[str, Counter[str]]:
    """Property -> kinds below the root -> documents that state it."""
    owners: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        found = reader.extract(document)
        kind = top_kind(ontology, found.product_class)
        for name in {fact.property for fact in found.facts}:
            owners[name][kind] += 1
    return owners


def _owner(kinds: Counter[str]) -> str:
    total = kinds.total()
    if total < LEAST:
        return ROOT
    kind, count = max(kinds.items(), key=lambda pair: (pair[1], pair[0]))
    return kind if count >= SHARE * total else ROOT
