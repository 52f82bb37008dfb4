"""Encoded pictures in, upright RGB out; hostile files become an :class:`ImageError`.

What is decided here, once, for everybody:

* only JPEG, PNG, WebP, GIF (first frame) and BMP are opened; the header is checked against
  :class:`Limits` before a pixel is decoded;
* EXIF rotation is applied; transparency lies over white; 16-bit gray keeps its high byte;
* a picture fitted into a canvas keeps its aspect ratio and is padded with white at both sides,
  because product photographs have white backgrounds: black bars would be the strongest edge;
* JPEG is decoded at a reduced scale (``draft``) where the canvas is less than half as large.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moonshelf.errors import ImageError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from moonshelf.catalog.crops.box import Box

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
WHITE = 255
DECODER_VERSION = 1  # part of every cache key: raise it when the same bytes give other pixels
_ORIENTATION_TAG = 0x0112
_OVERSAMPLING = 2  # a drafted JPEG stays at least this much larger than the canvas


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. ``max_bytes`` bounds the encoded file, ``max_pixels`` width times
    height, ``max_side`` each of the two."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_side: int = 16_384


_DEFAULT_LIMITS = Limits()


def open_picture(data: bytes, limits: Limits = _DEFAULT_LIMITS) -> Image.Image:
    """The picture as upright RGB, fully decoded.

    Raises:
        ImageError: not a picture of a known format, empty, too large, truncated or damaged.
    """
    image = _open_header(data, limits)
    return _decoded(image)


def decode_picture(
    data: bytes,
    height: int,
    width: int,
    limits: Limits = _DEFAULT_LIMITS,
    part: Box | None = None,
) -> np.ndarray:
    """``uint8 [height, width, 3]``: the picture fitted into the canvas, padded with white; or that
    ``part`` of it alone.

    Raises:
        ImageError: as :func:`open_picture`.
        UsageError: the canvas has no pixels.
    """
    if height < 1 or width < 1:
        raise UsageError(f"a canvas of {height} x {width} holds no picture", cure="enlarge it")
    # A part that fills the canvas is as much of a picture that is larger by its share.
    wanted = (height, width)
    if part is not None:
        wanted = math.ceil(height / part.height), math.ceil(width / part.width)
    image = _drafted(_open_header(data, limits), *wanted)
    if part is not None:
        image = image.crop(part.pixels(image.height, image.width))
    return fit_canvas(image, height, width)


def small_picture(data: bytes, side: int, limits: Limits = _DEFAULT_LIMITS) -> np.ndarray:
    """``uint8 [H, W, 3]``: the picture with its longer side at ``side``, never enlarged.

    Raises:
        ImageError: as :func:`open_picture`.
    """
    return np.array(shrunk(_drafted(_open_header(data, limits), side, side), side), dtype=np.uint8)


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """``image`` with its longer side at ``side``; a smaller one is itself."""
    from PIL import Image

    scale = side / max(image.size)
    if scale >= 1:
        return image
    w, h = (max(1, round(length * scale)) for length in image.size)
    return image.resize((w, h), Image.Resampling.BICUBIC)


def _drafted(image: Image.Image, height: int, width: int) -> Image.Image:
    """The whole upright picture, decoded no larger than a canvas needs where the format can."""
    turned = _orientation(image) >= 5
    _draft(image, *((width, height) if turned else (height, width)))
    return _decoded(image)


def fit_canvas(image: Image.Image, height: int, width: int) -> np.ndarray:
    """``uint8 [height, width, 3]`` of an RGB image: aspect kept, centered, padded with white."""
    from PIL import Image

    scale = min(height / image.height, width / image.width)
    h = min(height, max(1, round(image.height * scale)))
    w = min(width, max(1, round(image.width * scale)))
    if (w, h) != image.size:
        image = image.resize((w, h), Image.Resampling.BICUBIC)
    if (h, w) == (height, width):
        return np.array(image, dtype=np.uint8)
    canvas = np.full((height, width, 3), WHITE, dtype=np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    canvas[top : top + h, left : left + w] = np.asarray(image)
    return canvas


def check_picture(data: bytes, limits: Limits = _DEFAULT_LIMITS) -> tuple[int, int]:
    """(width, height) of the upright picture, after every byte of it was decoded once.

    JPEG is decoded at an eighth of its size: that reads all of the entropy-coded data, so a
    truncated file is found at a fraction of the cost.

    Raises:
        ImageError: as :func:`open_picture`.
    """
    image = _open_header(data, limits)
    width, height = image.size
    if _orientation(image) >= 5:
        width, height = height, width
    _draft(image, 1, 1)
    _load(image)
    return width, height


def _open_header(data: bytes, limits: Limits) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if not isinstance(data, bytes):
        raise ImageError(f"a picture is bytes, got {type(data).__name__}", cure="pass its bytes")
    if not data:
        raise ImageError("the picture is empty (0 bytes)", cure="fetch the file again")
    if len(data) > limits.max_bytes:
        raise ImageError(
            f"the picture has {len(data):,} bytes, the limit is {limits.max_bytes:,}",
            cure="re-encode it smaller",
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not a picture of a known format (starts with {data[:8]!r})",
            cure=f"convert it to one of {', '.join(FORMATS)}",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        count = re.search(r"\d+", str(error))
        pixels = f"{int(count.group()):,}" if count else "far too many"
        raise _too_large(f"the picture has {pixels} pixels", limits) from error
    except Exception as error:  # a hostile header may break any parser in any way
        raise _damaged(error) from error
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"the picture is {width} x {height} pixels", cure="fetch the file again")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise _too_large(f"the picture is {width:,} x {height:,} pixels", limits)
    return image


def _too_large(what: str, limits: Limits) -> ImageError:
    return ImageError(
        f"{what}, the limit is {limits.max_pixels:,} in all and {limits.max_side:,} a side",
        cure="scale it down",
    )


def _damaged(error: Exception) -> ImageError:
    return ImageError(
        f"the picture is truncated or damaged ({str(error)[:120] or type(error).__name__})",
        cure="fetch the file again or leave it out",
    )


def _draft(image: Image.Image, height: int, width: int) -> None:
    """Lets libjpeg scale down while it decodes; never below the oversampled canvas."""
    if image.format in ("JPEG", "MPO"):
        size = (width * _OVERSAMPLING, height * _OVERSAMPLING)
        image.draft(image.mode, size)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # truncated data, bad checksums, decoder errors of any kind
        raise _damaged(error) from error


def _decoded(image: Image.Image) -> Image.Image:
    """Loads, turns upright, converts to RGB."""
    from PIL import Image

    orientation = _orientation(image)
    _load(image)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    try:
        image = _rgb(image)
        return image.transpose(turn) if turn is not None else image
    except Exception as error:  # a palette or alpha table that does not fit the pixels
        raise _damaged(error) from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none."""
    try:
        if image.format == "PNG" and "exif" not in image.info:
            return 1  # asking would decode the file to look behind its pixels
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # unreadable EXIF around readable pixels: viewers show it as it lies
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit gray; convert() would clip at 255
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values.clip(0, 65_535) >> 8).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        over = image.convert("RGBA")
        white = Image.new("RGB", image.size, (WHITE, WHITE, WHITE))
        white.paste(over, mask=over.getchannel("A"))
        return white
    return image.convert("RGB")
