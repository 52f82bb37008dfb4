"""``lance://``: LanceDB, embedded in the process, for stores beyond exact search.

The index table holds the row, its vector, its facet numbers and its price; everything else is
looked up in the store. Filters are applied before the search and reach LanceDB as integers and
floats only: names were turned into facet numbers by the store, so there is nothing to inject.

LanceDB's neighbors (scalar-quantized) are candidates: three times ``k`` of them are scored again
from the stored fp16 vectors. Where a filtered graph search comes back short of what matches, the
matching rows are searched exactly instead, because ``k`` hits are promised.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.center.filters import Filter
from moonshelf.center.index import Found, best_rows, missing_lance
from moonshelf.center.index_exact import ExactIndex
from moonshelf.center.shards import sync_files
from moonshelf.center.table import Table
from moonshelf.errors import StoreError
from moonshelf.files import atomic_folder, write_json_atomically

FORMAT = 1
ANN_FROM = 1000  # below, LanceDB scans: a graph over so few vectors gains nothing
GRAPH_ROWS = 1 << 20  # vectors in one HNSW graph
BATCH_ROWS = 1 << 16
QUERY_ROWS = 64
BUILD_LIMIT = datetime.timedelta(hours=12)


def _connect(folder: Path) -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise missing_lance() from error
    return lancedb.connect(folder)


def build_lance(table: Table, to: Path) -> None:
    """Builds the index of a store table into the folder ``to``, which appears when complete.

    IVF_HNSW_SQ with cosine distance (same order as the dot product for unit rows, and three
    times quicker to build), a label-list index on the facets, a B-tree on the price.
    """
    import pyarrow as pa

    if len(table.vectors) == 0:
        raise StoreError("there is nothing to index", where=str(to), cure="use --index exact")
    dim = table.vectors.shape[1]
    schema = pa.schema(
        [
            ("row", pa.int64()),
            ("vector", pa.list_(pa.float16(), dim)),
            ("facets", pa.list_(pa.int64())),
            ("price", pa.float64()),
        ]
    )
    with atomic_folder(to) as folder:
        lance = _connect(folder / "db").create_table(
            "items", data=pa.RecordBatchReader.from_batches(schema, _batches(table, schema))
        )
        count = lance.count_rows()
        if count >= ANN_FROM:
            _index_columns(lance, count)
        write_json_atomically(
            folder / "manifest.json",
            {"format": FORMAT, "kind": "lance-index", "rows": count, "dim": dim},
        )
        sync_files(folder)


def _index_columns(lance: Any, count: int) -> None:
    from lancedb.index import BTree, HnswSq, LabelList

    graphs = max(1, math.ceil(count / GRAPH_ROWS))
    config = HnswSq(distance_type="cosine", num_partitions=graphs)
    lance.create_index("vector", config=config, wait_timeout=BUILD_LIMIT)
    lance.create_index("facets", config=LabelList(), wait_timeout=BUILD_LIMIT)
    lance.create_index("price", config=BTree(), wait_timeout=BUILD_LIMIT)


def _batches(table: Table, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    facets = table.facets
    offsets, numbers = facets.forward(len(table.vectors))
    present = np.flatnonzero(~np.asarray(table.missing))
    dim = table.vectors.shape[1]
    for start in range(0, len(present), BATCH_ROWS):
        rows = present[start : start + BATCH_ROWS]
        lengths = offsets[rows + 1] - offsets[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], lengths)
        price = facets.price[rows]
        columns = [
            pa.array(rows, pa.int64()),
            pa.FixedSizeListArray.from_arrays(pa.array(table.vectors[rows].ravel()), dim),
            pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(numbers[flat])),
            pa.array(price, pa.float64(), from_pandas=True),  # NaN becomes null: no price
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


class LanceIndex:
    """Searches a folder made by :func:`build_lance`.

    Raises:
        StoreError: the folder is missing, half-built or belongs to other vectors.
        UsageError: LanceDB is not installed.
    """

    def __init__(self, table: Table, folder: Path, url: str) -> None:
        self.url, self._table, self._folder = url, table, folder
        self._exact = ExactIndex(table)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            rows, dim = int(manifest["rows"]), int(manifest["dim"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._half_built("it has no readable manifest") from error
        if dim != table.vectors.shape[1] or rows != np.count_nonzero(~np.asarray(table.missing)):
            raise self._half_built(f"it holds {rows} vectors of width {dim}, the store others")
        database = _connect(folder / "db")
        try:
            self._lance = database.open_table("items")
            found = self._lance.count_rows()
            indexed = {index.name for index in self._lance.list_indices()}
        except Exception as error:  # LanceDB raises plain RuntimeError and ValueError
            raise self._half_built(f"LanceDB cannot open it: {str(error)[:200]}") from error
        if found != rows:
            raise self._half_built(f"it holds {found} of {rows} rows")
        if rows >= ANN_FROM and "vector_idx" not in indexed:
            raise self._half_built("its vectors are not indexed")

    def search(self, vectors: np.ndarray, k: int, where: Filter | None = None) -> Found:
        """See :class:`moonshelf.center.index.Index`."""
        matching = None
        predicate = ""
        if where is not None and not where.empty:
            predicate = sql_predicate(self._table.facets.clauses(where), where)
            matching = np.flatnonzero(
                self._table.facets.mask(where) & ~np.asarray(self._table.missing)
            )
        available = len(self._exact_rows() if matching is None else matching)
        candidates: list[np.ndarray] = []
        for start in range(0, len(vectors), QUERY_ROWS):
            block = vectors[start : start + QUERY_ROWS]
            found = self._candidates(block, k, predicate) if available else [None] * len(block)
            for query, rows in enumerate(found):
                if rows is None:
                    rows = np.zeros(0, np.int64)
                elif len(rows) < min(k, available):
                    among = self._exact_rows() if matching is None else matching
                    rows = self._exact.search_rows(block[query : query + 1], k, among)[0]
                candidates.append(rows)
        return best_rows(self._table, vectors, candidates, k)

    def _exact_rows(self) -> np.ndarray:
        return np.flatnonzero(~np.asarray(self._table.missing))

    def _candidates(self, block: np.ndarray, k: int, predicate: str) -> list[np.ndarray]:
        limit = max(3 * k, k + 20)
        query = self._lance.search(block, vector_column_name="vector").distance_type("cosine")
        query = query.limit(limit).ef(max(2 * limit, 64)).select(["row", "_distance"])
        if predicate:
            query = query.where(predicate, prefilter=True)
        try:
            found = query.to_arrow()
        except Exception as error:
            raise self._half_built(f"LanceDB cannot search it: {str(error)[:200]}") from error
        rows = found.column("row").to_numpy()
        if "query_index" not in found.schema.names:  # LanceDB leaves it out for one query
            return [np.unique(rows)]
        asked = found.column("query_index").to_numpy()
        return [np.unique(rows[asked == query]) for query in range(len(block))]

    def _half_built(self, why: str) -> StoreError:
        return StoreError(
            f"the index is missing, half-built or damaged: {why}",
            where=str(self._folder),
            cure="delete this folder and run the same `moonshelf embed` again: it rebuilds the "
            "index and computes no vector anew",
        )


def sql_predicate(clauses: list[list[int]], where: Filter) -> str:
    """The filter in LanceDB's SQL: integers and floats only, never a word of the user's."""
    parts = []
    for clause in clauses:
        numbers = ", ".join(str(int(number)) for number in clause)
        parts.append(f"array_has_any(facets, [{numbers}])" if numbers else "false")
    if where.price_min > -math.inf:
        parts.append(f"price >= CAST('{float(where.price_min)!r}' AS DOUBLE)")
    if where.price_max < math.inf:
        parts.append(f"price <= CAST('{float(where.price_max)!r}' AS DOUBLE)")
    return " AND ".join(parts)
