"""What can be evaluated (:class:`Embedder`) and the vectors of one evaluation, each made once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from moonshelf.catalog.marks import Marked
from moonshelf.catalog.product import Content, View
from moonshelf.errors import DataError, MoonshelfError
from moonshelf.evaluation.metrics import Vectors
from moonshelf.evaluation.shelf import Shelf
from moonshelf.progress import Progress, silent


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns contents into vectors: an encoder, a control, another library's model.

    ``views`` are the views it can take; a task that needs another one is listed as skipped.
    ``embed`` returns float32 ``[N, d]`` unit rows (zero rows where it sees nothing), dense or as a
    scipy CSR matrix, in the order of the contents. An optional ``zero_shot = False`` says that its
    text vectors are no label vectors: classification then uses class centroids of training items.
    """

    name: str
    views: frozenset[View]

    def embed(self, contents: Iterable[Content]) -> Vectors: ...


class EncoderEmbedder:
    """A :class:`moonshelf.encoder.Encoder` (or anything with its ``embed``) under a name."""

    views = frozenset(View)

    def __init__(self, encoder: Any, name: str, **options: Any) -> None:
        self.encoder, self.name, self.options = encoder, name, options

    def embed(self, contents: Iterable[Content]) -> np.ndarray:
        return self.encoder.embed(contents, **self.options)


class VectorCache:
    """Vectors by view and content. Equal contents (the same title, the same picture bytes) are
    embedded once and shared by all tasks of a suite."""

    def __init__(self, embedder: Embedder, shelf: Shelf, progress: Progress = silent) -> None:
        self.embedder, self.shelf, self.progress = embedder, shelf, progress
        self._place: dict[View, dict[Hashable, int]] = {view: {} for view in View}
        self._vectors: dict[View, Vectors] = {}
        self.embedded = 0

    def rows(self, view: View, rows: np.ndarray) -> Vectors:
        """Vectors of catalogue rows [n] through ``view``, [n, d]."""
        keys = self.shelf.keys(view, rows)
        return self._take(view, keys, lambda k: self.shelf.content(view, int(rows[k])))

    def texts(self, texts: Sequence[Marked]) -> Vectors:
        """Vectors of free texts (label prompts), [n, d]; marked otherwise they are others."""
        keys = [found if found.spans else found.text for found in texts]
        return self._take(View.TEXT, keys, lambda k: Content(texts[k].text, marks=texts[k].spans))

    def contents(
        self, view: View, keys: Sequence[Hashable], make: Callable[[int], Content]
    ) -> Vectors:
        """Vectors of ``make(0) ...``, known by ``keys`` (query ids), [n, d]."""
        return self._take(view, [("query", key) for key in keys], make)

    def _take(
        self, view: View, keys: Sequence[Hashable], make: Callable[[int], Content]
    ) -> Vectors:
        place = self._place[view]
        new: dict[Hashable, int] = {}
        for k, key in enumerate(keys):
            if key not in place and key not in new:
                new[key] = k
        if new:
            vectors = self.embedder.embed(self._counted(map(make, new.values()), len(new)))
            self._add(view, self._checked(vectors, len(new), view))
            place.update({key: len(place) + k for k, key in enumerate(new)})
        return self._vectors[view][np.array([place[key] for key in keys], np.int64)]

    def _counted(self, contents: Iterable[Content], total: int) -> Iterator[Content]:
        for k, content in enumerate(contents):
            self.progress(k, total, embedder=self.embedder.name)
            yield content
        self.embedded += total

    def _add(self, view: View, vectors: Vectors) -> None:
        old = self._vectors.get(view)
        if old is None:
            self._vectors[view] = vectors
        elif isinstance(vectors, np.ndarray):
            self._vectors[view] = np.concatenate([old, vectors])
        else:
            from scipy.sparse import vstack

            self._vectors[view] = vstack([old, vectors], format="csr")

    def _checked(self, vectors: Vectors, count: int, view: View) -> Vectors:
        where = f"embedder {self.embedder.name!r}, view {view.value}"
        if len(vectors.shape) != 2 or vectors.shape[0] != count:
            raise MoonshelfError(
                f"returned vectors of shape {tuple(vectors.shape)} for {count} contents",
                where=where,
                cure="return one row for each content, in order",
            )
        if isinstance(vectors, np.ndarray):
            norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
        else:
            norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        if not np.isfinite(norms).all():
            raise DataError(
                f"{np.count_nonzero(~np.isfinite(norms))} vectors are not finite",
                where=where,
                cure="look for a diverged run; lower the learning rate",
            )
        if (np.abs(norms - 1) > 1e-2)[norms > 1e-6].any():
            raise MoonshelfError(
                "vectors are not of unit length", where=where, cure="L2-normalize the rows"
            )
        return vectors
