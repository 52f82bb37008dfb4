"""Controls that stand in every table: what can be had without learning from the pictures.

``random``: a unit vector drawn from the content itself (equal contents, equal vectors): chance.
``tfidf``: TF-IDF over words and word pairs of titles, fitted on the training titles.
``tfidf-char``: the same over letter groups inside words, which stands typos and compounds.
``color``: a color histogram of the first picture. ``pixels``: the picture as a 12 x 16 thumbnail.

A control of one modality also takes view mm and then reads only that modality; the text controls
have no picture side, the picture controls no text side (their labels come from supervised
centroids, see labels.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from moonshelf.catalog.images import decode_picture
from moonshelf.catalog.product import Content, View
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.evaluation.protocol import Embedder

TEXT_VIEWS = frozenset({View.TEXT, View.BOTH})
IMAGE_VIEWS = frozenset({View.IMAGE, View.BOTH})
_CHUNK = 4096


class RandomEmbedder:
    """A random unit vector [dim] for each distinct content: every metric is at chance."""

    views = frozenset(View)

    def __init__(self, dim: int = 64, seed: int = 0, name: str = "random") -> None:
        self.dim, self.seed, self.name = dim, seed, name

    def embed(self, contents: Iterable[Content]) -> np.ndarray:
        rows = [self._row(content) for content in contents]
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    def _row(self, content: Content) -> np.ndarray:
        digest = hashlib.blake2b(str(self.seed).encode(), digest_size=8)
        digest.update(repr(content.text).encode())
        for picture in content.images:
            digest.update(picture if isinstance(picture, bytes) else picture.tobytes())
        vector = np.random.default_rng(int.from_bytes(digest.digest())).normal(size=self.dim)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class TfidfEmbedder:
    """TF-IDF of the text, fitted on ``texts``; sparse unit rows (zero where no word is known)."""

    views = TEXT_VIEWS

    def __init__(self, texts: Sequence[str], chars: bool = False, name: str = "") -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError as error:
            raise MoonshelfError(
                "the TF-IDF control needs scikit-learn", cure="pip install 'moonshelf[controls]'"
            ) from error
        self.name = name or ("tfidf-char" if chars else "tfidf")
        shape: Any = (
            {"analyzer": "char_wb", "ngram_range": (3, 5), "max_features": 200_000}
            if chars
            else {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
        )
        self.model = TfidfVectorizer(sublinear_tf=True, **{"dtype": np.float32, **shape})
        try:
            self.model.fit(texts)
        except ValueError as error:
            raise MoonshelfError(
                "the training titles hold no word", cure="import titles, or leave TF-IDF out"
            ) from error

    def embed(self, contents: Iterable[Content]) -> Any:
        return self.model.transform([content.text or "" for content in contents])


class PictureEmbedder:
    """A fixed feature of the first picture; zero rows for contents without one."""

    views = IMAGE_VIEWS
    zero_shot = False

    def __init__(
        self, feature: Callable[[np.ndarray], np.ndarray], size: tuple[int, int], name: str
    ) -> None:
        self.feature, self.size, self.name = feature, size, name

    def embed(self, contents: Iterable[Content]) -> np.ndarray:
        height, width = self.size
        done, block = [], []
        empty = np.zeros((height, width, 3), np.uint8)
        for content in contents:
            picture = content.images[0] if content.images else empty
            if isinstance(picture, bytes):
                picture = decode_picture(picture, height, width)
            elif picture.shape[:2] != self.size:
                picture = _nearest(picture, height, width)
            block.append(picture)
            if len(block) == _CHUNK:
                done.append(self.feature(np.stack(block)))
                block = []
        if block or not done:
            done.append(self.feature(np.stack(block) if block else empty[None][:0]))
        return np.concatenate(done)


def _nearest(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = (np.arange(height) + 0.5) * picture.shape[0] / height
    columns = (np.arange(width) + 0.5) * picture.shape[1] / width
    return picture[rows.astype(int)][:, columns.astype(int)]


def color_histogram(pictures: np.ndarray, levels: int = 6) -> np.ndarray:
    """Square roots of RGB histograms of the whole picture and of its middle, [n, 2 * levels^3].

    Inner products are Bhattacharyya coefficients, the usual likeness of histograms.
    """
    n, height, width, _ = pictures.shape
    step = pictures.astype(np.int64) * levels // 256
    code = (step[..., 0] * levels + step[..., 1]) * levels + step[..., 2]
    middle = code[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    bins = levels**3
    parts = []
    for area in (code, middle):
        flat = area.reshape(n, area.shape[1] * area.shape[2])
        count = np.bincount(
            (flat + bins * np.arange(n)[:, None]).ravel(), minlength=n * bins
        ).reshape(n, bins)
        parts.append(np.sqrt(count / max(1, flat.shape[1]) / 2))
    return np.concatenate(parts, axis=1).astype(np.float32)


def thumbnail(pictures: np.ndarray) -> np.ndarray:
    """Pixels with the picture's mean color taken off, unit rows [n, H * W * 3]."""
    n, height, width, _ = pictures.shape
    rows = pictures.reshape(n, height * width, 3).astype(np.float32)
    rows = (rows - rows.mean(axis=1, keepdims=True)).reshape(n, height * width * 3)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


CONTROLS = ("random", "tfidf", "tfidf-char", "color", "pixels")


def controls(catalog: Any, names: Sequence[str] = CONTROLS, seed: int = 0) -> list[Embedder]:
    """The named controls; TF-IDF is fitted on the titles of the train split.

    Where no product is in train (a query log over one pool) it is fitted on all titles.
    """
    unknown = [name for name in names if name not in CONTROLS]
    if unknown:
        raise UsageError(f"unknown control {unknown[0]!r}", cure=f"choose among {CONTROLS}")
    texts: list[str] = []
    if any(name.startswith("tfidf") for name in names):
        titles = catalog.column("title").to_pylist()
        texts = [titles[row] or "" for row in catalog.split_rows("train")]
        texts = texts or [title or "" for title in titles]
    made: dict[str, Callable[[], Embedder]] = {
        "random": lambda: RandomEmbedder(seed=seed),
        "tfidf": lambda: TfidfEmbedder(texts),
        "tfidf-char": lambda: TfidfEmbedder(texts, chars=True),
        "color": lambda: PictureEmbedder(color_histogram, (64, 48), "color"),
        "pixels": lambda: PictureEmbedder(thumbnail, (16, 12), "pixels"),
    }
    return [made[name]() for name in names]
