"""From a product's specification to its picture: parts, colors, pattern, material, logo, masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from moonshelf.catalog.synthetic import clothes, shoes_bags, things
from moonshelf.catalog.synthetic.clothes import Details, Look, Spot
from moonshelf.catalog.synthetic.logos import draw_logo
from moonshelf.catalog.synthetic.patterns import material_tile, pattern_map
from moonshelf.catalog.synthetic.pen import PART_NUMBER, PARTS, ROLES, Pen
from moonshelf.catalog.synthetic.scenes import blend
from moonshelf.catalog.synthetic.vocabulary import BRAND_BY_NAME, COLORS, Rgb

OVERSAMPLE = 2
_SHAPES: dict[str, Callable[[Pen, Details, Look], Spot]] = {
    "t-shirt": clothes.t_shirt, "shirt": clothes.shirt, "sweater": clothes.sweater,
    "hoodie": clothes.hoodie, "jacket": clothes.jacket, "dress": clothes.dress,
    "trousers": clothes.trousers, "shorts": clothes.shorts, "skirt": clothes.skirt,
    "sneaker": shoes_bags.sneaker, "boot": shoes_bags.boot, "sandal": shoes_bags.sandal,
    "tote bag": shoes_bags.tote_bag, "backpack": shoes_bags.backpack, "handbag": shoes_bags.handbag,
    "hat": things.hat, "watch": things.watch, "sunglasses": things.sunglasses, "mug": things.mug,
    "lamp": things.lamp, "chair": things.chair, "cushion": things.cushion,
}  # fmt: skip
_FLAT: dict[str, Rgb] = {
    "metal": (190, 186, 178), "hollow": (40, 36, 36), "dial": (244, 242, 234),
    "glow": (255, 238, 170), "wood": (150, 104, 66), "plate": (250, 250, 246), "lens": (46, 50, 58),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProductSpec:
    """Everything the drawing depends on; equal specs give equal drawings.

    ``details`` are (key, value) part choices of the article; ``look`` are four style numbers in
    0..1; ``tint`` shifts the main color (each -12..12), because no two reds are the same red.
    """

    article: str
    color: str
    accent: str
    pattern: str
    material: str
    brand: str
    details: tuple[tuple[str, str], ...]
    look: Look = (0.5, 0.5, 0.5, 0.5)
    tint: tuple[int, int, int] = (0, 0, 0)
    scale: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Art:
    """A product cut out: colors, coverage (0 or 255) and part numbers, all [side, side]."""

    picture: Image.Image
    cover: Image.Image
    labels: Image.Image


def _far(a: Rgb, b: Rgb) -> int:
    return sum(abs(p - q) for p, q in zip(a, b, strict=True))


def _tones(spec: ProductSpec) -> dict[str, Rgb]:
    """One color for each role of pen.ROLES."""
    red, green, blue = (
        min(250, max(6, c + t)) for c, t in zip(COLORS[spec.color], spec.tint, strict=True)
    )
    main: Rgb = (red, green, blue)
    accent = COLORS[spec.accent]
    dark = sum(main) < 210
    deep = blend(main, (255, 255, 255), 0.16) if dark else blend(main, (0, 0, 0), 0.2)
    pale: Rgb = (240, 238, 232) if sum(main) < 560 else (90, 84, 80)
    sole: Rgb = (244, 244, 240) if _far(main, (244, 244, 240)) > 120 else (176, 128, 84)
    logo = BRAND_BY_NAME[spec.brand].color
    on_plate = spec.pattern != "solid"
    if on_plate and sum(logo) > 520:
        logo = blend(logo, (0, 0, 0), 0.35)
    elif not on_plate and _far(logo, main) < 190:
        logo = (250, 250, 250) if sum(main) < 400 else (24, 24, 28)
    return {**_FLAT, "main": main, "accent": accent, "deep": deep, "pale": pale, "sole": sole,
            "logo": logo}  # fmt: skip


def draw_art(spec: ProductSpec, side: int) -> Art:
    """The product on nothing, ``side`` pixels square, not yet down-sampled."""
    pen = Pen(side)
    details = dict(spec.details)
    spot = _SHAPES[spec.article](pen, details, spec.look)
    draw_logo(pen, BRAND_BY_NAME[spec.brand].logo, *spot, plate=spec.pattern != "solid")
    labels = np.asarray(pen.labels)
    tones = _tones(spec)
    field = pattern_map(spec.pattern, side, spec.scale, spec.seed)
    mixed = blend(tones["main"], tones["accent"], 0.5)
    if spec.pattern in ("floral", "camouflage"):
        mixed = blend(
            tones["accent"], (250, 220, 90) if spec.pattern == "floral" else (0, 0, 0), 0.6
        )
    table = np.zeros((3, 64, 3), dtype=np.uint8)
    for part, number in PART_NUMBER.items():
        tone = tones[ROLES[part]]
        patterned = ROLES[part] == "main"
        table[:, number] = (tone, tones["accent"], mixed) if patterned else (tone,) * 3
    index = labels if field is None else labels + field * np.uint8(64)
    colors = table.reshape(-1, 3)[index].astype(np.int16)
    textured = np.zeros(64, dtype=np.int16)
    for part in PARTS:
        textured[PART_NUMBER[part]] = ROLES[part] in ("main", "deep")
    ink = np.asarray(pen.ink).astype(np.int16)
    light = material_tile(spec.material, side, spec.seed % 3) * textured[labels] - ink * 3 // 4
    light = np.clip(light + _roundness(side), -90, 90)  # 345 * 90 still fits int16
    # Half of the light scales with the color and half does not: black cloth still shows its weave.
    colors += (colors + 90) * light[..., None] // 300
    picture = Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8))
    cover = pen.labels.point([0] + [255] * 255)
    return Art(picture=picture, cover=cover, labels=pen.labels)


def _roundness(side: int) -> np.ndarray:
    """Light from the upper left, int16 [side, side]."""
    ramp = np.arange(side, dtype=np.int16) * 20 // side
    return (10 - ramp)[None, :] + ((10 - ramp) // 2)[:, None]


def part_masks(labels: Image.Image) -> Mapping[str, np.ndarray]:
    """Bool [H, W] masks of the parts that show in a map of part numbers of twice that size.

    A pixel belongs to the part with most of its four samples; together the masks cover every
    pixel at least half of which is product.
    """
    samples = np.asarray(labels)
    height, width = samples.shape[0] // OVERSAMPLE, samples.shape[1] // OVERSAMPLE
    blocks = samples[: height * OVERSAMPLE, : width * OVERSAMPLE].reshape(
        height, OVERSAMPLE, width, OVERSAMPLE
    )
    counts = {int(n): (blocks == n).sum((1, 3)) for n in np.unique(samples) if n}
    covered = sum(counts.values(), np.zeros((height, width), dtype=np.int64)) * 2 >= OVERSAMPLE**2
    if not counts:
        return {}
    numbers = list(counts)
    winner = np.argmax(np.stack([counts[n] for n in numbers]), axis=0)
    masks = {PARTS[n - 1]: (winner == k) & covered for k, n in enumerate(numbers)}
    return {part: mask for part, mask in masks.items() if mask.any()}


def draw_product(
    spec: ProductSpec, size: tuple[int, int] = (96, 96)
) -> tuple[Image.Image, Mapping[str, np.ndarray]]:
    """The product upright on white: RGB picture of ``size`` (height, width) and its part masks.

    Returns:
        The picture, and for every part that shows a bool [height, width] mask. Masks are disjoint
        and together are the product.
    """
    height, width = size
    side = min(size) * OVERSAMPLE
    art = draw_art(spec, side)
    canvas = Image.new("RGB", (width * OVERSAMPLE, height * OVERSAMPLE), (255, 255, 255))
    labels = Image.new("L", canvas.size)
    corner = ((canvas.width - side) // 2, (canvas.height - side) // 2)
    canvas.paste(art.picture, corner, art.cover)
    labels.paste(art.labels, corner)
    return canvas.reduce(OVERSAMPLE), part_masks(labels)
