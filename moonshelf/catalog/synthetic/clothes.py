"""Shapes of clothes, drawn part by part. Each function returns where a logo sits: (x, y, radius).

``look`` are four numbers in 0..1 that belong to the style: width, flare, drop, placing. They keep
two styles of one type from being the same drawing.
"""

from __future__ import annotations

from collections.abc import Mapping

from moonshelf.catalog.synthetic.pen import Pen, Point, bend, mirror

Look = tuple[float, float, float, float]
Spot = tuple[float, float, float]
Details = Mapping[str, str]


def _sleeves(pen: Pen, length: str, half: float, width: float, cuff: str = "") -> None:
    """Two arms from shoulders ``half`` from the middle; ``cuff`` names the part at their ends."""
    if length == "sleeveless":
        return
    left = 0.5 - half
    end = {"short": (0.09, 0.37), "long": (0.075, 0.80)}[length]
    outer: Point = (end[0] - (0.02 if length == "short" else 0.0), end[1])
    inner: Point = (end[0] + width, end[1] + 0.05)
    arm = [(left + 0.04, 0.13), *bend((left, 0.15), (left - 0.07, 0.2), outer, 4), inner,
           (left + 0.02, 0.36)]  # fmt: skip
    pen.both("sleeve", arm)
    if cuff:
        depth = 0.05
        pen.both(cuff, [outer, inner, (inner[0] + 0.012, inner[1] - depth),
                        (outer[0] + 0.012, outer[1] - depth)])  # fmt: skip


def _torso(pen: Pen, half: float, hem_half: float, bottom: float, neck: float) -> None:
    left, hem = 0.5 - half, 0.5 - hem_half
    side = [(0.5 - neck, 0.09), (left + 0.02, 0.14), (left + 0.015, 0.35),
            *bend((left + 0.02, 0.36), (left + 0.04, 0.6), (hem, bottom), 4)]  # fmt: skip
    pen.shape("body", [*side, *reversed(mirror(side))])


def _neck(pen: Pen, kind: str, neck: float) -> None:
    """The opening and its rib."""
    if kind == "turtle":
        pen.slab("collar", (0.5 - neck + 0.01, 0.015, 0.5 + neck - 0.01, 0.13), 0.02)
        pen.seam([(0.5 - neck + 0.02, 0.075), (0.5 + neck - 0.02, 0.075)], 70)
    elif kind == "v":
        pen.shape("collar", [(0.5 - neck - 0.02, 0.085), (0.5, 0.29), (0.5 + neck + 0.02, 0.085)])
        pen.shape(
            "opening", [(0.5 - neck + 0.015, 0.085), (0.5, 0.24), (0.5 + neck - 0.015, 0.085)]
        )
    else:
        pen.oval("collar", (0.5 - neck - 0.02, 0.03, 0.5 + neck + 0.02, 0.18))
        pen.oval("opening", (0.5 - neck + 0.015, 0.03, 0.5 + neck - 0.015, 0.145))
    if kind != "turtle":  # nothing of the shirt shows above the shoulder line
        pen.shape("opening", [(0.5 - neck, 0.088), (0.5 + neck, 0.088), (0.5, 0.115)], edge=0)


def _buttons(pen: Pen, top: float, bottom: float, count: int, x: float = 0.5) -> None:
    for step in range(count):
        y = top + (bottom - top) * step / max(1, count - 1)
        pen.oval("button", (x - 0.014, y - 0.014, x + 0.014, y + 0.014), edge=150)


def _front(pen: Pen, kind: str, top: float, bottom: float) -> None:
    """A zip or a row of buttons down the middle."""
    if kind == "zip":
        pen.slab("zip", (0.488, top, 0.512, bottom), 0.0, edge=140)
    elif kind == "buttoned":
        pen.slab("placket", (0.47, top, 0.53, bottom), 0.0)
        _buttons(pen, top + 0.05, bottom - 0.06, 6)


def _chest(look: Look, big: bool) -> Spot:
    """Logos sit on the heart, or large in the middle of the chest."""
    return (0.5, 0.36, 0.085) if big and look[3] > 0.5 else (0.63, 0.30, 0.05)


def t_shirt(pen: Pen, details: Details, look: Look) -> Spot:
    bare = details["sleeve"] == "sleeveless"
    half = 0.23 + 0.03 * look[0] - (0.05 if bare else 0)
    _sleeves(pen, details["sleeve"], half, 0.12 + 0.03 * look[1])
    _torso(pen, half, half - 0.02 + 0.05 * look[1], 0.86 + 0.08 * look[2], 0.12)
    _neck(pen, details["neck"], 0.10)
    pen.seam([(0.5 - half + 0.02, 0.9), (0.5 + half - 0.02, 0.9)], 50)
    if details["pocket"] == "chest":
        pen.shape("pocket", [(0.56, 0.3), (0.69, 0.3), (0.69, 0.42), (0.625, 0.46), (0.56, 0.42)])
        return (0.625, 0.37, 0.04)
    return _chest(look, True)


def shirt(pen: Pen, details: Details, look: Look) -> Spot:
    half = 0.23 + 0.03 * look[0]
    bottom = 0.9 + 0.05 * look[2]
    _sleeves(pen, details["sleeve"], half, 0.10 + 0.03 * look[1], cuff="cuff")
    _torso(pen, half, half + 0.01, bottom, 0.1)
    pen.shape("opening", [(0.41, 0.075), (0.59, 0.075), (0.5, 0.19)])
    pen.slab("placket", (0.472, 0.16, 0.528, bottom), 0.0)
    _buttons(pen, 0.21, 0.84, 7)
    if details["collar"] == "classic":
        pen.both("collar", [(0.4, 0.05), (0.42, 0.035), (0.5, 0.16), (0.42, 0.22), (0.355, 0.12)])
    else:
        pen.both("collar", [(0.405, 0.055), (0.43, 0.05), (0.5, 0.155), (0.49, 0.185), (0.39, 0.1)])
    if details["pocket"] == "chest":
        pen.shape("pocket", [(0.57, 0.3), (0.69, 0.3), (0.69, 0.41), (0.63, 0.44), (0.57, 0.41)])
        return (0.63, 0.365, 0.038)
    return (0.635, 0.32, 0.045)


def sweater(pen: Pen, details: Details, look: Look) -> Spot:
    half = 0.25 + 0.02 * look[0]
    _sleeves(pen, "long", half, 0.13 + 0.02 * look[1], cuff="cuff")
    _torso(pen, half, half - 0.02, 0.88, 0.11)
    _neck(pen, details["neck"], 0.095)
    if details["front"] == "buttoned":
        _front(pen, "buttoned", 0.27 if details["neck"] == "v" else 0.15, 0.88)
    pen.slab("hem", (0.5 - half + 0.01, 0.84, 0.5 + half - 0.01, 0.92), 0.015)
    for rib in range(12):
        x = 0.5 - half + 0.035 + rib * (2 * half - 0.07) / 11
        pen.seam([(x, 0.85), (x, 0.915)], 60)
    return _chest(look, False)


def hoodie(pen: Pen, details: Details, look: Look) -> Spot:
    half = 0.26 + 0.02 * look[0]
    pen.shape("hood", [*bend((0.29, 0.2), (0.27, -0.05), (0.5, 0.01)),
                       *bend((0.5, 0.01), (0.73, -0.05), (0.71, 0.2))])  # fmt: skip
    _sleeves(pen, "long", half, 0.14, cuff="cuff")
    _torso(pen, half, half, 0.9, 0.14)
    pen.shape("hood", [*bend((0.32, 0.1), (0.3, 0.02), (0.5, 0.015)),
                       *bend((0.5, 0.015), (0.7, 0.02), (0.68, 0.1)), (0.5, 0.27)])  # fmt: skip
    pen.shape("opening", [*bend((0.385, 0.12), (0.4, 0.05), (0.5, 0.05)),
                          *bend((0.5, 0.05), (0.6, 0.05), (0.615, 0.12)), (0.5, 0.23)])  # fmt: skip
    if details["front"] == "zip":
        _front(pen, "zip", 0.24, 0.9)
    if details["pocket"] == "kangaroo":
        pen.shape("pocket", [(0.4, 0.6), (0.6, 0.6), (0.69, 0.74), (0.69, 0.84), (0.31, 0.84),
                             (0.31, 0.74)])  # fmt: skip
        if details["front"] == "zip":
            pen.slab("zip", (0.488, 0.6, 0.512, 0.84), 0.0, edge=140)
    pen.slab("hem", (0.5 - half, 0.87, 0.5 + half, 0.93), 0.01)
    for x in (0.455, 0.545):
        pen.band("drawstring", [(x, 0.2), (x - 0.005, 0.38)], 0.016)
    return (0.62, 0.4, 0.05) if details["front"] == "zip" else (0.5, 0.46, 0.07)


def jacket(pen: Pen, details: Details, look: Look) -> Spot:
    knee = details["length"] == "knee"
    half = 0.25 - (0.05 if knee else 0) + 0.02 * look[0]
    bottom = 0.97 if knee else 0.84
    _sleeves(pen, "long", half, 0.12, cuff="cuff")
    _torso(pen, half, half + (0.05 if knee else 0.0), bottom, 0.11)
    pen.shape("opening", [(0.41, 0.08), (0.59, 0.08), (0.5, 0.3)])
    _front(pen, details["front"], 0.24, bottom)
    if details["collar"] == "lapel":
        pen.both("collar", [(0.395, 0.05), (0.43, 0.06), (0.5, 0.3), (0.485, 0.38), (0.37, 0.26),
                            (0.41, 0.22), (0.355, 0.17)])  # fmt: skip
    else:
        pen.both("collar", [(0.4, 0.035), (0.44, 0.05), (0.5, 0.26), (0.47, 0.26), (0.385, 0.13)])
    depth = bottom - 0.24
    pen.both("pocket", [(0.5 - half + 0.06, depth), (0.43, depth), (0.43, depth + 0.05),
                        (0.5 - half + 0.06, depth + 0.05)])  # fmt: skip
    return (0.63, 0.36, 0.045) if not knee else (0.61, 0.4, 0.045)


def dress(pen: Pen, details: Details, look: Look) -> Spot:
    bottom = {"mini": 0.66, "midi": 0.82, "maxi": 0.985}[details["length"]]
    half, flare = 0.155 + 0.02 * look[0], 0.2 + 0.1 * look[1]
    if details["sleeve"] != "sleeveless":
        end = (0.2, 0.25) if details["sleeve"] == "short" else (0.16, 0.58)
        pen.both("sleeve", [(0.37, 0.06), *bend((0.34, 0.08), (0.28, 0.12), end, 4),
                            (end[0] + 0.085, end[1] + 0.03), (0.36, 0.22)])  # fmt: skip
    else:
        pen.both("strap", [(0.385, 0.02), (0.42, 0.02), (0.43, 0.16), (0.38, 0.16)])
    waist = 0.37 + 0.05 * look[2]
    top = 0.05 if details["sleeve"] != "sleeveless" else 0.12
    side = [
        (0.4, top),
        (0.5 - half, top + 0.04),
        (0.5 - half, 0.2),
        *bend((0.5 - half, 0.22), (0.5 - half + 0.03, 0.3), (0.5 - half + 0.03, waist), 3),
        *bend((0.5 - half + 0.03, waist), (0.5 - half - 0.02, 0.5), (0.5 - flare, bottom), 4),
    ]
    hem = bend((0.5 - flare, bottom), (0.5, bottom + 0.03), (0.5 + flare, bottom), 4)
    pen.shape("body", [*side, *hem, *reversed(mirror(side))])
    pen.oval("opening", (0.42, top - 0.05, 0.58, top + 0.075))
    for fold in (-0.6, -0.2, 0.2, 0.6):
        pen.seam([(0.5 + fold * (half - 0.04), waist + 0.06), (0.5 + fold * flare, bottom)], 55)
    if details["waist"] == "belted":
        pen.slab("belt", (0.5 - half + 0.02, waist - 0.025, 0.5 + half - 0.02, waist + 0.025))
        pen.slab("buckle", (0.47, waist - 0.03, 0.53, waist + 0.03), 0.01)
    return (0.575, 0.24, 0.04)


def _waist(pen: Pen, kind: str, half: float) -> None:
    pen.slab("waistband", (0.5 - half, 0.06, 0.5 + half, 0.13), 0.01)
    if kind == "drawstring":
        pen.band("drawstring", [(0.47, 0.1), (0.45, 0.25)], 0.015)
        pen.band("drawstring", [(0.53, 0.1), (0.55, 0.23)], 0.015)
    else:
        pen.oval("button", (0.485, 0.08, 0.515, 0.11), edge=150)
        pen.seam([(0.5, 0.13), (0.5, 0.3)], 120)


def trousers(pen: Pen, details: Details, look: Look) -> Spot:
    foot = {"slim": 0.085, "straight": 0.125, "wide": 0.19}[details["fit"]] + 0.02 * look[0]
    half, spread = 0.18 + 0.02 * look[1], 0.13
    center = 0.5 - spread - (0.03 if details["fit"] == "wide" else 0.0)
    leg = [
        (0.5, 0.13),
        (0.5 - half, 0.13),
        *bend(
            (0.5 - half - 0.02, 0.3), (0.5 - half - 0.03, 0.4), (center - foot / 2 - 0.02, 0.97), 4
        ),
        (center + foot / 2 + 0.02, 0.97),
        (0.5, 0.36),
    ]
    pen.both("leg", leg)
    _waist(pen, details["waist"], half)
    for side in (-1, 1):
        pen.seam([(0.5 + side * half, 0.24), (0.5 + side * (half - 0.08), 0.14)], 130)
        pen.seam([(0.5 + side * (half * 0.6), 0.45), (0.5 + side * (0.5 - center), 0.95)], 45)
    return (0.5 + half * 0.62, 0.3, 0.04)


def shorts(pen: Pen, details: Details, look: Look) -> Spot:
    bottom = 0.5 if details["length"] == "thigh" else 0.72
    half, flare = 0.25 + 0.02 * look[0], 0.33 + 0.03 * look[1]
    leg = [(0.5, 0.13), (0.5 - half, 0.13), (0.5 - flare, bottom - 0.02), (0.47, bottom),
           (0.5, 0.36)]  # fmt: skip
    pen.both("leg", leg)
    hem = [(0.5 - flare, bottom - 0.02), (0.47, bottom), (0.471, bottom - 0.045),
           (0.5 - flare + 0.006, bottom - 0.065)]  # fmt: skip
    pen.both("hem", hem)
    _waist(pen, details["waist"], half)
    for side in (-1, 1):
        pen.seam([(0.5 + side * (half + 0.02), 0.26), (0.5 + side * (half - 0.1), 0.14)], 130)
    return (0.5 + flare * 0.6, bottom - 0.14, 0.045)


def skirt(pen: Pen, details: Details, look: Look) -> Spot:
    bottom = {"mini": 0.5, "midi": 0.72, "maxi": 0.96}[details["length"]]
    half = 0.17 + 0.02 * look[0]
    flare = {"flared": 0.36, "pencil": 0.16, "pleated": 0.32}[details["cut"]] + 0.03 * look[1]
    side = [
        (0.5 - half, 0.11),
        *bend((0.5 - half, 0.12), (0.5 - half - 0.08, 0.3), (0.5 - flare, bottom), 4),
    ]
    dip = 0.05 if details["cut"] == "flared" else 0.01
    hem = bend((0.5 - flare, bottom), (0.5, bottom + dip), (0.5 + flare, bottom), 5)
    pen.shape("body", [*side, *hem, *reversed(mirror(side))])
    folds = {"flared": 3, "pencil": 0, "pleated": 9}[details["cut"]]
    for fold in range(folds):
        place = (fold + 1) / (folds + 1) * 2 - 1
        pen.seam([(0.5 + place * half, 0.14), (0.5 + place * flare, bottom)], 95)
    if details["cut"] == "pencil":
        pen.seam([(0.5, bottom - 0.16), (0.5, bottom)], 170, 0.012)
    pen.slab("waistband", (0.5 - half, 0.06, 0.5 + half, 0.13), 0.01)
    return (0.5 + half * 0.55, 0.24, 0.04)
