"""Words that the graph is written in: namespaces of others, and the few terms of our own.

Our terms live under the user's base, as we own no public address. Their labels and comments go
into ``ontology.ttl`` with the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SH = "http://www.w3.org/ns/shacl#"
PROV = "http://www.w3.org/ns/prov#"
DCTERMS = "http://purl.org/dc/terms/"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SCHEMA = "https://schema.org/"

PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "rdf": RDF,
        "rdfs": RDFS,
        "owl": OWL,
        "xsd": XSD,
        "sh": SH,
        "prov": PROV,
        "dcterms": DCTERMS,
        "skos": SKOS,
        "schema": SCHEMA,
    }
)

DATATYPES: Mapping[str, str] = MappingProxyType(
    {name: XSD + name for name in ("string", "integer", "decimal", "boolean")}
)

CLASSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Document": (PROV + "Entity", "A text about one product, as the source holds it."),
        "Entity": ("", "Something that several products refer to, e.g. a brand."),
        "TextEvidence": (PROV + "Entity", "A statement, and the words of a document that make it."),
        "PictureEvidence": (PROV + "Entity", "A statement, and the picture that shows it."),
        "Unit": ("", "A unit of measurement of the registry."),
        "Dimension": ("", "A physical dimension; units of one dimension can be converted."),
    }
)
"""Name -> class of others it belongs to, comment."""

PROPERTIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "about": ("", "The product that a document is about."),
        "kind": ("string", "What a document is: listing, review or picture."),
        "field": ("string", "The field of the document that holds the words."),
        "start": ("integer", "First code point of the words within the field, from 0."),
        "end": ("integer", "Code point behind the last one of the words."),
        "raw": (
            "string",
            "The words, character by character; what XML cannot hold is written as \\u{1F}.",
        ),
        "writtenUnit": ("string", "The unit as the text writes it."),
        "translation": ("string", "English wording of a value stated in another language."),
        "confidence": ("decimal", "How sure the backend is, from 0 to 1."),
        "low": ("", "Lower end of the range that the words state, in the property's unit."),
        "high": ("", "Upper end of the range that the words state, in the property's unit."),
        "picture": ("string", "SHA-256 of the picture."),
        "encoder": ("string", "Version of the encoder that read the picture."),
        "score": ("decimal", "What the encoder scored, from 0 to 1."),
        "fingerprint": ("string", "Version of a backend: equal ones extract equally."),
        "ontologyVersion": ("integer", "Version of the ontology that facts were extracted by."),
    }
)
"""Name -> datatype (empty: a node, or as the property), comment. Describe evidence."""

ANNOTATIONS: Mapping[str, str] = MappingProxyType(
    {
        "unit": "The unit that a property's values are in.",
        "dimension": "The dimension of a property's values, or of a unit.",
        "factor": "Multiplies an amount in this unit into the dimension's canonical unit.",
        "unitCode": "UN/CEFACT Recommendation 20 code of a unit.",
        "example": "A value as a text states it.",
        "single": "Whether a product has at most one value of the property.",
    }
)
"""Name -> comment. Describe elements of the ontology."""

SCHEMA_ORG: Mapping[str, str] = MappingProxyType(
    {
        "brand": "brand",
        "color": "color",
        "colour": "color",
        "country_of_origin": "countryOfOrigin",
        "depth": "depth",
        "ean": "gtin",
        "gtin": "gtin",
        "height": "height",
        "manufacturer": "manufacturer",
        "material": "material",
        "model": "model",
        "model_name": "model",
        "model_number": "mpn",
        "mpn": "mpn",
        "pattern": "pattern",
        "size": "size",
        "sku": "sku",
        "upc": "gtin",
        "weight": "weight",
        "width": "width",
    }
)
"""Property name -> property of schema.org's Product with the same meaning."""

SCHEMA_DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {"depth": "length", "height": "length", "weight": "mass", "width": "length"}
)
"""Those of :data:`SCHEMA_ORG` that are quantities, and their dimension in the unit registry."""
