"""What tells one product from another: brand, model codes, GTIN, colors, quantities, words.

A profile is read from facts first (they carry evidence) and from the title where facts are silent.
``resolve.py`` compares profiles; nothing here compares.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType

from moonshelf.graph.builtin.quantities import Quantity, quantities
from moonshelf.graph.gtin import bare_gtins, gtin, isbn, labelled_gtins
from moonshelf.graph.ontology import ROOT, Ontology
from moonshelf.graph.records import Amount, Document, Fact, Range
from moonshelf.graph.stated import compact, numbers_of
from moonshelf.graph.text import fold_value
from moonshelf.graph.units.convert import convert
from moonshelf.graph.units.registry import registry

# What a property is for, by its name or one of its synonyms.
ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "brand": frozenset({"brand", "manufacturer", "make", "maker"}),
        "code": frozenset(
            {"model", "model_code", "model_number", "model_name", "mpn", "part_number", "item_code"}
        ),
        "gtin": frozenset({"gtin", "ean", "upc", "barcode", "gtin13", "gtin12", "gtin8", "isbn"}),
        "color": frozenset({"color", "colour", "colors", "colours"}),
    }
)
SHORTEST_CODE = 5
_WORD = re.compile(r"[^\W_]+(?:[-/.][^\W_]+)*")
_IN_ONE = re.compile(r"\d+in\d+")
_YEAR = re.compile(r"(19|20)\d\d")
_OTHERS_CODE = re.compile(
    r"\b(for|fits?|fitting|compatible(?: with)?|replaces?|suits?|suitable for)\s+(?:\S+\s+){0,3}$",
    re.IGNORECASE,
)
# "fits" and up to three words stand before a code of another product.
_LOOK_BACK = 200

# Of a longer title the rest is no title.
LONGEST_TITLE = 2000


@dataclass(frozen=True)
class Profile:
    """One product as entity resolution sees it; every text folded.

    ``text`` is a digest of all words; ``codes`` are letters and digits alone. ``amounts``: property
    or dimension -> its values. ``said``: other properties -> their values, for agreement only.
    """

    id: str
    lineage: tuple[str, ...] = (ROOT,)
    title: str = ""
    text: str = ""
    brands: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    gtins: frozenset[str] = frozenset()
    colors: frozenset[str] = frozenset()
    amounts: Mapping[str, frozenset[Decimal]] = field(default_factory=dict)
    said: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bare: str = ""
    """The words of the title without brand, codes, colors and numbers, sorted: its family."""

    @cached_property
    def words(self) -> str:
        """The words of the title, sorted."""
        return " ".join(sorted(self.title.split()))

    def joined(self, other: Profile) -> Profile:
        """What is known of both together, if they are one product."""
        return Profile(
            id=min(self.id, other.id),
            lineage=max(self.lineage, other.lineage, key=len),
            brands=self.brands | other.brands,
            codes=self.codes | other.codes,
            gtins=self.gtins | other.gtins,
            colors=self.colors | other.colors,
            amounts=_both(self.amounts, other.amounts),
        )


class Describer:
    """Makes profiles of the products of one ontology."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._roles = {
            owned.name: role
            for owned in ontology.properties
            for role, names in ROLES.items()
            if names & {owned.name, *(s.replace(" ", "_") for s in owned.synonyms)}
        }
        self._many = {owned.name for owned in ontology.properties if owned.many}
        self._classes = {found.name for found in ontology.classes}

    def profile(
        self, product: str, product_class: str, documents: Sequence[Document], facts: Iterable[Fact]
    ) -> Profile:
        """A product out of the documents about it, its own listing first."""
        roles: dict[str, set[str]] = {role: set() for role in ROLES}
        amounts: dict[str, set[Decimal]] = {}
        said: dict[str, set[str]] = {}
        for fact in facts:
            role = self._roles.get(fact.property)
            if role is not None and isinstance(fact.value, str):
                roles[role].add(fact.value)
            elif isinstance(fact.value, int | Amount | Range) and not isinstance(fact.value, bool):
                if fact.property not in self._many:
                    amounts.setdefault(fact.property, set()).update(numbers_of(fact.value))
            else:
                said.setdefault(fact.property, set()).add(repr(fact.value))
        title = next((text for one in documents if (text := _title(one))), "")
        found = quantities(title)
        for measured, value in _amounts(found):
            amounts.setdefault(f"[{measured}]", set()).add(value)
        codes = {compact(code) for code in roles["code"]} | set(title_codes(title, found))
        folded = fold_value(title)
        known = {*roles["brand"], *roles["color"], *roles["code"]}
        return Profile(
            id=product,
            lineage=self._lineage(product_class),
            title=folded,
            text=_digest([text for one in documents for _, text in one.fields]),
            brands=frozenset(roles["brand"]),
            codes=frozenset(code for code in codes if len(code) >= SHORTEST_CODE),
            gtins=frozenset(_gtins(title, documents, roles["gtin"])),
            colors=frozenset(roles["color"]),
            amounts={name: frozenset(values) for name, values in amounts.items()},
            said={name: frozenset(values) for name, values in said.items()},
            bare=_bare(folded, known, codes),
        )

    def _lineage(self, product_class: str) -> tuple[str, ...]:
        name = self.ontology.present(product_class)
        return self.ontology.lineage(name) if name in self._classes else (ROOT,)


def _gtins(title: str, documents: Sequence[Document], stated: Iterable[str]) -> Iterator[str]:
    """GTINs by facts, bare ones of the title, labelled ones of any field of its listings."""
    yield from (found for code in stated if (found := gtin(code) or isbn(code)))
    yield from bare_gtins(title)
    for document in documents:
        if document.kind == "listing":
            for _, text in document.fields:
                yield from labelled_gtins(text)


# "6/Pack" and "5000/Box", "12x24", "ink4less.com": letters and digits that name no model.
_NO_CODE = re.compile(
    r"\d+[-/][^\W\d_]{3,}(?![^\W_])|\d+(?:[.,]\d+)?(?:x\d+(?:[.,]\d+)?)+(?![^\W_])"
    r"|[\w-]{1,40}\.(?:com|net|org|co|in|de|uk|eu|us|shop|store)\b",
    re.IGNORECASE,
)


def title_codes(title: str, found: Iterable[Quantity] = ()) -> Iterator[str]:
    """Model codes by their shape: letters with digits, five or more, no quantity, not cut short.

    A code after "for" or "fits" is another product's; one that an ellipsis cuts is not whole.
    """
    taken = sorted((one.start, one.end) for one in found if one.unit is not None)
    starts = [start for start, _ in taken]
    reach = list(accumulate((end for _, end in taken), max))
    cut = _cut(title)
    for match in _WORD.finditer(title):
        code = compact(match.group())
        whole = cut is None or match.end() < cut
        before = bisect_left(starts, match.end())
        own = before == 0 or reach[before - 1] <= match.start()
        mixed = any(c.isdigit() for c in code) and any(c.isalpha() for c in code)
        if len(code) < SHORTEST_CODE or not (mixed or (code.isdigit() and len(code) > 5)):
            continue
        if not (whole and own) or _IN_ONE.fullmatch(code) or gtin(code):
            continue
        if _NO_CODE.match(title, match.start()):
            continue
        if not _OTHERS_CODE.search(title, max(0, match.start() - _LOOK_BACK), match.start()):
            yield code


def _title(document: Document) -> str:
    """What a listing is called, in whole words; another text's headline names another thing."""
    title = dict(document.fields).get("title", "") if document.kind == "listing" else ""
    if len(title) <= LONGEST_TITLE:
        return title
    return title[: title.rfind(" ", 0, LONGEST_TITLE) + 1]


def _amounts(found: Iterable[Quantity]) -> Iterator[tuple[str, Decimal]]:
    """What a title says in numbers: (what is measured, value in its canonical unit).

    A unit of several readings ("ton") keeps them all in the name: no property decides here.
    """
    for one in found:
        if one.kind in ("star", "pack"):
            yield one.kind, one.low
            continue
        units = [registry().unit(name) for name in one.readings]
        if not units:
            continue
        canonical = registry().canonical(units[0].dimension).name
        for end in (one.low, one.high):
            if end is not None:
                name = "/".join(sorted(unit.dimension for unit in units))
                yield name, convert(end, units[0].name, canonical)


def _digest(texts: Sequence[str]) -> str:
    """Equal for texts that differ in letter case and blanks alone. Empty where there is none, and
    where one is cut short: what an ellipsis hides may be what tells two products apart."""
    words = " ".join(" ".join(texts).lower().split())
    if not words or any(_cut(text) is not None for text in texts):
        return ""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def _cut(text: str) -> int | None:
    """Where the ellipsis begins that cuts ``text`` short, if one does."""
    text = text.rstrip()
    return len(text.rstrip(".…")) if text.endswith(("..", "…")) else None


def _both(
    one: Mapping[str, frozenset[Decimal]], other: Mapping[str, frozenset[Decimal]]
) -> dict[str, frozenset[Decimal]]:
    names = dict.fromkeys((*one, *other))
    return {name: one.get(name, frozenset()) | other.get(name, frozenset()) for name in names}


def _bare(folded: str, known: Iterable[str], codes: Iterable[str]) -> str:
    for words in sorted(known, key=lambda words: (-len(words), words)):
        folded = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", " ", folded)
    codes = set(codes)
    words = re.findall(r"[^\W_]+", folded)
    kept = (w for w in words if not any(c.isdigit() for c in w) and w not in codes)
    return " ".join(sorted(kept))
