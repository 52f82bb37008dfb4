"""One complete version of a store's contents: a row for every catalogue row, memory-mapped.

    tables/000003/  vectors.npy fp16 [N, d]   missing.npy bool [N]   ids.npy (hash table)
                    items.arrow facets.arrow facet_*.npy price.npy   manifest.json

Tables are written whole beside the old one; the store's manifest then switches to the new one
(methods.md 3.9: versioned output, atomic version switch).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.catalog.idindex import SLOT, build_index, find, find_candidates, hash_ids
from moonshelf.center.facets import Facets, write_facets
from moonshelf.center.shards import load_array, read_arrow, sync_files, write_arrow
from moonshelf.errors import StoreError
from moonshelf.files import atomic_folder, write_json_atomically

FORMAT = 1
COLUMNS = ("id", "title", "category", "attributes", "price")
CURE = "run `moonshelf embed` again: finished shards are kept"


class Table:
    """An opened table folder. Opening maps files and reads none of them.

    Raises:
        StoreError: a file is missing, truncated or of another length than the manifest says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            rows, dim = int(manifest["rows"]), int(manifest["dim"])
            if manifest["format"] != FORMAT:
                raise ValueError(f"format {manifest['format']}, this version reads {FORMAT}")
            self.vectors: np.ndarray = load_array(folder / "vectors.npy")
            self.missing: np.ndarray = load_array(folder / "missing.npy")
            self._ids: np.ndarray = load_array(folder / "ids.npy")
            self._items: Any = read_arrow(folder / "items.arrow")
        except (OSError, ValueError, KeyError, TypeError) as error:  # ArrowInvalid is a ValueError
            raise self._damaged(str(error)) from error
        if self.vectors.shape != (rows, dim) or self.vectors.dtype != np.float16:
            raise self._damaged(f"vectors are {self.vectors.dtype}{list(self.vectors.shape)}")
        if len(self.missing) != rows or self._items.num_rows != rows or self._ids.dtype != SLOT:
            raise self._damaged("its files disagree about the number of rows")

    def __len__(self) -> int:
        return len(self.vectors)

    @functools.cached_property
    def facets(self) -> Facets:
        """The inverted facets; raises StoreError when their files are damaged."""
        try:
            facets = Facets(self.folder)
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(str(error)) from error
        if len(facets.price) != len(self):
            raise self._damaged("its facets belong to another number of rows")
        return facets

    def row(self, item_id: str) -> int:
        """The row of an item, -1 when there is no such item. O(1)."""
        return find(self._ids, item_id, lambda row: self._id(row) == item_id)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """int64 [n]: the row of each item, -1 where there is no such item."""
        rows = find_candidates(self._ids, hash_ids(ids))
        for place in np.flatnonzero(rows >= 0).tolist():
            if self._id(int(rows[place])) != ids[place]:  # another id with the same hash
                rows[place] = self.row(ids[place])
        return rows

    def _id(self, row: int) -> str:
        return self._items.column("id")[row].as_py()

    def item(self, row: int) -> Mapping[str, Any]:
        """id, title, category (tuple), attributes (dict of tuples), price of one row."""
        record = {name: self._items.column(name)[row].as_py() for name in COLUMNS}
        record["category"] = tuple(record["category"] or ())
        record["attributes"] = {k: tuple(v or ()) for k, v in record["attributes"] or ()}
        return record

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"the table is damaged: {why}", where=str(self.folder), cure=CURE)


def write_table(
    folder: Path,
    columns: Mapping[str, Any],
    dim: int,
    shard_of: np.ndarray,
    place_of: np.ndarray,
    vectors_of: Mapping[int, np.ndarray],
    failed: np.ndarray,
) -> None:
    """Gathers shards into a table in catalogue order.

    Args:
        folder: where the table appears, whole.
        columns: the catalogue's columns of ``COLUMNS`` (pyarrow ChunkedArray).
        shard_of, place_of: int64 [N]: which shard, and which of its rows, holds each item.
        vectors_of: the shards' fp16 vectors.
        failed: bool [N]: items without a vector.
    """
    import pyarrow as pa

    count = len(shard_of)
    with atomic_folder(folder) as partial:
        if count:
            shape = (count, dim)
            vectors = np.lib.format.open_memmap(
                partial / "vectors.npy", mode="w+", dtype=np.float16, shape=shape
            )
            for shard in np.unique(shard_of):
                rows = np.flatnonzero(shard_of == shard)
                vectors[rows] = vectors_of[int(shard)][place_of[rows]]
            vectors.flush()
            del vectors
        else:
            np.save(partial / "vectors.npy", np.zeros((0, dim), np.float16))
        np.save(partial / "missing.npy", failed)
        np.save(partial / "ids.npy", build_index(hash_ids(columns["id"].to_pylist())))
        write_arrow(
            partial / "items.arrow",
            pa.table({name: columns[name] for name in COLUMNS}),
        )
        write_facets(partial, columns["category"], columns["attributes"], columns["price"])
        write_json_atomically(
            partial / "manifest.json",
            {"format": FORMAT, "kind": "store-table", "rows": count, "dim": dim},
        )
        sync_files(partial)
