"""Every IRI of the graph is minted here, from a base that the user chooses.

Names of the ontology (checked identifiers) stand in an IRI as they are. Anything else (ids of
products and documents, names of entities and units) becomes a readable slug plus 80 bits of the
SHA-256 of the whole text, so that no text ever is an IRI and two texts never share one: among 1e9
texts a collision has a chance of 4e-7, and the store compares ids and refuses one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from moonshelf.errors import DataError, UsageError
from moonshelf.graph.rdf.vocabulary import PREFIXES

DEFAULT_BASE = "https://example.org/moonshelf/"
SLUG = 40
_BASE = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)*/")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Local names that need no escape, in Turtle and SPARQL alike.
_LOCAL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?")
_NO_SLUG = re.compile(r"[^a-z0-9]+")


def digest(text: str) -> str:
    """20 hex digits (80 bits) that stand for ``text``; lone surrogates count as what they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def slug(text: str) -> str:
    """The ASCII letters and digits of ``text``, joined by dashes; may be empty."""
    plain = unicodedata.normalize("NFKD", text[: 8 * SLUG]).encode("ascii", "ignore").decode()
    return _NO_SLUG.sub("-", plain.lower())[:SLUG].strip("-")


def key(text: str) -> str:
    """Slug and digest: what stands for a free text in an IRI."""
    return f"{slug(text)}-{digest(text)}".removeprefix("-")


@dataclass(frozen=True)
class Names:
    """Mints IRIs under one base; made by :meth:`under`.

    ====================  ===============================================================
    ``vocabulary/``       what evidence is described with; fixed by this package
    ``ontology/``         classes, properties, entity classes, units; ``ontology`` is the graph
    ``shapes/``           SHACL shapes
    ``product/``          products; ``entity/PROPERTY/`` what object properties point at
    ``document/``         source documents; ``agent/`` backends
    ``facts/``            one graph a document: what it says
    ``evidence/``         one graph a document: why; its statements lie below it
    ``graph/``            graphs that belong to no document: ``entities``, ``links``
    ====================  ===============================================================
    """

    base: str = DEFAULT_BASE

    @classmethod
    def under(cls, base: str) -> Names:
        """Checks ``base``: an absolute http(s) IRI of a folder, plain ASCII, at most 200 long.

        Raises:
            UsageError: it is not; credentials, query, fragment, dot segments are refused too.
        """
        given = base if base.endswith("/") else f"{base}/"
        parts = urlsplit(given) if _BASE.fullmatch(given) else None
        segments = parts.path.split("/") if parts else []
        if parts is None or len(given) > 200 or {".", ".."} & set(segments):
            raise UsageError(
                f"{base[:80]!r} is no base IRI",
                cure=f"pass an http or https address of a folder, e.g. {DEFAULT_BASE}",
            )
        return cls(given)

    # ---- graphs that belong to no document

    @property
    def ontology(self) -> str:
        return f"{self.base}ontology"

    @property
    def entities(self) -> str:
        return f"{self.base}graph/entities"

    @property
    def links(self) -> str:
        return f"{self.base}graph/links"

    @property
    def facts_space(self) -> str:
        """What the IRI of every fact graph begins with."""
        return f"{self.base}facts/"

    @property
    def entity_space(self) -> str:
        """What the IRI of every entity begins with."""
        return f"{self.base}entity/"

    # ---- the ontology: checked names

    def term(self, name: str) -> str:
        """A term of the fixed vocabulary."""
        return f"{self.base}vocabulary/{_checked(name)}"

    def product_class(self, name: str) -> str:
        return f"{self.base}ontology/class/{_checked(name)}"

    def property(self, name: str, end: str = "") -> str:
        """A property; ``end`` is ``min`` or ``max`` for the two ends of a range.

        No property is called ``x-min``, names have no dash, so ends collide with nothing.
        """
        return f"{self.base}ontology/property/{_checked(name)}{f'-{end}' if end else ''}"

    def entity_class(self, name: str) -> str:
        """The class of what the object property ``name`` points at."""
        return f"{self.base}ontology/entity/{_checked(name)}"

    def unit(self, name: str) -> str:
        return f"{self.base}ontology/unit/{key(name)}"

    def dimension(self, name: str) -> str:
        return f"{self.base}ontology/dimension/{key(name)}"

    def shape(self, name: str, part: str = "") -> str:
        """The shape of a property, or a named part of it (``domain``, ``in/0``)."""
        return f"{self.base}shapes/{_checked(name)}{f'/{part}' if part else ''}"

    # ---- things: slug and digest

    def product(self, product_id: str) -> str:
        return f"{self.base}product/{key(product_id)}"

    def document(self, document_id: str) -> str:
        return f"{self.base}document/{key(document_id)}"

    def facts(self, document_id: str) -> str:
        """The graph of what a document says."""
        return f"{self.base}facts/{key(document_id)}"

    def evidence(self, document_id: str) -> str:
        """The graph of why, which is the address below which its statements lie."""
        return f"{self.base}evidence/{key(document_id)}"

    def entity(self, property_name: str, value: str) -> str:
        return f"{self.base}entity/{_checked(property_name)}/{key(value)}"

    def agent(self, fingerprint: str) -> str:
        return f"{self.base}agent/{key(fingerprint)}"

    def prefixes(self) -> Mapping[str, str]:
        """What Turtle is written with; :meth:`query_prefixes` are those of a query."""
        return {
            **PREFIXES,
            "c": f"{self.base}ontology/class/",
            "p": f"{self.base}ontology/property/",
            "e": f"{self.base}ontology/entity/",
            "unit": f"{self.base}ontology/unit/",
            "dimension": f"{self.base}ontology/dimension/",
            "v": f"{self.base}vocabulary/",
            "shape": f"{self.base}shapes/",
        }

    def query_prefixes(self) -> Mapping[str, str]:
        """What a query may use without declaring it, and its answers are shown with."""
        things = ("product", "document", "facts", "evidence", "agent", "entity", "graph")
        return {**self.prefixes(), **{name: f"{self.base}{name}/" for name in things}}

    def short(self, iri: str) -> str:
        """``iri`` as a query takes it: ``c:Fan``; ``<IRI>`` where no prefix fits what is left."""
        prefixes = self.query_prefixes().items()
        for name, start in sorted(prefixes, key=lambda pair: -len(pair[1])):
            if iri.startswith(start) and _LOCAL.fullmatch(iri, len(start)):
                return f"{name}:{iri[len(start) :]}"
        return f"<{iri}>"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DataError(f"{name[:80]!r} is no name of an ontology", cure="use letters, digits, _")
    return name
