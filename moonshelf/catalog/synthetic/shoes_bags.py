"""Shapes of shoes and bags. See clothes.py for the form."""

from __future__ import annotations

from moonshelf.catalog.synthetic.clothes import Details, Look, Spot
from moonshelf.catalog.synthetic.pen import Pen, bend, mirror


def sneaker(pen: Pen, details: Details, look: Look) -> Spot:
    high = details["height"] == "high"
    top = 0.2 if high else 0.36
    pen.shape(
        "upper",
        [
            (0.08, 0.70),
            (0.07, 0.5),
            *bend((0.09, top), (0.2, top + 0.06), (0.36, top - 0.02), 4),
            *bend((0.42, 0.42), (0.6, 0.52), (0.82, 0.56), 5),
            *bend((0.82, 0.56), (0.96, 0.6), (0.95, 0.7), 4),
        ],
    )
    pen.oval("opening", (0.09, top - 0.035, 0.36, top + 0.05))
    pen.shape("toe", [*bend((0.76, 0.55), (0.95, 0.56), (0.95, 0.7), 4), (0.74, 0.7)])
    thick = 0.07 + 0.05 * look[0]
    pen.slab("sole", (0.055, 0.685, 0.965, 0.685 + thick), 0.035)
    if details["closure"] == "laces":
        for step in range(4 if high else 3):
            x, y = 0.44 + 0.08 * step, 0.45 + 0.038 * step
            if high:
                x, y = 0.39 + 0.085 * step, 0.3 + 0.075 * step
            pen.band("lace", [(x - 0.055, y + 0.08), (x + 0.05, y - 0.015)], 0.024)
    else:
        for x, y in ((0.4, 0.42), (0.52, 0.48)):
            pen.shape(
                "strap",
                [(x - 0.09, y + 0.2), (x - 0.02, y + 0.21), (x + 0.1, y), (x + 0.03, y - 0.03)],
            )
    return (0.3, 0.565, 0.075)


def boot(pen: Pen, details: Details, look: Look) -> Spot:
    knee, high = details["height"] == "knee", details["heel"] == "high"
    top = 0.04 if knee else 0.28
    back = 0.2
    floor = 0.82 if high else 0.86
    shaft = 0.5 + 0.04 * look[0]
    pen.shape(
        "upper",
        [
            (back, top),
            (shaft, top),
            *bend((shaft - 0.02, 0.5), (shaft + 0.02, 0.6), (0.7, 0.65), 4),
            *bend((0.74, 0.66), (0.9, 0.7), (0.88, floor), 4),
            (back - 0.01, floor - (0.1 if high else 0)),
            (back + 0.015, 0.55),
        ],
    )
    pen.slab("collar", (back - 0.01, top - 0.015, shaft + 0.01, top + 0.045), 0.015)
    if high:
        pen.shape(
            "heel",
            [(back - 0.01, 0.71), (back + 0.13, 0.74), (back + 0.07, 0.95), (back + 0.005, 0.95)],
        )
        pen.shape(
            "sole",
            [
                (back + 0.1, 0.76),
                (0.55, floor - 0.02),
                (0.88, floor - 0.01),
                (0.87, floor + 0.05),
                (0.5, floor + 0.04),
            ],
        )
    else:
        pen.slab("sole", (back - 0.02, floor - 0.01, 0.9, floor + 0.065), 0.02)
    pen.slab("zip", (back + 0.1, top + 0.05, back + 0.12, 0.6), edge=100)
    return (shaft - 0.1, top + 0.17, 0.05) if knee else (shaft - 0.1, 0.5, 0.05)


def sandal(pen: Pen, details: Details, look: Look) -> Spot:
    """A pair seen from above: two foot beds and what crosses them."""
    wide = 0.02 * look[0]
    left = [*bend((0.14 - wide, 0.9), (0.06 - wide, 0.55), (0.07 - wide, 0.25), 5),
            *bend((0.09 - wide, 0.04), (0.42 + wide, -0.02), (0.44 + wide, 0.27), 6),
            *bend((0.44 + wide, 0.5), (0.38 + wide, 0.6), (0.37 + wide, 0.9), 5),
            *bend((0.36 + wide, 0.99), (0.16 - wide, 0.99), (0.14 - wide, 0.9), 5)]  # fmt: skip
    for flip in (False, True):

        def at(x: float, y: float, flip: bool = flip) -> tuple[float, float]:
            return (1 - x if flip else x, y)

        pen.shape("sole", mirror(left) if flip else left)
        if details["straps"] == "thong":
            pen.band("strap", [at(0.06, 0.46), at(0.2, 0.3), at(0.32, 0.16)], 0.055)
            pen.band("strap", [at(0.44, 0.44), at(0.4, 0.28), at(0.32, 0.16)], 0.055)
        elif details["straps"] == "crossed":
            pen.band("strap", [at(0.05, 0.22), at(0.25, 0.3), at(0.45, 0.46)], 0.085)
            pen.band("strap", [at(0.45, 0.2), at(0.25, 0.3), at(0.05, 0.46)], 0.085)
        else:
            for y in (0.19, 0.32, 0.45):
                pen.band("strap", [at(0.05, y), at(0.25, y - 0.03), at(0.46, y)], 0.07)
        if details["back"] == "strap":
            pen.band("strap", [at(0.09, 0.66), at(0.25, 0.7), at(0.42, 0.66)], 0.06)
            pen.slab("buckle", (*at(0.1, 0.63), *at(0.16, 0.71)), 0.01)
    return (0.255, 0.84, 0.055)


def tote_bag(pen: Pen, details: Details, look: Look) -> Spot:
    long = details["handle"] == "long"
    top, rise = (0.42, 0.02) if long else (0.34, 0.14)
    for width in (0.13, 0.11):
        pen.band(
            "handle",
            bend(
                (0.5 - width, top + 0.06), (0.5, rise - (top - rise)), (0.5 + width, top + 0.06), 12
            ),
            0.035,
        )
    half, wide = 0.27 + 0.03 * look[0], 0.3 + 0.05 * look[1]
    pen.shape(
        "body", [(0.5 - wide, top), (0.5 + wide, top), (0.5 + half, 0.95), (0.5 - half, 0.95)]
    )
    pen.shape(
        "hem",
        [
            (0.5 - wide, top),
            (0.5 + wide, top),
            (0.5 + wide - 0.005, top + 0.05),
            (0.5 - wide + 0.005, top + 0.05),
        ],
    )
    if details["pocket"] == "front":
        pen.slab("pocket", (0.34, 0.62, 0.66, 0.9), 0.02)
        return (0.5, 0.75, 0.085)
    return (0.5, 0.66, 0.1)


def backpack(pen: Pen, details: Details, look: Look) -> Spot:
    pen.ring("handle", (0.43, 0.03, 0.57, 0.17), 0.03, 180, 360)
    pen.both(
        "strap",
        [
            *bend((0.3, 0.2), (0.08, 0.45), (0.2, 0.88), 5),
            (0.27, 0.88),
            *bend((0.2, 0.6), (0.17, 0.4), (0.36, 0.2), 4),
        ],
    )
    half = 0.25 + 0.03 * look[0]
    side = [
        *bend((0.5, 0.08), (0.5 - half, 0.07), (0.5 - half, 0.3), 6),
        (0.5 - half - 0.01, 0.9),
        (0.5 - half + 0.04, 0.95),
    ]
    pen.shape("body", [*side, *reversed(mirror(side))])
    if details["opening"] == "flap":
        flap = [
            *bend((0.5, 0.07), (0.5 - half, 0.06), (0.5 - half + 0.01, 0.3), 6),
            (0.5 - half + 0.03, 0.42),
        ]
        pen.shape("flap", [*flap, *reversed(mirror(flap))])
        pen.slab("buckle", (0.47, 0.38, 0.53, 0.47), 0.01)
    else:
        pen.ring("zip", (0.5 - half + 0.04, 0.13, 0.5 + half - 0.04, 0.6), 0.02, 180, 360)
    if details["pocket"] == "one":
        pen.slab("pocket", (0.5 - half + 0.05, 0.57, 0.5 + half - 0.05, 0.9), 0.05)
        return (0.5, 0.73, 0.085)
    pen.slab("pocket", (0.5 - half + 0.04, 0.57, 0.49, 0.9), 0.04)
    pen.slab("pocket", (0.51, 0.57, 0.5 + half - 0.04, 0.9), 0.04)
    return (0.5, 0.27, 0.065)


def handbag(pen: Pen, details: Details, look: Look) -> Spot:
    top = 0.42 + 0.04 * look[2]
    arch = bend((0.22, top + 0.04), (0.5, -0.36), (0.78, top + 0.04), 18)
    if details["strap"] == "chain":
        for x, y in arch[::1]:
            pen.oval("chain", (x - 0.024, y - 0.024, x + 0.024, y + 0.024), edge=170)
        pen.band("chain", arch, 0.012)
    else:
        pen.band("strap", arch, 0.04)
    wide = 0.35 + 0.06 * look[0]
    if details["shape"] == "box":
        pen.slab("body", (0.5 - wide, top, 0.5 + wide, 0.9), 0.04)
        pen.shape(
            "flap",
            [
                (0.5 - wide, top + 0.02),
                (0.5 - wide + 0.03, top),
                (0.5 + wide - 0.03, top),
                (0.5 + wide, top + 0.02),
                (0.5 + wide, top + 0.18),
                (0.5, top + 0.27),
                (0.5 - wide, top + 0.18),
            ],
        )
    else:
        pen.shape(
            "body",
            [
                *bend((0.5 - wide + 0.1, top), (0.5 - wide - 0.14, 0.92), (0.5, 0.92)),
                *bend((0.5, 0.92), (0.5 + wide + 0.14, 0.92), (0.5 + wide - 0.1, top)),
            ],
        )
        pen.slab("hem", (0.5 - wide + 0.07, top - 0.03, 0.5 + wide - 0.07, top + 0.06), 0.02)
    clasp = top + 0.22 if details["shape"] == "box" else top + 0.05
    pen.slab("buckle", (0.46, clasp, 0.54, clasp + 0.07), 0.015)
    return (0.5, 0.79, 0.06)
