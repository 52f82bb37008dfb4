"""Looks at the main pictures of a catalogue, of products and of queries, and keeps what is found.

Only pictures that no earlier call has looked at are looked at, so a broken-off call goes on. Where
one picture belongs to several products, the first one's title goes with it.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from moonshelf.catalog.crops.box import Looked, Missing
from moonshelf.catalog.crops.detector import Detector
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.images import Limits, small_picture
from moonshelf.catalog.landing import writing
from moonshelf.catalog.store import Catalog
from moonshelf.errors import CatalogError, ImageError
from moonshelf.files import locked
from moonshelf.progress import Progress, silent

UNREADABLE = "unreadable"
THREADS = 2
_FLUSH_SECONDS = 60.0  # a kill loses at most about this much work
_AHEAD = 16  # pictures in work for each thread


class NotLooked(Exception):
    """A detector could not look at this picture now; a later call may."""


@dataclass(frozen=True)
class Found:
    """The table after a call; how many pictures it ``looked`` at and ``put_off``, and how long."""

    table: CropTable
    looked: int
    put_off: int
    seconds: float


def look_at_pictures(
    catalog: Catalog,
    detector: Detector,
    *,
    replace: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
    limits: Limits | None = None,
) -> Found:
    """Brings the table of ``detector`` up to date, and writes it into the catalogue's folder.

    Args:
        replace: where another version of the detector made the table, make it anew.
        threads: pictures looked at at once.

    Raises:
        CatalogError: the table is of another version or damaged; the folder cannot be written to.
        MoonshelfError: what the detector cannot go on with; what was found before is kept.
    """
    began = time.monotonic()
    file = table_file(catalog.path, detector.name)
    with _alone(file):
        table, stands = _table_so_far(catalog, detector, replace)
        todo = [picture for picture in main_pictures(catalog) if not _known(table, picture)]
        count = min(THREADS, os.cpu_count() or 1) if threads is None else threads
        fresh: dict[bytes, Looked] = {}
        done = put_off = 0
        flushed = time.monotonic()
        try:
            seen = _look(catalog, detector, todo, count, limits or Limits())
            for done, (picture, found) in enumerate(seen, start=1):
                if found is None:
                    put_off += 1
                else:
                    fresh[picture.digest] = found
                progress(done, len(todo), put_off=put_off)
                if time.monotonic() - flushed > _FLUSH_SECONDS:
                    table, fresh = table.with_more(fresh), {}
                    table.write(catalog.path)
                    flushed = time.monotonic()
        finally:
            if fresh or not stands:
                table = table.with_more(fresh)
                table.write(catalog.path)
    return Found(table, done - put_off, put_off, time.monotonic() - began)


@dataclass(frozen=True)
class MainPicture:
    """A picture that is some product's or query's first; ``title`` is that one's text."""

    number: int
    digest: bytes
    title: str


def main_pictures(catalog: Catalog) -> Iterator[MainPicture]:
    """The first picture of every product, then of every query; each picture once."""
    done: set[int] = set()
    sources = (
        (catalog.picture_links(), catalog.column("title")),
        (catalog.query_links(), catalog.query_column("text")),
    )
    for (owners, numbers), texts in sources:
        owners, first = np.unique(owners, return_index=True)
        titles = texts.take(pa.array(owners)).to_pylist()
        for number, title in zip(numbers[first].tolist(), titles, strict=True):
            if number not in done:
                done.add(number)
                yield MainPicture(number, catalog.picture_digest(number), title or "")


def _look(
    catalog: Catalog, detector: Detector, todo: list[MainPicture], threads: int, limits: Limits
) -> Iterator[tuple[MainPicture, Looked | None]]:
    """What is found, in order; None where a picture was put off."""

    def one(picture: MainPicture) -> Looked | None:
        try:
            pixels = small_picture(catalog.picture(picture.number), detector.side, limits)
        except ImageError:
            return Missing(UNREADABLE)
        try:
            return detector.detect(pixels, picture.title)
        except NotLooked:
            return None

    with ThreadPoolExecutor(max(1, threads)) as pool:
        step = max(1, threads) * _AHEAD
        for start in range(0, len(todo), step):
            part = todo[start : start + step]
            yield from zip(part, pool.map(one, part), strict=True)


def _table_so_far(catalog: Catalog, detector: Detector, replace: bool) -> tuple[CropTable, bool]:
    """The table to go on with, and whether it stands in its file already."""
    empty = CropTable.of(detector.name, detector.version, {})
    if not table_file(catalog.path, detector.name).is_file():
        return empty, False
    try:
        table = CropTable.open(catalog.path, detector.name)
    except CatalogError:
        if replace:
            return empty, False
        raise
    if table.version == detector.version:
        return table, True
    if replace:
        return empty, False
    raise CatalogError(
        f"the crops were made by version {table.version!r} of the detector, this one is "
        f"{detector.version!r}",
        where=str(table_file(catalog.path, detector.name)),
        cure="pass --replace to look at all pictures again",
    )


def _known(table: CropTable, picture: MainPicture) -> bool:
    return table.get(picture.digest) is not None


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Of processes that ask at once one looks; the others wait, and find it done."""
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        held = file.with_name(f".{file.name}.lock").open("ab")
    busy = CatalogError("another process is at these crops", where=str(file), cure="wait for it")
    with held, locked(held, busy, wait_s=math.inf):
        yield
