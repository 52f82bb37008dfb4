"""Photos of a drawn product: four seller styles, and what users' phones make of it.

A photo is the cut-out product pushed through a 3 x 3 placement onto a scene at twice the final
size, then reduced. The part numbers go through the same placement, so every photo has true masks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from moonshelf.catalog.synthetic.art import OVERSAMPLE, Art, ProductSpec
from moonshelf.catalog.synthetic.figures import Sketch, draw_figure, draw_fingers
from moonshelf.catalog.synthetic.pen import Point
from moonshelf.catalog.synthetic.scenes import (
    SURFACES,
    banner,
    blend,
    place,
    shade,
    shop_window,
    surface,
)
from moonshelf.catalog.synthetic.vocabulary import ARTICLE_BY_NAME, COLORS

SELLER_STYLES = ("clean", "worn", "cluttered", "cropped")
# Where a close-up looks, and how large a product on a person is drawn, by figure.
_WORN_SCALE = {"top": 0.56, "dress": 0.72, "bottom": 0.62, "foot": 0.6, "bag": 0.5, "back": 0.5,
               "head": 0.52, "wrist": 0.5, "face": 0.52, "room": 0.55}  # fmt: skip
_WORN_DROP = {"top": 0.55, "dress": 0.55, "bottom": 0.6, "foot": 0.66, "bag": 0.62, "back": 0.6,
              "head": 0.36, "wrist": 0.5, "face": 0.42, "room": 0.55}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Photo:
    """An RGB picture and its map of part numbers at twice the size (art.part_masks reads it).

    ``labels`` is None when the caller did not ask for it: it costs a tenth of the whole photo.
    """

    picture: Image.Image
    labels: Image.Image | None


class Placement:
    """Maps the product's unit square into a photo: scale, turn, tilt.

    Args:
        side: pixels of the cut-out.
        center: where its middle lands, in photo pixels.
        scale: photo pixels a cut-out pixel.
        turn: (cosine, sine).
        tilt: perspective along x and y, 0 for none.
    """

    def __init__(
        self, side: int, center: Point, scale: float, turn: Point = (1.0, 0.0),
        tilt: Point = (0.0, 0.0), squeeze: float = 1.0,
    ) -> None:  # fmt: skip
        cosine, sine = turn
        reach = scale * side
        linear = np.array(
            [[cosine * reach * squeeze, -sine * reach], [sine * reach * squeeze, cosine * reach]]
        )
        forward = np.zeros((3, 3))
        forward[2] = (tilt[0], tilt[1], 1.0)
        forward[:2, :2] = linear + np.outer(center, tilt)
        forward[:2, 2] = center
        self._forward: list[list[float]] = forward.tolist()
        self.side = side

    def to_photo(self, point: Point) -> Point:
        x, y = point[0] - 0.5, point[1] - 0.5
        top, middle, low = self._forward
        depth = max(0.2, low[0] * x + low[1] * y + low[2])
        return (
            (top[0] * x + top[1] * y + top[2]) / depth,
            (middle[0] * x + middle[1] * y + middle[2]) / depth,
        )

    def coefficients(self) -> list[float]:
        """Photo pixel to cut-out pixel, as Pillow's PERSPECTIVE wants it."""
        (a, b, c), (d, e, f), (g, h, i) = self._forward
        inverse = np.array(
            [
                [e * i - f * h, c * h - b * i, b * f - c * e],
                [f * g - d * i, a * i - c * g, c * d - a * f],
                [d * h - e * g, b * g - a * h, a * e - b * d],
            ]
        )
        shift = np.array(
            [[self.side, 0, 0.5 * self.side], [0, self.side, 0.5 * self.side], [0, 0, 1]]
        )
        whole = shift @ inverse
        return (whole / whole[2, 2]).ravel()[:8].tolist()


def _paste(
    scene: Image.Image, art: Art, placement: Placement, with_labels: bool
) -> Image.Image | None:
    """Puts the product into the scene; returns the placed part numbers when asked."""
    numbers = placement.coefficients()
    flat = abs(numbers[6]) + abs(numbers[7]) < 1e-12
    method = Image.Transform.AFFINE if flat else Image.Transform.PERSPECTIVE
    data, near, soft = (
        numbers[:6] if flat else numbers,
        Image.Resampling.NEAREST,
        Image.Resampling.BILINEAR,
    )
    picture = art.picture.transform(scene.size, method, data, soft)
    cover = art.cover.transform(scene.size, method, data, soft)
    scene.paste(picture, (0, 0), cover)
    return art.labels.transform(scene.size, method, data, near) if with_labels else None


def _shadow(scene: Image.Image, art: Art, placement: Placement, strength: float) -> None:
    """A soft dark spot under the product."""
    small = (scene.width // 8, scene.height // 8)
    a, b, c, d, e, f = placement.coefficients()[:6]
    eighth = [a * 8, b * 8, c, d * 8, e * 8, f]
    spot = art.cover.transform(small, Image.Transform.AFFINE, eighth, Image.Resampling.BILINEAR)
    spot = ImageChops.offset(spot.filter(ImageFilter.BoxBlur(1)), 1, 1)
    spot = spot.resize(scene.size, Image.Resampling.BILINEAR).point(
        [round(level * strength) for level in range(256)]
    )
    scene.paste((30, 30, 34), (0, 0, *scene.size), spot)


def develop(
    picture: Image.Image, gains: np.ndarray, lift: float, amount: int, rng: np.random.Generator
) -> Image.Image:
    """Exposure and white balance (gain by channel, lift), then gray noise in -amount..amount."""
    pixels = np.asarray(picture) * gains.astype(np.float32) + np.float32(lift)
    pixels += rng.integers(-amount, amount + 1, (*pixels.shape[:2], 1), dtype=np.int8)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def turn(rng: np.random.Generator, reach: float) -> Point:
    """A random small rotation as (cosine, sine); the angle reaches 2 atan(``reach``)."""
    t = (rng.random() * 2 - 1) * reach
    return ((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t))


def seller_photo(
    spec: ProductSpec,
    art: Art,
    style: str,
    size: tuple[int, int],
    shop_color: str,
    rng: np.random.Generator,
    with_labels: bool = False,
) -> Photo:
    """What a shop shows. ``style`` is one of SELLER_STYLES, ``size`` (height, width)."""
    height, width = size[0] * OVERSAMPLE, size[1] * OVERSAMPLE
    side, color, short = art.labels.width, COLORS[shop_color], min(height, width)
    fit = short / side
    jitter = (rng.random(2) - 0.5) * 0.06 * short
    middle = (width / 2 + jitter[0], height / 2 + jitter[1])
    if style == "worn":
        figure = ARTICLE_BY_NAME[spec.article].figure
        indoors = figure in ("room", "wrist", "face") or rng.random() < 0.5
        scene = place(indoors, (width, height), rng)
        scale = _WORN_SCALE[figure] * (0.9 + 0.25 * rng.random()) * fit
        center = (middle[0], _WORN_DROP[figure] * height + jitter[1])
        placement = Placement(side, center, scale, turn(rng, 0.04))
        draw_figure(Sketch(ImageDraw.Draw(scene), placement.to_photo, rng), spec)
    elif style == "cluttered":
        scene = shop_window((width, height), color, rng)
        placement = Placement(side, middle, (0.6 + 0.2 * rng.random()) * fit, turn(rng, 0.1))
    elif style == "cropped":
        scene = Image.new(
            "RGB", (width, height), shade((238, 236, 232), int(rng.integers(-30, 16)))
        )
        look_x, look_y = (rng.random(2) - 0.5) * 0.36
        scale = (1.45 + 0.6 * rng.random()) * fit
        center = (middle[0] - look_x * scale * side, middle[1] - look_y * scale * side)
        placement = Placement(side, center, scale, turn(rng, 0.06))
    else:
        white = int(rng.integers(236, 256))
        own = rng.random() < 0.3  # some shops put everything on a pale ground of their color
        ground = blend(color, (255, 255, 255), 0.82) if own else (white, white, white)
        scene = Image.new("RGB", (width, height), ground)
        placement = Placement(side, middle, (0.8 + 0.16 * rng.random()) * fit, turn(rng, 0.025))
        if rng.random() < 0.6:
            _shadow(scene, art, placement, 0.35)
    labels = _paste(scene, art, placement, with_labels)
    if style == "cluttered":
        before = scene.copy() if labels else None
        banner(scene, color, rng)
        _uncover(labels, before, scene)
    picture = scene.reduce(OVERSAMPLE)
    gains = 1 + (rng.random(3) - 0.5) * 0.06 + (rng.random() - 0.5) * 0.1
    return Photo(develop(picture, gains, 0.0, 3, rng), labels)


def user_photo(
    spec: ProductSpec,
    art: Art,
    size: tuple[int, int],
    rng: np.random.Generator,
    worn: bool,
    occluded: bool,
    with_labels: bool = False,
) -> Photo:
    """What a user's phone shows: another ground, light, angle, blur, things in front, noise."""
    height, width = size[0] * OVERSAMPLE, size[1] * OVERSAMPLE
    side, short = art.labels.width, min(height, width)
    fit = short / side
    center = (
        width * (0.5 + (rng.random() - 0.5) * 0.2),
        height * (0.5 + (rng.random() - 0.5) * 0.2),
    )
    tilt = ((rng.random() - 0.5) * 0.5, (rng.random() - 0.5) * 0.5)
    squeeze = 0.78 + 0.22 * rng.random()
    figure = ARTICLE_BY_NAME[spec.article].figure
    if worn:
        scene = place(rng.random() < 0.7, (width, height), rng)
        scale = _WORN_SCALE[figure] * (0.9 + 0.5 * rng.random()) * fit
        placement = Placement(
            side, center, scale, turn(rng, 0.08), (tilt[0] / 2, tilt[1] / 2), squeeze
        )
        draw_figure(Sketch(ImageDraw.Draw(scene), placement.to_photo, rng), spec)
    else:
        scene = surface(SURFACES[rng.integers(len(SURFACES))], (width, height), rng)
        scale = (0.55 + 0.35 * rng.random()) * fit
        placement = Placement(side, center, scale, turn(rng, 0.3), tilt, squeeze)
        _shadow(scene, art, placement, 0.5)
    labels = _paste(scene, art, placement, with_labels)
    if occluded:
        before = scene.copy() if labels else None
        draw = ImageDraw.Draw(scene)
        if rng.random() < 0.6:
            draw_fingers(Sketch(draw, placement.to_photo, rng), rng.random(), rng)
        else:
            thing_in_front(draw, placement, rng)
        _uncover(labels, before, scene)
    picture = fall_off(scene.reduce(OVERSAMPLE), rng)
    # Warm, cool or dim.
    gains = 0.85 + 0.3 * rng.random() + np.array([1, 0, -1]) * (rng.random() - 0.4) * 0.24
    if rng.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(short / 200 * (0.3 + 0.9 * rng.random())))
    lift = (rng.random() - 0.5) * 24
    return Photo(develop(picture, gains, lift, int(rng.integers(4, 16)), rng), labels)


def _uncover(labels: Image.Image | None, before: Image.Image | None, after: Image.Image) -> None:
    """Takes what was drawn over the product out of its part numbers."""
    if labels and before:
        red, green, blue = ImageChops.difference(before, after).split()
        moved = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        labels.paste(0, (0, 0, *labels.size), moved.point([0] + [255] * 255))


def thing_in_front(
    draw: ImageDraw.ImageDraw, placement: Placement, rng: np.random.Generator
) -> None:
    """A corner of something else lies over the product."""
    x, y = 0.3 + 0.4 * rng.random(2)
    far_x, far_y = (-0.6 if x < 0.5 else 1.6), (-0.6 if y < 0.5 else 1.6)
    slope = 0.3 * rng.random()
    corners = [(x, y), (far_x, y + slope), (far_x, far_y), (x - slope, far_y)]
    fill = tuple(int(c) for c in rng.integers(30, 220, 3))
    draw.polygon([placement.to_photo(corner) for corner in corners], fill=fill)


def fall_off(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light that gets weaker across the picture."""
    corners = rng.integers(150, 256, (2, 2), dtype=np.uint8)
    fall = Image.fromarray(corners).resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(picture, Image.merge("RGB", (fall, fall, fall)))


def to_jpeg(picture: Image.Image, quality: int) -> bytes:
    """JPEG bytes; libjpeg's integer transform gives the same bytes on every machine."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
