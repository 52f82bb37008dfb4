"""The first numbers of every vector as vectors of their own (Matryoshka, methods.md 2).

An encoder trained with ``stages.align.matryoshka`` puts what matters most first: a store of 64
numbers a product takes a quarter of the space of 256 and of the time of a search. Prefixes of any
other encoder are vectors too, of less use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from moonshelf.catalog.product import Content
from moonshelf.encoder.base import Encoder
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.catalog.crops.cropper import Cropper


class PrefixEncoder:
    """``encoder`` with vectors cut to their first ``width`` numbers and made unit again.

    Raises:
        UsageError: ``width`` is not from 1 to the encoder's.
    """

    def __init__(self, encoder: Encoder, width: int) -> None:
        if not 1 <= width <= encoder.dim:
            raise UsageError(
                f"a prefix of {width} numbers of vectors of {encoder.dim}",
                cure=f"choose a width from 1 to {encoder.dim}",
            )
        self.encoder, self.dim = encoder, width

    @property
    def version(self) -> str | None:
        """That of the whole encoder: a prefix has no weights of its own."""
        return self.encoder.version

    @property
    def cropper(self) -> Cropper | None:
        return self.encoder.cropper

    def embed(self, contents: Iterable[Content], *args: Any, **options: Any) -> np.ndarray:
        """Vectors ``float32 [N, width]``; arguments as in :meth:`Encoder.embed`."""
        return cut(self.encoder.embed(contents, *args, **options), self.dim)


def cut(vectors: np.ndarray, width: int) -> np.ndarray:
    """``[N, d]`` to unit ``[N, width]``; a prefix of zeros stays zero."""
    kept = vectors[:, :width]
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    return kept / np.maximum(norms, np.finfo(np.float32).tiny)


def prefix(encoder: Encoder, width: int | None) -> Encoder | PrefixEncoder:
    """``encoder`` itself where ``width`` is None or its own."""
    return encoder if width in (None, encoder.dim) else PrefixEncoder(encoder, width)
