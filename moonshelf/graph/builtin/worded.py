"""Properties with words: brand, model number, color, material, features, kinds of a thing, keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from moonshelf.graph.builtin.naming import Names, key_names, property_name
from moonshelf.graph.builtin.phrases import compact
from moonshelf.graph.builtin.survey import Survey, Tally
from moonshelf.graph.builtin.wording import Wording
from moonshelf.graph.ontology import PropertyDef

Phrase = tuple[str, ...]
MOST_FEATURES = 120
MOST_KEYS = 80
MOST_VALUES = 500
# So many documents a value make a closed list of options.
CLOSED, MOST_OPTIONS = 4, 40
LONGEST_VALUE = 40
# A key has several values where so many of its documents do.
LISTED = 0.05
SHORT_VALUES = 0.6


@dataclass
class Found:
    """Properties with their documents, and the open vocabularies of some."""

    properties: list[tuple[PropertyDef, int]] = field(default_factory=list)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, definition: PropertyDef, documents: int) -> None:
        self.properties.append((definition, documents))


def general(survey: Survey, names: Names, least: int) -> Iterator[tuple[PropertyDef, int]]:
    """Properties that every shop has, where this one has them."""
    wanted = [
        ("brand", survey.branded, "object", False, "maker of the product"),
        ("model_number", survey.codes, "data", True, "code that identifies the model"),
        ("color", survey.colors, "data", True, "color with its shade and finish"),
        ("material", sum(survey.materials.values()), "data", True, "what it is made of"),
    ]
    for name, documents, kind, many, guidance in wanted:
        if documents >= least and (free := names.give(name)):
            keys = sorted(" ".join(k) for k, n in key_names().items() if n == name)
            yield (
                PropertyDef(
                    name=free,
                    kind="object" if kind == "object" else "data",
                    many=many,
                    label=free.replace("_", " "),
                    guidance=guidance,
                    synonyms=tuple(keys),
                ),
                documents,
            )
    for name, documents in sorted(survey.standards.items()):
        if documents >= least and (free := names.give(name)):
            label = free.replace("_", " ")
            yield PropertyDef(name=free, label=label, synonyms=(label,)), documents


def worded(survey: Survey, wording: Wording, names: Names, least: int) -> Found:
    """Keys, kinds, features and series of a corpus."""
    found = Found()
    _keys(survey, names, least, found)
    _slots(wording, names, found)
    _features(survey, wording, names, found)
    _series(wording, names, least, found)
    return found


def _keys(survey: Survey, names: Names, least: int, found: Found) -> None:
    ranked = sorted(survey.keys.items(), key=lambda pair: (-pair[1].documents, pair[0]))
    for words, tally in ranked[:MOST_KEYS]:
        values = survey.values[words]
        short = sum(n for v, n in values.items() if len(v) <= LONGEST_VALUE)
        worthy = tally.documents >= max(least, 3) and short >= SHORT_VALUES * tally.documents
        if not worthy or words in key_names() or _mostly_numbers(values):
            continue
        name = names.give(property_name(words))
        if name is None:
            continue
        common = [v for v, _ in sorted(values.items(), key=lambda p: (-p[1], p[0]))]
        closed = len(common) <= MOST_OPTIONS and short >= CLOSED * len(common)
        found.add(
            PropertyDef(
                name=name,
                label=" ".join(words),
                options=tuple(sorted(common)) if closed else (),
                many=survey.listed[words] > LISTED * tally.documents,
                synonyms=(" ".join(words),),
            ),
            tally.documents,
        )


def _mostly_numbers(values: Counter[str]) -> bool:
    numbers = sum(n for v, n in values.items() if v[:1].isdigit())
    return numbers > values.total() / 2


def _slots(wording: Wording, names: Names, found: Found) -> None:
    for head, kinds in sorted(wording.slots.items(), key=lambda p: (-sum(p[1].values()), p[0])):
        if name := names.give(property_name((head,)), property_name((head, "kind"))):
            found.values[name] = tuple(sorted(" ".join(k) for k in kinds))
            found.add(
                PropertyDef(
                    name=name,
                    label=head,
                    many=True,
                    guidance=f"the words before {head!r} that say which",
                    synonyms=(head,),
                ),
                sum(kinds.values()),
            )


def _features(survey: Survey, wording: Wording, names: Names, found: Found) -> None:
    """One feature for all spellings: wi fi and wifi."""
    groups: dict[str, dict[Phrase, Tally]] = {}
    for phrase, tally in wording.features.items():
        groups.setdefault(compact(phrase), {})[phrase] = tally
    ranked = sorted(groups.items(), key=lambda p: (-_documents(p[1]), p[0]))
    for joined, spellings in ranked[:MOST_FEATURES]:
        if survey.held[joined]:
            spellings.setdefault((joined,), Tally())
        best = max(spellings, key=lambda p: (len(p) == 1, spellings[p].documents, p))
        if name := names.give(property_name(best), property_name((*best, "feature"))):
            found.add(
                PropertyDef(
                    name=name,
                    kind="feature",
                    datatype="boolean",
                    label=" ".join(best),
                    synonyms=tuple(sorted({w for p in spellings for w in _written(p)})),
                ),
                _documents(spellings),
            )


def _written(phrase: Phrase) -> tuple[str, str]:
    """A phrase as texts write it: words have "and" for both, a text says "hot & cold"."""
    spoken = " ".join(phrase)
    return spoken, spoken.replace(" and ", " & ")


def _series(wording: Wording, names: Names, least: int, found: Found) -> None:
    documents = sum(t.documents for t in wording.series.values())
    if documents >= least and (name := names.give("series", "model_series")):
        ranked = sorted(wording.series.items(), key=lambda p: (-p[1].documents, p[0]))
        found.values[name] = tuple(sorted(" ".join(p) for p, _ in ranked[:MOST_VALUES]))
        found.add(
            PropertyDef(
                name=name,
                label="series",
                guidance="name of the model line",
                synonyms=("series", "range", "collection"),
            ),
            documents,
        )


def _documents(spellings: Mapping[Phrase, Tally]) -> int:
    return sum(t.documents for t in spellings.values())
