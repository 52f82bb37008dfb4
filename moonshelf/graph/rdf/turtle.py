"""Triples from Python values, and Turtle that is the same bytes for the same triples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.literals import decimal_form, escape, integer_form
from moonshelf.graph.rdf.vocabulary import DATATYPES, RDF

if TYPE_CHECKING:
    from pyoxigraph import Literal, NamedNode, Triple


class Terms:
    """Makes terms; the datatypes are made once. No text but a minted IRI becomes a node."""

    def __init__(self) -> None:
        library = oxigraph()
        self._literal = library.Literal
        self.node = library.NamedNode
        self._types = {name: library.NamedNode(iri) for name, iri in DATATYPES.items()}

    def text(self, value: str) -> Literal:
        """``xsd:string``; what XML cannot hold is escaped."""
        return self._literal(escape(value))

    def number(self, value: Decimal) -> Literal:
        """``xsd:decimal``; DataError for one that cannot be written."""
        return self._literal(decimal_form(value), datatype=self._types["decimal"])

    def integer(self, value: int) -> Literal:
        """``xsd:integer``; DataError for one that cannot be written."""
        return self._literal(integer_form(value), datatype=self._types["integer"])

    def truth(self, value: bool) -> Literal:
        return self._literal("true" if value else "false", datatype=self._types["boolean"])


class TripleSet:
    """Collects triples of one graph: subjects and predicates as IRIs, objects by their type."""

    def __init__(self) -> None:
        self._terms = Terms()
        self._triple = oxigraph().Triple
        self._found: set[Triple] = set()

    def add(self, subject: str, predicate: str, value: str | bool | int | Decimal) -> None:
        """A literal object: text, truth value, integer or decimal."""
        terms = self._terms
        if isinstance(value, bool):
            term = terms.truth(value)
        elif isinstance(value, int):
            term = terms.integer(value)
        elif isinstance(value, Decimal):
            term = terms.number(value)
        else:
            term = terms.text(value)
        self._found.add(self._triple(terms.node(subject), terms.node(predicate), term))

    def link(self, subject: str, predicate: str, value: str) -> None:
        """An IRI as object; all three are minted or come from ``vocabulary.py``."""
        node: type[NamedNode] = self._terms.node
        self._found.add(self._triple(node(subject), node(predicate), node(value)))

    def chain(self, head: str, values: Iterable[Any], put: Callable[[str, str, Any], None]) -> str:
        """An RDF list whose cells are ``head/0``, ``head/1``, ... instead of blank nodes.

        Args:
            head: IRI below which the cells lie.
            values: in order; each goes into its cell by ``put``, :meth:`add` or :meth:`link`.

        Returns:
            The IRI to point at: the first cell, or ``rdf:nil``.
        """
        values = list(values)
        for place, value in enumerate(values):
            cell = f"{head}/{place}"
            put(cell, f"{RDF}first", value)
            rest = f"{head}/{place + 1}" if place + 1 < len(values) else f"{RDF}nil"
            self.link(cell, f"{RDF}rest", rest)
        return f"{head}/0" if values else f"{RDF}nil"

    def sorted(self) -> list[Triple]:
        """By the N-Triples form of their terms, type statements first."""
        kind = f"<{RDF}type>"

        def place(one: Triple) -> tuple[str, bool, str, str]:
            predicate = str(one.predicate)
            return str(one.subject), predicate != kind, predicate, str(one.object)

        return sorted(self._found, key=place)


def turtle(triples: Iterable[Triple], prefixes: Mapping[str, str]) -> bytes:
    """Turtle in the order given, after its prefixes; sorted triples give the same bytes always."""
    return prefix_lines(prefixes) + subject_blocks(triples, prefixes)


def prefix_lines(prefixes: Mapping[str, str]) -> bytes:
    """The declarations, sorted; the library's own come in an order that differs from run to run."""
    return "".join(f"@prefix {name}: <{prefixes[name]}> .\n" for name in sorted(prefixes)).encode()


def subject_blocks(triples: Iterable[Triple], prefixes: Mapping[str, str]) -> bytes:
    """The statements alone, an empty line before each subject."""
    library = oxigraph()
    written = library.serialize(triples, format=library.RdfFormat.TURTLE, prefixes=dict(prefixes))
    lines = written.split(b"\n")[:-1]
    # A literal never spans lines, and what goes on about a subject is indented.
    kept = (line for line in lines if not line.startswith(b"@prefix "))
    return b"".join((b"" if line[:1] <= b" " else b"\n") + line + b"\n" for line in kept)
