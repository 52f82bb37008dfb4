"""Values seen in training, found again in texts: the tagger's gazetteer.

While training, a document must not see its own annotation in the gazetteer, or the model learns to
trust it blindly: what is asked is how *other* documents label the same words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

LONGEST = 8
# Share of the other documents with these words in which they are a value of the property.
_STRENGTHS = (0.2, 0.5, 0.8)

Words = tuple[str, ...]
Entry = Mapping[str, int]


class Lexicon:
    """``values``: words -> property -> documents that label them so; ``stands``: words -> documents
    in which they stand at all."""

    def __init__(self, values: Mapping[Words, Entry], stands: Mapping[Words, int]) -> None:
        self._values, self._stands = values, stands

    @classmethod
    def of(cls, documents: Iterable[tuple[Sequence[Words], Mapping[str, set[Words]]]]) -> Lexicon:
        """Args: for every document the words of its fields, and its values by property."""
        documents = list(documents)
        values: dict[Words, Counter[str]] = defaultdict(Counter)
        for _, labels in documents:
            for name in sorted(labels):
                for words in labels[name]:
                    if 0 < len(words) <= LONGEST:
                        values[words][name] += 1
        stands: Counter[Words] = Counter()
        for fields, _ in documents:
            here = {words for field in fields for _, words in _known(field, values)}
            stands.update(here)
        return cls(values, stands)

    def marks(
        self, words: Sequence[str], own: Mapping[str, set[Words]] | None = None
    ) -> list[set[str]]:
        """Features of each token of a field: the longest value that covers it, by property.

        Args:
            words: of the tokens.
            own: the document's own values by property, while training.
        """
        marks: list[set[str]] = [set() for _ in words]
        taken: dict[str, int] = {}
        for place, found in sorted(_known(words, self._values), key=_longest_first):
            for name, strength in self._strengths(found, own):
                if taken.get(name, -1) >= place:
                    continue
                taken[name] = place + len(found) - 1
                for k in range(len(found)):
                    begin = "B" if k == 0 else "I"
                    marks[place + k].add(f"lex={begin}{name}")
                    marks[place + k].add(f"lex={begin}{name}/{strength}")
        return marks

    def _strengths(
        self, words: Words, own: Mapping[str, set[Words]] | None
    ) -> list[tuple[str, int]]:
        stands = self._stands[words] - (own is not None)
        found = []
        for name in sorted(self._values[words]):
            mine = own is not None and words in own.get(name, ())
            labelled = self._values[words][name] - mine
            if labelled > 0 and stands > 0:
                share = labelled / stands
                found.append((name, sum(share >= step for step in _STRENGTHS)))
        return found

    # ---- as JSON

    def plain(self) -> list[list[object]]:
        """Rows ``[words, {property: documents}, documents]``, sorted."""
        return [
            [list(words), dict(sorted(self._values[words].items())), self._stands[words]]
            for words in sorted(self._values)
        ]

    @classmethod
    def read(cls, rows: Iterable[Sequence[object]]) -> Lexicon:
        values: dict[Words, Entry] = {}
        stands: dict[Words, int] = {}
        for words, entry, count in rows:
            values[tuple(words)] = dict(entry)  # type: ignore[arg-type]
            stands[tuple(words)] = int(count)  # type: ignore[call-overload]
        return cls(values, stands)


def _known(words: Sequence[str], values: Mapping[Words, object]) -> list[tuple[int, Words]]:
    """Places at which a value stands, with the value; all lengths."""
    found = []
    for place in range(len(words)):
        for length in range(1, min(LONGEST, len(words) - place) + 1):
            piece = tuple(words[place : place + length])
            if piece in values:
                found.append((place, piece))
    return found


def _longest_first(pair: tuple[int, Words]) -> tuple[int, int]:
    return pair[0], -len(pair[1])
