"""A user's photo of a product, made from the product's own picture: a stand-in for real photos.

What changes is what changes between a shop's picture and a phone's: the ground the product lies on,
angle and distance, what the frame cuts off, fingers or a thing in front, light, color temperature,
blur, noise, JPEG. Grounds, fingers and light are those of the drawn shop's user photos. What does
not change is the picture itself: the same piece from the same side, as no user would meet it. So a
figure on such photos promises nothing about real ones and is never put beside one.

A photo follows from (seed, key, strength, picture) alone, whatever other photos are made.
docs/methods.md 3.6 says how the usual strength was chosen.
"""

from __future__ import annotations

import hashlib
import threading

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from moonshelf.catalog.images import open_picture
from moonshelf.catalog.synthetic.figures import Sketch, draw_fingers
from moonshelf.catalog.synthetic.photos import (
    Placement,
    develop,
    fall_off,
    thing_in_front,
    to_jpeg,
    turn,
)
from moonshelf.catalog.synthetic.scenes import SURFACES, surface

STRENGTH = 0.5
NEAR = 10  # of 255, in every channel: as far as a plain ground may vary
PLAIN_SHARE = 0.6  # of the border that has the color of a plain ground
WHOLE = 0.7  # of what rows or columns enclose, the share that both enclose in a whole outline
LEAST_FIGURE = 0.06  # of the picture: less is no product but a mask that failed (white on white)
SMALLEST, LARGEST = 128, 448  # longer side of a photo in pixels
OVERSAMPLE = 2
KEPT = 4096  # photos kept in memory, some 5 kB each: every embedder of a table asks with the same
_PHOTOS: dict[tuple[bytes, str, int, float], bytes] = {}  # the one asked for last stands last
_LOCK = threading.Lock()


def augmented_photo(picture: bytes, key: str, seed: int = 0, strength: float = STRENGTH) -> bytes:
    """JPEG bytes of a photo of the product that ``picture`` shows, 3 wide to 4 high.

    Args:
        key: what makes one product's photo another than the next one's; its id.
        strength: of all changes together, and the chance of another ground (none at 0, always from
            1 on; it keeps its ground's color, as a screenshot or a photo on a white table, else).

    Raises:
        ImageError: the picture cannot be decoded.
    """
    # Known by its digest: a shop's pictures are a hundred times as large as their photos.
    asked = (hashlib.blake2b(picture, digest_size=16).digest(), key, seed, strength)
    with _LOCK:
        photo = _PHOTOS.pop(asked, None)
    if photo is None:
        photo = _made(picture, key, seed, strength)
    with _LOCK:
        _PHOTOS[asked] = photo
        while len(_PHOTOS) > KEPT:
            del _PHOTOS[next(iter(_PHOTOS))]
    return photo


def _made(picture: bytes, key: str, seed: int, strength: float) -> bytes:
    """The photo, drawn."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest, "big")])
    shown = open_picture(picture)
    height = min(LARGEST, max(SMALLEST, *shown.size))
    size = height * 3 // 4 * OVERSAMPLE, height * OVERSAMPLE
    square, cover, plain = _cut_out(shown, size[1])
    moved = rng.random() < strength
    kind = SURFACES[rng.integers(len(SURFACES))]
    scene = surface(kind, size, rng) if moved else Image.new("RGB", size, _ground(shown))
    placement = _placement(size, square.width, 1.0 if plain else 1.25, strength, rng)
    data = placement.coefficients()
    place = (size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR)
    scene.paste(square.transform(*place), (0, 0), cover.transform(*place))
    if rng.random() < 0.35 * strength:
        draw = ImageDraw.Draw(scene)
        if rng.random() < 0.6:
            draw_fingers(Sketch(draw, placement.to_photo, rng), rng.random(), rng)
        else:
            thing_in_front(draw, placement, rng)
    return to_jpeg(_exposed(scene.reduce(OVERSAMPLE), strength, rng), int(rng.integers(30, 70)))


def _cut_out(picture: Image.Image, side: int) -> tuple[Image.Image, Image.Image, bool]:
    """The picture in the middle of a square of ``side``, a mask of the product in it (L), and
    whether the product could be told from its ground; else the mask is the whole picture."""
    scale = side / max(picture.size)
    width, height = (max(1, round(n * scale)) for n in picture.size)
    figure = _figure(np.asarray(picture))
    plain = figure is not None
    mask = Image.fromarray(figure.astype(np.uint8) * 255) if plain else None
    square, cover = Image.new("RGB", (side, side)), Image.new("L", (side, side))
    at = ((side - width) // 2, (side - height) // 2)
    square.paste(picture.resize((width, height), Image.Resampling.BICUBIC), at)
    if mask is None:
        cover.paste(255, (*at, at[0] + width, at[1] + height))
    else:
        cover.paste(mask.resize((width, height), Image.Resampling.BICUBIC), at)
    return square, cover, plain


def _border(picture: np.ndarray) -> np.ndarray:
    """The outermost pixels of ``[H, W, 3]``, [n, 3]."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _ground(picture: Image.Image) -> tuple[int, int, int]:
    """The color that a product's own ground has."""
    red, green, blue = np.median(_border(np.asarray(picture)), axis=0).astype(int).tolist()
    return red, green, blue


def _figure(picture: np.ndarray) -> np.ndarray | None:
    """bool [H, W] of the product in ``uint8 [H, W, 3]``: what lies between pixels that differ from
    the plain ground, in its row and in its column, so that pale parts inside stay.

    None where there is no plain ground, or nothing but ground.
    """
    border = _border(picture)
    color = np.median(border, axis=0)
    if (np.abs(border - color).max(axis=1) <= NEAR).mean() < PLAIN_SHARE:
        return None
    differs = np.abs(picture - color).max(axis=2) > NEAR
    down, across = _spans(differs, 0), _spans(differs, 1)
    figure = down & across
    if figure.sum() < WHOLE * (down | across).sum():  # an outline with gaps: white on white
        figure = down | across
    return figure if figure.mean() >= LEAST_FIGURE else None


def _spans(marks: np.ndarray, axis: int) -> np.ndarray:
    """From the first to the last mark of each line along ``axis``."""
    begun = np.logical_or.accumulate(marks, axis=axis)
    left = np.logical_or.accumulate(np.flip(marks, axis), axis=axis)
    return begun & np.flip(left, axis)


def _placement(
    size: tuple[int, int], side: int, zoom: float, strength: float, rng: np.random.Generator
) -> Placement:
    """Where the square lands in a photo of ``size`` (width, height): off the middle, turned,
    tilted, nearer or farther, so that the frame may cut some of it off."""
    width, height = size
    off = (rng.random(2) - 0.5) * 0.3 * strength
    scale = zoom * (0.85 + (rng.random() - 0.5) * 0.5 * strength) * height / side
    return Placement(
        side,
        (width * (0.5 + off[0]), height * (0.5 + off[1])),
        scale,
        turn(rng, 0.2 * strength),
        ((rng.random() - 0.5) * 0.5 * strength, (rng.random() - 0.5) * 0.5 * strength),
        1 - 0.22 * strength * rng.random(),
    )


def _exposed(scene: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Uneven light, exposure, warm or cool, out of focus, noise."""
    picture = Image.blend(scene, fall_off(scene, rng), min(1.0, strength))
    warm = np.array([1, 0, -1]) * (rng.random() - 0.45) * 0.3
    gains = 1 + strength * ((rng.random() - 0.55) * 0.4 + warm)
    radius = scene.height / 160 * strength * rng.random()
    picture = picture.filter(ImageFilter.GaussianBlur(radius))
    lift = (rng.random() - 0.5) * 30 * strength
    return develop(picture, gains, lift, 1 + round(10 * strength * rng.random()), rng)
