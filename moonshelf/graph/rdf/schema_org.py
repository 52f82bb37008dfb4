"""Export to schema.org: a ``Product`` a product, as JSON-LD, as Turtle, or as a tag for a page.

A property of schema.org with the same meaning is used where there is one (brand, model, mpn, gtin,
color, material, size, weight, width, ...); everything else is an ``additionalProperty``. Quantities
carry the UN/CEFACT code of their unit. Every inner node has an address, so the export has no blank
nodes either, and both forms come from one tree.

GS1's and Shopify's vocabularies are not written: a mapping that we have not checked term by term
would be a guess.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from moonshelf.files import whole_file
from moonshelf.graph.gtin import gtin
from moonshelf.graph.ontology import ROOT, Ontology, PropertyDef
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.literals import escape
from moonshelf.graph.rdf.products import Held, ProductView, read_products
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.turtle import TripleSet, prefix_lines, subject_blocks
from moonshelf.graph.rdf.vocabulary import (
    RDF,
    SCHEMA,
    SCHEMA_DIMENSIONS,
    SCHEMA_ORG,
    XSD,
)
from moonshelf.graph.records import Range
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.units.registry import registry

CONTEXT = "https://schema.org"
_NAMED: Mapping[str, str] = {"brand": "Brand", "manufacturer": "Organization"}
_PREFIXES: Mapping[str, str] = {"schema": SCHEMA, "xsd": XSD}
_EXACT = 2**53
# JSON within a page: no tag ends or begins in it, no script of old sees the end of a line.
_HTML_SAFE = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)


def product_tree(view: ProductView, ontology: Ontology, names: Names) -> dict[str, Any]:
    """A product as a tree of schema.org's terms.

    Values are texts, truth values, integers, decimals, lists of these, and nodes of the same form,
    each with ``@id`` and ``@type``. Nothing is escaped yet.
    """
    kind = ontology.class_of(view.product_class)
    tree: dict[str, Any] = {
        "@id": view.iri,
        "@type": "Product",
        "identifier": view.id,
        "name": view.label or view.id,
    }
    if kind.name != ROOT:  # every product is a product
        tree["category"] = kind.label or spoken(kind.name)
    other: list[dict[str, Any]] = []
    for owned, values in view.values:
        for place, value in enumerate(values):
            iri = f"{view.iri}#{owned.name}-{place}"
            term = _term(owned, value)
            if term is None:
                other.append(_property_value(iri, owned, value, names))
            else:
                tree.setdefault(term, []).append(_specific(iri, term, owned, value))
    if other:
        tree["additionalProperty"] = other
    return {key: _single(found) for key, found in tree.items()}


def json_ld(trees: Sequence[Mapping[str, Any]]) -> str:
    """One JSON-LD document, safe within HTML: ``<``, ``>`` and ``&`` are written as escapes."""
    graph = ",\n".join(_json(tree) for tree in trees)
    return f'{{"@context":"{CONTEXT}","@graph":[\n{graph}\n]}}\n'


def script_tag(tree: Mapping[str, Any]) -> str:
    """The tag that puts a product into a page; no value can end it early."""
    body = _json({"@context": CONTEXT, **tree})
    return f'<script type="application/ld+json">{body}</script>'


def export_json_ld(
    store: GraphStore, ontology: Ontology, path: Path, documents: Iterable[str] | None = None
) -> int:
    """Writes all products, or those of ``documents``, as one JSON-LD file; returns their number."""
    count = 0
    with whole_file(path) as file:
        file.write(f'{{"@context":"{CONTEXT}","@graph":['.encode())
        for count, tree in enumerate(_trees(store, ontology, documents), start=1):
            file.write(b",\n" if count > 1 else b"\n")
            file.write(_json(tree).encode())
        file.write(b"\n]}\n")
    return count


def export_turtle(
    store: GraphStore, ontology: Ontology, path: Path, documents: Iterable[str] | None = None
) -> int:
    """Writes all products, or those of ``documents``, as one Turtle file; returns their number."""
    count = 0
    with whole_file(path) as file:
        file.write(prefix_lines(_PREFIXES))
        for tree in _trees(store, ontology, documents):
            count += 1
            found = TripleSet()
            _walk(found, tree)
            file.write(subject_blocks(found.sorted(), _PREFIXES))
    return count


def _trees(
    store: GraphStore, ontology: Ontology, documents: Iterable[str] | None
) -> Iterator[dict[str, Any]]:
    for view in read_products(store, ontology, documents):
        yield product_tree(view, ontology, store.names)


# ---- the tree


def _term(owned: PropertyDef, value: Held) -> str | None:
    """schema.org's own property for this value, if its rules let it hold the value."""
    term = SCHEMA_ORG.get(owned.name)
    if term is not None and term in SCHEMA_DIMENSIONS:
        return term if owned.dimension == SCHEMA_DIMENSIONS[term] else None
    if term == "gtin":
        return term if is_gtin(str(value)) else None
    return term if isinstance(value, str) else None


def _specific(iri: str, term: str, owned: PropertyDef, value: Held) -> Any:
    if term in SCHEMA_DIMENSIONS:
        return {"@id": iri, "@type": "QuantitativeValue", **_quantity(owned, value)}
    if term in _NAMED:
        return {"@id": iri, "@type": _NAMED[term], "name": str(value)}
    return str(value)


def _property_value(iri: str, owned: PropertyDef, value: Held, names: Names) -> dict[str, Any]:
    return {
        "@id": iri,
        "@type": "PropertyValue",
        "name": owned.label or spoken(owned.name),
        "propertyID": names.property(owned.name),
        **_quantity(owned, value),
    }


def _quantity(owned: PropertyDef, value: Held) -> dict[str, Any]:
    """``value``, or both ends of a range, and the unit."""
    found: dict[str, Any] = {}
    if isinstance(value, Range):
        found |= {"minValue": value.low, "maxValue": value.high}
    else:
        found["value"] = value
    if owned.unit is not None:
        unit = registry().unit(owned.unit)
        found |= {"unitCode": unit.code} if unit.code else {}
        found["unitText"] = unit.name
    return found


def is_gtin(text: str) -> bool:
    """Whether ``text`` is digits alone: a GTIN-8, -12, -13 or -14 whose check digit is right."""
    return text.isdigit() and bool(gtin(text))


def _single(found: Any) -> Any:
    return found[0] if isinstance(found, list) and len(found) == 1 else found


# ---- its two forms


def _json(tree: Mapping[str, Any]) -> str:
    text = json.dumps(_escaped(tree), ensure_ascii=False, separators=(",", ":"), default=_number)
    return text.translate(_HTML_SAFE)


def _escaped(value: Any) -> Any:
    """The same literals as in RDF; JSON itself could hold a lone surrogate, UTF-8 cannot."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {key: _escaped(found) for key, found in value.items()}
    return [_escaped(found) for found in value] if isinstance(value, list) else value


def _number(value: Any) -> int | float | str:
    """A decimal as JSON's number where that is exact, else as text."""
    if not isinstance(value, Decimal):
        raise TypeError(f"no JSON for {type(value).__name__}")
    if value == value.to_integral_value() and abs(value) < _EXACT:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else format(value, "f")


def _walk(found: TripleSet, tree: Mapping[str, Any]) -> None:
    found.link(tree["@id"], f"{RDF}type", f"{SCHEMA}{tree['@type']}")
    for key, values in tree.items():
        if key.startswith("@"):
            continue
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, Mapping):
                found.link(tree["@id"], f"{SCHEMA}{key}", value["@id"])
                _walk(found, value)
            else:
                found.add(tree["@id"], f"{SCHEMA}{key}", value)
