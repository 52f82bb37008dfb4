"""The vector store: every item's vector by id, and the search over them.

STORE/  identity.json   encoder version, view, fields, width: fixed with the first shard
        shards/         finished pieces of work (see shards.py)
        tables/000003/  one complete version of the contents (see table.py)
        indexes/        what the search engine built from that table
        failed.jsonl    items without a vector, with the reason
        manifest.json   which table and index are current; counts, times, where run and
                        catalogue lie; written last: what it names is complete
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.center.filters import Filter
from moonshelf.center.index import Found, Index, open_index
from moonshelf.center.shards import shard_folders
from moonshelf.center.table import Table
from moonshelf.errors import StoreError, UsageError

FORMAT = 1
MAX_HITS = 10_000
_NEEDED = ("format", "kind", "table", "index", "dim", "view", "encoder", "catalog", "counts")


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a search. ``score`` is the cosine similarity (float32 arithmetic)."""

    id: str
    score: float
    title: str
    category: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    price: float | None
    row: int


class Store:
    """Vectors of one catalogue by one encoder version and one view.

    Example:
        >>> store = Store.open("store")
        >>> vectors, missing = store.get(["item-7", "item-9"])
        >>> hits = store.search(vectors[0], k=10, where=parse_filter(["price<=500"]))
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest
        self.table = Table(path / "tables" / manifest["table"])

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Opens a finished store; maps its files and reads none of the vectors.

        Raises:
            StoreError: missing, not a store, unfinished, damaged, or of another format.
        """
        path = Path(path)
        return cls(path, read_manifest(path))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def vectors(self) -> np.ndarray:
        """fp16 [N, d], memory-mapped, in catalogue order; zero rows where missing."""
        return self.table.vectors

    @property
    def missing(self) -> np.ndarray:
        """bool [N]: items without a vector (see failed.jsonl)."""
        return self.table.missing

    @property
    def dim(self) -> int:
        return int(self.manifest["dim"])

    @property
    def view(self) -> str:
        return str(self.manifest["view"])

    @property
    def encoder_version(self) -> str:
        return str(self.manifest["encoder"]["version"])

    @property
    def run_path(self) -> Path | None:
        """Where the encoder's run lay when the store was made."""
        return _resolve(self.path, self.manifest["encoder"].get("path"))

    @property
    def catalog_path(self) -> Path | None:
        """Where the catalogue lay when the store was made."""
        return _resolve(self.path, self.manifest["catalog"].get("path"))

    def row(self, item_id: str) -> int:
        """The item's row, -1 when the store does not know it. O(1)."""
        return self.table.row(item_id)

    def get(self, ids: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors by id, as ranking models need them.

        Returns:
            float32 [n, d], zero where there is no vector; bool [n], True there: the item failed
            to embed, or is not in the store (yet) (methods.md 3.9).
        """
        rows = self.table.rows(list(ids))
        known = rows >= 0
        missing = ~known
        missing[known] = self.missing[rows[known]]
        vectors = np.zeros((len(rows), self.dim), np.float32)
        vectors[~missing] = self.vectors[rows[~missing]]
        return vectors, missing

    @functools.cached_property
    def index(self) -> Index:
        """The search engine the manifest names; opened on first use."""
        return open_index(self.manifest["index"], self.table, self.path)

    def nearest(self, vectors: np.ndarray, k: int = 10, where: Filter | None = None) -> Found:
        """Row numbers and scores for queries [Q, d]; see :class:`moonshelf.center.index.Index`.

        Raises:
            UsageError: a wrong width, ``k`` out of range, a query that is zero or not finite.
        """
        vectors = np.atleast_2d(np.asarray(vectors, np.float32))
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UsageError(
                f"query vectors have shape {list(vectors.shape)}, expected [*, {self.dim}]",
                where=str(self.path),
                cure="embed the query with the encoder the store was made with",
            )
        if not 1 <= k <= MAX_HITS:
            raise UsageError(f"k is {k}, expected 1 to {MAX_HITS:,}", cure="choose another k")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.all(np.isfinite(norms)) or np.any(norms < 1e-6):
            raise UsageError("a query vector is zero or not finite", cure="check the encoder")
        return self.index.search(vectors / norms, k, where)

    def search(self, vector: np.ndarray, k: int = 10, where: Filter | None = None) -> list[Hit]:
        """The ``k`` items nearest to one vector [d], best first; see :meth:`nearest`."""
        if np.ndim(vector) != 1:
            raise UsageError("search takes one vector", cure="call search_many for several")
        return self.search_many(np.asarray(vector)[None], k, where)[0]

    def search_many(
        self, vectors: np.ndarray, k: int = 10, where: Filter | None = None
    ) -> list[list[Hit]]:
        """:meth:`search` for each row of ``vectors`` [Q, d]; several at once are much cheaper."""
        found = self.nearest(vectors, k, where)
        return [
            [self.hit(int(row), float(score)) for row, score in zip(*pair, strict=True) if row >= 0]
            for pair in zip(found.rows, found.scores, strict=True)
        ]

    def hit(self, row: int, score: float) -> Hit:
        """One row as a search result."""
        return Hit(score=score, row=row, **self.table.item(row))


def read_manifest(path: Path) -> dict[str, Any]:
    """The checked manifest of a finished store; see :meth:`Store.open` for what it raises."""
    if not path.is_dir():
        raise StoreError(
            "there is no such folder", where=str(path), cure="run `moonshelf embed` first"
        )
    file = path / "manifest.json"
    if not file.exists():
        if (path / "identity.json").exists():
            raise StoreError(
                f"the store is unfinished: {len(shard_folders(path))} shards, no table yet",
                where=str(path),
                cure="run the same `moonshelf embed` again: it goes on where it stopped",
            )
        raise StoreError(
            "this folder is not a vector store", where=str(path), cure="run `moonshelf embed` first"
        )
    return _checked(file, _read_json(file))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad_manifest(file, f"cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise _bad_manifest(file, "is not a JSON object")
    return value


def _checked(file: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest.get("kind") != "store":
        raise _bad_manifest(file, f"describes {manifest.get('kind')!r}, not a store")
    if manifest.get("format") != FORMAT:
        raise _bad_manifest(
            file, f"has format {manifest.get('format')!r}, this version reads {FORMAT}"
        )
    absent = [key for key in _NEEDED if key not in manifest]
    if absent:
        raise _bad_manifest(file, f"lacks {', '.join(absent)}")
    # Never follow a hostile manifest out of the store's folder.
    if not re.fullmatch(r"\d{6}", str(manifest["table"])):
        raise _bad_manifest(file, f"names a table {manifest['table']!r}")
    for key in ("encoder", "catalog", "counts"):
        if not isinstance(manifest[key], dict):
            raise _bad_manifest(file, f"has no table {key!r}")
    return manifest


def _bad_manifest(file: Path, why: str) -> StoreError:
    return StoreError(
        f"the manifest {why}", where=str(file), cure="run `moonshelf embed` into a new folder"
    )


def relative_to_store(store: Path, other: Path | str | None) -> str | None:
    """``other`` as the manifest keeps it: relative to the store where the system allows it."""
    if other is None:
        return None
    try:
        return Path(os.path.relpath(Path(other).absolute(), store.absolute())).as_posix()
    except ValueError:  # another drive
        return str(Path(other).absolute())


def _resolve(store: Path, stored: Any) -> Path | None:
    if not isinstance(stored, str) or not stored:
        return None
    return Path(os.path.normpath(store.absolute() / stored))
