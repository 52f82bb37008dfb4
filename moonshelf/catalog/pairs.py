"""Which products belong together: pair sources for contrastive training. No torch.

The paper (TR 3.4) says: positives are clicked, added and bought pairs from several entries. It
leaves open how a pair is formed when a catalogue has no log. We chose three sources, each a list of
catalogue rows [n, 2], all rows of the train split:

* ``self``     (i, i): one product, seen through two views;
* ``variant``  two products of one group (SPU): other colors, sizes, photos of one style;
* ``session``  what one user bought, and what the same user bought next.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from moonshelf.catalog.product import View
from moonshelf.errors import DataError, UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.store import Catalog

DAY = 86_400
PairSource = Literal["self", "variant", "session"]


def self_pairs(rows: np.ndarray) -> np.ndarray:
    """(i, i) of every row: int64 [n, 2]."""
    return np.repeat(rows.astype(np.int64)[:, None], 2, axis=1)


def variant_pairs(rows: np.ndarray, groups: np.ndarray, *, most: int = 4) -> np.ndarray:
    """Pairs of rows that share a group: int64 [n, 2], each unordered pair at most once.

    Args:
        rows: catalogue rows to pair.
        groups: group code of each of ``rows``; negative means "no group".
        most: the members of a group stand in a ring, and each is paired with its next ``most``;
            a group of k gives all its pairs while ``k <= 2 * most + 1``, else ``k * most``, so a
            huge group does not drown the rest.
    """
    keep = groups >= 0
    rows, groups = rows[keep].astype(np.int64), groups[keep]
    order = np.argsort(groups, kind="stable")
    rows, groups = rows[order], groups[order]
    _, start, size = np.unique(groups, return_index=True, return_counts=True)
    start, size = np.repeat(start, size), np.repeat(size, size)
    place = np.arange(len(rows)) - start
    found = []
    for offset in range(1, most + 1):
        # Across the ring's diameter both ends would see each other: one of them is enough.
        one_way = (2 * offset < size) | ((2 * offset == size) & (place < offset))
        partner = start + (place + offset) % size
        found.append(np.stack([rows[one_way], rows[partner[one_way]]], axis=1))
    return _concatenate(found)


def session_pairs(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    *,
    window: int = 30 * DAY,
    before: int | None = None,
    following: int = 1,
) -> np.ndarray:
    """Pairs (bought, bought next by the same user): int64 [n, 2] of distinct items, once each.

    The arguments are those of :func:`next_purchases`.
    """
    found = next_purchases(users, items, times, window=window, before=before, following=following)
    pairs = found[:, :2]
    return np.unique(pairs, axis=0) if len(pairs) else pairs


def next_purchases(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    *,
    window: int = 30 * DAY,
    before: int | None = None,
    following: int = 1,
) -> np.ndarray:
    """(bought, bought next by the same user, when next): int64 [n, 3], as often as it happened.

    Args:
        users: user code of each purchase.
        items: catalogue row of each purchase; negative for items that may not be trained on.
            They still stand between their neighbors: "next" is next in what really happened.
        times: unix seconds of each purchase.
        window: largest number of seconds between the two purchases.
        before: only purchases strictly before this time count, so that a later test period
            stays unseen.
        following: how many next purchases are paired with each.
    """
    if before is not None:
        early = times < before
        users, items, times = users[early], items[early], times[early]
    order = np.lexsort((times, users))
    users, items, times = users[order], items[order].astype(np.int64), times[order]
    found = []
    for offset in range(1, following + 1):
        first, second = slice(None, -offset or None), slice(offset, None)
        good = (
            (users[first] == users[second])
            & (times[second] - times[first] <= window)
            & (items[first] >= 0)
            & (items[second] >= 0)
            & (items[first] != items[second])
        )
        parts = (items[first][good], items[second][good], times[second][good])
        found.append(np.stack(parts, axis=1))
    return np.concatenate(found) if found else np.empty((0, 3), dtype=np.int64)


def catalog_pairs(
    catalog: Catalog,
    source: PairSource,
    *,
    most: int = 4,
    window_days: float = 30,
    before: str | int | None = None,
    following: int = 1,
) -> np.ndarray:
    """The pairs of ``source`` in the train split of ``catalog``: int64 [n, 2] of rows.

    Raises:
        DataError: the catalogue has nothing to form such pairs from.
    """
    rows = np.asarray(catalog.split_rows("train"), dtype=np.int64)
    if source == "self":
        pairs = self_pairs(rows)
        lack = "has no products in the train split"
    elif source == "variant":
        pairs = variant_pairs(rows, group_codes(catalog)[rows], most=most)
        lack = "has no two train products of one group"
    elif source == "session":
        usable = np.zeros(len(catalog), dtype=bool)
        usable[rows] = True
        users, items, times = purchases(catalog, usable)
        cut = unix_time(before) if before is not None else None
        window = round(window_days * DAY)
        pairs = session_pairs(users, items, times, window=window, before=cut, following=following)
        lack = f"has no user with two train purchases within {window_days:g} days"
    else:
        raise UsageError(f"unknown pair source {source!r}", cure="choose self, variant or session")
    if not len(pairs):
        raise DataError(
            lack, where=str(catalog.path), cure=f"leave the {source!r} term out of the recipe"
        )
    return pairs


def usable_rows(catalog: Catalog, view: View) -> np.ndarray:
    """bool [N]: whether a row has something that ``view`` feeds; through mm, a title or a picture.

    Training and the center go by this: a product that lacks one of the two is learned and found by
    the other. An evaluation asks for complete products (``evaluation.shelf.Shelf.complete``).
    """
    has_text = _filled(catalog.column("title"))
    has_image = _numpy(catalog.column("image_count")) > 0
    return {View.TEXT: has_text, View.IMAGE: has_image, View.BOTH: has_text | has_image}[View(view)]


def usable_queries(catalog: Catalog, view: View) -> np.ndarray:
    """bool [Q]: whether a query of the query table has something that ``view`` feeds."""
    has_text = _filled(catalog.query_column("text"))
    has_image = np.zeros(len(has_text), dtype=bool)
    has_image[catalog.query_links()[0]] = True
    return {View.TEXT: has_text, View.IMAGE: has_image, View.BOTH: has_text | has_image}[View(view)]


def richer_rows(catalog: Catalog) -> np.ndarray:
    """bool [N]: whether a product has richer text: a title, and beyond it a description, attributes
    or a category."""
    richer = _filled(catalog.column("description"))
    for name in ("attributes", "category"):
        chunks = catalog.column(name).chunks
        counts = [np.diff(np.asarray(chunk.offsets, dtype=np.int64)) for chunk in chunks]
        richer |= np.concatenate(counts) > 0 if counts else False
    return richer & usable_rows(catalog, View.TEXT)


def group_codes(catalog: Catalog) -> np.ndarray:
    """int64 [N]: a number per group; -1 where a product belongs to none."""
    return name_codes(catalog.column("group"))


def name_codes(column: pa.ChunkedArray) -> np.ndarray:
    """int64 [n]: equal numbers for equal names; -1 for empty ones."""
    codes, names = encoded(column)
    nobody = [code for code, name in enumerate(names) if not name]
    codes[np.isin(codes, nobody)] = -1
    return codes


def unix_time(moment: str | int) -> int:
    """``"2020-09-16"`` (UTC midnight, or an ISO time) or unix seconds -> unix seconds."""
    if isinstance(moment, int):
        return moment
    try:
        parsed = datetime.datetime.fromisoformat(moment)
    except ValueError as error:
        raise UsageError(
            f"{moment!r} is not a date", cure="write e.g. before = '2020-09-16'"
        ) from error
    return int(parsed.replace(tzinfo=parsed.tzinfo or datetime.UTC).timestamp())


def purchases(catalog: Catalog, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(user codes, rows, times) of every purchase; row -1 where ``usable`` [N] says no, or where
    there is no such product."""
    events = catalog.events()
    kinds, kind_names = encoded(events["kind"])
    purchase = [code for code, name in enumerate(kind_names) if name == "purchase"]
    bought = np.isin(kinds, purchase)
    items, ids = encoded(events["item"])
    row_of = catalog.find_rows(ids) if ids else np.empty(0, dtype=np.int64)
    row_of = np.where((row_of >= 0) & usable[row_of], row_of, -1)
    users, _ = encoded(events["user"])
    times = _numpy(events["time"]).astype(np.int64)
    return users[bought], row_of[items[bought]], times[bought]


def encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """int64 [n] codes (-1 for null), and what each code stands for."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if not column.num_chunks:
        return np.empty(0, dtype=np.int64), []
    parts = [_numpy(chunk.indices.fill_null(-1)) for chunk in column.chunks]
    return np.concatenate(parts).astype(np.int64), column.chunk(0).dictionary.to_pylist()


def _numpy(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        return column.to_numpy()
    return column.to_numpy(zero_copy_only=False)


def _filled(column: pa.ChunkedArray) -> np.ndarray:
    """bool [n]: text that is not blank."""
    trimmed = pc.call_function("utf8_trim_whitespace", [column])
    return _numpy(pc.call_function("not_equal", [trimmed, ""])) == True  # noqa: E712 (nulls)


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)
