"""Kinds of products, from the head nouns of titles: what their noun phrases end in.

    "Whirlpool 1.5 Ton Flexicool Inverter Split AC (Copper, ..."  ->  ac; with its form: split ac

A head noun ends many phrases; a form stands right before it and never beside another form of the
same head. "AC" and "air conditioner" are one kind, because one abbreviates the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from moonshelf.graph.builtin.titles import (
    Title,
    colors,
    descriptors,
    is_code_like,
    stops,
)
from moonshelf.graph.ontology import ROOT, ClassDef

Phrase = tuple[str, ...]
# A head ends a phrase in at least half of the titles that hold it.
ENDS = 0.5
# Not merely one more noun in titles of something else ("..., Antibacterial Coating, Split AC").
ALONE = 0.1
# Words that belong together: "air conditioner", "flip flops".
BOUND = 0.8
# A form stands right before its head in so many of the titles that hold both.
ADJACENT = 0.5
EXCLUSIVE = 0.1
MOST_CLASSES = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product. ``wordings`` are the phrases by which titles name it."""

    name: str
    label: str
    parent: str
    wordings: tuple[Phrase, ...]
    documents: int


def induce_kinds(titles: Sequence[Title], least: int) -> list[Kind]:
    """Kinds that at least ``least`` titles name, parents before children."""
    heads = _heads(titles, least)
    groups = _grouped(heads)
    kinds: list[Kind] = []
    nouns = {w for _, wordings, _ in groups for wording in wordings for w in wording}
    for label, wordings, count in groups[:MOST_CLASSES]:
        parent = Kind(class_name(label), " ".join(label), ROOT, wordings, count)
        kinds.append(parent)
        kinds += _forms(parent, label, titles, least, nouns)
    return _distinct(kinds)


def class_defs(kinds: Iterable[Kind]) -> list[ClassDef]:
    """Kinds as classes of an ontology."""
    return [
        ClassDef(
            name=kind.name,
            parent=kind.parent,
            label=kind.label,
            comment=f"named in {kind.documents} titles",
            synonyms=tuple(sorted({" ".join(w) for w in kind.wordings})),
        )
        for kind in kinds
    ]


def class_name(words: Phrase) -> str:
    """``("split", "air", "conditioner")`` -> ``SplitAirConditioner``."""
    letters = "".join("".join(c for c in w if c.isascii() and c.isalnum()).title() for w in words)
    return (letters if letters[:1].isalpha() else f"Kind{letters}")[:64]


# ---- heads


def _heads(titles: Sequence[Title], least: int) -> dict[Phrase, int]:
    """Head phrases and how many titles they end a phrase in."""
    ends: Counter[str] = Counter()
    opens: Counter[str] = Counter()
    held: Counter[str] = Counter()
    lasts: list[set[str]] = []
    for title in titles:
        held.update(title.all)
        opens.update(title.opening[:1])
        last = {w for phrase in title.chain if (w := _last(phrase))}
        ends.update(last)
        lasts.append(last)
    alone: Counter[str] = Counter()
    for last in lasts:
        strongest = max(last, key=lambda w: (ends[w], w), default="")
        alone.update(w for w in last if ends[w] >= ends[strongest])
    found: dict[Phrase, int] = {}
    before = _before(titles, {w for w in ends if ends[w] >= least})
    for word in sorted(ends):
        count = ends[word]
        if count < least or count < ENDS * held[word] or opens[word] > ENDS * held[word]:
            continue
        if alone[word] < ALONE * count or len(word) < 2:
            continue
        phrase = (word,)
        bound, times = max(before[word].items(), key=lambda pair: (pair[1], pair[0]))
        if bound and times >= BOUND * before[word].total():
            phrase = (bound, word)
        found[phrase] = count
    return found


def _last(phrase: Sequence[str]) -> str:
    """The head of a phrase: its last word that is no code, quantity, color or descriptor."""
    for word in reversed(phrase):
        if not (is_code_like(word) or word in colors() or word in descriptors() or word in stops()):
            return word
    return ""


def _before(titles: Sequence[Title], words: set[str]) -> Mapping[str, Counter[str]]:
    """What stands before each of ``words`` in chains; "" where nothing of meaning does."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for title in titles:
        for phrase in title.chain:
            for k, word in enumerate(phrase):
                if word in words:
                    other = phrase[k - 1] if k else ""
                    plain = other and not is_code_like(other) and other not in colors()
                    found[word][other if plain and other not in descriptors() else ""] += 1
    return found


def _grouped(
    heads: Mapping[Phrase, int],
) -> list[tuple[Phrase, tuple[Phrase, ...], int]]:
    """Heads that mean the same: singular and plural, abbreviation and words. Commonest first.

    The label is the spelled-out, singular form.
    """
    label: dict[Phrase, Phrase] = {}
    for phrase in sorted(heads):
        same = [o for o in heads if _plural_of(phrase, o) or _abbreviates(phrase, o)]
        # "AC" may be short for air cooler as well: the commoner one it is.
        label[phrase] = max(same, key=lambda o: (heads[o], o), default=phrase)
    groups: dict[Phrase, list[Phrase]] = defaultdict(list)
    for phrase in sorted(heads):
        end = label[phrase]
        groups[label.get(end, end)].append(phrase)
    rows = [
        (name, tuple(members), sum(heads[m] for m in members)) for name, members in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def _plural_of(phrase: Phrase, other: Phrase) -> bool:
    return phrase[:-1] == other[:-1] and phrase[-1] in (
        other[-1] + "s",
        other[-1] + "es",
        other[-1][:-1] + "ies",
    )


def _abbreviates(phrase: Phrase, other: Phrase) -> bool:
    return len(phrase) == 1 and len(other) > 1 and phrase[0] == "".join(w[0] for w in other)


# ---- forms


def _forms(
    parent: Kind, label: Phrase, titles: Sequence[Title], least: int, nouns: Collection[str]
) -> list[Kind]:
    """Forms of a kind: words right before its head that never meet one another."""
    near: Counter[str] = Counter()
    led: defaultdict[str, Counter[str]] = defaultdict(Counter)
    held: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    mine: list[tuple[set[str], frozenset[str]]] = []
    for title in titles:
        adjacent = _adjacent(title, parent.wordings)
        if adjacent is None:
            continue
        near.update(adjacent)
        for phrase in title.chain:
            for before, word in pairwise(phrase):
                if word in adjacent:
                    led[word][before if _is_plain(before) else ""] += 1
        mine.append((adjacent, frozenset(w for phrase in title.chain for w in phrase)))
    for _, words in mine:
        held.update(w for w in words if w in near)
    chosen = [
        w
        for w in sorted(near, key=lambda w: (-near[w], w))
        if near[w] >= least
        and near[w] >= ADJACENT * held[w]
        and w not in nouns
        and not _is_half(led[w])
    ]
    for _, words in mine:
        there = [w for w in chosen if w in words]
        together.update((a, b) for a in there for b in there if a != b)
    kept: list[str] = []
    for word in chosen:
        if all(together[word, other] <= EXCLUSIVE * held[word] for other in kept):
            kept.append(word)
    return [
        Kind(
            class_name((word, *label)),
            " ".join((word, *label)),
            parent.name,
            tuple((word, *wording) for wording in parent.wordings),
            near[word],
        )
        for word in kept
        if near[word] < parent.documents
    ]


def _is_half(before: Counter[str]) -> bool:
    """Whether a word hardly stands without one other before it: the "fi" of "wi-fi lamp"."""
    word, count = max(before.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))
    known = word and word not in descriptors()
    return bool(known) and count >= BOUND * before.total()


def _adjacent(title: Title, wordings: Sequence[Phrase]) -> set[str] | None:
    """Plain words right before a wording in the chain; None where the title has none."""
    found: set[str] | None = None
    for phrase in title.chain:
        for wording in wordings:
            for k in range(len(phrase) - len(wording) + 1):
                if phrase[k : k + len(wording)] != wording:
                    continue
                found = found or set()
                if k and _is_plain(phrase[k - 1]) and (k > 1 or phrase[0] not in title.opening[:1]):
                    found.add(phrase[k - 1])
    return found


def _is_plain(word: str) -> bool:
    return not (is_code_like(word) or word in colors() or word in stops()) and len(word) > 1


def _distinct(kinds: Sequence[Kind]) -> list[Kind]:
    seen: set[str] = {ROOT}
    kept = []
    for kind in kinds:
        if kind.name not in seen and kind.parent in seen:
            seen.add(kind.name)
            kept.append(kind)
    return kept
