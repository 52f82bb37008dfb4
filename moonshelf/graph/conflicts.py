"""One value where one is allowed, and each statement once: the last rung of the ladder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.records import Amount, Document, Fact, PictureEvidence, Range
from moonshelf.graph.stated import close, numbers_of

# Two statements of one quantity that differ by less say the same (18,000 BTU/h and 1.5 ton).
NEARLY_THE_SAME = Decimal("0.01")


def conflicts(
    kept: Sequence[tuple[Fact, PropertyDef]], documents: Sequence[Document]
) -> dict[int, str]:
    """Places of the facts that give way, each with the reason.

    Of several values of a single-valued property the surest stays, then the one said first. The
    same value said in other words stays too: it is one fact with two pieces of evidence. A picture
    confirms what the listing's text says of a property, or speaks where it is silent; it adds no
    other value, also where several are allowed.

    Args:
        kept: facts about one product, with their properties.
        documents: those that state them. Where there are several, a listing that comes first has
            the last word: what a review says of a size does not overrule the shop.
    """
    order = {
        (one.id, name): k
        for k, (one, name) in enumerate((d, name) for d in documents for name, _ in d.fields)
    }
    first = documents[0].id if documents and documents[0].kind == "listing" else ""
    groups: dict[str, list[int]] = defaultdict(list)
    for k, (fact, _) in enumerate(kept):
        groups[fact.property].append(k)
    dropped: dict[int, str] = {}
    for places in groups.values():
        if len(places) > 1:
            ranked = sorted(places, key=lambda k: _rank(kept[k][0], first, order, k))
            dropped |= _giving_way(ranked, kept, first)
    return dropped


def _giving_way(
    ranked: Sequence[int], kept: Sequence[tuple[Fact, PropertyDef]], first: str
) -> dict[int, str]:
    best = kept[ranked[0]][0]
    written = {
        _key(fact)
        for fact, _ in (kept[k] for k in ranked)
        if fact.document == first and not isinstance(fact.evidence, PictureEvidence)
    }
    seen: set[str] = set()
    dropped: dict[int, str] = {}
    for k in ranked:
        fact, definition = kept[k]
        said = repr((fact.document, _key(fact), fact.evidence))
        if said in seen:
            dropped[k] = "the same words said it already"
        elif not definition.many and _key(fact) != _key(best):
            says = "nearly says the same" if _nearly(fact, best) else f"says {_shown(best)}"
            dropped[k] = f"{definition.name} has one value, and a surer fact {says}"
        elif isinstance(fact.evidence, PictureEvidence) and written and _key(fact) not in written:
            dropped[k] = f"the listing's text names other values of {definition.name}"
        seen.add(said)
    return dropped


def _rank(
    fact: Fact, first: str, order: Mapping[tuple[str, str], int], place: int
) -> tuple[bool, float, int, int, int, int]:
    """Surest first; then what the text says first, text before picture."""
    later = fact.document != first
    if isinstance(fact.evidence, PictureEvidence):
        return (later, -fact.confidence, len(order), 0, 0, place)
    span = fact.evidence.span
    field = order.get((fact.document, span.field), len(order))
    return (later, -fact.confidence, field, span.start, span.end, place)


def _key(fact: Fact) -> str:
    """Equal for equal values: 1.50 is 1.5, and 1 is not True."""
    value = fact.value
    if isinstance(value, Amount | Range):
        return repr(tuple(number.normalize() for number in numbers_of(value)))
    return repr(value)


def _shown(fact: Fact) -> str:
    value = fact.value
    if isinstance(value, Amount | Range):
        return " to ".join(map(str, numbers_of(value)))
    return repr(value)


def _nearly(fact: Fact, other: Fact) -> bool:
    if not isinstance(fact.value, Amount) or not isinstance(other.value, Amount):
        return False
    return close(fact.value.amount, other.value.amount, NEARLY_THE_SAME)
