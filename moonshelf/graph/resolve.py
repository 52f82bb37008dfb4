"""Entity resolution: which products are one, and which are variants of one.

    profiles -> blocks (GTIN, model code, brand with a rare word) -> pairs -> score -> variant guard

Weights are fixed and every link shows its parts: no learning, no order of input, so that a small
set and a large one are judged alike. A differing quantity, color or model suffix makes
``isVariantOf`` out of what would be ``sameAs``; without a shared identifier nothing is the same,
however alike two titles are. Blocks are bounded, so the work grows with the number of products.

arXiv 2511.11017 has no entity resolution; this is ours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, TypeAlias

from moonshelf.config import Config
from moonshelf.errors import UsageError
from moonshelf.graph.identity import Profile
from moonshelf.progress import Progress, silent

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"gtin": 0.35, "code": 0.30, "brand": 0.10, "title": 0.15, "facts": 0.10}
)
SAME, VARIANT = 0.75, 0.60
# Titles that are alike once brand, codes, colors and numbers are out: one family.
FAMILY = 90.0
LARGEST_BLOCK, WINDOW, RARE_WORDS = 24, 6, 3
# A code in more products than this names a series or a feature, not a model.
MOST_WITH_ONE_CODE = 24
# Two amounts that differ by less are one (rounding between units).
ONE_AMOUNT = Decimal("0.01")
Relation: TypeAlias = Literal["sameAs", "isVariantOf"]


class Link(Config):
    """Two products and how they belong together. ``left`` < ``right``.

    ``parts`` are the terms of the score in [0, 1]; what is unknown of one of them is left out, and
    the weights of the others grow in proportion. ``differences`` name what makes them variants.
    """

    left: str
    right: str
    relation: Relation
    score: float
    parts: tuple[tuple[str, float], ...]
    differences: tuple[str, ...] = ()


class Resolution(Config):
    """All links, sorted; what was compared and what was held back."""

    links: tuple[Link, ...] = ()
    products: int = 0
    compared: int = 0
    """Pairs that were scored."""
    bounded: int = 0
    """Blocks too large for all pairs: neighbors by title were compared."""
    held_back: int = 0
    """Pairs not joined because their groups hold variants of each other."""


def resolve(profiles: Iterable[Profile], progress: Progress | None = None) -> Resolution:
    """Links between products; the same for any order of ``profiles``.

    Raises:
        UsageError: the extra ``graph`` is not installed, or two profiles have one id.
    """
    progress = progress or silent
    known = sorted(profiles, key=lambda one: one.id)
    if len({one.id for one in known}) != len(known):
        raise UsageError("two products have one id", cure="give each product an id of its own")
    known = _without_common_codes(known)
    neighbors, bounded = _neighbors(known)
    score = Scorer()
    links: list[Link] = []
    compared = 0
    for k, others in enumerate(neighbors):
        for other in others:
            compared += 1
            link = score.link(known[k], known[other])
            if link is not None:
                links.append(link)
        progress(k + 1, len(known), links=len(links))
    kept, held_back = _joined(links, {one.id: one for one in known})
    return Resolution(
        links=tuple(sorted(kept, key=lambda one: (one.left, one.right))),
        products=len(known),
        compared=compared,
        bounded=bounded,
        held_back=held_back,
    )


# ---- blocks


def _without_common_codes(known: Sequence[Profile]) -> list[Profile]:
    """Codes that many products share say nothing about one of them ("1080p")."""
    counts = Counter(code for one in known for code in one.codes)
    common = {code for code, count in counts.items() if count > MOST_WITH_ONE_CODE}
    return [replace(one, codes=one.codes - common) for one in known]


def _neighbors(known: Sequence[Profile]) -> tuple[list[list[int]], int]:
    """For each product the later ones that share a block with it, and how many blocks are cut."""
    counts = Counter(word for one in known for word in set(one.title.split()))
    blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for k, one in enumerate(known):
        for key in dict.fromkeys(_keys(one, counts)):  # two codes may be of one family
            blocks[key].append(k)
    found: list[set[int]] = [set() for _ in known]
    bounded = 0
    for members in blocks.values():
        reach = len(members)
        if len(members) > LARGEST_BLOCK:
            bounded += 1
            reach = WINDOW
            members = sorted(members, key=lambda k: (known[k].bare, known[k].title, known[k].id))
        for place, k in enumerate(members):
            for other in members[place + 1 : place + 1 + reach]:
                found[min(k, other)].add(max(k, other))
    return [sorted(others) for others in found], bounded


def _keys(one: Profile, counts: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    for number in one.gtins:
        yield "gtin", number
    for code in one.codes:
        yield "code", code
        # Variants of one model share how their codes begin.
        yield "family", code[: max(4, len(code) // 2)]
    if len(one.text) > 0:
        yield "text", one.text
    rare = sorted(set(one.title.split()), key=lambda word: (counts[word], word))
    for brand in one.brands:
        yield "bare", brand, one.bare
        for word in [w for w in rare if counts[w] > 1][:RARE_WORDS]:
            yield "word", brand, word


# ---- score and guard


class Scorer:
    """Scores pairs; holds the similarity functions of the extra."""

    def __init__(self) -> None:
        try:
            from rapidfuzz import fuzz
        except ModuleNotFoundError as error:
            raise UsageError(
                "entity resolution needs rapidfuzz", cure="pip install 'moonshelf[graph]'"
            ) from error
        self._sorted = fuzz.ratio
        self._set = fuzz.token_set_ratio

    def link(self, one: Profile, other: Profile) -> Link | None:
        """How two products belong together, or None. Symmetric but for the order of the ids."""
        if one.lineage[0] not in other.lineage and other.lineage[0] not in one.lineage:
            return None
        gtins = _share(one.gtins, other.gtins)
        brands = _share(one.brands, other.brands)
        if brands == 0 and gtins != 1:
            return None
        codes = _codes(one.codes, other.codes)
        if codes == 0 and gtins != 1:
            return None
        identified = gtins == 1 or codes == 1
        twins = bool(one.text) and one.text == other.text
        if not (identified or twins or codes) and not (brands and self._one_family(one, other)):
            return None
        differences = tuple(_differences(one, other, codes))
        parts = {"gtin": gtins, "code": codes, "brand": brands, "facts": _agreement(one, other)}
        parts["title"] = self._title(one, other)
        known = {name: parts[name] for name in WEIGHTS if parts[name] is not None}
        total = sum(WEIGHTS[name] for name in known)
        score = round(sum(WEIGHTS[name] * (known[name] or 0.0) for name in known) / total, 6)
        relation: Relation
        if differences and score >= VARIANT:
            relation = "isVariantOf"
        elif not differences and (twins or identified) and score >= SAME:
            relation = "sameAs"
        else:
            return None
        left, right = sorted((one.id, other.id))
        shown = tuple((name, round(value or 0.0, 6)) for name, value in known.items())
        return Link(
            left=left,
            right=right,
            relation=relation,
            score=score,
            parts=shown,
            differences=differences,
        )

    def _one_family(self, one: Profile, other: Profile) -> bool:
        return self._sorted(one.bare, other.bare, score_cutoff=FAMILY) > 0

    def _title(self, one: Profile, other: Profile) -> float | None:
        """Half how alike all words are, half whether the shorter title is within the longer."""
        if not one.title or not other.title:
            return None
        both = self._sorted(one.words, other.words) + self._set(one.title, other.title)
        return both / 200


def _share(one: frozenset[str], other: frozenset[str]) -> float | None:
    if not one or not other:
        return None
    return 1.0 if one & other else 0.0


def _codes(one: frozenset[str], other: frozenset[str]) -> float | None:
    """1 a code in common, 0.5 codes that begin alike and end otherwise, or one in common beside
    another of each alone (a part and what it fits, a set and its piece), 0 unrelated codes."""
    if not one or not other:
        return None
    if one & other:
        return 1.0 if one <= other or other <= one else 0.5
    return 0.5 if any(_family(a, b) for a in one for b in other) else 0.0


def _family(one: str, other: str) -> bool:
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return same >= 4 and 2 * same >= min(len(one), len(other))


def _differences(one: Profile, other: Profile, codes: float | None) -> Iterator[str]:
    """The variant guard: what both state, and state otherwise."""
    for name in sorted(one.amounts.keys() & other.amounts.keys()):
        if not _overlap(one.amounts[name], other.amounts[name]):
            yield name
    if one.colors and other.colors and not one.colors & other.colors:
        yield "color"
    if codes == 0.5:
        yield "model"


def _overlap(one: Iterable[Decimal], other: Iterable[Decimal]) -> bool:
    other = tuple(other)
    return any(abs(a - b) <= ONE_AMOUNT * max(abs(a), abs(b)) for a in one for b in other)


def _agreement(one: Profile, other: Profile) -> float | None:
    """Share of the properties stated of both on which they agree."""
    both = one.said.keys() & other.said.keys()
    if not both:
        return None
    return sum(1 for name in both if one.said[name] & other.said[name]) / len(both)


# ---- groups


def _joined(links: Sequence[Link], profiles: Mapping[str, Profile]) -> tuple[list[Link], int]:
    """Links without those ``sameAs`` that would put variants into one group by way of a third.

    Groups are joined from the best score down, and never where a member of one is a variant of a
    member of the other, or the two groups differ; a group's profile is the sum of its members'.
    """
    kept = [link for link in links if link.relation == "isVariantOf"]
    same = [link for link in links if link.relation == "sameAs"]
    head = {name: name for link in same for name in (link.left, link.right)}
    whole = {name: profiles[name] for name in head}
    members = {name: {name} for name in head}
    variants: dict[str, set[str]] = defaultdict(set)
    for link in kept:
        variants[link.left].add(link.right)
        variants[link.right].add(link.left)

    def find(name: str) -> str:
        while head[name] != name:
            head[name] = name = head[head[name]]
        return name

    def apart(one: str, other: str) -> bool:
        few, many = sorted((members[one], members[other]), key=len)
        return any(variants[name] & many for name in few) or any(
            _differences(whole[one], whole[other], None)
        )

    held_back = 0
    for link in sorted(same, key=lambda one: (-one.score, one.left, one.right)):
        one, other = sorted((find(link.left), find(link.right)))
        if one != other:
            if apart(one, other):
                held_back += 1
                continue
            whole[one] = whole[one].joined(whole[other])
            members[one] |= members.pop(other)
            head[other] = one
        kept.append(link)
    return kept, held_back
