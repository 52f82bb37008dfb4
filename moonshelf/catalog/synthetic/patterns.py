"""Patterns as maps of 0 / 1 / 2 (main, second, mixed tone) and materials as brightness tiles.

Only adds, compares and integer arithmetic on coordinates plus Pillow drawing, so that the same
seed gives the same pixels on any machine.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

_BOARD = 96  # material tiles are drawn on a fixed grain and repeat


@lru_cache(maxsize=4)
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.indices((side, side), dtype=np.int32)
    return y, x


def _scatter(
    side: int, gap: float, rng: np.random.Generator, jitter: float
) -> list[tuple[float, float]]:
    """Points on a staggered grid, each moved by up to ``jitter`` of the gap."""
    count = int(side / gap) + 2
    moves = (rng.random((count, count, 2)) - 0.5) * 2 * jitter * gap
    return [
        ((column + (row % 2) / 2) * gap + moves[row, column, 0], row * gap + moves[row, column, 1])
        for row in range(count)
        for column in range(count)
    ]


def _flowers(side: int, period: float, rng: np.random.Generator) -> np.ndarray:
    picture = Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    petal, reach = period * 0.2, period * 0.24
    for x, y in _scatter(side, period * 1.25, rng, 0.18):
        for dx, dy in ((0, -1), (0.95, -0.31), (0.59, 0.81), (-0.59, 0.81), (-0.95, -0.31)):
            px, py = x + dx * reach, y + dy * reach
            draw.ellipse((px - petal, py - petal, px + petal, py + petal), fill=1)
        draw.ellipse((x - petal * 0.6, y - petal * 0.6, x + petal * 0.6, y + petal * 0.6), fill=2)
    return np.asarray(picture)


def _spots(side: int, period: float, rng: np.random.Generator) -> np.ndarray:
    """Leopard: broken dark rings with a mixed heart."""
    picture = Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    turns = rng.integers(0, 360, 4096)
    for number, (x, y) in enumerate(_scatter(side, period * 0.85, rng, 0.22)):
        wide, tall = period * (0.24 + turns[number] / 4000), period * 0.24
        box = (x - wide, y - tall, x + wide, y + tall)
        draw.ellipse(box, fill=2)
        turn = int(turns[number])
        draw.arc(box, turn, turn + 230, fill=1, width=max(2, round(period * 0.14)))
    return np.asarray(picture)


def _camouflage(side: int, period: float, rng: np.random.Generator) -> np.ndarray:
    cells = max(4, round(side / period * 1.4))
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    smooth = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))
    return (smooth > 140).astype(np.uint8) + (smooth > 175).astype(np.uint8) * (smooth < 255)


def pattern_map(pattern: str, side: int, scale: float, seed: int) -> np.ndarray | None:
    """uint8 [side, side] of 0 / 1 / 2, or None for solid. ``scale`` in 0..1 is fine to coarse."""
    if pattern == "solid":
        return None
    rng = np.random.default_rng([seed, 77])
    y, x = _grid(side)
    unit = side / 12 * (0.8 + 0.5 * scale)
    step = max(2, round(unit))
    if pattern == "striped":
        return ((y // step) % 2).astype(np.uint8)
    if pattern == "pinstriped":
        return (x % step < max(2, step // 5)).astype(np.uint8)
    if pattern == "checked":
        bars = ((x // step) % 2 + (y // step) % 2).astype(np.uint8)
        return np.array([0, 2, 1], dtype=np.uint8)[bars]
    if pattern == "zigzag":
        wave = np.abs(x % (2 * step) - step)
        return (((y + wave) // step) % 2).astype(np.uint8)
    if pattern == "color block":
        return (y > side * (0.42 + 0.14 * scale)).astype(np.uint8)
    if pattern == "dotted":
        picture = Image.new("L", (side, side))
        draw = ImageDraw.Draw(picture)
        radius = unit * 0.3
        for px, py in _scatter(side, unit * 1.15, rng, 0.0):
            draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=1)
        return np.asarray(picture)
    drawers = {"floral": _flowers, "leopard": _spots, "camouflage": _camouflage}
    return drawers[pattern](side, unit * 1.35, rng)


def _soft_noise(side: int, cells: int, seed: int, strength: float) -> np.ndarray:
    rng = np.random.default_rng([seed, 78])
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    smooth = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)).astype(np.int16)
    return ((smooth - 128) * round(strength * 16) // 256).astype(np.int16)


@lru_cache(maxsize=64)
def material_tile(material: str, side: int, variant: int = 0) -> np.ndarray:
    """int16 [side, side], brightness to add (about -60..60): weave, ribs, gloss, grain."""
    y, x = _grid(side)
    fine = max(1, side // _BOARD)  # pixels of the drawing per final pixel, about
    folds = _soft_noise(side, 5, variant, 2.0)
    grain = _soft_noise(side, side // 2, variant + 50, 1.0)
    if material == "denim":
        twill = np.where((x + 2 * y) % (4 * fine) < 2 * fine, 16, -16)
        return (twill + folds + 2 * grain).astype(np.int16)
    if material in ("knit", "wool"):
        wide = 4 * fine
        column, row = x % wide, (y + np.abs(x % wide - wide // 2)) % wide
        stitch = np.where(row < wide // 2, 18, -14) + np.where(column < fine, -26, 0)
        if material == "wool":
            stitch = 3 * grain + _soft_noise(side, side // 4, variant + 60, 2.5)
        return (stitch + folds).astype(np.int16)
    if material == "linen":
        slubs = _soft_noise(side, side // 3, variant + 70, 1.4)
        weave = np.where(x % (3 * fine) < fine, -12, 5) + np.where(y % (3 * fine) < fine, -12, 5)
        return (weave + slubs + folds).astype(np.int16)
    if material == "canvas":
        weave = np.where((x // (2 * fine) + y // (2 * fine)) % 2 == 0, 10, -10)
        return (weave + folds // 2 + grain).astype(np.int16)
    if material in ("silk", "nylon"):
        waves = _soft_noise(side, 7 if material == "silk" else 16, variant + 80, 4.0)
        return np.where(np.abs(waves) < 5, 26, waves // 2).astype(np.int16)
    if material == "suede":
        return (3 * grain + _soft_noise(side, 9, variant + 90, 2.5) - 6).astype(np.int16)
    if material == "wood":
        rings = _soft_noise(side, 6, variant + 30, 3.0) + y // (2 * fine)
        return (np.where(rings % 9 < 3, -24, 8) + grain).astype(np.int16)
    if material in ("leather", "ceramic", "metal", "plastic"):
        return _gloss(material, side, variant)
    return (folds * 3 // 2 + grain).astype(np.int16)


def _gloss(material: str, side: int, variant: int) -> np.ndarray:
    """Hard surfaces: highlights instead of weave."""
    y, x = _grid(side)
    across = x * 100 // side
    if material == "leather":
        creases = _soft_noise(side, 12, variant, 3.0)
        diagonal = np.abs((x + y // 3) * 100 // side - 42)
        shine = np.clip((9 - diagonal) * 6, 0, 40)
        return (shine + creases + np.where(creases > 10, 14, 0) - 6).astype(np.int16)
    if material == "metal":
        bands = np.array([-40, -5, 45, 75, 20, -25, -45, 0, 40, -30], dtype=np.int16)
        return bands[(across // 5) % 10]
    spot, width = (30, 5) if material == "ceramic" else (24, 9)
    shine = np.clip((width - np.abs(across - spot)) * 12, 0, 55)
    return (shine - np.clip(across - 55, 0, 40) // 2).astype(np.int16)
