"""Pictures on disk: append-only shards of encoded bytes and one table of where each lies.

Identical pictures (same bytes) are stored once; a picture's number counts over all generations
of a catalogue. The table is a NumPy array that is memory-mapped when read.
"""

from __future__ import annotations

import mmap
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from moonshelf.errors import CatalogError

HASH_BYTES = 16
SHARD_BYTES = 1 << 30
PICTURE = np.dtype(
    [
        ("hash", "u1", (HASH_BYTES,)),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("shard", "<u4"),
        ("width", "<u4"),
        ("height", "<u4"),
    ]
)


def picture_hash(data: bytes) -> bytes:
    """16 bytes of BLAKE2b over the encoded picture: its identity everywhere."""
    return blake2b(data, digest_size=HASH_BYTES).digest()


def shard_name(number: int) -> str:
    return f"pictures-{number:03d}.blob"


class BlobWriter:
    """Appends new pictures to shards in ``folder``; known ones cost a dictionary look-up."""

    def __init__(self, folder: Path, known: dict[bytes, int], shard_bytes: int = SHARD_BYTES):
        self.folder, self.shard_bytes = folder, shard_bytes
        self.first = len(known)
        self.numbers = known
        self._rows: list[tuple[bytes, int, int, int, int, int]] = []
        self._file: BinaryIO | None = None
        self._shard, self._offset = -1, 0

    def add(self, digest: bytes, data: bytes, width: int, height: int) -> int:
        """The number of the picture with these bytes, stored if it is new."""
        number = self.numbers.get(digest)
        if number is not None:
            return number
        if self._file is None or self._offset + len(data) > self.shard_bytes:
            self._next_shard()
        assert self._file is not None
        self._file.write(data)
        self._rows.append((digest, self._offset, len(data), self._shard, width, height))
        self._offset += len(data)
        number = self.first + len(self._rows) - 1
        self.numbers[digest] = number
        return number

    def table(self) -> np.ndarray:
        """PICTURE [n] of the pictures added here."""
        table = np.zeros(len(self._rows), dtype=PICTURE)
        if self._rows:
            digests, offset, length, shard, width, height = zip(*self._rows, strict=True)
            table["hash"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, HASH_BYTES)
            table["offset"], table["length"], table["shard"] = offset, length, shard
            table["width"], table["height"] = width, height
        return table

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    abandon = close  # nobody will read what was written; no footer is due either way

    def _next_shard(self) -> None:
        self.close()
        self._shard, self._offset = self._shard + 1, 0
        self._file = (self.folder / shard_name(self._shard)).open("xb")


class BlobReader:
    """Pictures of one generation by their place in its table; shards are mapped on first use."""

    def __init__(self, folder: Path, table: np.ndarray):
        self.folder, self.table = folder, table
        self._maps: dict[int, mmap.mmap] = {}

    def read(self, place: int) -> bytes:
        row = self.table[place]
        shard, offset, length = int(row["shard"]), int(row["offset"]), int(row["length"])
        mapped = self._maps.get(shard)
        if mapped is None:
            mapped = self._maps[shard] = self._map(shard)
        data = mapped[offset : offset + length]
        if len(data) != length:
            raise CatalogError(
                f"picture {place} lies outside its file",
                where=str(self.folder / shard_name(shard)),
                cure="import the catalogue again",
            )
        return data

    def digest(self, place: int) -> bytes:
        return self.table[place]["hash"].tobytes()

    def _map(self, shard: int) -> mmap.mmap:
        path = self.folder / shard_name(shard)
        try:
            with path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise CatalogError(
                f"cannot be read ({error})", where=str(path), cure="import the catalogue again"
            ) from error
