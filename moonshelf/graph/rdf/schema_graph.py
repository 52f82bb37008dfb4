"""The ontology as RDFS and OWL (``ontology.ttl``), generated from the ontology object.

Classes, properties with domain and range, labels, comments that end in the unit (as the paper's
do, arXiv 2511.11017 section 3), units and dimensions as nodes of their own, former names as
deprecated elements that point at what replaced them. Units are typed here; in the paper they
stand in comments only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.rdf import vocabulary as words
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.rdf.turtle import TripleSet, turtle
from moonshelf.graph.rdf.vocabulary import DCTERMS, OWL, RDF, RDFS, SCHEMA, SKOS, XSD
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.units.registry import registry

if TYPE_CHECKING:
    from pyoxigraph import Triple

ENDS = ("min", "max")


def ontology_triples(ontology: Ontology, names: Names) -> list[Triple]:
    """Everything that ``ontology`` and the fixed vocabulary say, sorted, without blank nodes.

    Raises:
        UnitError: a property's unit is not in the registry.
    """
    found = TripleSet()
    top = names.ontology
    found.link(top, f"{RDF}type", f"{OWL}Ontology")
    found.link(top, f"{OWL}versionIRI", f"{top}/version/{ontology.version}")
    found.add(top, f"{OWL}versionInfo", str(ontology.version))
    for kind in sorted(ontology.classes, key=lambda one: one.name):
        _class(found, kind, names)
    for owned in ontology.properties:
        _property(found, owned, names)
    _aliases(found, ontology, names)
    _units(found, {owned.unit for owned in ontology.properties if owned.unit}, names)
    _vocabulary(found, names)
    return found.sorted()


def ontology_turtle(ontology: Ontology, names: Names) -> bytes:
    """``ontology.ttl``: the same bytes for the same ontology."""
    return turtle(ontology_triples(ontology, names), names.prefixes())


def range_of(owned: PropertyDef, names: Names) -> str:
    """IRI of the datatype of a property's values, or of the class of what it points at."""
    if owned.kind == "object":
        return names.entity_class(owned.name)
    return words.DATATYPES[owned.datatype]


def has_ends(owned: PropertyDef) -> bool:
    """Whether a value of the property may be a range, kept in two properties ``min``, ``max``."""
    return owned.kind == "data" and owned.datatype in ("integer", "decimal")


def _described(found: TripleSet, iri: str, name: str, label: str, comment: str) -> None:
    found.add(iri, f"{RDFS}label", label or spoken(name))
    if comment:
        found.add(iri, f"{RDFS}comment", comment)


def _class(found: TripleSet, kind: ClassDef, names: Names) -> None:
    iri = names.product_class(kind.name)
    found.link(iri, f"{RDF}type", f"{OWL}Class")
    if kind.parent is not None:
        found.link(iri, f"{RDFS}subClassOf", names.product_class(kind.parent))
    if kind.name == ROOT:
        found.link(iri, f"{SKOS}closeMatch", f"{SCHEMA}Product")
    _described(found, iri, kind.name, kind.label, kind.comment)
    for synonym in kind.synonyms:
        found.add(iri, f"{SKOS}altLabel", synonym)


def _property(found: TripleSet, owned: PropertyDef, names: Names) -> None:
    iri = names.property(owned.name)
    is_object = owned.kind == "object"
    found.link(iri, f"{RDF}type", f"{OWL}{'ObjectProperty' if is_object else 'DatatypeProperty'}")
    found.link(iri, f"{RDFS}domain", names.product_class(owned.domain))
    found.link(iri, f"{RDFS}range", range_of(owned, names))
    found.add(iri, names.term("single"), not owned.many)
    unit = f"Unit: {owned.unit}." if owned.unit else ""
    _described(found, iri, owned.name, owned.label, f"{owned.guidance} {unit}".strip())
    for synonym in owned.synonyms:
        found.add(iri, f"{SKOS}altLabel", synonym)
    for example in owned.examples:
        found.add(iri, names.term("example"), example)
    if owned.name in words.SCHEMA_ORG:
        found.link(iri, f"{SKOS}closeMatch", f"{SCHEMA}{words.SCHEMA_ORG[owned.name]}")
    if is_object:
        target = names.entity_class(owned.name)
        found.link(target, f"{RDF}type", f"{OWL}Class")
        found.link(target, f"{RDFS}subClassOf", names.term("Entity"))
        _described(found, target, owned.name, owned.label, "")
    _measured(found, owned, iri, names)
    for end in ENDS if has_ends(owned) else ():
        bound = names.property(owned.name, end)
        found.link(bound, f"{RDF}type", f"{OWL}DatatypeProperty")
        found.link(bound, f"{RDFS}domain", names.product_class(owned.domain))
        found.link(bound, f"{RDFS}range", range_of(owned, names))
        told = "Lower" if end == "min" else "Upper"
        label = f"{owned.label or spoken(owned.name)}, {end}imum"
        _described(found, bound, owned.name, label, f"{told} end of a stated range. {unit}".strip())
        _measured(found, owned, bound, names)


def _measured(found: TripleSet, owned: PropertyDef, iri: str, names: Names) -> None:
    if owned.unit is not None and owned.dimension is not None:
        found.link(iri, names.term("unit"), names.unit(owned.unit))
        found.link(iri, names.term("dimension"), names.dimension(owned.dimension))


def _aliases(found: TripleSet, ontology: Ontology, names: Names) -> None:
    """Former names stay: deprecated, replaced by what they became (directly, not by steps)."""
    properties = {owned.name: owned for owned in ontology.properties}
    classes = {kind.name for kind in ontology.classes}
    for former, _ in ontology.aliases:
        now = ontology.present(former)
        if now in properties:
            old, new = names.property(former), names.property(now)
            kind = "ObjectProperty" if properties[now].kind == "object" else "DatatypeProperty"
        elif now in classes:
            old, new, kind = names.product_class(former), names.product_class(now), "Class"
        else:
            continue  # what it became was dropped later
        found.link(old, f"{RDF}type", f"{OWL}{kind}")
        found.add(old, f"{OWL}deprecated", True)
        found.link(old, f"{DCTERMS}isReplacedBy", new)
        _described(found, old, former, "", "")


def _units(found: TripleSet, used: set[str], names: Names) -> None:
    for name in sorted(used):
        unit = registry().unit(name)
        iri, dimension = names.unit(name), names.dimension(unit.dimension)
        found.link(iri, f"{RDF}type", names.term("Unit"))
        found.link(iri, names.term("dimension"), dimension)
        found.add(iri, f"{RDFS}label", unit.name)
        found.add(iri, names.term("factor"), unit.factor)
        if unit.code:
            found.add(iri, names.term("unitCode"), unit.code)
        found.link(dimension, f"{RDF}type", names.term("Dimension"))
        found.add(dimension, f"{RDFS}label", spoken(unit.dimension))


def _vocabulary(found: TripleSet, names: Names) -> None:
    """Our own terms, so that the file explains all that the store holds."""
    for name, (parent, comment) in words.CLASSES.items():
        iri = names.term(name)
        found.link(iri, f"{RDF}type", f"{OWL}Class")
        if parent:
            found.link(iri, f"{RDFS}subClassOf", parent)
        _described(found, iri, name, "", comment)
    for name, (datatype, comment) in words.PROPERTIES.items():
        iri = names.term(name)
        found.link(iri, f"{RDF}type", f"{RDF}Property")
        if datatype:
            found.link(iri, f"{RDFS}range", XSD + datatype)
        _described(found, iri, name, "", comment)
    for name, comment in words.ANNOTATIONS.items():
        iri = names.term(name)
        found.link(iri, f"{RDF}type", f"{OWL}AnnotationProperty")
        _described(found, iri, name, "", comment)
