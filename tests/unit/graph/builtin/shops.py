"""Two small invented shops: kettles whose titles follow a template, watches with descriptions."""

from __future__ import annotations

import random

from moonshelf.graph.records import Document

MAKERS = ("Alveo", "Brunt & Sons", "Caldera", "Dorian Hill", "Elmwick", "Ferro", "Green Fox")
FORMS = ("Gooseneck Kettle", "Stovetop Kettle", "Travel Kettle")
FILTERS = ("Mesh", "Anti Scale", "Nylon", "Double Layer")
FEATURES = ("Auto Shut-Off", "Keep Warm", "LED Display", "Cool Touch Handle")
COLORS = ("White", "Black", "Off-White", "Matte Black", "Red")


def kettles(count: int = 120, seed: int = 3) -> list[Document]:
    """Titles like "Alveo 1.5 L 1500 W Gooseneck Kettle (Steel, Mesh Filter, Keep Warm, ...)"."""
    draw = random.Random(seed)
    return [Document(id=f"k{k}", fields=(("title", _kettle(draw)),)) for k in range(count)]


def _kettle(draw: random.Random) -> str:
    maker = draw.choice(MAKERS)
    code = f"{maker[:2].upper()}{draw.randrange(10, 99)}{draw.choice('KTX')}{draw.randrange(10)}"
    said = [
        draw.choice(("Stainless Steel", "Glass")),
        f"{draw.choice(FILTERS)} Filter",
        draw.choice(FEATURES),
        draw.choice(("4-in-1 Brewing", "3-in-1 Brewing", f"{draw.randrange(2, 6)} Cup Marks")),
        f"{draw.randrange(2019, 2025)} Model",
        code,
        draw.choice(COLORS),
    ]
    stars = f"{draw.randrange(3, 6)} Star "
    wifi = draw.choice(("", "Wi-Fi ", "WiFi "))
    liters = draw.choice(("1 L", "1.5 L", "1.7 L", "0.8 L"))
    watts = draw.choice(("1500 W", "2200 W", "1,800 W"))
    form = draw.choice(FORMS)
    return f"{maker} {liters} {watts} {stars}{wifi}{form} ({', '.join(said)})"


def watches(count: int = 80, seed: int = 5) -> list[Document]:
    """Titles and descriptions with headings, lines and ``Key: value`` pairs."""
    draw = random.Random(seed)
    found = []
    for k in range(count):
        title = f"{draw.choice(MAKERS)} Men {draw.choice(COLORS)} Dial Watch"
        found.append(
            Document(
                id=f"w{k}",
                fields=(("title", title), ("description", _watch(draw))),
                category="Watches",
            )
        )
    return found


def _watch(draw: random.Random) -> str:
    shape = draw.choice(("round", "square", "tonneau"))
    return "\n".join(
        (
            f"A timepiece for people who read number {draw.randrange(1000)} of our catalog twice.",
            f"Dial shape: {shape}",
            f"Case diameter: {draw.randrange(28, 46)} mm",
            f"Strap width: {draw.randrange(14, 24)} mm",
            f"Weight: {draw.randrange(40, 90)},5 g",
            f"Water resistant up to {draw.choice((30, 50, 100))} m",
            "Watch care",
            "Wipe with a soft cloth",
            draw.choice(("Keep away from magnets", "Do not open the case")),
            f"Warranty: {draw.choice((1, 2))} years",
        )
    )
