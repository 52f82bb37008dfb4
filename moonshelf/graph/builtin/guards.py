"""Where words stand that are not said of the product itself: denied, of another, compared, extra.

A span proves that words are there, not that they are meant of this product. Each zone is a stretch
of one segment, from a guard word on; what is found inside is refused with the zone's name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from moonshelf.graph.builtin.lexicon import alternatives, words
from moonshelf.graph.builtin.segments import Segment

Guard = Literal["negation", "compatibility", "comparison", "bundle"]
GUARDS: tuple[Guard, ...] = ("negation", "compatibility", "comparison", "bundle")
# A denial reaches over so many words: "no built-in Wi-Fi", not the rest of the sentence.
_DENIED_WORDS = 3
# Segments of a list that a "for" holds together.
LONGEST_LIST = 12
_WORD = re.compile(r"[^\W_]+")
# "Model No. 24H" numbers something; it denies nothing.
_NUMBER_SIGN = re.compile(r"no\s?[.:]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Zone:
    """``text[start:end]`` is under a guard; the guard word itself begins at ``word``.

    ``behind``: the guard word follows ("BPA-free"). It may be part of a name ("Wind-Free"), so it
    guards only what ends before it. ``outer``: the nearest zone before this one that ends later, by
    its place among the zones of the field; -1 where there is none.
    """

    word: int
    start: int
    end: int
    guard: Guard
    behind: bool = False
    outer: int = -1


def zones(text: str, segments: Sequence[Segment]) -> tuple[Zone, ...]:
    """Zones of a field, in order. Never raises."""
    found: list[Zone] = []
    for k, segment in enumerate(segments):
        for match in _pattern().finditer(text, segment.start, segment.end):
            guard: Guard = next(g for g in GUARDS if match[g] is not None)
            if guard == "negation" and _NUMBER_SIGN.match(text, match.start()):
                continue
            end = _end(text, match, guard, segments, k)
            if guard == "compatibility" and _audience().match(text, match.end()):
                continue
            if end > match.end():
                found.append(Zone(match.start(), match.end(), end, guard))
        for match in _after().finditer(text, segment.start, segment.end):
            start, end = match.span("what")
            found.append(Zone(end, start, end, "negation", behind=True))
    return tuple(_linked(found))


def guarded(zones: Sequence[Zone], start: int, end: int) -> Zone | None:
    """The nearest zone that covers any of [start, end). ``zones`` are those of a field."""
    k = bisect_left(zones, end, key=_start) - 1
    while k >= 0:
        zone = zones[k]
        if start >= zone.end:
            k = zone.outer
        elif zone.behind and end > zone.end:
            k -= 1
        else:
            return zone
    return None


def _linked(found: Sequence[Zone]) -> list[Zone]:
    """Zones in order, each with its outer one, so that no search walks over all of them."""
    linked: list[Zone] = []
    for zone in sorted(found, key=_start):
        outer = len(linked) - 1
        while outer >= 0 and linked[outer].end <= zone.end:
            outer = linked[outer].outer
        linked.append(replace(zone, outer=outer))
    return linked


def _start(zone: Zone) -> int:
    return zone.start


def _end(
    text: str, match: re.Match[str], guard: Guard, segments: Sequence[Segment], place: int
) -> int:
    """A denial ends after a few words, any other zone with its segment; a list that goes on after
    "for" ("for 1 Ton, 1.1 Ton") stays under it until brackets or lines change."""
    segment = segments[place]
    if guard == "negation":
        reach = match.end()
        for k, word in enumerate(_WORD.finditer(text, match.end(), segment.end)):
            if k == _DENIED_WORDS or word[0].lower() in ("and", "but", "with", "or"):
                break
            reach = word.end()
        return reach
    if guard != "compatibility" or segment.kind != "part":
        return segment.end
    end = segment.end
    for later in segments[place + 1 : place + 1 + LONGEST_LIST]:
        gap = text[end : later.start]
        if later.inside != segment.inside or not gap.strip().startswith(","):
            break
        if not text[later.start].isdigit():
            break
        end = later.end
    return end


@cache
def _pattern() -> re.Pattern[str]:
    parts = (rf"(?P<{g}>{alternatives(words('guards', g))})" for g in GUARDS)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])", re.IGNORECASE)


@cache
def _after() -> re.Pattern[str]:
    """Denials that stand behind: "BPA-free", "batteries not included"."""
    free, denied = (alternatives(words("guards", key)) for key in ("free", "behind"))
    word = r"(?<![^\W_])[^\W_]+"
    return re.compile(
        rf"(?P<what>{word}(?=[\s-]+(?:{free})(?![^\W_]))"
        rf"|{word}(?:[ -][^\W_]+)?(?=[\s-]+(?:{denied})(?![^\W_])))",
        re.IGNORECASE,
    )


@cache
def _audience() -> re.Pattern[str]:
    """Whom or what the product itself is for: "for men", "for home"."""
    return re.compile(
        rf"\s*(?:(?:your|the|all|every|any)\s+)?(?:{alternatives(words('guards', 'audience'))})"
        r"(?![^\W_])",
        re.IGNORECASE,
    )
