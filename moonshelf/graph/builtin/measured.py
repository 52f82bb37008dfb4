"""Properties with numbers: one a dimension and a name, counts, stars, model years, packs, sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from moonshelf.graph.builtin.measures import Phrase, attributes, parts, usual_readings
from moonshelf.graph.builtin.naming import Names, plural, property_name
from moonshelf.graph.builtin.phrases import split
from moonshelf.graph.builtin.survey import Survey
from moonshelf.graph.builtin.titles import colors, descriptors, is_code_like, stops
from moonshelf.graph.ontology import PropertyDef
from moonshelf.graph.units.registry import registry

# A word that is no general noun of measures names one if it stands so often beside the quantity,
# of all places where it stands at all.
FAITHFUL = 0.6
NAMED_SHARE, NAMED_LEAST = 0.03, 5
_COUNTS = {
    "star": ("star_rating", "stars of a rating or label", ("star", "stars", "star rating")),
    "year": ("model_year", "year of the model", ("model year", "year")),
    "pack": ("pack_quantity", "pieces in the pack", ("pack of", "pack", "pieces", "quantity")),
}


def measured(
    survey: Survey, counts: Mapping[Phrase, int], names: Names, least: int
) -> Iterator[tuple[PropertyDef, int]]:
    """Properties and in how many documents the survey saw them, the commonest first.

    Args:
        survey: of the corpus.
        counts: words behind bare numbers, see ``wording.py``.
        names: those given so far.
        least: documents that a property needs.
    """
    yield from _kinds(survey, names, least)
    yield from _counted(counts, names)
    yield from _dimensions(survey, names, least)


def _kinds(survey: Survey, names: Names, least: int) -> Iterator[tuple[PropertyDef, int]]:
    for kind, (name, guidance, synonyms) in _COUNTS.items():
        if survey.kinds[kind] >= least and (free := names.give(name)):
            yield (
                PropertyDef(
                    name=free,
                    datatype="decimal" if kind == "star" and survey.fractions else "integer",
                    label=name.replace("_", " "),
                    guidance=guidance,
                    synonyms=synonyms,
                ),
                survey.kinds[kind],
            )
    if survey.kinds["modes"] >= least:
        beside = Counter(
            {w: n for (kind, w), n in survey.beside.items() if kind == "modes" and _is_plain(w)}
        )
        word = max(beside, key=lambda w: (beside[w], w)) if beside else ""
        if name := names.give(property_name((word, "modes")) if word else "", "modes"):
            yield (
                PropertyDef(
                    name=name,
                    datatype="integer",
                    label=name.replace("_", " "),
                    guidance="the N of N-in-1",
                    synonyms=("in 1", *sorted(w for w in beside if beside[w] >= least)[:8]),
                ),
                survey.kinds["modes"],
            )
    if survey.kinds["size"] >= least and (name := names.give("dimensions", "size")):
        synonyms = ("dimensions", "size", "measurements")
        guidance = "sides as written, A x B x C"
        yield (
            PropertyDef(name=name, label=name, guidance=guidance, synonyms=synonyms),
            survey.kinds["size"],
        )


def _counted(counts: Mapping[Phrase, int], names: Names) -> Iterator[tuple[PropertyDef, int]]:
    for words, documents in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        # "4 way swing" counts ways of the swing; "8 preset programs" counts programs.
        compound = len(words) == 2 and not words[1].endswith("s")
        wish = (words[1], plural(words[0])) if compound else (*words[:-1], plural(words[-1]))
        if name := names.give(property_name(wish)):
            synonyms = tuple(dict.fromkeys((" ".join(words), *((words[0],) if compound else ()))))
            yield (
                PropertyDef(
                    name=name,
                    datatype="integer",
                    label=" ".join(wish),
                    guidance=f"the number before {' '.join(words)!r}",
                    synonyms=synonyms,
                ),
                documents,
            )


def _dimensions(survey: Survey, names: Names, least: int) -> Iterator[tuple[PropertyDef, int]]:
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    usual_of = usual_readings(survey.measures)
    for unit, documents in survey.measures.items():
        unit = usual_of.get(unit, unit)
        known = registry().unit(unit)
        groups[known.dimension, known.usual][unit] += documents
    ranked = sorted(groups.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    for (dimension, usual), units in ranked:
        usual_words = usual.replace("_", " ")
        # The default first: "length" is a name that others would like to have.
        default = units.total() >= least and names.give(usual, f"{usual}_{dimension}")
        if default:
            unit = max(units, key=lambda u: (units[u], u))
            yield _measure(default, dimension, unit, (usual_words,)), units.total()
        # "Capacity" of what is a cooling capacity anyway says no more than the unit does.
        said = set(split(usual_words))
        named = [row for row in _names_in(survey, units, least) if not said.issuperset(row[0])]
        for phrase, documents, unit in named:
            wishes = _wishes(phrase, usual)
            if name := names.give(*wishes):
                synonyms = tuple(dict.fromkeys((" ".join(phrase), name.replace("_", " "))))
                yield _measure(name, dimension, unit, synonyms), documents


def _measure(name: str, dimension: str, unit: str, synonyms: tuple[str, ...]) -> PropertyDef:
    symbol = registry().unit(unit).symbol
    return PropertyDef(
        name=name,
        datatype="decimal",
        dimension=dimension,
        unit=unit,
        label=name.replace("_", " "),
        guidance=f"a number in {symbol}",
        synonyms=synonyms,
    )


def _wishes(phrase: Phrase, usual: str) -> tuple[str, str]:
    """Names for a measure of ``phrase``: an attribute names itself, a part owns the usual one."""
    alone = property_name(phrase)
    owned = property_name((*phrase, *usual.split("_")))
    return (alone, owned) if phrase in attributes() else (owned, alone)


def _names_in(survey: Survey, units: Counter[str], least: int) -> list[tuple[Phrase, int, str]]:
    """Names that quantities in these units have, with documents and commonest unit."""
    said: dict[Phrase, Counter[str]] = defaultdict(Counter)
    for (unit, name), documents in survey.named.items():
        general = name.phrase in attributes() or name.phrase in parts()
        if unit in units and (general or name.relation == "after"):
            said[name.phrase][unit] += documents
    found = []
    for phrase, by_unit in said.items():
        documents = by_unit.total()
        general = phrase in attributes() or phrase in parts()
        enough = least if general else max(NAMED_LEAST, least, NAMED_SHARE * units.total())
        if documents < enough or not (general or _names_faithfully(phrase, documents, survey)):
            continue
        found.append((phrase, documents, max(by_unit, key=lambda u: (by_unit[u], u))))
    return sorted(found, key=lambda row: (-row[1], row[0]))


def _names_faithfully(phrase: Phrase, documents: int, survey: Survey) -> bool:
    """Whether a word stands beside this quantity and hardly anywhere else."""
    if len(phrase) != 1 or not _is_plain(phrase[0]) or phrase[0] in survey.brand_words:
        return False
    return documents >= FAITHFUL * survey.held[phrase[0]]


def _is_plain(word: str) -> bool:
    common = word in stops() or word in colors() or word in descriptors()
    return not (common or is_code_like(word)) and len(word) > 2
