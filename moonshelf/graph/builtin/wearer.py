"""Who wears the garment in the picture: what a shop tells of that person is not of the product.

    "The model (height 5'8", chest 33") is wearing a size S"       all of the sentence
    "Model statistics" / "1. Wears size M" / "2. Height-6', Chest-38""   the lines below it

"This model is 90 cm tall" is said of a product: it takes clothes or a body to be a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from moonshelf.graph.builtin.lexicon import alternatives, words
from moonshelf.graph.builtin.segments import Segment

# Lines below the one that tells of the person, and characters of a line that are looked at.
FOLLOWERS, LOOKED_AT = 6, 400
_NUMERAL = re.compile(r"\W*\d{0,2}\W*")
_MODEL = r"(?<![^\W_])models?(?:['’]s)?(?![^\W_])"


def wearer(text: str, segments: Sequence[Segment]) -> Iterator[tuple[int, int]]:
    """Stretches that tell of the wearer, in order."""
    left, headed = 0, False
    for segment in segments:
        if segment.kind == "part":
            return
        said = text[segment.start : min(segment.end, segment.start + LOOKED_AT)]
        key = text[slice(*segment.key)] if segment.key else ""
        heads = bool(_heading().fullmatch(key or said.strip(" .:-–")))
        if heads or _person().search(f"{key} {said}") or _heads(text, segment):
            left, headed = FOLLOWERS, headed or heads
        elif left and _follows(f"{key} {said}", headed):
            left -= 1
        else:
            left, headed = 0, False
            continue
        yield segment.start, segment.end


def _heads(text: str, segment: Segment) -> bool:
    heading = segment.heading
    return heading is not None and bool(_heading().fullmatch(text[slice(*heading)]))


def _follows(said: str, headed: bool) -> bool:
    """Whether a segment goes on about the person: "2. Height-6', Chest-38""; of a number of a list
    nobody can say, so it goes on."""
    if _NUMERAL.fullmatch(said):
        return True
    several = [found[0].lower() for found in _body().finditer(said)]
    tall = any(word in ("height", "tall") for word in several)
    return bool(several) and any(c.isdigit() for c in said) and (tall or headed)


@cache
def _heading() -> re.Pattern[str]:
    figures = alternatives(words("wearer", "figures"))
    return re.compile(rf"(?:[^\W_]+\s)?{_MODEL}\s*(?:{figures})", re.IGNORECASE)


@cache
def _person() -> re.Pattern[str]:
    """A model who wears something, or who has a body and a size; either way round."""
    wears = alternatives(words("wearer", "wears"))
    trunk = alternatives(words("wearer", "trunk"))
    part = rf"(?<![^\W_])(?:{trunk})(?![^\W_])"
    near = r"[^.!?\n]{0,120}?"
    parts = (
        rf"{_MODEL}{near}(?<![^\W_])(?:{wears})(?![^\W_])",
        rf"(?<![^\W_])(?:worn by|{wears}){near}{_MODEL}",
        rf"(?<!this ){_MODEL}\s*(?:\(|is|has|of|with){near}{part}{near}\d",
        rf"(?<!this )(?<!each )(?<!our ){_MODEL}\s(?:is|was|['’]s)\s[\d'\".]+{near}(?<![^\W_])tall",
        rf"size\s\S{{1,5}}\son\s(?:an?|the|our)\s{_MODEL}",
    )
    return re.compile("|".join(parts), re.IGNORECASE)


@cache
def _body() -> re.Pattern[str]:
    body = alternatives((*words("wearer", "trunk"), *words("wearer", "stature")))
    return re.compile(rf"(?<![^\W_])(?:{body})(?![^\W_])", re.IGNORECASE)
