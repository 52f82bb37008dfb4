"""What is left of a segment without all that is known: candidates for names of features."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.codes import is_standard
from moonshelf.graph.builtin.colors import find_colors, find_materials
from moonshelf.graph.builtin.guards import guarded
from moonshelf.graph.builtin.makers import brand_places
from moonshelf.graph.builtin.phrases import Phrases
from moonshelf.graph.builtin.reading import FieldReading, Word
from moonshelf.graph.builtin.titles import is_code_like, prepositions, stops

Phrase = tuple[str, ...]
# Words of a segment that names a thing with its material.
LONGEST_MADE = 4
_SPOKEN = ("#", "#in1")


@dataclass(frozen=True, slots=True)
class Item:
    """Words of one segment that are left when what is known is taken out.

    Attributes:
        words: as :class:`Word`.
        whole: they are all that the segment holds.
        beside_name: a brand stands right before, or a code beside.
    """

    words: tuple[Word, ...]
    whole: bool
    beside_name: bool

    @property
    def phrase(self) -> Phrase:
        return tuple(w.word for w in self.words)


def items(
    reading: FieldReading,
    words: Sequence[Word],
    codes: Sequence[tuple[int, int]],
    brands: Brands,
    types: Phrases[str],
) -> Iterator[Item]:
    """What is left of a segment without brands, types, colors, materials, codes and quantities.

    Bare counts and modes stay, as their nouns name them ("4 way swing").
    """
    taken = _taken(reading, words, codes, brands, types)
    if "material" in taken and len(words) <= LONGEST_MADE and set(taken) <= {"", "material"}:
        # "Mesh filter" is a kind of filter; alone, the material is all there is.
        if len(words) > 1:
            yield Item(tuple(words), True, False)
        return
    begin = 0
    for k in range(len(words) + 1):
        stop = k == len(words) or taken[k] != ""
        if not stop:
            continue
        run, coded = _trim(words[begin:k])
        if run and run[-1].end < reading.whole:
            before = taken[begin - 1] if begin else ""
            after = taken[k] if k < len(words) else ""
            inside = reading.segments[run[0].segment].inside
            named = before in ("brand", "code") or (before == "quantity" and inside)
            yield Item(tuple(run), len(run) == len(words), named or coded or after == "code")
        begin = k + 1


def _taken(
    reading: FieldReading,
    words: Sequence[Word],
    codes: Sequence[tuple[int, int]],
    brands: Brands,
    types: Phrases[str],
) -> list[str]:
    """For each word what takes it out; "" for those that stay."""
    taken = [""] * len(words)
    for k, word in enumerate(words):
        if _is_in(word, codes):
            taken[k] = "code"
        elif word.quantity is not None and word.word not in _SPOKEN:
            taken[k] = "quantity"
        elif k and word.word in prepositions():
            taken[k] = "preposition"
        elif (zone := guarded(reading.zones, word.start, word.end)) and not zone.behind:
            taken[k] = "guarded"
    for first, last in find_colors(words, reading.text):
        taken[first:last] = ["color"] * (last - first)
    for match in find_materials(words, reading.text):
        taken[match.first : match.last] = ["material"] * (match.last - match.first)
    for match in types.find(words, reading.text):
        taken[match.first : match.last] = ["type"] * (match.last - match.first)
    for first, last in brand_places(words, brands):
        taken[first:last] = ["brand"] * (last - first)
    return taken


def _is_in(word: Word, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a word touches one of ``spans``, which are in order and apart."""
    k = bisect_right(spans, (word.end, 0)) - 1
    return k >= 0 and spans[k][0] < word.end and word.start < spans[k][1]


def _trim(run: Sequence[Word]) -> tuple[Sequence[Word], bool]:
    """Without stops and codes at its edges; whether there was a code ("18K Durafresh")."""
    coded = False
    while run and (run[0].word in stops() or _is_short_code(run[0])):
        coded = coded or _is_short_code(run[0])
        run = run[1:]
    while run and (run[-1].word in stops() or _is_short_code(run[-1])):
        coded = coded or _is_short_code(run[-1])
        run = run[:-1]
    return run, coded


def _is_short_code(word: Word) -> bool:
    return word.quantity is None and is_code_like(word.word) and not is_standard(word.word)
