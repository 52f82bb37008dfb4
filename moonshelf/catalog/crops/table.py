"""What a detector said of the pictures of a catalogue, kept by picture hash.

``<catalogue>/crops/NAME.arrow``, one line a picture: ``picture`` (its hash), ``left`` ``top``
``right`` ``bottom`` (the crop as it is shown; null where there is none) and ``reason`` (why there
is none). Kind, format, detector and its version stand in the file's metadata. A file appears whole
or not at all, and is added to by writing it anew. Boxes may have cost money, so the folder is no
cache (see keeping.py).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from moonshelf.catalog.blobs import HASH_BYTES
from moonshelf.catalog.crops.box import Box, Looked, Missing
from moonshelf.catalog.landing import writing
from moonshelf.errors import CatalogError
from moonshelf.files import whole_file

FORMAT = 1
BOX = "box"
"""The reason of a picture that has a crop, in counts."""
_LEAST_SIDE = 1e-3  # of a picture: crops have 5 % of its area, so their sides are far longer
_SIDES = ("left", "top", "right", "bottom")
_SCHEMA = pa.schema(
    [
        ("picture", pa.binary(HASH_BYTES)),
        *((side, pa.float64()) for side in _SIDES),
        ("reason", pa.string()),
    ]
)


class CropTable:
    """Crops by picture hash. Made by :meth:`open` or :meth:`of`; never changes."""

    def __init__(self, detector: str, version: str, table: pa.Table) -> None:
        self.detector, self.version = detector, version
        hashes = np.frombuffer(b"".join(table["picture"].to_pylist()), np.uint8).reshape(
            -1, HASH_BYTES
        )
        order = np.argsort(_keys(hashes), kind="stable")
        self._hashes, self._keys = hashes[order], _keys(hashes)[order]
        sides = [np.asarray(table[side].to_numpy(), np.float64) for side in _SIDES]
        self._boxes = np.stack(sides, axis=1)[order]
        reasons = table["reason"].to_pylist()
        self._reasons = [reasons[k] or "" for k in order.tolist()]

    @classmethod
    def of(cls, detector: str, version: str, looked: Mapping[bytes, Looked]) -> CropTable:
        """The table that says of each picture, by hash, what was found."""
        rows = [_row(digest, found) for digest, found in looked.items()]
        return cls(detector, version, pa.Table.from_pylist(rows, schema=_SCHEMA))

    @classmethod
    def open(cls, catalog: Path, detector: str, file: Path | None = None) -> CropTable:
        """What ``detector`` said of the pictures of the catalogue in the folder ``catalog``.

        Args:
            file: one that is not finished, in place of the catalogue's own.

        Raises:
            CatalogError: nothing yet, or the file is damaged.
        """
        file = file or table_file(catalog, detector)
        cure = f"make it: moonshelf catalog crops {catalog} --detector {detector}"
        if not file.is_file():
            raise CatalogError("there are no crops of this detector", where=str(file), cure=cure)
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
                table = reader.read_all()
            facts = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
            if (facts["kind"], facts["format"]) != ("crops", str(FORMAT)):
                raise ValueError(f"kind {facts['kind']!r}, format {facts['format']!r}")
            if not table.schema.equals(_SCHEMA) or facts["detector"] != detector:
                raise ValueError("other columns or another detector")
            table.validate(full=True)
            if table["picture"].null_count:
                raise ValueError("a line without a picture")
            found = cls(detector, facts["version"], table)
            found._refuse_impossible()
            return found
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise CatalogError(
                f"the crops cannot be read ({error!r:.200})",
                where=str(file),
                cure=f"delete the file, then {cure}",
            ) from error

    def _refuse_impossible(self) -> None:
        left, top, right, bottom = self._boxes[[not reason for reason in self._reasons]].T
        # False where a side is missing, too.
        inside = (left >= 0) & (left < right) & (right <= 1) & (top >= 0) & (top < bottom)
        if not (inside & (bottom <= 1)).all():
            raise ValueError("a box lies outside its picture")
        if ((right - left < _LEAST_SIDE) | (bottom - top < _LEAST_SIDE)).any():
            raise ValueError("a box is thinner than any crop")

    def __len__(self) -> int:
        """The number of pictures that were looked at."""
        return len(self._reasons)

    def get(self, digest: bytes) -> Looked | None:
        """What was found in the picture with this hash; None where nobody looked."""
        place = int(self.places(np.frombuffer(digest, np.uint8)[None])[0])
        return None if place < 0 else self[place]

    def __getitem__(self, place: int) -> Looked:
        return Missing(self._reasons[place]) if self._reasons[place] else self.box(place)

    def box(self, place: int) -> Box:
        """The crop at a place that has one."""
        return Box(*map(float, self._boxes[place]))

    def places(self, hashes: np.ndarray) -> np.ndarray:
        """int64 [n]: the places of ``uint8 [n, 16]`` picture hashes, -1 where one is missing."""
        keys = _keys(hashes)
        found = np.full(len(keys), -1, np.int64)
        if not len(self):
            return found
        at = np.searchsorted(self._keys, keys)
        open_ = np.arange(len(keys))
        while len(open_):  # once, unless two pictures share the first half of their hash
            open_ = open_[at[open_] < len(self)]
            open_ = open_[self._keys[at[open_]] == keys[open_]]
            same = (self._hashes[at[open_]] == hashes[open_]).all(axis=1)
            found[open_[same]] = at[open_[same]]
            open_ = open_[~same]
            at[open_] += 1
        return found

    def boxed(self, places: np.ndarray) -> np.ndarray:
        """bool [n]: whether there is a crop at each of ``places``, of which -1 is none."""
        has = np.array([*(not reason for reason in self._reasons), False])
        return has[places]

    def counts(self) -> dict[str, int]:
        """Pictures by reason, ``box`` for those with a crop; the most frequent first."""
        return dict(Counter(reason or BOX for reason in self._reasons).most_common())

    @property
    def digest(self) -> str:
        """32 hex digits of everything the table says."""
        found = hashlib.blake2b(f"{self.detector}\0{self.version}\0".encode(), digest_size=16)
        found.update(self._hashes.tobytes())
        found.update(self._boxes.tobytes())
        found.update("\0".join(self._reasons).encode())
        return found.hexdigest()

    def with_more(self, more: Mapping[bytes, Looked]) -> CropTable:
        """This table and ``more``, which stands where both look at one picture."""
        own = {self._hashes[k].tobytes(): self[k] for k in range(len(self))}
        return CropTable.of(self.detector, self.version, {**own, **more})

    def write(self, catalog: Path, file: Path | None = None) -> Path:
        """Puts the table into the catalogue's folder, in place of an older one, or into ``file``.

        Raises:
            CatalogError: the folder cannot be written to. DiskFullError: there is no room.
        """
        rows = [_row(self._hashes[k].tobytes(), self[k]) for k in range(len(self))]
        facts: dict[str, Any] = {
            "kind": "crops",
            "format": str(FORMAT),
            "detector": self.detector,
            "version": self.version,
        }
        table = pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata(facts)
        file = file or table_file(catalog, self.detector)
        with writing(file), whole_file(file) as out, pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
        return file


def table_file(catalog: Path, detector: str) -> Path:
    return catalog / "crops" / f"{detector}.arrow"


def _row(digest: bytes, found: Looked) -> dict[str, Any]:
    if isinstance(found, Missing):
        return {"picture": digest, "reason": found.reason}
    return {"picture": digest} | {side: getattr(found, side) for side in _SIDES}


def _keys(hashes: np.ndarray) -> np.ndarray:
    """uint64 [n]: the first half of each hash."""
    return np.ascontiguousarray(hashes).view(">u8")[:, 0].astype(np.uint64)
