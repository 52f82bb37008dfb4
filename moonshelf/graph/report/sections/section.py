"""What every part of the page is: a place to jump to, a title, a sentence, and a body."""

from __future__ import annotations

from dataclasses import dataclass

from moonshelf.graph.report.texts import esc

LONGEST_LEAD = 1_000


@dataclass(frozen=True)
class Section:
    """``lead`` is plain text; ``body`` is HTML whose texts are escaped."""

    anchor: str
    title: str
    lead: str
    body: str

    def to_html(self) -> str:
        return (
            f'<section id="{self.anchor}"><h2>{esc(self.title)}</h2>'
            f'<p class="lead">{esc(self.lead, LONGEST_LEAD)}</p>{self.body}</section>'
        )


def fold_away(title: str, body: str) -> str:
    """What is shown to who asks for it; ``title`` is plain text."""
    return f"<details><summary>{esc(title)}</summary>{body}</details>"


def cards(facts: list[tuple[str, str]]) -> str:
    """(value, what it is), plain texts, as a row of cards."""
    made = "".join(
        f"<div><b>{esc(value)}</b><span>{esc(name)}</span></div>" for value, name in facts
    )
    return f'<div class="cards">{made}</div>'
