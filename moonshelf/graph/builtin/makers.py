"""Where makers are named in a text, however their names are spelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.reading import FieldReading, Word

# A known name elsewhere in a title may be a common word ("w", "gas").
SHORTEST_NAME = 4


def maker_of(readings: Sequence[FieldReading], brands: Brands) -> str | None:
    """Compact spelling of the first known brand of the title."""
    title = next((r for r in readings if r.title), None)
    if title is None:
        return None
    words = [w for w in title.words if w.segment >= 0]
    for first, last in brand_places(words, brands):
        compact = "".join(w.word for w in words[first:last])
        if (first == 0 or len(compact) >= SHORTEST_NAME) and not guarded(
            title.zones, words[first].start, words[last - 1].end
        ):
            return compact
    return None


def brand_places(words: Sequence[Word], brands: Brands) -> Iterator[tuple[int, int]]:
    """Places [first, last) of known brands, however they are spelled."""
    place = 0
    while place < len(words):
        for size in range(min(brands.longest, len(words) - place), 0, -1):
            if "".join(w.word for w in words[place : place + size]) in brands.names:
                yield place, place + size
                place += size
                break
        else:
            place += 1
