"""Where words stand that are not said of the product itself: denied, of another, compared, extra.

A span proves that words are there, not that they are meant of this product. Each zone is a stretch
of one clause before or behind a guard word; what is found inside is refused with the zone's name.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from moonshelf.graph.builtin.behind import behind
from moonshelf.graph.builtin.denied import denied
from moonshelf.graph.builtin.lexicon import alternatives, words
from moonshelf.graph.builtin.segments import Segment
from moonshelf.graph.builtin.wearer import wearer

Guard = Literal["negation", "compatibility", "comparison", "bundle", "option", "wearer"]
"""``option``: neither yes nor no, as it costs extra, or as a denial may reach so far."""
# "Does not need" before "does not".
_FRONT: tuple[Guard, ...] = ("option", "negation", "compatibility", "comparison", "bundle")
# Segments of a list that a "for" holds together.
LONGEST_LIST = 12
# "Not for children" speaks of nobody whom the product is for.
_NOT = re.compile(r"(?:(?<![^\W_])(?:not|never)|n['’]t)\s+$", re.IGNORECASE)
_NOT_BEFORE = 8
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
            found.extend(_front(text, match, segments, k))
        for start, end, option in behind(text, segments, k):
            guard: Guard = "option" if option else "negation"
            found.append(Zone(end, start, end, guard, behind=True))
    for start, end in wearer(text, segments):
        found.append(Zone(end, start, end, "wearer", behind=True))
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


def _front(
    text: str, match: re.Match[str], segments: Sequence[Segment], place: int
) -> Iterator[Zone]:
    """Zones of one guard word, which stands before what it guards."""
    guard: Guard = next(g for g in _FRONT if match[g] is not None)
    segment = segments[place]
    if guard in ("negation", "option"):
        if _affirms(text, match):
            return
        for start, end, sure in denied(text, match, segment):
            yield Zone(match.start(), start, end, guard if sure else "option")
        return
    end = _end(text, guard, segments, place)
    audience = guard == "compatibility" and _audience().match(text, match.end())
    if end > match.end() and (not audience or _denied(text, match.start())):
        yield Zone(match.start(), match.end(), end, guard)


def _denied(text: str, place: int) -> bool:
    """Whether a "not" stands right before: "not for children under 6 years"."""
    return _NOT.search(text, max(0, place - _NOT_BEFORE), place) is not None


def _affirms(text: str, match: re.Match[str]) -> bool:
    """Whether a denial is none: "No. 5", "not only"."""
    numbers = _NUMBER_SIGN.match(text, match.start())
    return numbers is not None or _affirmed().match(text, match.end()) is not None


def _end(text: str, guard: Guard, segments: Sequence[Segment], place: int) -> int:
    """A zone ends with its segment; a list that goes on after "for" ("for 1 Ton, 1.1 Ton") stays
    under it until brackets or lines change."""
    segment = segments[place]
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
    plain = {g: alternatives(words("guards", g)) for g in _FRONT if g not in ("option", "negation")}
    no = alternatives((*words("guards", "negation"), *words("front", "negation")))
    wanted = alternatives(words("front", "wanted"))
    maybe = alternatives(words("front", "option"))
    plain["negation"] = rf"{no}|[^\W\d_]+n['’]t"
    plain["option"] = rf"{maybe}|(?:{wanted})(?!\s+(?:[^\W\d_]+\s+)?\d)"
    parts = (rf"(?P<{g}>{plain[g]})" for g in _FRONT)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])", re.IGNORECASE)


@cache
def _affirmed() -> re.Pattern[str]:
    only = alternatives(words("front", "affirmed"))
    return re.compile(rf"\s+(?:{only})(?![^\W_])", re.IGNORECASE)


@cache
def _audience() -> re.Pattern[str]:
    """Whom or what the product itself is for: "for men", "for home"."""
    return re.compile(
        rf"\s*(?:(?:your|the|all|every|any)\s+)?(?:{alternatives(words('guards', 'audience'))})"
        r"(?![^\W_])",
        re.IGNORECASE,
    )
