"""Writes a small copy of a public set and reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from moonshelf.catalog.problem import Located
from moonshelf.catalog.readers import Reader, reader_for


def write(path: Path, body: str | bytes | list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(body, list):
        pq.write_table(pa.Table.from_pylist(body), path)
    else:
        path.write_bytes(body.encode() if isinstance(body, str) else body)


def read(folder: Path, name: str, **options: str) -> tuple[list[Any], Reader]:
    reader = reader_for(folder)
    assert reader.name == name
    items = list(reader.read(folder, options))
    return [i.record if isinstance(i, Located) else i for i in items], reader
