"""What a reader hands over besides records: a bad row, or a record that knows its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from moonshelf.catalog.product import Event, Product, Query
from moonshelf.errors import MoonshelfError

Record: TypeAlias = Product | Query | Event


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that could not become a record. A reader yields it in place of the row and goes on;
    whoever imports decides whether that stops the import or is counted and skipped."""

    where: str
    error: MoonshelfError


@dataclass(frozen=True, slots=True)
class Located:
    """A record with its place (``"items.csv row 17"``), so that an error found later (a duplicate
    id, a broken picture) can name it. A reader may yield it in place of the bare record."""

    where: str
    record: Record
