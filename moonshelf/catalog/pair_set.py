"""A set of query-item pairs on disk: what behavior says belongs together. No torch.

A pair is a query, an item, and how strongly and when users said so. The query is a product (what
was bought before the item) or a row of the query table (words, a photo, or both). A pair set is
made by ``moonshelf pairs build`` and narrowed by cleaning commands, each of which writes a new one
and adds a line to its history; pairs are of the train split on both sides.

A folder: ``manifest.json``; ``pairs.arrow`` (columns below); ``known.arrow`` (query_kind, query,
item of every pair that the log knows at any level, never narrowed: what cleaning left out is still
no negative). It appears whole or not at all, and only its own catalogue opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from moonshelf.catalog.pair_files import (
    BUILD,
    COLUMNS,
    LEVELS,
    PRODUCT_QUERY,
    TABLE_QUERY,
    pair_fingerprint,
    read_manifest,
    read_pair_folder,
    write_pair_folder,
)
from moonshelf.catalog.pairs import richer_rows, usable_queries, usable_rows
from moonshelf.catalog.product import View
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError, UsageError

__all__ = ["COLUMNS", "LEVELS", "PRODUCT_QUERY", "TABLE_QUERY", "TYPES", "PairSet", "read_manifest"]

TYPES = {
    1: "text -> richer text",
    2: "text -> picture",
    3: "text -> title and picture",
    4: "text -> richer text and picture",
    5: "picture -> picture",
    6: "picture -> title and picture",
    7: "picture -> richer text and picture",
    8: "title and picture -> title and picture",
    9: "richer text and picture -> richer text and picture",
}
"""The nine types of TR 3.4, in the order of the paper; column k - 1 of ``pair_types`` is type k."""
_VIEWS = (View.TEXT, View.IMAGE)


@dataclass(frozen=True)
class PairSet:
    """Pairs of one catalogue; made by :meth:`open`, or by the builder.

    ``columns`` hold, by name, an array [n] each:

    * ``query_kind``: 0, the query is a product; 1, a row of the query table;
    * ``query``: the catalogue row, or the row of the query table; ``item``: the catalogue row;
    * ``level``: the strongest act that was seen, a place in ``LEVELS``;
    * ``count``: how often it was seen (events; a judgement counts once);
    * ``time``: unix seconds of the last event, -1 where none is known;
    * ``similarity``: of query and item under some model, NaN until a cleaning step knows it.

    ``known`` is int64 [m, 3]: query_kind, query, item of every pair that the log knows.
    ``history``, ``options`` and ``fingerprint`` are as in the manifest that was opened; ``options``
    are those of the build.
    """

    catalog: Catalog
    columns: Mapping[str, np.ndarray]
    known: np.ndarray
    options: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] = ()
    path: Path | None = None
    fingerprint: str = ""

    @classmethod
    def open(cls, path: Path | str, catalog: Catalog) -> PairSet:
        """The pair set in the folder ``path``.

        Raises:
            DataError: there is none, it is damaged, or it is of another catalogue or state.
        """
        path = Path(path)
        manifest = read_manifest(path)
        if manifest["catalog"]["fingerprint"] != catalog.fingerprint:
            same = manifest["catalog"]["origin"] == catalog.origin
            other = "another state of this catalogue" if same else "another catalogue"
            what = f"the pairs are of {other}, not of {catalog.path} as it is now"
            raise DataError(what, where=str(path), cure=BUILD)
        columns, known = read_pair_folder(path, manifest, catalog)
        return cls(
            catalog,
            columns,
            known,
            manifest["options"],
            tuple(manifest["history"]),
            path,
            pair_fingerprint(manifest),
        )

    def __len__(self) -> int:
        return len(self.item)

    @property
    def query_kind(self) -> np.ndarray:
        return self.columns["query_kind"]

    @property
    def query(self) -> np.ndarray:
        return self.columns["query"]

    @property
    def item(self) -> np.ndarray:
        return self.columns["item"]

    @property
    def level(self) -> np.ndarray:
        return self.columns["level"]

    @property
    def count(self) -> np.ndarray:
        return self.columns["count"]

    @property
    def time(self) -> np.ndarray:
        return self.columns["time"]

    @property
    def similarity(self) -> np.ndarray:
        return self.columns["similarity"]

    def select(self, which: np.ndarray) -> PairSet:
        """The pairs of a mask bool [n], or of places int64 [m] in their order; in memory."""
        return replace(self, columns={name: a[which] for name, a in self.columns.items()})

    def with_similarity(self, similarity: np.ndarray) -> PairSet:
        """The same pairs with ``similarity`` [n]; in memory."""
        column = np.asarray(similarity, dtype=COLUMNS["similarity"])
        if column.shape != self.item.shape:
            raise UsageError(f"{column.shape} similarities for {len(self):,} pairs")
        return replace(self, columns={**self.columns, "similarity": column})

    def asked_by(self) -> tuple[np.ndarray, np.ndarray]:
        """Two bool [n]: whether the query is of the query table and has words, has a picture."""
        table = self.query_kind == TABLE_QUERY
        words, picture = (
            _has(usable_queries(self.catalog, view), self.query, table) for view in _VIEWS
        )
        return words, picture

    def pair_types(self) -> np.ndarray:
        """bool [n, 9]: which of the nine types each pair can be shown as.

        By what the query is and what both sides have: words ask 1-4, a photo 5-7; a product with
        title and picture 8 and, with richer text on both sides, 9. A query of the table that has
        words and a photo is a title with its picture too, and so may ask type 8. Whether a
        picture can be decoded is known to training alone.
        """
        catalog, product = self.catalog, self.query_kind == PRODUCT_QUERY
        words, picture = self.asked_by()
        titles, pictures = (usable_rows(catalog, v) for v in _VIEWS)
        more = richer_rows(catalog)
        whole = titles & pictures
        seen, rich, complete = (flags[self.item] for flags in (pictures, more, whole))
        own = _has(whole, self.query, product)
        own_rich = _has(more & pictures, self.query, product)
        found = [
            *(words & of_item for of_item in (rich, seen, complete, rich & seen)),
            *(picture & of_item for of_item in (seen, complete, rich & seen)),
            (own | (words & picture)) & complete,
            own_rich & rich & seen,
        ]
        return np.stack(found, axis=1)

    def counts(self) -> dict[str, Any]:
        """How many pairs there are: in all, by type, by level, by kind of query. Of no type are
        those that lack what every type needs: words for a bare title, products without picture."""
        words, picture = self.asked_by()
        kinds = {
            "product": self.query_kind == PRODUCT_QUERY,
            "text": words & ~picture,
            "picture": picture & ~words,
            "text and picture": words & picture,
        }
        types = self.pair_types()
        by_type = types.sum(axis=0).tolist()
        return {
            "total": len(self),
            "by_type": {str(k): count for k, count in zip(TYPES, by_type, strict=True)},
            "of_no_type": int(np.count_nonzero(~types.any(axis=1))),
            "by_level": {
                name: int(np.count_nonzero(self.level == k)) for k, name in enumerate(LEVELS)
            },
            "by_query": {name: int(np.count_nonzero(mask)) for name, mask in kinds.items()},
        }

    def write(
        self,
        path: Path | str,
        *,
        step: str,
        options: Mapping[str, Any],
        before: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> PairSet:
        """Writes the pairs as the outcome of ``step`` and opens them; an older pair set of that
        name is replaced.

        Args:
            step: a word for the history: ``build``, or which cleaning it was.
            options: of the step; JSON.
            before: how many pairs the step saw; by default those of the set that was opened.
            facts: what else the history should say, e.g. why pairs were left out; JSON.

        Raises:
            UsageError: something else stands at ``path``.
            DiskFullError: no room; what was there is as it was.
        """
        path = Path(path)
        if before is None:
            before = self.history[-1]["after"] if self.history else len(self)
        line = {"step": step, "options": dict(options), "before": before, "after": len(self)}
        if facts:
            line["facts"] = dict(facts)
        catalog = self.catalog
        manifest = {
            "catalog": {"fingerprint": catalog.fingerprint, "origin": catalog.origin},
            "options": dict(self.options),
            "counts": self.counts(),
            "history": [*self.history, line],
        }
        write_pair_folder(path, manifest, self.columns, self.known)
        return PairSet.open(path, catalog)


def _has(flags: np.ndarray, rows: np.ndarray, where: np.ndarray) -> np.ndarray:
    """bool [n]: ``flags[rows]`` where ``where``, else False."""
    found = np.zeros(len(rows), dtype=bool)
    found[where] = flags[rows[where]]
    return found
