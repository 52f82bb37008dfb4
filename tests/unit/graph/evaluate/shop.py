"""Records small enough that a test can say every figure."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from moonshelf.graph.evaluate.gold import GoldFact, GoldProperty, GoldSet, GoldText
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Amount, Document, Extraction, Fact, Span, TextEvidence

ONTOLOGY = Ontology(
    classes=(
        ClassDef(name=ROOT, parent=None, locked=True),
        ClassDef(name="SplitUnit", synonyms=("split air conditioner", "split ac")),
    ),
    properties=(
        PropertyDef(name="maker", kind="object"),
        PropertyDef(name="power", datatype="decimal", dimension="power", unit="watt"),
        PropertyDef(name="rating", datatype="integer"),
        PropertyDef(name="copper_coil", kind="feature", datatype="boolean"),
        PropertyDef(name="variable_speed", kind="feature", datatype="boolean"),
        PropertyDef(name="gas"),
        PropertyDef(name="slogan"),
    ),
)


def document(name: str, title: str) -> Document:
    return Document(id=name, fields=(("title", title),))


def fact(doc: Document, name: str, raw: str, value: Any, unit: str | None = None) -> Fact:
    text = doc.field("title")
    start = text.index(raw)
    if isinstance(value, Decimal):
        value = Amount(amount=value)
    return Fact(
        document=doc.id,
        property=name,
        value=value,
        unit=unit,
        evidence=TextEvidence(span=Span(field="title", start=start, end=start + len(raw)), raw=raw),
        confidence=0.9,
    )


def extraction(doc: Document, *facts: Fact, kind: str = ROOT) -> Extraction:
    return Extraction(document=doc.id, product_class=kind, facts=facts)


def outcome(found: Extraction, status: str | None = None) -> Outcome:
    return Outcome(
        document=found.document,
        status=status or ("done" if found.facts else "empty"),  # type: ignore[arg-type]
        product_class=found.product_class,
        digest="d",
        slice="s",
        fingerprint="f",
        version=0,
        facts=found.facts,
    )


GOLD_PROPERTIES = {
    "brand": GoldProperty(kind="string", multi=False, guidance="g"),
    "capacity": GoldProperty(
        kind="number", multi=False, guidance="g", unit="ton", units=("ton", "btu/h", "kw")
    ),
    "stars": GoldProperty(kind="integer", multi=False, guidance="g"),
    "condenser": GoldProperty(kind="enum", multi=False, guidance="g", values=("copper", "alloy")),
    "inverter": GoldProperty(kind="boolean", multi=False, guidance="g"),
    "refrigerant": GoldProperty(kind="string", multi=False, guidance="g"),
    "type": GoldProperty(kind="string", multi=False, guidance="g"),
}


def gold_text(doc: Document, split: str, **facts: tuple[str, Any]) -> GoldText:
    title = doc.field("title")
    told = []
    for name, (raw, value) in facts.items():
        start = title.index(raw)
        unit = "ton" if name == "capacity" else None
        told.append(
            GoldFact(property=name, start=start, end=start + len(raw), value=value, unit=unit)
        )
    digest = hashlib.sha256(title.encode()).hexdigest()
    return GoldText.model_validate(
        {"id": doc.id, "split": split, "text_sha256": digest, "facts": told}
    )


def gold_set(*texts: GoldText) -> GoldSet:
    return GoldSet(properties=GOLD_PROPERTIES, texts=texts)
