"""One atomic change of a pyoxigraph store: quads out and quads in, all of them or none.

pyoxigraph has no transaction object. ``extend`` and ``bulk_extend`` are atomic but only add; what
removes *and* adds in one transaction is a SPARQL update. The terms do not go through its text,
which would be SPARQL by string concatenation (older versions decode ``\\u0022`` inside a literal
into a quote): the update counts numbers, and functions that we register turn them into terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from moonshelf.errors import StoreError
from moonshelf.graph.rdf.library import oxigraph

if TYPE_CHECKING:
    from pyoxigraph import NamedNode, Quad, Store

BULK = 2_000
"""Quads from which on sorted files are written for the store to take in: 2.5 times as fast."""
_PARTS = ("subject", "predicate", "object", "graph_name")
_FUNCTION = "urn:moonshelf:"
_TEMPLATE = "{ GRAPH ?graph_name { ?subject ?predicate ?object } }"


def apply(
    store: Store,
    removed: Sequence[Quad],
    added: Sequence[Quad],
    emptied: Iterable[NamedNode] = (),
) -> None:
    """Takes ``removed`` out and puts ``added`` in, in one transaction.

    Args:
        store: on disk; the change survives a killed process, a power cut only after ``flush``.
        removed: quads of named graphs.
        added: quads of named graphs; where one is in ``removed`` too, it stays.
        emptied: graphs to forget, name and all.

    Raises:
        StoreError: the disk is full or the store is damaged; nothing was changed.
    """
    graphs = sorted({graph.value for graph in emptied})
    try:
        if removed or graphs:
            _update(store, removed, added, graphs)
        elif len(added) >= BULK:
            store.bulk_extend(added)
        elif added:
            store.extend(added)
    except (OSError, RuntimeError) as error:  # RocksDB tells damage by the latter
        raise StoreError(
            f"the graph store cannot be written: {error}",
            cure="free disk space or check the disk, then run the command again",
        ) from error


def _update(
    store: Store, removed: Sequence[Quad], added: Sequence[Quad], graphs: Sequence[str]
) -> None:
    node = oxigraph().NamedNode
    quads = [*removed, *added]
    functions = {
        node(f"{_FUNCTION}{part}"): lambda number, part=part: getattr(
            quads[int(number.value)], part
        )
        for part in _PARTS
    }
    steps = [f"DROP SILENT GRAPH {node(graph)}" for graph in graphs]
    if removed:
        steps.append(f"DELETE {_TEMPLATE} WHERE {_numbers(0, len(removed))}")
    if added:
        steps.append(f"INSERT {_TEMPLATE} WHERE {_numbers(len(removed), len(quads))}")
    store.update("; ".join(steps), custom_functions=functions)


def _numbers(first: int, end: int) -> str:
    """A pattern with one solution a quad: its place, and its four terms by place."""
    places = " ".join(map(str, range(first, end)))
    bound = " ".join(f"BIND(<{_FUNCTION}{part}>(?place) AS ?{part})" for part in _PARTS)
    return f"{{ VALUES ?place {{ {places} }} {bound} }}"
