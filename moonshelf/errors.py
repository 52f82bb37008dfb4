"""User-facing errors. Each says what was found, where, and how to cure it.

Code raises the narrowest class; the command line prints the three parts and exits 1
(``UsageError``: 2). A traceback that reaches a user is a defect.
"""

from __future__ import annotations


class MoonshelfError(Exception):
    """What went wrong, where (file, row, key) and what the user can change.

    Args:
        what: one sentence with what was found and what was expected.
        where: file, row or key, e.g. ``"items.csv row 17"``; empty when there is no place.
        cure: one imperative sentence, e.g. ``"pass --on-error skip to leave such rows out"``.
    """

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        self.what, self.where, self.cure = what, where, cure
        super().__init__(what, where, cure)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.cure})" if self.cure else text


class UsageError(MoonshelfError):
    """The command or call itself is wrong: unknown option, bad value (exit code 2)."""


class DataError(MoonshelfError):
    """Something in the user's data: a row, a file, a split."""


class ImageError(DataError):
    """One picture cannot be read: truncated, too large, not a picture, missing."""


class CatalogError(MoonshelfError):
    """A catalogue folder is missing, half-written, damaged or of an unknown version."""


class CheckpointError(MoonshelfError):
    """A checkpoint misses weights, has unexpected ones, or does not match its config."""


class StoreError(MoonshelfError):
    """A vector store is missing, half-written, or made by another encoder version."""
