"""What users are shown, by category: the target of the rebalance.

Events of items of the train split alone, and none from ``before`` on: what lies behind the cut is
for tests. Where a log holds no exposures (many hold purchases only), all its events stand in for
them; ``source`` says so, and whoever shows it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute

from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError

EXPOSURES = "exposures"
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Exposure:
    """How often each category is shown.

    Attributes:
        names: of the C categories, as a path; "" where a product has none.
        codes: int64 [N], the category of every catalogue row.
        counts: int64 [C], events.
        source: ``exposures``, or what stands in for them.
        depth: levels of the path that count; 0: all, down to the leaf.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    counts: np.ndarray
    source: str
    depth: int

    @property
    def stands_in(self) -> bool:
        """Whether other events stand in for exposures."""
        return self.source != EXPOSURES


def exposure_of(catalog: Catalog, *, depth: int = 0, before: int | None = None) -> Exposure:
    """Events of the log by category.

    Args:
        catalog: with a log.
        depth: 1 is the top level; 0 the whole path.
        before: unix seconds; only earlier events count.

    Raises:
        UsageError: a negative depth. DataError: the log says nothing of train items.
    """
    if depth < 0:
        raise UsageError(f"a depth of {depth} is no level", cure="choose 1 (top level) or more")
    names, codes = category_codes(catalog, depth)
    by_kind = _events_by_item(catalog, before)
    shown = by_kind.get("exposure")
    source = EXPOSURES
    if shown is None:
        source = " and ".join(f"{kind} events" for kind in sorted(by_kind))
        shown = np.sum([*by_kind.values()], axis=0) if by_kind else np.zeros(len(codes), np.int64)
    if not shown.sum():
        raise DataError(
            "the log has no event of a train item that could say what users are shown",
            where=str(catalog.path),
            cure="import the log with its exposures, or leave this step out",
        )
    counts = np.zeros(len(names), dtype=np.int64)
    np.add.at(counts, codes, shown)
    return Exposure(names, codes, counts, source, depth)


def category_codes(catalog: Catalog, depth: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Category names, and int64 [N]: the place of each row's category among them."""
    paths = [
        _SEPARATOR.join((path or ())[: depth or None])
        for path in catalog.column("category").to_pylist()
    ]
    found, codes = np.unique(np.array(paths, dtype=object), return_inverse=True)
    return tuple(name.replace(_SEPARATOR, " > ") for name in found), codes.astype(np.int64)


def _events_by_item(catalog: Catalog, before: int | None) -> Mapping[str, np.ndarray]:
    """Kind of event -> int64 [N], how many of each train row; only kinds that the log has."""
    events = catalog.events()
    if before is not None:
        early = int(np.searchsorted(events["time"].to_numpy(), before, side="left"))
        events = events.slice(0, early)
    plain = pa.table({name: events[name].cast(pa.string()) for name in ("kind", "item")})
    counted = plain.group_by(["kind", "item"]).aggregate([([], "count_all")])
    kinds = counted["kind"].to_pylist()
    rows = catalog.find_rows(counted["item"].to_pylist()) if kinds else np.empty(0, np.int64)
    trained = np.zeros(len(catalog) + 1, dtype=bool)  # row -1 is no product
    trained[catalog.split_rows("train")] = True
    number = counted["count_all"].to_numpy()
    found: dict[str, np.ndarray] = {}
    for kind in sorted(set(kinds)):
        here = np.array([k == kind for k in kinds]) & trained[rows]
        counts = np.zeros(len(catalog), dtype=np.int64)
        np.add.at(counts, rows[here], number[here])
        if counts.any():
            found[kind] = counts
    return found
