"""From what a shopper gives (words, a picture, or both) to one query vector.

Both together are one content, seen through the view ``mm``, as the encoder was trained. With a
``mix`` they are two vectors, interpolated on the sphere's chord and normalized: 0 is all words,
1 is all picture. That is ours; the papers do not mix at query time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moonshelf.catalog.product import Content
from moonshelf.center.embed import VectorEncoder
from moonshelf.center.store import Store
from moonshelf.errors import ImageError, StoreError, UsageError

MAX_TEXT = 10_000


def query_vector(
    encoder: VectorEncoder,
    text: str | None = None,
    picture: bytes | None = None,
    mix: float | None = None,
    *,
    original_only: bool = False,
) -> np.ndarray:
    """One unit vector, float32 [d].

    Args:
        text: what is searched for, in words.
        picture: an encoded picture (JPEG, PNG, WebP bytes).
        mix: None feeds both at once; a number from 0 (words) to 1 (picture) interpolates.
        original_only: no crop of the picture is shown to an encoder that is shown crops.

    Raises:
        UsageError: neither words nor picture, or a mix without both or out of range.
        ImageError: the picture cannot be read.
    """
    text = None if text is None else text.strip()
    if text == "" or (text is None and picture is None):
        raise UsageError("there is nothing to search for", cure="give --text, --image or both")
    if text is not None and len(text) > MAX_TEXT:
        raise UsageError(f"the text is longer than {MAX_TEXT:,} characters", cure="shorten it")
    images = () if picture is None else (picture,)
    crops = () if original_only else None
    if mix is None:
        content = Content(text=text, images=images, crops=crops)
        return _unit(np.asarray(encoder.embed([content]))[0])
    if not 0 <= mix <= 1:  # also refuses NaN
        raise UsageError(f"mix is {mix}, expected 0 (words) to 1 (picture)", where="--mix")
    if text is None or picture is None:
        raise UsageError(
            "a mix needs both words and a picture", where="--mix", cure="give --text and --image"
        )
    words = np.asarray(encoder.embed([Content(text=text)]))[0]
    seen = np.asarray(encoder.embed([Content(images=images, crops=crops)]))[0]
    return _unit((1 - mix) * words + mix * seen)


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = vector.astype(np.float32)
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm < 1e-6:
        raise StoreError(
            "the query has no usable vector: words and picture cancel out, or a broken encoder",
            cure="choose another --mix or query",
        )
    return vector / norm


def read_picture(path: Path | str) -> bytes:
    """The bytes of a picture file, checked to be one within the limits.

    Raises:
        ImageError: missing, too large, or not a readable picture; names the file.
    """
    from moonshelf.catalog.images import Limits, open_picture

    path, limits = Path(path), Limits()
    try:
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise ImageError(
            f"the picture cannot be read: {(error.strerror or str(error)).lower()}",
            where=str(path),
            cure="check the path",
        ) from error
    try:
        open_picture(data, limits)
    except ImageError as error:
        raise ImageError(error.what, where=str(path), cure=error.cure) from error
    return data


def check_version(store: Store, version: str) -> None:
    """Refuses to compare vectors of two encoders.

    Raises:
        StoreError: ``version`` is not the store's.
    """
    if version != store.encoder_version:
        raise StoreError(
            f"the store was made by encoder version {store.encoder_version}, "
            f"this encoder is {version}: their spaces are incompatible",
            where=str(store.path),
            cure="search with the run the store was made from, or embed into a new store",
        )
