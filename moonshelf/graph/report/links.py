"""Products that are one, products that are variants, and what one product's documents dispute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.report.findings import Disagreement, Group, Links, Variants
from moonshelf.graph.resolve import Link, Resolution
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.usage import shown_value

MOST_GROUPS, MOST_MEMBERS, MOST_KINDS, MOST_DISAGREEMENTS = 9, 8, 9, 20
MOST_EXAMINED = 300
"""Groups whose facts are compared."""


def links_of(
    resolution: Resolution,
    ontology: Ontology,
    title: Callable[[str], str],
    outcome: Callable[[str], Outcome | None],
) -> Links:
    """
    Args:
        resolution: what the build found.
        ontology: says which properties have one value.
        title: of a product, by id.
        outcome: of the document that a product is named after.
    """
    same = [link for link in resolution.links if link.relation == "sameAs"]
    variants = [link for link in resolution.links if link.relation == "isVariantOf"]
    groups = _groups(same)
    kinds = _kinds(variants)
    disputed = [
        one
        for members, _ in groups[:MOST_EXAMINED]
        for one in _disagreements(members, ontology, outcome)
    ]
    return Links(
        same=len(same),
        variants=len(variants),
        compared=resolution.compared,
        held_back=resolution.held_back,
        group_count=len(groups),
        groups=tuple(_shown_group(g, score, title) for g, score in groups[:MOST_GROUPS]),
        kind_count=len(kinds),
        kinds=tuple(_shown_kind(*one, title) for one in kinds[:MOST_KINDS]),
        disagreements=tuple(disputed[:MOST_DISAGREEMENTS]),
        disagreement_count=len(disputed),
    )


def _groups(same: Sequence[Link]) -> list[tuple[list[str], float]]:
    """Members in order and the weakest link of each group; large and doubtful groups first."""
    head = {name: name for link in same for name in (link.left, link.right)}

    def find(name: str) -> str:
        while head[name] != name:
            head[name] = name = head[head[name]]
        return name

    for link in same:
        one, other = sorted((find(link.left), find(link.right)))
        head[other] = one
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(head):
        members[find(name)].append(name)
    weakest: dict[str, float] = {}
    for link in same:
        top = find(link.left)
        weakest[top] = min(weakest.get(top, 1.0), link.score)
    found = [(names, weakest[top]) for top, names in members.items()]
    return sorted(found, key=lambda one: (-len(one[0]), one[1], one[0]))


def _kinds(variants: Iterable[Link]) -> list[tuple[tuple[str, ...], list[Link]]]:
    """Variants by what they differ in, the most frequent first."""
    found: dict[tuple[str, ...], list[Link]] = defaultdict(list)
    for link in variants:
        found[link.differences].append(link)
    return sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))


def _shown_group(members: Sequence[str], score: float, title: Callable[[str], str]) -> Group:
    first = tuple((name, title(name)) for name in members[:MOST_MEMBERS])
    return Group(members=first, size=len(members), score=score)


def _shown_kind(
    differences: tuple[str, ...], links: Sequence[Link], title: Callable[[str], str]
) -> Variants:
    best = max(links, key=lambda one: (one.score, one.left, one.right))
    return Variants(
        differences=differences,
        pairs=len(links),
        left=(best.left, title(best.left)),
        right=(best.right, title(best.right)),
    )


def _disagreements(
    members: Sequence[str], ontology: Ontology, outcome: Callable[[str], Outcome | None]
) -> Iterator[Disagreement]:
    """Properties with one value that the members of a group state differently."""
    single = {owned.name for owned in ontology.properties if not owned.many}
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for name in members:
        found = outcome(name)
        for fact in () if found is None else found.facts:
            if fact.property in single:
                said[fact.property].setdefault(shown_value(fact), name)
    for name, values in sorted(said.items()):
        if len(values) > 1:
            pairs = tuple((document, value) for value, document in values.items())
            yield Disagreement(product=members[0], property=name, values=pairs[:MOST_MEMBERS])


def difference_name(found: str) -> str:
    """``[star]``, an amount read in a title, and ``star_rating``, a property, for a person."""
    bare = spoken(found.strip("[]"))
    return f"{bare} in the title" if found.startswith("[") else bare
