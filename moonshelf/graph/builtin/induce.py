"""A schema out of a corpus: kinds of products, and properties by dimension, noun, shape and place.

After arXiv 2511.11017's first agent, which reads samples with a language model. Here recurrence is
the only teacher: what at least a few documents say in the same place is an element of the schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from moonshelf.graph.builtin.brands import Brands, induce_brands
from moonshelf.graph.builtin.codes import CodeHabits, code_units
from moonshelf.graph.builtin.domains import with_domains
from moonshelf.graph.builtin.headings import induce_headings
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.builtin.makers import maker_of
from moonshelf.graph.builtin.marks import decimal_mark
from moonshelf.graph.builtin.measured import measured
from moonshelf.graph.builtin.measures import usual_readings
from moonshelf.graph.builtin.naming import Names
from moonshelf.graph.builtin.numbers import Sign
from moonshelf.graph.builtin.phrases import Phrases
from moonshelf.graph.builtin.reading import is_title, read_document, read_field
from moonshelf.graph.builtin.spelled import KindOf
from moonshelf.graph.builtin.survey import Survey, Tally
from moonshelf.graph.builtin.titles import Title, distinct, title_of
from moonshelf.graph.builtin.types import Kind, class_defs, induce_kinds
from moonshelf.graph.builtin.worded import general, worded
from moonshelf.graph.builtin.wording import wording_of
from moonshelf.graph.records import Document
from moonshelf.progress import Progress, silent

# An element needs so many documents, and one in a thousand.
LEAST, LEAST_SHARE = 3, 0.001
# The share of documents with evidence that must agree on the decimal mark.
ONE_MARK = 0.9
# Documents that are asked for headings.
HEADING_SAMPLE = 3000
# Documents with a code token of several makers: a designation.
COMMON_CODE = 3


def induce(documents: Sequence[Document], progress: Progress | None = None) -> Knowledge:
    """Knowledge of a corpus; the same for the same documents in the same order.

    Args:
        documents: all, or an even sample of a large corpus.
        progress: told of every document surveyed.
    """
    progress = progress or silent
    least = max(LEAST, round(LEAST_SHARE * len(documents)))
    mark = corpus_mark(documents)
    titles = distinct(_titles(documents, mark))
    kinds = induce_kinds(titles, least)
    brands = induce_brands(titles, {w for k in kinds for wording in k.wordings for w in wording})
    stride = max(1, len(documents) // HEADING_SAMPLE)
    headings = induce_headings(documents[::stride])
    units = code_units(titles, brands)
    survey = _surveyed(documents, brands, kinds, units, mark, headings, progress)
    habits = _habits(survey, units)
    return with_domains(_knowledge(survey, kinds, habits, mark, headings, least), documents)


def corpus_mark(documents: Iterable[Document]) -> Sign | None:
    """The decimal mark that nearly all documents with evidence use."""
    seen: Counter[Sign] = Counter()
    for document in documents:
        seen.update(mark for _, text in document.fields if (mark := decimal_mark(text)))
    for mark, count in seen.items():
        if count >= ONE_MARK * seen.total():
            return mark
    return None


def kind_phrases(kinds: Iterable[Kind]) -> Phrases[str]:
    """Wordings of kinds -> class name."""
    return Phrases((wording, kind.name) for kind in kinds for wording in kind.wordings)


def _titles(documents: Iterable[Document], mark: Sign | None) -> Iterable[Title]:
    for document in documents:
        for k, (name, text) in enumerate(document.fields):
            if is_title(document, k):
                yield title_of(read_field(name, text, True, mark))
                break


def _surveyed(
    documents: Sequence[Document],
    brands: Brands,
    kinds: Sequence[Kind],
    units: frozenset[tuple[str, str]],
    mark: Sign | None,
    headings: frozenset[str],
    progress: Progress,
) -> Survey:
    words = frozenset(w for kind in kinds for wording in kind.wordings for w in wording)
    survey = Survey(brands, kind_phrases(kinds), words, CodeHabits(units=units))
    kind_of = KindOf(class_defs(kinds))
    for done, document in enumerate(documents, start=1):
        readings = read_document(document, mark, headings)
        kind = partial(kind_of, readings, document.category)
        survey.add(readings, maker_of(readings, brands), kind)
        progress(done, len(documents))
    return survey


def _habits(survey: Survey, units: frozenset[tuple[str, str]]) -> CodeHabits:
    """Tokens of several makers are designations; capitals of one maker beside codes are theirs."""
    common = frozenset(
        token
        for token, tally in survey.designations.items()
        if len(tally.brands) > 1 and tally.documents >= COMMON_CODE
    )
    return CodeHabits(common, _own(survey.tails, survey), _own(survey.heads, survey), units)


def _own(table: Mapping[str, Tally], survey: Survey) -> frozenset[str]:
    return frozenset(
        word
        for word, tally in table.items()
        if word not in survey.plain_case and len(tally.brands) == 1
    )


def _knowledge(
    survey: Survey,
    kinds: Sequence[Kind],
    habits: CodeHabits,
    mark: Sign | None,
    headings: frozenset[str],
    least: int,
) -> Knowledge:
    names = Names()
    wording = wording_of(survey, least)
    rows = list(general(survey, names, least))
    rows += measured(survey, wording.counts, names, least)
    found = worded(survey, wording, names, least)
    usual = usual_readings(survey.measures)
    rows += found.properties
    return Knowledge(
        documents=survey.documents,
        mark=mark,
        classes=tuple(class_defs(kinds)),
        properties=tuple(definition for definition, _ in rows),
        support=tuple((definition.name, documents) for definition, documents in rows),
        brands=tuple(sorted(survey.brands.names.items())),
        contexts=tuple(sorted(survey.brands.contexts)),
        common_codes=tuple(sorted(habits.common)),
        code_tails=tuple(sorted(habits.tails)),
        code_heads=tuple(sorted(habits.heads)),
        code_units=tuple(sorted(habits.units)),
        usual_readings=tuple(sorted(usual.items())),
        spelled=tuple(survey.spelled.rows(usual, least)),
        headings=tuple(sorted(headings)),
        values=tuple(sorted(found.values.items())),
    )
