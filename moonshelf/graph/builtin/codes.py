"""Model codes by their shape: letters and digits in one token, and what belongs to it.

AR18CY5AQWK    CS/CU-KN12YKY    183V CZTT    GIC 18PGC5-WVA    HSU13K-PYS3BE1(INV)
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from moonshelf.graph.builtin.brands import Brands
from moonshelf.graph.builtin.lexicon import lexicon
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.builtin.reading import FieldReading, folded
from moonshelf.graph.builtin.segments import Segment
from moonshelf.graph.builtin.titles import Title, is_glued_letter

SHORTEST = 4
CODE_UNIT_TITLES, CODE_UNIT_MAKERS, CODE_UNIT_SHARE = 5, 5, 0.8
# A stray blank beside a dash belongs to the code: "CS- 12K", "LPS -IN24K3SW".
_TOKEN = re.compile(
    r"(?:[A-Z]{2,5}\s-(?=[^\W_]*\d))?[^\W_]+(?:[-./_][^\W_]+|[-/]\s?(?=[^\W_]*\d)[^\W_]+)*"
)
_PIECES = re.compile(r"[-./_\s]+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)", re.IGNORECASE)
_ADJOINING = re.compile(r"\([A-Z]{2,4}\)")
_CAPITALS = re.compile(r"[A-Z]{2,6}(?![^\W_])")
_BESIDE = re.compile(r"[ \u00a0]")
# Kinds of quantities that are no more than digits of a code.
_DIGITS_ONLY = ("bare", "year")


@dataclass(frozen=True, slots=True)
class CodeHabits:
    """What a corpus shows about its codes.

    Attributes:
        common: folded tokens that several makers use: designations, no model codes (PM2.5).
        tails: folded words in capitals that belong to the code before them (CZTT).
        heads: the same of the code behind them (GIC).
        units: (unit, compact brand): a unit letter that is the end of that maker's codes (183V).
        names: folded words of makers and kinds ("lg", "tv"), whatever heads and tails hold.
    """

    common: frozenset[str] = frozenset()
    tails: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    units: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()


def find_codes(
    reading: FieldReading, habits: CodeHabits, brand: str | None = None
) -> Iterator[tuple[int, int]]:
    """Spans of model codes of one field, in order, not overlapping.

    Args:
        reading: of the field.
        habits: of the corpus.
        brand: compact spelling of the product's brand.
    """
    measured = [w.quantity for w in reading.words if w.quantity is not None]
    done = 0
    for segment in reading.segments:
        for token in _TOKEN.finditer(reading.text, segment.start, segment.end):
            if token.start() < done or not _is_code(token[0], habits):
                continue
            if _is_measured(token.start(), token.end(), token[0], measured, habits, brand):
                continue
            for start, end in _parted(token):
                start, end = _grown(reading, segment, max(start, done), end, habits)
                done = end
                if end < reading.whole:
                    yield start, end


def code_units(titles: Sequence[Title], brands: Brands) -> frozenset[tuple[str, str]]:
    """Units that are ends of codes: those that one maker alone writes glued to digits, often.

    Every voltage of a corpus cannot be of one maker; "183V" is then the model, not 183 volts.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    spelled: Counter[tuple[str, str]] = Counter()
    for title in titles:
        maker = brands.opening(title) or ""
        for unit in set(title.glued):
            counts[unit][maker] += 1
            spelled[unit, maker] += title.words.count(f"#{unit}") > title.glued.count(unit)
    found = set()
    for unit, makers in counts.items():
        brand, count = max(makers.items(), key=lambda pair: (pair[1], pair[0]))
        enough = count >= CODE_UNIT_TITLES and len(brands.names) >= CODE_UNIT_MAKERS
        enough = enough and spelled[unit, brand] < count // 2
        if brand and enough and count >= CODE_UNIT_SHARE * makers.total():
            found.add((unit, brand))
    return frozenset(found)


def is_code_unit(text: str, quantity: Quantity, habits: CodeHabits, brand: str | None) -> bool:
    """Whether a "quantity" is the beginning of a model code: 183V of a maker who counts in V."""
    return (
        brand is not None
        and quantity.unit is not None
        and (quantity.unit, brand) in habits.units
        and is_glued_letter(text, quantity)
    )


def _is_code(token: str, habits: CodeHabits) -> bool:
    letters = sum(c.isalpha() for c in token)
    digits = sum(c.isdigit() for c in token)
    if not letters or not digits or letters + digits < SHORTEST or not token.isascii():
        return False
    if _ORDINAL.fullmatch(token) or token_key(token) in habits.common or is_standard(token):
        return False
    pieces = _PIECES.split(token)
    # "Model-2022", "Size-32": a word and a number.
    worded = [p for p in pieces if p.isalpha() and len(p) > 3 and not p.isupper()]
    return not (worded and all(p.isalpha() or p.isdigit() for p in pieces))


def token_key(token: str) -> str:
    """What tokens are compared by: folded, letters and digits alone."""
    return "".join(c for c in folded(token) if c.isalnum())


def _is_measured(
    start: int,
    end: int,
    token: str,
    measured: Sequence[Quantity],
    habits: CodeHabits,
    brand: str | None,
) -> bool:
    """Whether the token is a quantity and not a code that begins or ends like one."""
    first = max(0, bisect_right(measured, start, key=_start) - 1)
    for quantity in islice(measured, first, None):
        if quantity.start >= end:
            break
        if start >= quantity.end:
            continue
        if quantity.kind in _DIGITS_ONLY:
            continue
        inside = quantity.start >= start and quantity.end <= end
        if inside and quantity.end - quantity.start <= (end - start) // 2:
            continue
        if quantity.unit is None or brand is None or (quantity.unit, brand) not in habits.units:
            return True
    return False


def _start(quantity: Quantity) -> int:
    return quantity.start


def _parted(token: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Codes joined by a slash are two where each is one; "CS/CU-KN12" is one."""
    parts = token[0].split("/")
    whole = all(
        sum(c.isalnum() for c in p) > SHORTEST and any(c.isdigit() for c in p) for p in parts
    )
    if len(parts) < 2 or not whole:
        yield token.span()
        return
    start = token.start()
    for part in parts:
        yield start, start + len(part)
        start += len(part) + 1


def _grown(
    reading: FieldReading, segment: Segment, start: int, end: int, habits: CodeHabits
) -> tuple[int, int]:
    """With "(INV)" that adjoins it, and with the capitals and codes beside it."""
    text = reading.text
    if adjoining := _ADJOINING.match(text, end):
        return start, adjoining.end()
    after = _BESIDE.match(text, end)
    if after and after.end() < segment.end:
        tail = _CAPITALS.match(text, after.end(), segment.end)
        if tail and _belongs(tail[0], habits.tails, habits):
            end = tail.end()
        elif (code := _TOKEN.match(text, after.end(), segment.end)) and (
            _is_code(code[0], habits) and code[0].isupper()
        ):
            # A code beside itself is one: a shop and its feed both put it there.
            again = token_key(code[0]) == token_key(text[start:end])
            end = end if again else code.end()
    before = text[max(segment.start, start - 8) : start]
    head = re.search(r"(?<![^\W_])([A-Z]{2,6}) $", before)
    if head and _belongs(head[1], habits.heads, habits):
        start -= len(head[1]) + 1
    return start, end


def _belongs(capitals: str, known: Collection[str], habits: CodeHabits) -> bool:
    """Whether capitals beside a code are part of it: known to be, and neither maker nor kind."""
    word = folded(capitals)
    return word in known and word not in habits.names


def is_standard(token: str) -> bool:
    """Whether all of ``token`` is a designation that everybody writes alike (R32, IP65)."""
    return any(pattern.fullmatch(token) for _, pattern in _standards())


def standard_names() -> frozenset[str]:
    """Names of the properties that hold designations."""
    return frozenset(name for name, _ in _standards())


def find_standards(text: str) -> Iterator[tuple[str, int, int]]:
    """(property, start, end) of every designation in ``text``."""
    for name, pattern in _standards():
        for match in pattern.finditer(text):
            yield name, match.start(), match.end()


@cache
def _standards() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (row["property"], re.compile(rf"(?<![^\W_])(?:{row['pattern']})(?![^\W_])", re.IGNORECASE))
        for row in lexicon()["standards"]
    )
