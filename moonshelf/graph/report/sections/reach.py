"""Coverage: how much of the texts became facts, and the words that most often did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moonshelf.graph.evaluate.coverage import Reached
from moonshelf.graph.report.findings import Findings, Missed, Reach
from moonshelf.graph.report.layout import label_of
from moonshelf.graph.report.sections.section import Section, fold_away
from moonshelf.graph.report.texts import bar, bdi, count, left_out, percent, table

MOST_CLASSES = 30


def reach(found: Findings) -> Section:
    """Two gauges, a table by class, and two lists of words."""
    read = found.reach
    lead = (
        "Share of what our reader sees in the texts that overlaps the words of a fact: numbers "
        "with a unit (those said of something else left out; a number said again counts with the "
        "first), and segments: parts of titles, lines, sentences. It needs no labels and stands "
        "for recall; what the reader itself overlooks is in neither count."
    )
    gauges = _gauge("Numbers with a unit", read.total("units"))
    gauges += _gauge("Segments", read.total("segments"))
    labels = {kind.name: label_of(kind) for kind in found.ontology.classes}
    body = (
        f'<div class="gauges">{gauges}</div>{_classes(read, labels)}'
        f'<div class="pair">{_missed(read)}</div>'
        f"{left_out(read.read, read.documents, 'documents, evenly chosen by hash,')}"
    )
    return Section("coverage", "Coverage", lead, body)


def _gauge(title: str, total: Reached) -> str:
    told = f"{total.reached:,} of {total.mentions:,}"
    return (
        f'<div class="gauge"><b>{percent(total.share)}</b><span>{title}<br>{told}</span>'
        f"{bar(total.share)}</div>"
    )


def _classes(read: Reach, labels: Mapping[str, str]) -> str:
    rows = [
        (
            bdi(labels.get(one.name, one.name), 60),
            f"{one.documents:,}",
            *(cell for part in (one.units, one.segments) for cell in _cells(part)),
        )
        for one in read.classes[:MOST_CLASSES]
    ]
    head = ("class", "documents", "numbers with a unit", "", "segments", "")
    return table(head, rows, "reach") + left_out(len(rows), len(read.classes), "classes")


def _cells(part: Reached) -> tuple[str, str]:
    if not part.mentions:
        return "none", ""
    return f"{part.reached:,} of {part.mentions:,}", f"{bar(part.share)} {percent(part.share)}"


def _missed(read: Reach) -> str:
    phrases = (
        "<h3>Phrases that reach no fact</h3><p>What many texts share may be worth a property or "
        "an option: write it into an ontology (<code>--ontology</code>), or read more documents "
        "(<code>--samples</code>, <code>--learn again</code>). Digits stand as #.</p>"
    )
    numbers = (
        "<h3>Numbers that reach no fact</h3><p>A unit that comes often and reaches nothing is a "
        "property that the schema lacks, or a reading that it does not allow.</p>"
    )
    note = f'<p class="note">Phrases of {count(read.phrases_read, "document")}.</p>'
    return (
        f"<div>{phrases}{_list(read.phrases)}{note}</div><div>{numbers}{_list(read.numbers)}</div>"
    )


def _list(missed: Sequence[Missed]) -> str:
    if not missed:
        return '<p class="soft">None.</p>'
    first, rest = missed[:12], missed[12:]
    more = fold_away(f"{len(rest)} more", _items(rest)) if rest else ""
    return _items(first) + more


def _items(missed: Sequence[Missed]) -> str:
    lines = "".join(
        f'<li><span class="v">{bdi(one.words, 80)}</span><small>{_example(one)}</small>'
        f'<span class="n">{one.times:,}</span></li>'
        for one in missed
    )
    return f'<ul class="missed">{lines}</ul>'


def _example(one: Missed) -> str:
    return f"\u201c{bdi(one.example, 60)}\u201d in {bdi(one.document, 40)}"
