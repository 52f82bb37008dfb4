"""How the elements of an ontology are used by documents: what refinement and the gatekeeper see.

Agent 2 of arXiv 2511.11017 refines the ontology from the model's own knowledge alone. Here it is
shown what a trial extraction put into every property.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import combinations

from moonshelf.graph.edits import Usage
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Amount, Fact, Range

VALUES_KEPT = 200


def usage_of(outcomes: Iterable[Outcome], ontology: Ontology) -> dict[str, Usage]:
    """Usage of every class and property of ``ontology``, unused ones included.

    A class is used by the documents of its subclasses too. ``several`` counts documents that state
    two values, those refused for it included: they show that a property may need ``many``. Facts
    under a former name count under the present one.
    """
    present = cache(ontology.present)
    documents: Counter[str] = Counter()
    several: Counter[str] = Counter()
    values: dict[str, Counter[str]] = defaultdict(Counter)
    clashes: dict[str, Counter[str]] = defaultdict(Counter)
    lines = {found.name: ontology.lineage(found.name) for found in ontology.classes}
    forms = {owned.name: (owned.kind, owned.datatype, owned.unit) for owned in ontology.properties}
    for outcome in outcomes:
        if outcome.status == "quarantined":
            continue
        documents.update(lines.get(present(outcome.product_class), ()))
        said: dict[str, set[str]] = defaultdict(set)
        for fact in outcome.facts:
            said[present(fact.property)].add(shown_value(fact))
        for name, kept in said.items():
            documents[name] += 1
            values[name].update(kept)
        several.update(name for name, kept in _all_said(outcome, said, present) if len(kept) > 1)
        for one, other in combinations(sorted(said), 2):
            # Only properties of one form can ever be merged.
            if forms.get(one) == forms.get(other) and not said[one] & said[other]:
                clashes[one][other] += 1
                clashes[other][one] += 1
    names = [*lines, *forms]
    return {
        name: Usage(
            name=name,
            documents=documents[name],
            values=tuple(sorted(values[name].items(), key=_most_first)[:VALUES_KEPT]),
            more=max(0, len(values[name]) - VALUES_KEPT),
            several=several[name],
            clashes=tuple(sorted(clashes[name].items())),
        )
        for name in names
    }


def shown_value(fact: Fact) -> str:
    """A normalized value as one text; equal values give equal texts."""
    value = fact.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Amount):
        return f"{value.amount.normalize():f}"
    if isinstance(value, Range):
        return f"{value.low.normalize():f} to {value.high.normalize():f}"
    return str(value)


def _all_said(
    outcome: Outcome, said: Mapping[str, set[str]], present: Callable[[str], str]
) -> Iterable[tuple[str, set[str]]]:
    found = {name: set(kept) for name, kept in said.items()}
    for refused in outcome.refusals:
        # A value that says nearly the same is another rounding, not another value.
        if refused.step == "conflict" and "nearly" not in refused.reason:
            fact = Fact.model_validate_json(refused.candidate)
            found.setdefault(present(fact.property), set()).add(shown_value(fact))
    return found.items()


def _most_first(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]
