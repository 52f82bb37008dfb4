"""One path for all embedding jobs: a catalogue in, a searchable store out.

The papers draw "one path for all encoding jobs" and a versioned "representation storage" without
details (methods.md 3.9); ours is a plain loop over immutable shards, idempotent by (item id,
content hash, encoder version). It can be killed at any moment and goes on when it is run again.
A store belongs to one encoder, view and text, and to one catalogue through all its states: what
was added to it or replaced in it is embedded, another catalogue is refused unless asked for.
An item that cannot be embedded is one item's error: a zero vector, a missing flag and a line in
failed.jsonl; the others do not notice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from moonshelf.catalog.crops.cropper import use_crops
from moonshelf.catalog.crops.looking import known_crops
from moonshelf.catalog.product import Content, Product, View, product_content
from moonshelf.catalog.reference_attributes import AttributeFile
from moonshelf.center.assemble import finish
from moonshelf.center.attributes import Joined, join_attributes
from moonshelf.center.identity import check_identity, refuse_foreign_folder
from moonshelf.center.index import choose_engine
from moonshelf.center.shards import (
    Row,
    only_writer,
    read_rows,
    read_vectors,
    row_key,
    shard_folders,
    sweep,
    write_shard,
)
from moonshelf.center.store import FORMAT, Store
from moonshelf.errors import DataError, StoreError, UsageError
from moonshelf.progress import Progress, silent

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

FLUSH_SECONDS = 60.0  # a slow encoder loses at most about this much work to a kill
DEFAULT_BATCH = 256
NORM_TOLERANCE = 2e-2


class VectorEncoder(Protocol):
    """What is needed of an encoder: its width, and unit rows for contents."""

    dim: int

    def embed(self, contents: Iterable[Content], batch_size: int | None = None) -> np.ndarray: ...


class CatalogRows(Protocol):
    """What is needed of a catalogue (moonshelf.catalog.store.Catalog)."""

    path: Path

    @property
    def fingerprint(self) -> str: ...
    @property
    def origin(self) -> str: ...
    def __len__(self) -> int: ...
    def __getitem__(self, row: int, /) -> Product: ...
    def content_hash(self, row: int, /) -> str: ...
    def column(self, name: str, /) -> Any: ...


@dataclass
class Finished:
    """What the shards hold: where each row of work lies, and which rows failed."""

    place: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    error: dict[bytes, str] = field(default_factory=dict)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, shard: Path, version: str) -> None:
        table = read_rows(shard, version)
        number = int(shard.name)
        self.vectors[number] = read_vectors(shard, table.num_rows)
        columns = (table.column(name).to_pylist() for name in ("id", "content_hash", "error"))
        for place, (item, content, error) in enumerate(zip(*columns, strict=True)):
            key = row_key(item, content)
            self.place[key] = (number, place)
            self.error.pop(key, None)
            if error:
                self.error[key] = error


@dataclass(frozen=True)
class Job:
    """One embedding job; everything that decides what a vector is."""

    encoder: VectorEncoder
    catalog: CatalogRows
    store: Path
    version: str
    view: View
    fields: tuple[str, ...]
    batch_size: int | None
    shard_rows: int
    attributes: Joined | None = None
    """What filters reach besides the catalogue's own attributes; no vector depends on it."""

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for all vectors of one store."""
        cropper = getattr(self.encoder, "cropper", None)
        return {
            "format": FORMAT,
            "kind": "store-identity",
            "encoder_version": self.version,
            "dim": int(self.encoder.dim),
            "view": self.view.value,
            "fields": list(self.fields),
            **({} if cropper is None else {"crops": cropper.version}),
        }


def embed_catalog(
    encoder: VectorEncoder,
    catalog: CatalogRows,
    to: Path | str,
    view: View | str = "mm",
    *,
    version: str | None = None,
    run: Path | str | None = None,
    fields: tuple[str, ...] = ("title",),
    shard_rows: int = 2048,
    batch_size: int | None = None,
    index: str = "auto",
    another_catalog: bool = False,
    attributes: Path | str | None = None,
    progress: Progress | None = None,
) -> Store:
    """Embeds what the store does not hold yet, then builds its table and index.

    Args:
        encoder: gives unit rows [n, d].
        catalog: the opened catalogue.
        to: the store's folder; created, or continued.
        view: which modalities are fed: t, i or mm.
        version: the encoder's content hash; by default that of ``run``, or ``encoder.version``.
        run: the folder the encoder came from; remembered, so that search finds it.
        fields: the text fields fed (see ``product_content``).
        shard_rows: rows a shard; a kill loses at most that, and at most about a minute.
        batch_size: handed to the encoder.
        index: auto, exact or lance.
        another_catalog: the store may pass from the catalogue it holds to this one; vectors of
            contents that both have are kept.
        attributes: a file of reference attributes, e.g. of a product graph: filters and hits have
            them beside the catalogue's own, which stand where both have a key. Without it the
            store has the catalogue's alone, whatever it had before.
        progress: called after every block of rows.

    Returns:
        The opened store. Its manifest has counts, encoder version, width, view, catalogue
        fingerprint and times.

    Raises:
        StoreError: the store belongs to another encoder version, view, text or catalogue, is not
            a store, is being written by another process, or a shard is damaged.
        UsageError: a bad argument, or no encoder version.
        DataError: ``attributes`` is no such file, or of another catalogue; a detector has not
            looked at all main pictures (CatalogError: at none).
    """
    if shard_rows < 1 or (batch_size is not None and batch_size < 1):
        raise UsageError("shard_rows and batch_size must be at least 1", cure="choose larger ones")
    job = Job(
        encoder=encoder,
        catalog=catalog,
        store=Path(to),
        version=find_version(encoder, version, run),
        view=_view(view),
        fields=tuple(fields),
        batch_size=batch_size,
        shard_rows=shard_rows,
        attributes=_joined(catalog, attributes),
    )
    _ready_crops(encoder, catalog, job.view)
    choose_engine(index, 0)  # a wrong or missing engine is known before hours of embedding
    began = time.time()
    refuse_foreign_folder(job.store)
    with only_writer(job.store):
        check_identity(job, another_catalog)
        for name in ("", "shards", "tables", "indexes"):
            sweep(job.store / name)
        done = Finished()
        for shard in shard_folders(job.store):
            done.add(shard, job.version)
        keys = [
            row_key(item, catalog.content_hash(row))
            for row, item in enumerate(catalog.column("id").to_pylist())
        ]
        todo = [row for row, key in enumerate(keys) if key not in done.place]
        _embed_rows(job, todo, done, progress or silent)
        times = {"began": began, "embed_seconds": round(time.time() - began, 3)}
        finish(job, done, keys, embedded=len(todo), index=index, run=run, times=times)
    return Store.open(job.store)


def find_version(encoder: VectorEncoder, version: str | None, run: Path | str | None) -> str:
    """The encoder version that stamps the store.

    Raises:
        UsageError: nobody knows it.
    """
    if version is None and run is not None:
        from moonshelf.encoder import encoder_version

        version = encoder_version(Path(run))
    version = version or getattr(encoder, "version", None)
    if not isinstance(version, str) or not version:
        raise UsageError(
            "the encoder's version is unknown, and a store must never mix two",
            cure="pass run= (the folder it was loaded from) or version=",
        )
    return version


def _ready_crops(encoder: VectorEncoder, catalog: CatalogRows, view: View) -> None:
    """Tells the encoder of crops. Where it cannot look for itself they must all be there: a row
    that failed for want of one would count as done."""
    cropper = getattr(encoder, "cropper", None)
    if cropper is not None and view.has_image and not cropper.looks:
        known_crops(cast("Catalog", catalog), cropper.name)
    use_crops(encoder, catalog)


def _joined(catalog: CatalogRows, attributes: Path | str | None) -> Joined | None:
    if attributes is None:
        return None
    file = AttributeFile.open(attributes)
    return join_attributes(catalog.column("id"), catalog.column("attributes"), file)


def _view(view: View | str) -> View:
    try:
        return View(view)
    except ValueError as error:
        raise UsageError(f"unknown view {view!r}", cure="choose t, i or mm") from error


def _embed_rows(job: Job, todo: Sequence[int], done: Finished, progress: Progress) -> None:
    """Embeds the rows and writes a shard whenever enough rows or seconds have gone by."""
    batch = job.batch_size or int(getattr(job.encoder, "embed_batch", DEFAULT_BATCH))
    block = min(batch, job.shard_rows)
    rows: list[Row] = []
    vectors: list[np.ndarray] = []
    failed, written = 0, time.monotonic()
    progress(0, len(todo), failed=0)
    for start in range(0, len(todo), block):
        stop = min(start + block, len(todo))
        found_rows, found = embed_block(job, todo[start:stop])
        rows += found_rows
        vectors.append(found)
        failed += sum(1 for row in found_rows if row.error)
        late = time.monotonic() - written > FLUSH_SECONDS
        if len(rows) + block > job.shard_rows or late or stop == len(todo):
            done.add(
                write_shard(job.store, rows, np.concatenate(vectors), job.version), job.version
            )
            rows, vectors, written = [], [], time.monotonic()
        progress(stop, len(todo), failed=failed)


def embed_block(job: Job, block: Sequence[int]) -> tuple[list[Row], np.ndarray]:
    """Embeds a few rows; what fails is that row's error and leaves the others as they are."""
    contents: list[Content] = []
    ids, hashes = [], []
    errors = [""] * len(block)
    for place, row in enumerate(block):
        product = job.catalog[row]
        content = product_content(product, job.view, job.fields)
        if not (content.text or "").strip() and not content.images:
            errors[place] = f"has nothing to embed in view {job.view.value}"
        contents.append(content)
        ids.append(product.id)
        hashes.append(job.catalog.content_hash(row))
    vectors = np.zeros((len(block), int(job.encoder.dim)), np.float32)
    whole = [place for place, error in enumerate(errors) if not error]
    _encode(job, contents, whole, vectors, errors)
    finite = np.asarray(np.isfinite(vectors).all(axis=1))
    if len(whole) > 1 and not finite[whole].any():
        raise StoreError(
            f"the encoder gave no finite vector for {len(whole)} items in a row",
            where=str(job.store),
            cure="check the encoder: its weights are probably damaged",
        )
    for place in np.flatnonzero(~finite):
        errors[place] = "the encoder gave a vector that is not finite"
        vectors[place] = 0
    _check_norms(job, vectors, errors)
    rows = [Row(i, h, error) for i, h, error in zip(ids, hashes, errors, strict=True)]
    return rows, vectors


def _encode(
    job: Job,
    contents: Sequence[Content],
    places: Sequence[int],
    vectors: np.ndarray,
    errors: list[str],
) -> None:
    """Encodes ``places``; when the encoder refuses them, halves until the bad row stands alone."""
    if not places:
        return
    try:
        found = job.encoder.embed([contents[p] for p in places], batch_size=job.batch_size)
    except DataError as error:
        if len(places) == 1:
            errors[places[0]] = str(error) or type(error).__name__
            return
        middle = len(places) // 2
        _encode(job, contents, places[:middle], vectors, errors)
        _encode(job, contents, places[middle:], vectors, errors)
        return
    found = np.asarray(found, np.float32)
    if found.shape != (len(places), vectors.shape[1]):
        raise StoreError(
            f"the encoder gave shape {list(found.shape)} for {len(places)} items, "
            f"expected [{len(places)}, {vectors.shape[1]}]",
            where=str(job.store),
            cure="check the encoder's dim and embed",
        )
    vectors[list(places)] = found


def _check_norms(job: Job, vectors: np.ndarray, errors: Sequence[str]) -> None:
    good = np.array([not error for error in errors], bool)
    norms = np.linalg.norm(vectors[good], axis=1)
    if len(norms) and np.abs(norms - 1).max() > NORM_TOLERANCE:
        raise StoreError(
            f"the encoder gave vectors of length {norms.min():.3g} to {norms.max():.3g}, not 1",
            where=str(job.store),
            cure="normalize in the encoder: scores would not be cosines",
        )
