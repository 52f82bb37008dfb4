"""Backgrounds: what lies under or behind a product in a photo. Each returns an RGB picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from moonshelf.catalog.synthetic.vocabulary import Rgb

SURFACES = ("wood", "carpet", "sheet", "grass", "tiles", "desk")

# A 3 x 5 grid for each sign a price banner needs: no font file is involved.
_GLYPHS: dict[str, tuple[str, ...]] = {
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("###", "..#", "###", "#..", "###"),
    "3": ("###", "..#", "###", "..#", "###"),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "###", "..#", "###"),
    "6": ("###", "#..", "###", "#.#", "###"),
    "7": ("###", "..#", ".#.", ".#.", ".#."),
    "8": ("###", "#.#", "###", "#.#", "###"),
    "9": ("###", "#.#", "###", "..#", "###"),
    "-": ("...", "...", "###", "...", "..."),
    "%": ("#.#", "..#", ".#.", "#..", "#.#"),
}


def write(
    draw: ImageDraw.ImageDraw, text: str, left: float, top: float, cell: float, fill: Rgb
) -> None:
    """Block letters (digits, minus, percent); each sign is 3 x 5 cells wide and tall."""
    for place, sign in enumerate(text):
        for row, line in enumerate(_GLYPHS[sign]):
            for column, mark in enumerate(line):
                if mark == "#":
                    x, y = left + (place * 4 + column) * cell, top + row * cell
                    draw.rectangle((x, y, x + cell - 1, y + cell - 1), fill=fill)


def shade(color: Rgb, amount: int) -> Rgb:
    """The color made lighter (or darker) by ``amount`` in each channel."""
    red, green, blue = (min(255, max(0, channel + amount)) for channel in color)
    return red, green, blue


def blend(a: Rgb, b: Rgb, share: float) -> Rgb:
    """``share`` of ``b`` in ``a``."""
    red, green, blue = (round(p * (1 - share) + q * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def gradient(size: tuple[int, int], top: Rgb, bottom: Rgb) -> Image.Image:
    """A vertical blend; ``size`` is (width, height)."""
    two = Image.new("RGB", (1, 2), top)
    two.putpixel((0, 1), bottom)
    return two.resize(size, Image.Resampling.BILINEAR)


def blotches(
    size: tuple[int, int], color: Rgb, cells: int, strength: int, rng: np.random.Generator
) -> Image.Image:
    """A color with soft random light and dark of the given number of cells across."""
    noise = rng.integers(-strength, strength + 1, (cells, cells, 1))
    spots = np.clip(noise + np.array(color), 0, 255).astype(np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC)


def surface(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Where people put things to take a photo; ``kind`` is one of SURFACES."""
    width, height = size
    if kind == "grass":
        ground = blotches(size, (84, 122, 54), 40, 46, rng)
        draw = ImageDraw.Draw(ground)
        for x, y in (rng.random((60, 2)) * size).tolist():
            draw.line((x, y, x + 3, y - height / 20), fill=(104, 150, 66), width=2)
        return ground
    if kind == "carpet":
        palette: tuple[Rgb, ...] = ((150, 128, 110), (96, 100, 118), (140, 70, 66), (176, 168, 150))
        ground = blotches(size, palette[rng.integers(4)], 48, 22, rng)
        draw = ImageDraw.Draw(ground)
        for y in range(0, height, height // 5):
            draw.line((0, y, width, y), fill=shade(palette[0], int(rng.integers(-40, 20))), width=4)
        return ground
    if kind == "sheet":
        tint = [(222, 222, 228), (206, 214, 226), (226, 210, 204)][int(rng.integers(3))]
        return blotches(size, tint, 6, 26, rng)
    if kind == "tiles":
        ground = blotches(size, shade((186, 184, 178), int(rng.integers(-50, 30))), 10, 8, rng)
        step, draw = width // int(rng.integers(2, 5)), ImageDraw.Draw(ground)
        for line in range(int(rng.integers(step)), width + height, step):
            draw.line((line, 0, line, height), fill=(120, 118, 114), width=3)
            draw.line((0, line, width, line), fill=(120, 118, 114), width=3)
        return ground
    brown = shade((156, 112, 72), int(rng.integers(-50, 40)))
    ground = blotches((width, height), brown, 5, 10, rng)
    draw = ImageDraw.Draw(ground)
    step = height // int(rng.integers(4, 7))
    for line in range(int(rng.integers(step)), height, step):
        draw.line((0, line, width, line), fill=shade(brown, -46), width=2)
        draw.line((0, line + step // 3, width, line + step // 2), fill=shade(brown, -14), width=2)
    if kind == "desk":
        for _ in range(4):  # paper, books, a phone: things that are not the product
            x, y = rng.random(2) * size
            wide, tall = (0.15 + 0.3 * rng.random(2)) * size
            fill = tuple(int(c) for c in rng.integers(30, 235, 3))
            draw.rectangle((x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2), fill=fill)
    return ground


def place(indoors: bool, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A room or a street, out of focus."""
    width, height = size
    if indoors:
        wall = shade((206, 200, 190), int(rng.integers(-60, 40)))
        scene = gradient(size, shade(wall, 12), shade(wall, -14))
        draw = ImageDraw.Draw(scene)
        floor = height * (0.72 + 0.16 * rng.random())
        draw.rectangle(
            (0, floor, width, height), fill=shade((140, 108, 80), int(rng.integers(-40, 40)))
        )
        x = width * rng.random()
        frame = tuple(int(c) for c in rng.integers(60, 220, 3))
        draw.rectangle((x, height * 0.08, x + width * 0.24, height * 0.4), fill=frame)
        draw.rectangle(
            (x + 6, height * 0.08 + 6, x + width * 0.24 - 6, height * 0.4 - 6), fill=shade(wall, 30)
        )
        return scene
    sky = shade((168, 196, 222), int(rng.integers(-40, 20)))
    scene = gradient(size, sky, shade(sky, 20))
    draw = ImageDraw.Draw(scene)
    edges = np.sort(rng.random(4)) * width
    for left, right in zip([0, *edges], [*edges, width], strict=True):
        tone = shade((132, 122, 114), int(rng.integers(-50, 50)))
        draw.rectangle((left, height * (0.05 + 0.4 * rng.random()), right, height), fill=tone)
    draw.rectangle((0, height * 0.85, width, height), fill=(106, 106, 108))
    return scene


def shop_window(size: tuple[int, int], color: Rgb, rng: np.random.Generator) -> Image.Image:
    """The loud ground of a cluttered seller photo: rays, confetti, boxes in the shop's color."""
    width, height = size
    scene = gradient(size, shade(color, 50), shade(color, -30))
    draw = ImageDraw.Draw(scene)
    rays = 8
    for ray in range(0, rays * 2, 2):
        x = width * 2 * ray / rays - width * 1.5
        draw.polygon([(width / 2, height / 2), (x, -2), (x + width / 3, -2)], fill=shade(color, 34))
    for x, y, reach, kind in rng.random((16, 4)).tolist():
        cx, cy, r = x * width, y * height, (0.02 + 0.07 * reach) * width
        fill = tuple(int(c) for c in rng.integers(20, 250, 3))
        (draw.ellipse if kind > 0.5 else draw.rectangle)(
            (cx - r, cy - r, cx + r, cy + r), fill=fill
        )
    return scene


def banner(scene: Image.Image, color: Rgb, rng: np.random.Generator) -> None:
    """Draws price noise over a finished scene, in place: strip with a discount, badge, frame."""
    width, height = scene.size
    draw = ImageDraw.Draw(scene)
    loud = shade((255 - color[0], 255 - color[1], 255 - color[2]), 20)
    low = rng.random() < 0.7
    top = height * 0.84 if low else 0.0
    draw.rectangle((0, top, width, top + height * 0.16), fill=loud)
    white: Rgb = (255, 255, 255) if sum(loud) < 480 else (20, 20, 20)
    cell = max(2, round(height * 0.022))
    write(draw, f"-{rng.integers(1, 9)}0%", width * 0.06, top + height * 0.025, cell, white)
    write(draw, f"{rng.integers(10, 99)}", width * 0.66, top + height * 0.025, cell, white)
    if rng.random() < 0.5:
        r, cx = width * 0.13, width * (0.16 if rng.random() < 0.5 else 0.84)
        cy = height * (0.16 if low else 0.84)
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(226, 30, 40))
        write(
            draw,
            f"{rng.integers(1, 9)}{rng.integers(0, 9)}",
            cx - 3.5 * cell,
            cy - 2.5 * cell,
            cell,
            (255, 240, 90),
        )
    if rng.random() < 0.4:
        draw.rectangle((0, 0, width - 1, height - 1), outline=loud, width=max(2, width // 40))
