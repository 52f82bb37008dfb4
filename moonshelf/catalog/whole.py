"""What only a whole catalogue can show while it is written: who shares a group or a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from moonshelf.catalog.product import SPLITS
from moonshelf.catalog.splits import UNSET
from moonshelf.catalog.store import Catalog
from moonshelf.errors import DataError

EXAMPLES = 3


@dataclass(frozen=True)
class Links:
    """Which record bears which key. Records are products, then queries; each old ones first.
    A key below ``pictures`` is a picture number, above it a group."""

    products: int
    pictures: int
    record: np.ndarray
    key: np.ndarray
    groups: pa.Array

    def describe(self, key: int) -> str:
        if key < self.pictures:
            return "one picture"
        return f"group {self.groups[key - self.pictures].as_py()[:80]!r}"


def gather_links(
    old: Catalog | None,
    product_pictures: tuple[np.ndarray, np.ndarray],
    groups: Sequence[str],
    query_pictures: Sequence[Sequence[int]],
    pictures: int,
) -> Links:
    """Links of all records: those of ``old``, and the new ones.

    Args:
        old: the catalogue that is added to.
        product_pictures: (new row, picture number) int64 [m] each.
        groups: of the new products.
        query_pictures: the picture numbers of each new query.
        pictures: how many different pictures there are, old and new.
    """
    old_products = len(old) if old is not None else 0
    products = old_products + len(groups)
    names = pa.chunked_array([pa.array(groups, pa.string())])
    if old is not None:
        names = pa.chunked_array([*old.column("group").chunks, *names.chunks])
    encoded = names.dictionary_encode().unify_dictionaries()
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in encoded.chunks])
    values = encoded.chunk(0).dictionary
    nobody = np.isin(codes, [k for k, name in enumerate(values.to_pylist()) if not name])
    grouped = np.flatnonzero(~nobody)
    records = [grouped, product_pictures[0] + old_products]
    keys = [codes[grouped].astype(np.int64) + pictures, product_pictures[1]]
    old_queries = 0
    if old is not None:
        rows, numbers = old.picture_links()
        asked, shown = old.query_links()
        old_queries = old.manifest["queries"]
        records += [rows, asked + products]
        keys += [numbers, shown]
    for place, numbers in enumerate(query_pictures):
        if numbers:
            records.append(np.full(len(numbers), products + old_queries + place, np.int64))
            keys.append(np.asarray(numbers, np.int64))
    return Links(products, pictures, np.concatenate(records), np.concatenate(keys), values)


def leak_error(
    links: Links, crossing: np.ndarray, splits: np.ndarray, name: Callable[[int], str], where: str
) -> DataError:
    """The error that shows the first keys which stand in several splits, and who bears them."""
    examples = []
    for key in crossing[:EXAMPLES].tolist():
        bearers = links.record[links.key == key]
        bearers = bearers[splits[bearers] != UNSET] if len(bearers) > 2 else bearers
        _, first = np.unique(splits[bearers], return_index=True)
        shown = ", ".join(f"{name(r)} ({_split_name(int(splits[r]))})" for r in bearers[first])
        examples.append(f"{links.describe(key)}: {shown}")
    more = f"; and {len(crossing) - EXAMPLES:,} more" if len(crossing) > EXAMPLES else ""
    return DataError(
        f"{len(crossing):,} groups or pictures stand in more than one split: "
        + "; ".join(examples)
        + more,
        where=where,
        cure="correct them, or pass --on-split-leak fix to move what belongs together to train",
    )


def namer(old: Catalog | None, items: Sequence[str], asked: Sequence[str]) -> Callable[[int], str]:
    """How an error calls record ``k``; ``items`` and ``asked`` are the ids of new products and
    queries."""
    products = [*(old.column("id").to_pylist() if old is not None else ()), *items]
    queries = [*(old.query_ids() if old is not None else ()), *asked]
    start = len(products)
    return lambda k: repr(products[k]) if k < start else f"query {queries[k - start]!r}"


def _split_name(code: int) -> str:
    return "to be drawn" if code == UNSET else SPLITS[code]
