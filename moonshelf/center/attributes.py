"""Attributes from beside the catalogue, for the items of a store: filters reach them like its own.

Where the catalogue has a key for a product, its own values stand and the file's give way: the shop
knows its products better than what was read out of their descriptions. Keys are one key whatever
their case, underscores and dashes (``Sleeve_Length``, ``sleeve length``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moonshelf.catalog.attribute_text import known_values
from moonshelf.catalog.reference_attributes import AttributeFile, key_form
from moonshelf.errors import DataError

_CHUNK = 16_384


@dataclass(frozen=True)
class Joined:
    """A catalogue's attributes with those of a file.

    Attributes:
        column: map<string, list<string>> of every row, as the catalogue has it (ChunkedArray).
        facts: for the store's manifest: which file, and what became of it.
    """

    column: Any
    facts: Mapping[str, Any]


def join_attributes(ids: Any, own: Any, file: AttributeFile) -> Joined:
    """Puts a file's attributes beside the catalogue's own.

    Args:
        ids: the catalogue's column of ids (pyarrow ChunkedArray).
        own: its column of attributes.
        file: of any source; products that the catalogue lacks are counted and left out.

    Raises:
        DataError: a bad line, or not one product of the file is in the catalogue.
    """
    import pyarrow as pa

    told = {record.product: known_values(record) for record in file}
    called = _spellings(own)
    counts = {"products": 0, "values": 0, "gave_way": 0}
    chunks = []
    for rows, names in _pieces(own, ids):
        found = []
        for entries, name in zip(rows, names, strict=True):
            more = told.pop(name, None)
            kept: list[tuple[str, list[str]]] = [
                (key, list(values or ())) for key, values in entries or ()
            ]
            if more is not None:
                kept += _added(kept, more, called, counts)
            found.append(kept)
        chunks.append(pa.array(found, own.type))
    if len(file) and len(told) == len(file):
        raise DataError(
            f"none of its {len(file):,} products is in the catalogue",
            where=str(file.path),
            cure="pass the attributes of this catalogue: the ids must be the same",
        )
    facts = {
        "sha256": file.digest,
        "source": file.header.source,
        "keys": [called.get(key_form(key), key) for key in file.keys],
        "unknown": len(told),
        **counts,
    }
    return Joined(pa.chunked_array(chunks, own.type), facts)


def _added(
    kept: list[tuple[str, list[str]]],
    more: Mapping[str, tuple[str, ...]],
    called: Mapping[str, str],
    counts: dict[str, int],
) -> list[tuple[str, list[str]]]:
    """What the file adds to one product; counts it."""
    has = {key_form(key) for key, values in kept if values}
    added = []
    for key, values in more.items():
        if key_form(key) in has:
            counts["gave_way"] += 1
        else:
            added.append((called.get(key_form(key), key), list(values)))
            counts["values"] += len(values)
    counts["products"] += bool(added)
    return added


def _spellings(own: Any) -> dict[str, str]:
    """How the catalogue spells its keys, so that both kinds of values are found under one name."""
    found: dict[str, str] = {}
    for chunk in own.chunks:
        for key in chunk.keys.unique().to_pylist():
            found.setdefault(key_form(key), key)
    return found


def _pieces(own: Any, ids: Any) -> Any:
    """(attributes, ids) of some rows at a time."""
    for start in range(0, max(len(own), 1), _CHUNK):
        yield own.slice(start, _CHUNK).to_pylist(), ids.slice(start, _CHUNK).to_pylist()
