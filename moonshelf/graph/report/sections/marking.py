"""The texts of one document with the words of its facts marked."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Sequence

from moonshelf.graph.records import Document, Fact, Refusal, TextEvidence
from moonshelf.graph.report.refused import candidate
from moonshelf.graph.report.spans import Marked, Piece, pieces
from moonshelf.graph.report.texts import count, esc, left_out, visible

MOST_TEXT, MOST_FIELDS = 1_200, 6
_REFUSED = 1_000_000
"""Keys of refused candidates begin here, behind those of facts."""


class Marking:
    """Marks by field.

    Args:
        place: of the document on the page; part of the ids of marks.
        document: whose texts are shown.
        facts: shown; numbered from 1.
        kinds: what colors each of them.
        refusals: marked, too, where they name words that stand in the text.
        whole: texts are not cut: the page is about this document alone.
    """

    def __init__(
        self,
        place: int,
        document: Document,
        facts: Sequence[Fact],
        kinds: Sequence[str],
        refusals: Sequence[Refusal],
        whole: bool = False,
    ) -> None:
        self._text_end = sys.maxsize if whole else MOST_TEXT
        self._fields = document.fields if whole else document.fields[:MOST_FIELDS]
        self._place, self._document, self._kinds = place, document, kinds
        self._marks: dict[str, list[Marked]] = {}
        candidates = map(candidate, refusals)
        self._mark(facts, 1)
        self._mark([fact for fact in candidates if fact is not None], _REFUSED)

    def linked(self, number: int) -> bool:
        """Whether the words of a fact are on the page."""
        spans = (one for name, _ in self._fields for one in self._marks.get(name, ()))
        # The number stands at the end of the words, or where the text is cut.
        return any(one.key == number and one.start < self._text_end for one in spans)

    def to_html(self) -> str:
        """All texts, bounded, with notes of what is left out."""
        shown = "".join(self._text(name, text) for name, text in self._fields)
        return shown + left_out(len(self._fields), len(self._document.fields), "fields")

    def _mark(self, facts: Sequence[Fact], first: int) -> None:
        texts = dict(self._document.fields)
        for key, fact in enumerate(facts, start=first):
            if isinstance(fact.evidence, TextEvidence):
                span = fact.evidence.span
                if texts.get(span.field, "")[span.start : span.end] == fact.evidence.raw:
                    self._marks.setdefault(span.field, []).append(Marked(span.start, span.end, key))

    def _text(self, name: str, text: str) -> str:
        marks, part = self._marks.get(name, []), text[: self._text_end]
        shown = "".join("".join(self._piece(part, one)) for one in pieces(len(part), marks))
        more = ""
        if len(text) > len(part):
            note = f"{count(len(text) - len(part), 'character')} more"
            beyond = sum(1 for one in marks if one.start >= len(part))
            note += f", {count(beyond, 'mark')} among them" if beyond else ""
            more = f'<p class="note">{note}</p>'
        return f'<h5>{esc(name, 40)}</h5><p class="text" dir="auto">{shown}</p>{more}'

    def _piece(self, text: str, piece: Piece) -> Iterator[str]:
        inner = html.escape(visible(text[piece.start : piece.end]))
        facts = [key for key in piece.keys if key < _REFUSED]
        if not facts:
            yield f'<mark class="k-no">{inner}</mark>' if piece.keys else inner
            return
        # The shortest of the facts gives the color: it lies on top.
        kind, names = self._kinds[facts[-1] - 1], " ".join(f"m{key}" for key in facts)
        yield f'<mark class="k-{kind} {names}{" over" if len(facts) > 1 else ""}">{inner}'
        for key in piece.ending:
            if key < _REFUSED:
                mark, fact = f"d{self._place}m{key}", f"#d{self._place}f{key}"
                yield f'<sup><a id="{mark}" href="{fact}">{key}</a></sup>'
        yield "</mark>"
