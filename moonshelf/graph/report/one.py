"""One document of a graph, whole: its facts at their words, what was turned down, and its links.

The report shows a sample; this shows any document, by the same marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from moonshelf import __version__
from moonshelf.config import Config
from moonshelf.errors import DataError
from moonshelf.graph.manifest import ONTOLOGY, read_manifest
from moonshelf.graph.ontology import Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, PictureEvidence, TextEvidence
from moonshelf.graph.report.findings import PropertyUse, Shown
from moonshelf.graph.report.page import framed
from moonshelf.graph.report.picture import KINDS
from moonshelf.graph.report.sections.evidence import Card, position
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.spans import Marked, pieces
from moonshelf.graph.report.texts import bdi, esc
from moonshelf.graph.resolve import Link
from moonshelf.graph.schema.history import History
from moonshelf.graph.state import State

_NEAR = 5


class One(Config):
    """A document and what became of it. ``document``: None for a row that was none."""

    id: str
    document: Document | None
    outcome: Outcome | None
    """None where no build has come to it yet."""
    ontology: Ontology
    overruled: dict[int, str]
    """Place of a fact -> why a fact of another document about the product stands in its stead."""
    beside: tuple[str, ...]
    """Other documents about the same product."""
    links: tuple[Link, ...]
    """Of its product."""

    def facts(self) -> list[tuple[int, Fact]]:
        """(place, fact) in the order of reading."""
        if self.document is None or self.outcome is None:
            return []
        order = {name: k for k, (name, _) in enumerate(self.document.fields)}
        return sorted(enumerate(self.outcome.facts), key=lambda one: position(one[1], order))

    def definition(self, fact: Fact) -> PropertyDef | None:
        """The property of a fact, as it is called now."""
        name = self.ontology.present(fact.property)
        return next((owned for owned in self.ontology.properties if owned.name == name), None)


def read_one(graph: Path, name: str) -> One:
    """
    Args:
        graph: a folder that ``graph build`` made.
        name: id of a document.

    Raises:
        StoreError: no graph.
        DataError: no document of that id.
    """
    read_manifest(graph)
    with State.open(graph, create=False) as state:
        document, outcome = state.document(name), state.outcome(name)
        if document is None and outcome is None:
            near = state.named_like(name, _NEAR)
            raise DataError(
                f"no document is called {name[:80]!r}",
                where=str(graph),
                cure=f"did you mean {', '.join(near)}?" if near else "ids are those of the source",
            )
        about = name if document is None else document.about
        remembered = state.recall("resolution") or {"links": ()}
        links = (Link.model_validate(one) for one in remembered["links"])
        return One(
            id=name,
            document=document,
            outcome=outcome,
            ontology=History.open(graph / ONTOLOGY, create=False).ontology(),
            overruled=state.overruled().get(name, {}),
            beside=tuple(one for one in state.about(about) if one != name),
            links=tuple(one for one in links if about in (one.left, one.right)),
        )


def marked_text(text: str, field: str, facts: Sequence[tuple[int, Fact]]) -> str:
    """``text`` with each fact's words between brackets, its number (from 1) behind them:
    ``⟦1.5 Ton⟧#2``."""
    marks = [
        Marked(span.start, span.end, number)
        for number, (_, fact) in enumerate(facts, start=1)
        if isinstance(fact.evidence, TextEvidence) and (span := fact.evidence.span).field == field
    ]
    return "".join(_told(text, marks))


def _told(text: str, marks: Sequence[Marked]) -> Iterator[str]:
    for piece in pieces(len(text), marks):
        part = text[piece.start : piece.end]
        yield f"\u27e6{part}\u27e7" if piece.keys else part
        yield "".join(f"#{key}" for key in piece.ending)


def source_of(fact: Fact) -> str:
    """Where a fact comes from, in words."""
    evidence = fact.evidence
    if isinstance(evidence, PictureEvidence):
        return f"seen in picture {evidence.picture} by {evidence.encoder}"
    return f"{evidence.span.field} {evidence.span.start}-{evidence.span.end}"


# ---- as a page


def one_page(found: One) -> str:
    """The same as a page of HTML, in the manner of the report."""
    name = found.id
    sections = [_evidence(found), _links(found)]
    body = f"<header><h1>{esc(name, 200)}</h1></header>"
    body += "\n".join(one.to_html() for one in sections)
    return framed(f"{name}: a document of a graph", body, __version__, len(found.facts()))


def _evidence(found: One) -> Section:
    lead = (
        "A mark is the exact words that state a fact, its number leads to the fact; dotted words "
        "were read and turned down."
    )
    legend = "".join(f'<li class="k-{name}">{label}</li>' for name, label in KINDS.items())
    body = f'<ul class="legend">{legend}<li class="k-no">turned down</li></ul>'
    if found.outcome is None:
        body += "<p>No build has come to this document yet.</p>"
    elif found.document is not None:
        uses = {
            owned.name: PropertyUse(definition=owned, documents=0, possible=0)
            for owned in found.ontology.properties
        }
        shown = Shown(
            why="drawn by hash",
            document=found.document,
            outcome=found.outcome,
            overruled=found.overruled,
        )
        body += Card(0, shown, uses, whole=True).to_html()
    if found.outcome is not None and (problem := found.outcome.problem) is not None:
        body += f"<h3>Quarantined</h3><p>{esc(problem.step)}: {bdi(problem.what, 2_000)}</p>"
        body += "".join(f"<p>{bdi(line, 2_000)}</p>" for line in problem.errors)
    return Section("evidence", "Facts and their evidence", lead, body)


def _links(found: One) -> Section:
    lines = [
        f"<li>{esc(one.relation)} <b>{bdi(_other(one, found), 200)}</b>, score {one.score:.2f}"
        f"{esc(': ' + '; '.join(one.differences), 400) if one.differences else ''}</li>"
        for one in found.links
    ]
    lines += [f"<li>about the same product: <b>{bdi(one, 200)}</b></li>" for one in found.beside]
    body = f"<ul>{''.join(lines)}</ul>" if lines else "<p>It stands alone.</p>"
    return Section("links", "Links", "What was found to belong to its product.", body)


def _other(link: Link, found: One) -> str:
    about = found.id if found.document is None else found.document.about
    return link.right if link.left == about else link.left
