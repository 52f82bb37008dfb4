"""Id to row in O(1): an open-addressing hash table that is one memory-mapped array.

A slot holds a 64-bit hash and ``row + 1`` (0: free). Half of the slots at most are taken, probing
is linear, the table size is a power of two. A hash may collide, so whoever asks verifies the id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b

import numpy as np

SLOT = np.dtype([("hash", "<u8"), ("place", "<u8")])


def hash_id(name: str) -> int:
    """64 bits of BLAKE2b: well spread whatever ids look like."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def hash_ids(names: Iterable[str]) -> np.ndarray:
    """uint64 [n] of :func:`hash_id`."""
    joined = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(joined, dtype="<u8")


def build_index(hashes: np.ndarray) -> np.ndarray:
    """The table over ``hashes`` [n] (row k has hash k): SLOT [size].

    All rows are placed at once: in each round every row left over tries its slot, one row wins
    a free slot, the others step on. A row passes only taken slots, as linear probing demands.
    """
    size = 8
    while size < 2 * len(hashes):
        size *= 2
    table = np.zeros(size, dtype=SLOT)
    place = np.zeros(size, dtype="<u8")
    rows = np.arange(len(hashes))
    slots = (hashes & np.uint64(size - 1)).astype(np.int64)
    while len(rows):
        free = place[slots] == 0
        place[slots[free]] = rows[free] + 1  # the last writer of a slot wins
        left = place[slots] != rows + 1
        rows, slots = rows[left], (slots[left] + 1) & (size - 1)
    taken = place > 0
    table["place"] = place
    table["hash"][taken] = hashes[place[taken].astype(np.int64) - 1]
    return table


def table_hashes(table: np.ndarray, rows: int) -> np.ndarray:
    """uint64 [rows]: the hash of every row, read back from its table."""
    hashes = np.zeros(rows, dtype="<u8")
    taken = table["place"] > 0
    hashes[table["place"][taken].astype(np.int64) - 1] = table["hash"][taken]
    return hashes


def find(table: np.ndarray, name: str, same: Callable[[int], bool]) -> int:
    """The row whose id is ``name``, or -1. ``same(row)`` says whether the row has that id."""
    wanted, size = hash_id(name), len(table)
    slot = wanted & (size - 1)
    for _ in range(size):  # bounded even when a damaged table has no free slot
        found, place = table[slot].item()
        if place == 0:
            return -1
        if found == wanted and same(place - 1):
            return place - 1
        slot = (slot + 1) & (size - 1)
    return -1


def find_candidates(table: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """int64 [n]: the first row with each hash, -1 where there is none; ids are still to verify."""
    size = len(table)
    hash_of, place_of = table["hash"], table["place"]
    out = np.full(len(hashes), -1, dtype=np.int64)
    left = np.arange(len(hashes))
    slots = (hashes & np.uint64(size - 1)).astype(np.int64)
    for _ in range(size):
        if not len(left):
            break
        place = place_of[slots].astype(np.int64)
        hit = (place > 0) & (hash_of[slots] == hashes[left])
        out[left[hit]] = place[hit] - 1
        on = (place > 0) & ~hit
        left, slots = left[on], (slots[on] + 1) & (size - 1)
    return out
