"""Looks at the main pictures of a catalogue, of products and of queries, and keeps what is found.

Only pictures that no earlier call has looked at are looked at, so a broken-off call goes on. Where
one picture belongs to several products, the first one's title goes with it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from moonshelf.catalog.crops.box import Looked, Missing
from moonshelf.catalog.crops.detector import Detector
from moonshelf.catalog.crops.keeping import Keeping
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.images import Limits, small_picture
from moonshelf.catalog.landing import writing
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, ImageError, UsageError
from moonshelf.files import one_makes
from moonshelf.progress import Progress, silent

UNREADABLE, REFUSED = "unreadable", "refused by the server"
THREADS = 2
MOST_REFUSED = 3
_AHEAD = 16  # pictures in work for each thread


class NotLooked(Exception):
    """A detector could not look at this picture now; a later call may."""


class Refused(Exception):
    """A server did not take the request with this picture. ``where``: its address."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(what)
        self.where = where


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
    renew: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
    limits: Limits | None = None,
) -> Found:
    """Brings the table of ``detector`` up to date, and writes it into the catalogue's folder.

    Args:
        replace: look at all pictures again; the old table stays until the new one is whole.
        renew: look at all again where the table is damaged or of another version.
        threads: pictures looked at at once.

    Raises:
        CatalogError: the table is of another version or damaged; the folder cannot be written to.
        UsageError: a server refused the first pictures, and took none.
        MoonshelfError: what the detector cannot go on with; what was found before is kept.
    """
    began, file = time.monotonic(), table_file(catalog.path, detector.name)
    with contextlib.ExitStack() as stack:
        with writing(file):
            stack.enter_context(one_makes(file))
        kept = Keeping(catalog.path, detector, replace=replace, renew=renew)
        todo = [p for p in main_pictures(catalog) if kept.table.get(p.digest) is None]
        # Tried in vain before: behind all others.
        todo.sort(key=lambda picture: picture.digest in kept.later)
        if threads is None:
            threads = min(THREADS, os.cpu_count() or 1)
        # Pictures that were tried before, of a model that answered others, may well be to blame.
        again = all(picture.digest in kept.later for picture in todo)
        refusals = _Refusals(believed=again and _answered(kept.table))
        looks = _look(catalog, detector, todo, threads, limits or Limits())
        with contextlib.closing(looks) as seen:
            looked, put_off = _keep(seen, kept, refusals, len(todo), progress)
        kept.finish()
    return Found(kept.table, looked, put_off, time.monotonic() - began)


def _keep(
    seen: Looks, kept: Keeping, refusals: _Refusals, total: int, progress: Progress
) -> tuple[int, int]:
    """Keeps what is found; how many pictures were looked at and put off. An error leaves all kept
    that was found before it."""
    done = put_off = 0
    try:
        for done, (picture, outcome) in enumerate(seen, start=1):
            put_off += outcome is None
            for digest, found in refusals.sorted_out(picture.digest, outcome):
                kept.add(digest, found)
            progress(done, total, put_off=put_off)
        for digest in refusals.held:
            kept.add(digest, Missing(REFUSED))
    except BaseException:
        for digest in refusals.held:
            kept.add(digest, None)
        kept.flush()
        raise
    return done - put_off, put_off


class _Refusals:
    """A server that refuses every request has a quarrel with the settings, not with pictures: what
    it refuses is believed once it took anything, and held back until then."""

    def __init__(self, believed: bool) -> None:
        self._believed = believed
        self.held: list[bytes] = []

    def sorted_out(self, digest: bytes, outcome: Outcome) -> Iterator[tuple[bytes, Looked | None]]:
        """What is known now, by picture; None where it was put off.

        Raises:
            UsageError: the first requests were refused, one and all.
            Exception: the outcome is one.
        """
        if isinstance(outcome, Refused):
            self.held.append(digest)
            if not self._believed:
                if len(self.held) >= MOST_REFUSED:
                    raise UsageError(
                        f"the server refused the first {len(self.held)} pictures: {outcome}",
                        where=outcome.where,
                        cure="correct the settings (--set) as it says; no picture was marked",
                    )
                return
        elif isinstance(outcome, Exception):
            yield digest, None
            raise outcome
        else:
            self._believed |= outcome is not None and outcome != Missing(UNREADABLE)
            yield digest, outcome
        if self._believed:
            yield from ((one, Missing(REFUSED)) for one in self.held)
            self.held = []


def _answered(table: CropTable) -> bool:
    return any(why not in (REFUSED, UNREADABLE) for why in table.counts())


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


Outcome = Looked | Refused | Exception | None
"""What came of a picture; None where it was put off."""
Looks: TypeAlias = "Generator[tuple[MainPicture, Outcome], None, None]"


def known_crops(catalog: Catalog, detector: str) -> CropTable:
    """The boxes of all main pictures, of a detector that cannot look on the spot.

    Raises:
        CatalogError: there is no table, or it cannot be read.
        DataError: the detector has not looked at all pictures.
    """
    table = CropTable.open(catalog.path, detector)
    unseen = sum(table.get(picture.digest) is None for picture in main_pictures(catalog))
    if unseen:
        raise DataError(
            f"the {detector} detector has not looked at {unseen:,} pictures yet",
            where=str(catalog.path),
            cure=f"run moonshelf catalog crops {catalog.path} --detector {detector}",
        )
    return table


def _look(
    catalog: Catalog, detector: Detector, todo: list[MainPicture], threads: int, limits: Limits
) -> Looks:
    """What is found, in order; None where a picture was put off. The first error comes last, behind
    what other threads had found by then."""
    over = threading.Event()

    def one(picture: MainPicture) -> Outcome:
        try:
            pixels = small_picture(catalog.picture(picture.number), detector.side, limits)
            return detector.detect(pixels, picture.title)
        except ImageError:
            return Missing(UNREADABLE)
        except NotLooked:
            return None
        except Refused as error:
            return error
        except Exception as error:
            over.set()
            return error

    def unless_over(picture: MainPicture) -> tuple[Outcome, bool]:
        return (None, False) if over.is_set() else (one(picture), True)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        step = max(1, threads) * _AHEAD
        try:
            for start in range(0, len(todo), step):
                part = todo[start : start + step]
                failed = None
                for picture, (found, asked) in zip(part, pool.map(unless_over, part), strict=True):
                    if _is_failure(found):
                        failed = failed or (picture, found)
                    elif asked:
                        yield picture, found
                if failed is not None:
                    yield failed
                    return
        finally:
            over.set()


def _is_failure(found: Looked | Exception | None) -> bool:
    return isinstance(found, Exception) and not isinstance(found, Refused)
