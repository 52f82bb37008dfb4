"""The table of one call that looks at pictures: where it begins, and when it is written.

Boxes may have cost money, so nothing takes the place of a table before all of its successor is
there: that one grows in ``crops/NAME.new.arrow`` and is moved over the old one at a clean end; a
broken-off call leaves both, and the next ``--replace`` goes on with the new one. Pictures that were
put off stand in ``crops/NAME.later.json``: they come last the next time, so that a few that fail
again and again do not keep others from being looked at.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from moonshelf.catalog.crops.box import Looked
from moonshelf.catalog.crops.detector import Detector
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.landing import writing
from moonshelf.errors import CatalogError
from moonshelf.files import write_json_atomically

_FLUSH_SECONDS = 60.0  # a kill loses at most about this much work


class Keeping:
    """Gathers what is found and keeps it.

    Args:
        replace: begin with an empty table, whatever there is.
        renew: begin with an empty one where there is a damaged one, or one of another version.

    Raises:
        CatalogError: there is one of another version or a damaged one, and neither is said.
    """

    def __init__(self, catalog: Path, detector: Detector, *, replace: bool, renew: bool) -> None:
        self._catalog, self._name = catalog, detector.name
        self._file = self._target = table_file(catalog, detector.name)
        self.table = CropTable.of(detector.name, detector.version, {})
        self._stands = False
        self._fresh: dict[bytes, Looked] = {}
        self.later = self._noted = _read_later(later_file(catalog, detector.name))
        self._begin(detector.version, replace, renew)
        self._flushed = time.monotonic()

    def _begin(self, version: str, replace: bool, renew: bool) -> None:
        if not self._target.is_file():
            return
        try:
            old = CropTable.open(self._catalog, self._name)
        except CatalogError:
            if replace or renew:
                return
            raise
        if old.version == version and not replace:
            self.table, self._stands = old, True
            return
        if not len(old):
            return
        if not (replace or renew):
            raise CatalogError(
                f"the crops were made by version {old.version!r} of the detector, this one is "
                f"{version!r}",
                where=str(self._target),
                cure="pass --replace to look at all pictures again",
            )
        self._file = self._target.with_name(f"{self._name}.new.arrow")
        if self._file.is_file():
            try:
                begun = CropTable.open(self._catalog, self._name, self._file)
            except CatalogError:
                return  # it is written anew
            if begun.version == version:
                self.table = begun

    def add(self, digest: bytes, found: Looked | None) -> None:
        """What was found in a picture; None where it was put off."""
        if found is None:
            self.later = self.later | {digest}
        else:
            self._fresh[digest] = found
            self.later = self.later - {digest}
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what was not written yet."""
        if self._fresh:
            self.table, self._fresh = self.table.with_more(self._fresh), {}
            self.table.write(self._catalog, self._file)
            self._stands = True
        if self.later != self._noted:
            file = later_file(self._catalog, self._name)
            with writing(file):
                write_json_atomically(file, sorted(digest.hex() for digest in self.later))
            self._noted = self.later
        self._flushed = time.monotonic()

    def finish(self) -> None:
        """A clean end: what was made anew takes the place of the old, if it says anything."""
        self.flush()
        if self._file == self._target:
            if not self._stands:
                self.table.write(self._catalog)
        elif self._file.is_file() and len(self.table):
            with writing(self._target):
                os.replace(self._file, self._target)
        else:
            self.table = CropTable.open(self._catalog, self._name)


def later_file(catalog: Path, detector: str) -> Path:
    return catalog / "crops" / f"{detector}.later.json"


def _read_later(file: Path) -> frozenset[bytes]:
    if not file.is_file():
        return frozenset()
    try:
        return frozenset(bytes.fromhex(one) for one in json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return frozenset()  # it decides the order of pictures and nothing else
