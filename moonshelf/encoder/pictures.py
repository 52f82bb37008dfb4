"""Pictures to model input: a fixed canvas for tiny models, or each picture's own grid.

The patch order is that of the Qwen-VL processors: patches of one merge block are neighbours
(methods.md 2; parity with the library's own image processor is tested).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from moonshelf.catalog.images import decode_picture, open_picture
from moonshelf.encoder.config import PictureConfig
from moonshelf.errors import DataError

if TYPE_CHECKING:
    from moonshelf.catalog.product import Picture


def once_each(shown: Sequence[Picture]) -> tuple[list[Picture], list[int]]:
    """The distinct picture objects among ``shown``, and the place of each shown one in them.

    Several views of one product hold the very same picture: it is decoded and passes the vision
    tower once."""
    places: dict[int, int] = {}
    distinct: list[Picture] = []
    for picture in shown:
        if places.setdefault(id(picture), len(distinct)) == len(distinct):
            distinct.append(picture)
    return distinct, [places[id(picture)] for picture in shown]


def to_canvas(pictures: Sequence[Picture], config: PictureConfig) -> Tensor:
    """``uint8 [P, H, W, 3]`` on the fixed canvas; arrays of the right size pass as they are.

    Raises:
        ImageError: a picture cannot be read. DataError: an array of another size.
    """
    height, width = config.height, config.width
    out = np.empty((len(pictures), height, width, 3), np.uint8)
    for k, picture in enumerate(pictures):
        if isinstance(picture, bytes):
            out[k] = decode_picture(picture, height, width)
        elif picture.shape == (height, width, 3) and picture.dtype == np.uint8:
            out[k] = picture
        else:
            raise DataError(
                f"decoded picture {k} is {picture.dtype} {picture.shape}, "
                f"expected uint8 ({height}, {width}, 3)",
                cure="pass its encoded bytes, or decode it for this encoder's canvas",
            )
    return torch.from_numpy(out)


def own_grid(picture: Picture, config: PictureConfig, factor: int) -> Tensor:
    """``uint8 [H, W, 3]`` with both sides multiples of ``factor`` and the area in bounds."""
    from PIL import Image

    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else open_picture(picture)
    height, width = fitting_size(
        image.height, image.width, factor, config.min_pixels, config.max_pixels
    )
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(resized, np.uint8))


def fitting_size(
    height: int, width: int, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """The sides nearest to the picture's own that are multiples of ``factor``, with the area
    scaled into ``[min_pixels, max_pixels]``. Never below one block a side.

    As the library's ``smart_resize``, but where that refuses (sides of more than 200 to 1) the
    longer side is squeezed: a side held at one block would else let the area grow without bound.
    """
    h, w = (max(factor, round(side / factor) * factor) for side in (height, width))
    if h * w > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        h, w = (max(factor, math.floor(s / scale / factor) * factor) for s in (height, width))
        if min(h, w) == factor:
            longest = max(factor, max_pixels // factor // factor * factor)
            h, w = min(h, longest), min(w, longest)
    elif h * w < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        h, w = (math.ceil(s * scale / factor) * factor for s in (height, width))
    return h, w


def normalize(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``uint8 [P, H, W, 3]`` to float ``[P, H, W, 3]``; ``mean`` and ``std`` (``[3]``) are on the
    0..1 scale.

    Under autocast the result has its number format (bfloat16 holds 0..255 exactly), which saves
    two passes over the largest tensor of a step.
    """
    kind = pixels.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    # Rows of W * 3 numbers: with an inner dimension of 3 the arithmetic would not vectorize.
    p, height, width, channels = pixels.shape
    scale, shift = ((1 / (255 * std)), -mean / std)
    scale, shift = (channel.repeat(width).to(dtype) for channel in (scale, shift))
    rows = pixels.reshape(p, height, width * channels).to(dtype)
    return torch.addcmul(shift, rows, scale).reshape(p, height, width, channels)


def patchify(pixels: Tensor, patch: int, temporal: int, merge: int) -> Tensor:
    """``[P, H, W, 3]`` to ``[P * gh * gw, 3 * temporal * patch * patch]`` in merge-block order.

    A still picture is repeated ``temporal`` times, as the library's processor does."""
    p, height, width, c = pixels.shape
    gh, gw = height // patch, width // patch
    blocks = pixels.reshape(p, gh // merge, merge, patch, gw // merge, merge, patch, c)
    blocks = blocks.permute(0, 1, 4, 2, 5, 7, 3, 6)  # picture, block y/x, merge y/x, c, patch y/x
    blocks = blocks.unsqueeze(6).expand(*blocks.shape[:6], temporal, patch, patch)
    return blocks.reshape(p * gh * gw, c * temporal * patch * patch)
