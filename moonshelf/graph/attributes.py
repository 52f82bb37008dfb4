"""A graph's facts as reference attributes: the file that search filters, text enrichment and
attribute reasoning read (``catalog/reference_attributes.py``).

Made from the state, which alone knows the kind and the place of what states a fact. It is read
twice: first to count, so that every value can be written as most of the shop writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moonshelf import __version__
from moonshelf.catalog.reference_attributes import (
    LONGEST_NAME,
    LONGEST_TEXT,
    MAX_SUPPORT,
    MAX_VALUES,
    ImageSupport,
    ProductAttributes,
    ReferenceValue,
    Support,
    TextSupport,
    one_line,
    write_attributes,
)
from moonshelf.graph.attribute_wording import Wording, Written
from moonshelf.graph.held import Held, held_products
from moonshelf.graph.manifest import ONTOLOGY, read_complete
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.records import Document, Fact, PictureEvidence
from moonshelf.graph.schema.history import History
from moonshelf.graph.state import State


@dataclass(frozen=True)
class Exported:
    """What was written. ``left_out``: facts whose value or words are too long for an attribute."""

    products: int
    keys: int
    left_out: int


def export_attributes(graph: Path, to: Path) -> Exported:
    """Writes the attributes of a finished graph; the same graph gives the same bytes.

    Args:
        graph: the folder.
        to: the file; an existing one is replaced.

    Raises:
        StoreError: no graph, or one whose build has not ended.
        DiskFullError: no room.
    """
    manifest = read_complete(graph)
    ontology = History.open(graph / ONTOLOGY, create=False).ontology()
    maker = _Maker(ontology)
    with State.open(graph, create=False) as state:
        for _, held in held_products(state):
            maker.count(held)
        source = {
            "graph": state.fingerprint(),
            "backend": manifest["backend"],
            "backend_fingerprint": manifest["fingerprint"],
            "ontology": ontology.version,
            "moonshelf": __version__,
            **{key: manifest["source"][key] for key in ("catalog",) if key in manifest["source"]},
        }
        keys = maker.wording.keys()
        records = (
            maker.record(product, held) for product, held in held_products(state) if maker.has(held)
        )
        write_attributes(to, keys, source, records, maker.products)
    return Exported(maker.products, len(keys), maker.left_out)


class _Maker:
    """Makes the record of each product."""

    def __init__(self, ontology: Ontology) -> None:
        self.wording = Wording(ontology)
        self.products = self.left_out = 0
        self._ontology = ontology
        self._owned = {owned.name: owned for owned in ontology.properties}

    def count(self, held: Sequence[Held]) -> None:
        """First reading: one product."""
        said = self._said(held)
        self.products += bool(said)
        self.left_out += sum(len(one.facts) for one in held) - len(said)
        self.wording.count((fact, owned) for _, fact, owned in said)

    def has(self, held: Sequence[Held]) -> bool:
        return bool(self._said(held))

    def record(self, product: str, held: Sequence[Held]) -> ProductAttributes:
        """Second reading: one product; values in the order in which they are said."""
        found: dict[str, dict[str, tuple[Written, list[Support]]]] = {}
        for document, fact, owned in self._said(held):
            written = self.wording.written(fact, owned)
            values = found.setdefault(self.wording.names[owned.name], {})
            _, supports = values.setdefault(written["value"], (written, []))
            support = _support(document, fact)
            if support not in supports and len(supports) < MAX_SUPPORT:
                supports.append(support)
        return ProductAttributes(
            product=product,
            attributes={key: tuple(_values(values.values())) for key, values in found.items()},
        )

    def _said(self, held: Sequence[Held]) -> list[tuple[Document, Fact, PropertyDef]]:
        """The facts that can be attributes. An ontology that dropped a property leaves its facts
        to the next build."""
        return [
            (one.document, fact, owned)
            for one in held
            for fact in one.facts
            if (owned := self._owned.get(self._ontology.present(fact.property))) is not None
            and _fits(fact)
        ]


def _values(found: Iterable[tuple[Written, list[Support]]]) -> list[ReferenceValue]:
    """At most as many as one key may have; what the listing says comes first."""
    return [
        ReferenceValue(**written, support=tuple(supports))
        for written, supports in [*found][:MAX_VALUES]
    ]


def _fits(fact: Fact) -> bool:
    raw = "" if isinstance(fact.evidence, PictureEvidence) else fact.evidence.raw
    if len(raw) > LONGEST_TEXT:
        return False
    return not isinstance(fact.value, str) or 0 < len(one_line(fact.value)) <= LONGEST_NAME


def _support(document: Document, fact: Fact) -> Support:
    evidence = fact.evidence
    if isinstance(evidence, PictureEvidence):
        return ImageSupport(
            picture=evidence.picture, encoder=evidence.encoder, confidence=fact.confidence
        )
    own = document.kind == "listing" and document.id == document.about
    return TextSupport(
        source="review" if document.kind == "review" else evidence.span.field,
        document="" if own else document.id,
        start=evidence.span.start,
        end=evidence.span.end,
        words=evidence.raw,
        confidence=fact.confidence,
    )
