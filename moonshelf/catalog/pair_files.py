"""The files of a pair set: what stands in them, and reading nothing that does not. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from moonshelf.catalog.manifest import MANIFEST, file_facts
from moonshelf.catalog.splits import TRAIN
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.tables import TableWriter
from moonshelf.errors import DataError, UsageError
from moonshelf.files import atomic_folder, write_json_atomically

KIND, FORMAT = "pairs", 1
LEVELS = ("click", "cart", "purchase")
PRODUCT_QUERY, TABLE_QUERY = 0, 1
COLUMNS = {
    "query_kind": np.dtype(np.int8),
    "query": np.dtype(np.int64),
    "item": np.dtype(np.int64),
    "level": np.dtype(np.int8),
    "count": np.dtype(np.int32),
    "time": np.dtype(np.int64),
    "similarity": np.dtype(np.float32),
}
KNOWN = ("query_kind", "query", "item")
BUILD = "build the pairs again: moonshelf pairs build"
_PAIRS, _KNOWN = "pairs.arrow", "known.arrow"


def write_pair_folder(
    path: Path, manifest: Mapping[str, Any], columns: Mapping[str, np.ndarray], known: np.ndarray
) -> None:
    """Writes the folder whole or not at all; an older pair set of that name is replaced.

    Raises:
        UsageError: something else stands at ``path``. DiskFullError: no room.
    """
    if path.exists():
        _check_ours(path)
    with atomic_folder(path) as folder:
        _write(folder / _PAIRS, columns)
        _write(folder / _KNOWN, dict(zip(KNOWN, known.T, strict=True)))
        files = {name: file_facts(folder / name) for name in (_PAIRS, _KNOWN)}
        write_json_atomically(
            folder / MANIFEST, {"kind": KIND, "format": FORMAT, **manifest, "files": files}
        )


def read_pair_folder(
    path: Path, manifest: Mapping[str, Any], catalog: Catalog
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(columns of the pairs, known pairs int64 [m, 3]), memory-mapped and checked.

    Raises:
        DataError: a file is missing or damaged, or names rows that are not of the train split.
    """
    columns = _read(path / _PAIRS, COLUMNS)
    known = _read(path / _KNOWN, {name: COLUMNS[name] for name in KNOWN})
    if len(columns["item"]) != manifest["counts"]["total"]:
        raise damaged(path, "its manifest counts other pairs")
    for part in (columns, known):
        _check(path, part, catalog)
    return columns, np.stack([known[name].astype(np.int64) for name in KNOWN], axis=1)


def pair_fingerprint(manifest: Mapping[str, Any]) -> str:
    """Which pairs these are: equal files, equal fingerprint."""
    found = blake2b(digest_size=16)
    for name in (_PAIRS, _KNOWN):
        found.update(manifest["files"][name]["blake2b"].encode())
    return found.hexdigest()


def read_manifest(path: Path | str) -> dict[str, Any]:
    """The manifest of a pair set, checked for its shape.

    Raises:
        DataError: no pair set, half-written, damaged, or of another version.
    """
    file = Path(path) / MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        cure = "check the path, or make one: moonshelf pairs build"
        raise DataError("there is no pair set here", where=str(path), cure=cure) from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(file, str(error)) from error
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise DataError("does not describe a pair set", where=str(file), cure="check the path")
    if manifest.get("format") != FORMAT:
        what = f"has format {manifest.get('format')!r}, this version reads {FORMAT}"
        raise DataError(what, where=str(file), cure=BUILD)
    catalog, history = manifest.get("catalog"), manifest.get("history")
    if not isinstance(catalog, dict) or not {"fingerprint", "origin"} <= catalog.keys():
        raise damaged(file, "it does not say of which catalogue")
    if not isinstance(history, list) or not all(_is_step(line) for line in history):
        raise damaged(file, "its history is no list of steps")
    counts = manifest.get("counts")
    if not isinstance(counts, dict) or not isinstance(manifest.get("options"), dict):
        raise damaged(file, "it lacks counts or options")
    if not isinstance(counts.get("total"), int):
        raise damaged(file, "it does not count its pairs")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(_is_file(files.get(n)) for n in (_PAIRS, _KNOWN)):
        raise damaged(file, "it does not name its files")
    return manifest


def _is_file(facts: Any) -> bool:
    return isinstance(facts, dict) and isinstance(facts.get("blake2b"), str)


def _is_step(line: Any) -> bool:
    return isinstance(line, dict) and {"step", "options", "before", "after"} <= line.keys()


def _read(path: Path, wanted: Mapping[str, np.dtype]) -> dict[str, np.ndarray]:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, str(error)) from error
    if not table.schema.equals(_schema(wanted)):
        raise damaged(path, "it has other columns")
    if any(column.null_count for column in table.columns):
        raise damaged(path, "it has empty cells")
    return {name: table[name].to_numpy() for name in wanted}


def _write(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    schema = _schema({name: COLUMNS[name] for name in columns})
    writer = TableWriter(path, schema)
    try:
        arrays = [pa.array(np.ascontiguousarray(a.astype(COLUMNS[n]))) for n, a in columns.items()]
        writer.write(pa.Table.from_arrays(arrays, schema=schema))
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def _schema(columns: Mapping[str, np.dtype]) -> pa.Schema:
    return pa.schema([(name, pa.from_numpy_dtype(dtype)) for name, dtype in columns.items()])


def _check(path: Path, columns: Mapping[str, np.ndarray], catalog: Catalog) -> None:
    """Every pair names rows that are there, all of the train split."""
    kind, query, item = (columns[name] for name in KNOWN)
    products, queries = catalog.product_splits(), catalog.query_splits()
    of_table = kind == TABLE_QUERY
    if not np.isin(kind, (PRODUCT_QUERY, TABLE_QUERY)).all():
        raise damaged(path, "it names a kind of query that does not exist")
    if "level" in columns and not np.isin(columns["level"], range(len(LEVELS))).all():
        raise damaged(path, "it names a level that does not exist")
    for rows, splits in (
        (item, products),
        (query[of_table], queries),
        (query[~of_table], products),
    ):
        if rows.min(initial=0) < 0 or rows.max(initial=-1) >= len(splits):
            raise damaged(path, "it names rows that the catalogue does not have")
        if (splits[rows] != TRAIN).any():
            raise damaged(path, "it holds pairs outside the train split")


def _check_ours(path: Path) -> None:
    """Only a pair set, be it damaged, may be replaced: no folder is wiped by a slip of the path."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        what = "something that is no pair set stands here"
        raise UsageError(what, where=str(path), cure="choose a new folder")


def damaged(path: Path, what: str) -> DataError:
    return DataError(f"is damaged: {what[:200]}", where=str(path), cure=BUILD)
