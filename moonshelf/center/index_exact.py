"""``exact://``: every query against every vector, in tiles, with bounded memory.

The default below some 50,000 items, and the truth the approximate index is measured by.
"""

from __future__ import annotations

import numpy as np

from moonshelf.center.filters import Filter
from moonshelf.center.index import Found, best_rows
from moonshelf.center.table import Table

TILE_ROWS = 8192
QUERY_ROWS = 256
# A matrix product may give equal vectors scores that differ in the last bit, depending on their
# place in the tile. What is this close to the k-th score is kept and scored again, alike for all.
TIE = np.float32(2e-6)
MAX_TIES = 1024  # per query, so that a catalogue of copies cannot fill the memory
CACHE_BYTES = 256 << 20  # float32 copies of tables up to this size are kept between searches

Kept = tuple[np.ndarray, np.ndarray, np.ndarray]  # parallel: query, row, score


class ExactIndex:
    """Tiled exact search over a table of fp16 vectors [N, d].

    Args:
        table: where the vectors, the missing flags and the filter masks come from.
    """

    url = "exact://"

    def __init__(self, table: Table) -> None:
        self._table = table
        self._present = ~np.asarray(table.missing)
        self._all_present = bool(self._present.all())
        self._wide: np.ndarray | None = None

    def search(self, vectors: np.ndarray, k: int, where: Filter | None = None) -> Found:
        """See :class:`moonshelf.center.index.Index`. Memory: queries x 8,192 scores at a time."""
        rows = self._candidates(where)
        parts = [
            self._search_block(vectors[start : start + QUERY_ROWS], k, rows)
            for start in range(0, len(vectors), QUERY_ROWS)
        ]
        return best_rows(self._table, vectors, [row for part in parts for row in part], k)

    def search_rows(self, vectors: np.ndarray, k: int, rows: np.ndarray) -> list[np.ndarray]:
        """The ``k`` best among the given ascending rows, for each query [Q, d]."""
        return self._search_block(vectors, k, rows)

    def _candidates(self, where: Filter | None) -> np.ndarray | None:
        """Ascending rows to look at; None for all of them."""
        if where is None or where.empty:
            return None if self._all_present else np.flatnonzero(self._present)
        return np.flatnonzero(self._table.facets.mask(where) & self._present)

    def _tile(self, start: int, stop: int, rows: np.ndarray | None) -> np.ndarray:
        """float32 [stop - start, d]"""
        vectors = self._wide_vectors()
        tile = vectors[start:stop] if rows is None else vectors[rows[start:stop]]
        return tile.astype(np.float32, copy=False)

    def _wide_vectors(self) -> np.ndarray:
        narrow = self._table.vectors
        if self._wide is None and narrow.size * 4 <= CACHE_BYTES:
            self._wide = narrow.astype(np.float32)
        return narrow if self._wide is None else self._wide

    def _search_block(
        self, vectors: np.ndarray, k: int, rows: np.ndarray | None
    ) -> list[np.ndarray]:
        """Keeps per query the rows that still can be among the best ``k``; the floor of the kept
        scores rises from tile to tile, so later tiles add only a handful."""
        total = len(self._table.vectors) if rows is None else len(rows)
        floor = np.full(len(vectors), -np.inf, np.float32)
        kept: Kept = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        for start in range(0, total, TILE_ROWS):
            stop = min(start + TILE_ROWS, total)
            scores = vectors @ self._tile(start, stop, rows).T
            if start == 0 and stop > k:
                floor = np.partition(scores, -k, axis=1)[:, -k] - TIE
            query, place = np.nonzero(scores >= floor[:, None])
            if not len(query):
                continue
            row = place + start if rows is None else rows[place + start]
            found = (query, row, scores[query, place])
            kept, floor = _best(
                [np.concatenate(p) for p in zip(kept, found, strict=True)], floor, k
            )
        borders = np.searchsorted(kept[0], np.arange(len(vectors) + 1))
        return [kept[1][borders[q] : borders[q + 1]] for q in range(len(vectors))]


def _best(parts: list[np.ndarray], floor: np.ndarray, k: int) -> tuple[Kept, np.ndarray]:
    """The ``k`` best of every query and what ties with the last of them, ordered by query, then
    score (high first), then row; and the score below which nothing matters any more."""
    query, row, score = parts
    order = np.lexsort((row, -score, query))
    query, row, score = query[order], row[order], score[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    last = rank == k - 1
    floor = floor.copy()
    floor[query[last]] = score[last] - TIE
    keep = (rank < k) | ((score >= floor[query]) & (rank < k + MAX_TIES))
    return (query[keep], row[keep], score[keep]), floor
