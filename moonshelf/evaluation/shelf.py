"""A catalogue as the tasks read it: columns as arrays, contents by view, labels by key."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from moonshelf.catalog.product import Content, View, product_content
from moonshelf.config import closest
from moonshelf.errors import DataError


def plain_text(text: str) -> str:
    """Case-folded with single spaces: how titles and values are compared."""
    return " ".join(text.casefold().split())


class Shelf:
    """Read access of one evaluation. ``fields`` is the text an embedder may read (title only
    unless the suite says otherwise: other fields may spell the label, methods.md 10.2)."""

    def __init__(self, catalog: Any, fields: Sequence[str] = ("title",)) -> None:
        self.catalog, self.fields = catalog, tuple(fields)

    @functools.cached_property
    def titles(self) -> list[str]:
        return [title or "" for title in self.catalog.column("title").to_pylist()]

    @functools.cached_property
    def plain_titles(self) -> list[str]:
        return [plain_text(title) for title in self.titles]

    @functools.cached_property
    def ids(self) -> list[str]:
        return self.catalog.column("id").to_pylist()

    @functools.cached_property
    def groups(self) -> list[str]:
        return [group or "" for group in self.catalog.column("group").to_pylist()]

    @functools.cached_property
    def _attributes(self) -> list[dict[str, tuple[str, ...]]]:
        # Arrow maps come back as (key, values) pairs, structs as dicts.
        return [
            {key: tuple(values or ()) for key, values in dict(entry or {}).items()}
            for entry in self.catalog.column("attributes").to_pylist()
        ]

    @functools.cached_property
    def _categories(self) -> list[tuple[str, ...]]:
        return [tuple(path or ()) for path in self.catalog.column("category").to_pylist()]

    @functools.cached_property
    def _shown(self) -> dict[bool, np.ndarray]:
        pictures = np.asarray(self.catalog.column("image_count").to_pylist(), np.int64) > 0
        words = np.fromiter((bool(t.strip()) for t in self.titles), bool, len(self.titles))
        return {True: pictures, False: words}

    def complete(self, view: View) -> np.ndarray:
        """bool [N]: the products that have every modality of ``view``; through mm, a title and a
        picture. Narrower than ``usable_rows``, by which training goes: in a pool where some show
        their picture and others cannot, what a product lacks would tell it apart."""
        pictures, words = self._shown[True], self._shown[False]
        return (pictures | (not view.has_image)) & (words | (not view.has_text))

    def split_rows(self, split: str) -> np.ndarray:
        """int64 [n] rows of a split in the order of their ids, whatever the import order was."""
        rows = np.asarray(self.catalog.split_rows(split), np.int64)
        return np.array(sorted(rows.tolist(), key=lambda row: self.ids[row]), np.int64)

    def keys(self, view: View, rows: np.ndarray) -> list[Hashable]:
        """What makes two contents of ``view`` the same: their text and their picture hashes."""
        if view is View.TEXT and self.fields == ("title",):
            return [self.titles[row] for row in rows]
        texts: Sequence[Any] = (
            [(c.text, c.marks) for row in rows for c in [self.content(View.TEXT, int(row))]]
            if (view.has_text and self.fields != ("title",))
            else [self.titles[row] if view.has_text else None for row in rows]
        )
        if not view.has_image:
            return list(texts)
        return [(t, *self.hashes(int(row))) for t, row in zip(texts, rows, strict=True)]

    def hashes(self, row: int) -> tuple[str, ...]:
        return tuple(self.catalog.image_hashes(row))

    def content(self, view: View, row: int) -> Content:
        if view is View.TEXT and self.fields == ("title",):
            return Content(text=self.titles[row])  # no need to touch the pictures
        return product_content(self.catalog[row], view, self.fields)

    def clusters(self, rows: np.ndarray) -> np.ndarray:
        """int64 [n], equal for products of one group; a product without a group is alone."""
        number: dict[Hashable, int] = {}
        return np.array([number.setdefault(self.groups[r] or int(r), len(number)) for r in rows])

    def category(self, row: int, level: int = -1) -> str:
        """Name at ``level`` of the category path, ``""`` where the path is shorter."""
        path = self._categories[row]
        return path[level] if -len(path) <= level < len(path) else ""

    def values(self, key: str, where: str) -> list[tuple[str, ...]]:
        """Values of attribute ``key`` for all N products.

        Raises:
            DataError: no product of the catalogue has the attribute.
        """
        found = [entry.get(key, ()) for entry in self._attributes]
        if not any(found):
            known = {k for entry in self._attributes for k in entry}
            raise DataError(
                f"no product of the catalogue has the attribute {key!r}",
                where=where,
                cure=closest(key, known) or "import the catalogue with its attributes",
            )
        return found
