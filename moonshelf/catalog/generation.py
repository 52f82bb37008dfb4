"""One generation of a catalogue: what one import added, in files that never change again."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from moonshelf.catalog.blobs import PICTURE, BlobReader
from moonshelf.catalog.manifest import AGAIN
from moonshelf.catalog.tables import PRODUCTS
from moonshelf.errors import CatalogError


class Generation:
    """Reads the files of one generation folder; all of them are opened on first use."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.folder = path / facts["folder"]
        self.batch_rows: list[int] = facts["batches"]
        self.queries: int = facts["queries"]
        self.events: int = facts["events"]
        self.pictures: int = facts["pictures"]

    @cached_property
    def blobs(self) -> BlobReader:
        table = load_array(self.folder / "pictures.npy", PICTURE, self.pictures)
        return BlobReader(self.folder, table)

    @cached_property
    def _products(self) -> pa.ipc.RecordBatchFileReader:
        return open_table(self.folder / "products.arrow", PRODUCTS)

    def batch(self, k: int) -> pa.RecordBatch:
        """Record batch ``k`` of the products, validated."""
        path = self.folder / "products.arrow"
        try:
            batch = self._products.get_batch(k)
            batch.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, str(error)) from error
        if batch.num_rows != self.batch_rows[k]:
            raise damaged(path, f"batch {k} has {batch.num_rows} rows")
        return batch

    def table(self, name: str, schema: pa.Schema) -> pa.Table:
        """A whole table of this generation, memory-mapped and validated."""
        path = self.folder / name
        try:
            table = open_table(path, schema).read_all()
            table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, str(error)) from error
        return table


def open_table(path: Path, schema: pa.Schema) -> pa.ipc.RecordBatchFileReader:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, str(error)) from error
    if not reader.schema.equals(schema):
        raise damaged(path, "it has other columns")
    return reader


def load_array(path: Path, dtype: np.dtype, rows: int | None = None) -> np.ndarray:
    """A one-dimensional array, memory-mapped, of a known type and length."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python text: any error may come
        raise damaged(path, str(error)) from error
    if array.dtype != dtype or array.ndim != 1 or (rows is not None and len(array) != rows):
        raise damaged(path, f"it holds {array.dtype} {array.shape}")
    return array


def damaged(path: Path, what: str) -> CatalogError:
    return CatalogError(f"is damaged: {what[:200]}", where=str(path), cure=AGAIN)


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes what :func:`load_array` maps. ``np.save`` would lose the reason of a failed write
    (a full disk among them), because it writes behind Python's back."""
    array = np.ascontiguousarray(array)
    with path.open("xb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_2_0(file, header)
        file.write(array.view(np.uint8).data)
