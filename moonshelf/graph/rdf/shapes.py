"""SHACL shapes (``shapes.ttl``), generated from the same ontology object as everything else.

Core constraints only: datatype, maxCount, in, numeric bounds, class, nodeKind. What a text does not
say is no error, so nothing is required; a shape therefore targets the subjects of its property, not
every member of a class, and costs nothing where the property is absent. pySHACL cannot derive
shapes from RDFS, and its SPARQL constraints are slow on large graphs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.schema_graph import ENDS, has_ends, range_of
from moonshelf.graph.rdf.turtle import TripleSet, turtle
from moonshelf.graph.rdf.vocabulary import RDF, SH

if TYPE_CHECKING:
    from pyoxigraph import Triple


def shape_triples(ontology: Ontology, names: Names) -> list[Triple]:
    """The shapes of every property, sorted, without blank nodes (lists have named cells)."""
    found = TripleSet()
    for owned in ontology.properties:
        for end in ("", *ENDS) if has_ends(owned) else ("",):
            _shape(found, owned, end, names)
    return found.sorted()


def shapes_turtle(ontology: Ontology, names: Names) -> bytes:
    """``shapes.ttl``: the same bytes for the same ontology."""
    return turtle(shape_triples(ontology, names), names.prefixes())


def _shape(found: TripleSet, owned: PropertyDef, end: str, names: Names) -> None:
    """Two shapes: what the values are like, and whose they may be."""
    path = names.property(owned.name, end)
    values = names.shape(owned.name, end)
    found.link(values, f"{RDF}type", f"{SH}PropertyShape")
    found.link(values, f"{SH}targetSubjectsOf", path)
    found.link(values, f"{SH}path", path)
    if not owned.many:
        found.add(values, f"{SH}maxCount", 1)
    if owned.kind == "object":
        found.link(values, f"{SH}nodeKind", f"{SH}IRI")
        found.link(values, f"{SH}class", range_of(owned, names))
    else:
        found.link(values, f"{SH}nodeKind", f"{SH}Literal")
        found.link(values, f"{SH}datatype", range_of(owned, names))
    for term, bound in (("minInclusive", owned.low), ("maxInclusive", owned.high)):
        if bound is not None and has_ends(owned):
            found.add(values, f"{SH}{term}", Decimal(bound))
    if owned.options and owned.datatype == "string":
        found.link(values, f"{SH}in", _options(found, owned, names))
    if end == "min" and not owned.many:
        found.link(values, f"{SH}lessThanOrEquals", names.property(owned.name, "max"))
    domain = names.shape(owned.name, f"{end}-domain" if end else "domain")
    found.link(domain, f"{RDF}type", f"{SH}NodeShape")
    found.link(domain, f"{SH}targetSubjectsOf", path)
    found.link(domain, f"{SH}class", names.product_class(owned.domain))


def _options(found: TripleSet, owned: PropertyDef, names: Names) -> str:
    head = names.shape(owned.name, "in")
    if owned.kind == "object":
        entities = [names.entity(owned.name, one) for one in owned.options]
        return found.chain(head, entities, found.link)
    return found.chain(head, owned.options, found.add)
