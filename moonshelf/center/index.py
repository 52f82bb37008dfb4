"""Search engines behind one small protocol, chosen by URL.

    exact://             tiled exact search over the store's own vectors
    lance://<folder>     LanceDB, embedded: IVF_HNSW_SQ plus scalar indexes for filters

Both answer alike: best first, ties to the lower row, scores recomputed in float32 from the
store's fp16 vectors, missing items never, and ``k`` hits after the filter if that many match.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from moonshelf.center.filters import Filter
from moonshelf.center.table import Table
from moonshelf.errors import StoreError, UsageError

EXACT_BELOW = 50_000  # items: an exact query costs some 2 ms of a core, and nothing to build
ENGINES = ("auto", "exact", "lance")
LANCE_CURE = 'pip install "moonshelf[index]"'
_URL = re.compile(r"(exact)://|(lance)://(indexes/\d{6}-lance)")


@dataclass(frozen=True, slots=True)
class Found:
    """What an index returns for Q queries: ``rows`` int64 [Q, k], ``scores`` float32 [Q, k].

    Where fewer than ``k`` items match, the rest is -1 and -inf.
    """

    rows: np.ndarray
    scores: np.ndarray


class Index(Protocol):
    """One search engine over one table.

    Example:
        >>> found = index.search(vectors, k=10, where=parse_filter(["color=Red"]))
    """

    url: str

    def search(self, vectors: np.ndarray, k: int, where: Filter | None = None) -> Found:
        """The ``k`` best rows for each of ``vectors`` (float32 [Q, d], unit rows)."""
        ...


def best_rows(table: Table, vectors: np.ndarray, candidates: Sequence[np.ndarray], k: int) -> Found:
    """Scores candidate rows per query from the stored vectors and orders them, best first.

    Every engine ends here, so that the same item gets the same score from each of them.
    """
    rows = np.full((len(vectors), k), -1, np.int64)
    scores = np.full((len(vectors), k), -np.inf, np.float32)
    for query, found in enumerate(candidates):
        score = np.einsum("nd,d->n", table.vectors[found].astype(np.float32), vectors[query])
        order = np.lexsort((found, -score))[:k]
        rows[query, : len(order)] = found[order]
        scores[query, : len(order)] = score[order]
    return Found(rows, scores)


def choose_engine(engine: str, items: int) -> tuple[str, str]:
    """The engine to build ("exact" or "lance") and a note for the user ("" when there is none).

    Raises:
        UsageError: an unknown engine, or ``lance`` asked for where it is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(
            f"unknown index {engine!r}", where="--index", cure=f"choose among {', '.join(ENGINES)}"
        )
    installed = importlib.util.find_spec("lancedb") is not None
    if engine == "lance" and not installed:
        raise missing_lance()
    if engine != "auto":
        return engine, ""
    if items < EXACT_BELOW:
        return "exact", ""
    if installed:
        return "lance", ""
    note = f"{items:,} items are searched exactly: LanceDB is not installed ({LANCE_CURE})"
    return "exact", note


def missing_lance() -> UsageError:
    return UsageError("the lance index needs LanceDB, which is not installed", cure=LANCE_CURE)


def build_index(engine: str, table: Table, store: Path, table_name: str) -> str:
    """Builds the engine's files for the store's table and returns the index URL."""
    if engine == "exact":
        return "exact://"
    from moonshelf.center.index_lance import build_lance

    name = f"indexes/{table_name}-lance"
    build_lance(table, store / name)
    return f"lance://{name}"


def open_index(url: str, table: Table, store: Path) -> Index:
    """The engine a URL names, ready to search.

    Raises:
        StoreError: an unknown URL, or an index that is missing or half-built.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise StoreError(
            f"unknown index URL {url!r}", where=str(store), cure="embed again with --index exact"
        )
    if match[1]:
        from moonshelf.center.index_exact import ExactIndex

        return ExactIndex(table)
    from moonshelf.center.index_lance import LanceIndex

    return LanceIndex(table, store / match[3], url)
