"""Shapes of hats, watches, glasses and things for the home. See clothes.py for the form."""

from __future__ import annotations

from moonshelf.catalog.synthetic.clothes import Details, Look, Spot
from moonshelf.catalog.synthetic.pen import Pen, bend, mirror


def hat(pen: Pen, details: Details, look: Look) -> Spot:
    tall = 0.2 + 0.06 * look[0]
    if details["brim"] == "visor":
        pen.shape(
            "crown",
            [
                *bend((0.12, 0.62), (0.12, tall - 0.06), (0.42, tall)),
                *bend((0.42, tall), (0.72, tall), (0.7, 0.62)),
            ],
        )
        pen.seam(bend((0.42, tall), (0.48, 0.4), (0.46, 0.6)), 90)
        pen.shape(
            "brim",
            [
                *bend((0.44, 0.6), (0.66, 0.5), (0.94, 0.66)),
                *bend((0.95, 0.69), (0.7, 0.62), (0.44, 0.68)),
            ],
        )
        spot, cx = (0.58, 0.44, 0.07), 0.42
    else:
        pen.oval("brim", (0.04, 0.56, 0.96, 0.8))
        side = bend((0.24, 0.66), (0.25, tall), (0.5, tall), 6)
        pen.shape(
            "crown",
            [*side, *reversed(mirror(side)), *bend((0.76, 0.66), (0.5, 0.74), (0.24, 0.66), 5)],
        )
        pen.band("belt", bend((0.245, 0.62), (0.5, 0.7), (0.755, 0.62), 6), 0.05)
        spot, cx = (0.5, 0.48, 0.07), 0.5
    reach = 0.075 if details["top"] == "pompom" else 0.022
    pen.oval(
        "pompom" if reach > 0.05 else "button", (cx - reach, tall - reach, cx + reach, tall + reach)
    )
    return spot


def watch(pen: Pen, details: Details, look: Look) -> Spot:
    half = 0.085 + 0.03 * look[0]
    for top, bottom in ((0.02, 0.36), (0.64, 0.98)):
        pen.slab("strap", (0.5 - half, top, 0.5 + half, bottom), 0.025)
    for y in (0.74, 0.81, 0.88):
        pen.oval("hand", (0.485, y, 0.515, y + 0.03), edge=0)
    pen.slab("case", (0.73, 0.46, 0.79, 0.54), 0.01)
    if details["dial"] == "round":
        pen.oval("case", (0.25, 0.25, 0.75, 0.75))
        pen.oval("dial", (0.3, 0.3, 0.7, 0.7))
    else:
        pen.slab("case", (0.25, 0.25, 0.75, 0.75), 0.06)
        pen.slab("dial", (0.3, 0.3, 0.7, 0.7), 0.03)
    reach = 0.165
    for x, y in (
        (0, -1),
        (0.5, -0.87),
        (0.87, -0.5),
        (1, 0),
        (0.87, 0.5),
        (0.5, 0.87),
        (0, 1),
        (-0.5, 0.87),
        (-0.87, 0.5),
        (-1, 0),
        (-0.87, -0.5),
        (-0.5, -0.87),
    ):
        cx, cy = 0.5 + reach * x, 0.5 + reach * y
        if details["marks"] == "dots":
            pen.oval("marks", (cx - 0.013, cy - 0.013, cx + 0.013, cy + 0.013), edge=0)
        elif details["marks"] == "bars":
            pen.band("marks", [(cx, cy), (cx - 0.035 * x, cy - 0.035 * y)], 0.018, edge=0)
    pen.band("hand", [(0.5, 0.5), (0.5 + 0.09 * (look[1] * 2 - 1), 0.4)], 0.022, edge=0)
    pen.band("hand", [(0.5, 0.5), (0.63, 0.5 + 0.06 * (look[2] * 2 - 1))], 0.018, edge=0)
    return (0.5, 0.6, 0.045)


def sunglasses(pen: Pen, details: Details, look: Look) -> Spot:
    pen.both("temple", [(0.05, 0.42), (0.02, 0.32), (0.055, 0.3), (0.11, 0.4)])
    pen.band("frame", bend((0.43, 0.45), (0.5, 0.38), (0.57, 0.45), 5), 0.035)
    wide = 0.36 + 0.03 * look[0]
    for flip in (False, True):
        left, right = (0.07, 0.07 + wide) if not flip else (0.93 - wide, 0.93)
        if details["lens"] == "round":
            pen.oval("frame", (left, 0.5 - wide / 2, right, 0.5 + wide / 2))
            pen.oval("lens", (left + 0.04, 0.54 - wide / 2, right - 0.04, 0.46 + wide / 2))
        elif details["lens"] == "square":
            pen.slab("frame", (left, 0.37, right, 0.65), 0.03)
            pen.slab("lens", (left + 0.04, 0.41, right - 0.04, 0.61), 0.02)
        else:
            outer = [
                (0.02, 0.3),
                (0.42, 0.4),
                *bend((0.43, 0.5), (0.4, 0.68), (0.25, 0.66), 4),
                *bend((0.25, 0.66), (0.1, 0.62), (0.02, 0.3), 4),
            ]
            inner = [
                (0.09, 0.375),
                (0.38, 0.44),
                *bend((0.39, 0.5), (0.36, 0.63), (0.25, 0.61), 4),
                *bend((0.25, 0.61), (0.14, 0.58), (0.09, 0.375), 4),
            ]
            pen.shape("frame", mirror(outer) if flip else outer)
            pen.shape("lens", mirror(inner) if flip else inner)
        pen.seam([(left + 0.12, 0.57), (left + 0.2, 0.45)], 50, 0.02)
    return (0.8, 0.44, 0.035)


def mug(pen: Pen, details: Details, look: Look) -> Spot:
    if details["handle"] == "ring":
        pen.ring("handle", (0.56, 0.32, 0.92, 0.74), 0.065)
    else:
        pen.band("handle", [(0.6, 0.38), (0.87, 0.38), (0.87, 0.7), (0.6, 0.7)], 0.065)
    top, low = 0.3 + 0.03 * look[0], 0.3 + 0.03 * look[0]
    if details["shape"] == "tapered":
        low = 0.19
    left = 0.4 - top
    bottom = 0.86
    if details["shape"] == "round":
        side = [
            (left + 0.03, 0.22),
            *bend((left + 0.03, 0.25), (left - 0.1, 0.7), (0.26, bottom), 6),
        ]
    else:
        side = [(left, 0.22), (0.4 - low, bottom - 0.03)]
    other = [(0.8 - x, y) for x, y in side]
    pen.shape(
        "cup",
        [
            *side,
            *bend((side[-1][0], side[-1][1]), (0.4, bottom + 0.06), other[-1], 6),
            *reversed(other),
        ],
    )
    pen.oval("rim", (side[0][0], 0.16, other[0][0], 0.28))
    pen.oval("opening", (side[0][0] + 0.03, 0.18, other[0][0] - 0.03, 0.265))
    return (0.4, 0.58, 0.11)


def lamp(pen: Pen, details: Details, look: Look) -> Spot:
    if details["base"] == "tripod":
        for x in (0.28, 0.5, 0.72):
            pen.band("stand", [(0.5, 0.46), (x, 0.96)], 0.035)
    else:
        pen.slab("stand", (0.48, 0.42, 0.52, 0.94), 0.0)
        if details["base"] == "ball":
            pen.oval("stand", (0.36, 0.6, 0.64, 0.9))
        pen.slab("foot", (0.32, 0.91, 0.68, 0.97), 0.025)
    wide = 0.3 + 0.06 * look[0]
    pen.oval("bulb", (0.44, 0.42, 0.56, 0.55))
    if details["shade"] == "cone":
        pen.shape("shade", [(0.39, 0.05), (0.61, 0.05), (0.5 + wide, 0.47), (0.5 - wide, 0.47)])
    elif details["shade"] == "drum":
        pen.shape(
            "shade",
            [(0.53 - wide, 0.07), (0.47 + wide, 0.07), (0.5 + wide, 0.47), (0.5 - wide, 0.47)],
        )
    else:
        pen.shape(
            "shade",
            [
                *bend((0.5 - wide, 0.47), (0.5 - wide, 0.06), (0.5, 0.05)),
                *bend((0.5, 0.05), (0.5 + wide, 0.06), (0.5 + wide, 0.47)),
            ],
        )
    pen.slab("trim", (0.5 - wide, 0.445, 0.5 + wide, 0.475), 0.0)
    return (0.5, 0.3, 0.065)


def chair(pen: Pen, details: Details, look: Look) -> Spot:
    spread = 0.07 if details["legs"] == "splayed" else 0.0
    for x, low in ((0.27, 0.97), (0.73, 0.97), (0.37, 0.88), (0.63, 0.88)):
        out = -spread if x < 0.5 else spread
        pen.band("foot", [(x, 0.6), (x + out, low)], 0.04)
    half, top = 0.2 + 0.03 * look[0], 0.05 + 0.06 * look[2]
    if details["back"] == "solid":
        pen.slab("back", (0.5 - half, top, 0.5 + half, 0.5), 0.06)
    else:
        pen.slab("back", (0.5 - half, top, 0.5 + half, top + 0.09), 0.03)
        for x in (-1, -0.5, 0, 0.5, 1):
            cx = 0.5 + x * (half - 0.03)
            pen.slab("back", (cx - 0.025, top + 0.07, cx + 0.025, 0.56), 0.0)
    pen.shape(
        "seat",
        [(0.5 - half, 0.5), (0.5 + half, 0.5), (0.8, 0.63), (0.8, 0.69), (0.2, 0.69), (0.2, 0.63)],
    )
    pen.seam([(0.2, 0.63), (0.8, 0.63)], 90)
    if details["arms"] == "yes":
        for flip in (False, True):
            arm = [(0.5 - half, 0.34), (0.19, 0.4), (0.19, 0.66)]
            pen.band("arm", mirror(arm) if flip else arm, 0.045)
    return (0.5, top + 0.16, 0.06) if details["back"] == "solid" else (0.5, top + 0.045, 0.038)


def cushion(pen: Pen, details: Details, look: Look) -> Spot:
    pad = 0.1 + 0.03 * look[0]
    low, high = pad, 1 - pad
    if details["shape"] == "round":
        if details["trim"] != "none":
            pen.oval("trim", (low - 0.025, low - 0.025, high + 0.025, high + 0.025))
        pen.oval("body", (low, low, high, high))
    else:
        for grow in (0.025, 0.0):
            if grow and details["trim"] == "none":
                continue
            a, b, dent = low - grow, high + grow, 0.05
            edge = [
                *bend((a, a), (0.5, a + 2 * dent), (b, a)),
                *bend((b, a), (b - 2 * dent, 0.5), (b, b)),
                *bend((b, b), (0.5, b - 2 * dent), (a, b)),
                *bend((a, b), (a + 2 * dent, 0.5), (a, a)),
            ]
            pen.shape("trim" if grow else "body", edge)
    if details["trim"] == "tassels":
        reach = 0.0 if details["shape"] == "square" else 0.1
        for x in (low + reach, high - reach):
            for y in (low + reach, high - reach):
                dx, dy = (-0.06 if x < 0.5 else 0.06), (-0.06 if y < 0.5 else 0.06)
                pen.band("trim", [(x, y), (x + dx, y + dy)], 0.06)
    pen.seam(bend((low + 0.1, 0.3), (0.35, 0.4), (0.4, 0.3)), 40)
    return (0.74, 0.74, 0.055)
