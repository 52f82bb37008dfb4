"""The top of the page: what this graph is, where every document went, sizes beside the paper's."""

from __future__ import annotations

import html
from datetime import UTC, datetime

from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.sections.section import Section, cards, fold_away
from moonshelf.graph.report.texts import count, esc, percent, share_of, table
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.summary import Ledger

_PLACES = (
    ("graph", "in the graph"),
    ("no_facts", "without facts"),
    ("quarantined", "quarantined"),
    ("lost", "lost"),
)


def hero(found: Findings) -> str:
    """Title, one sentence, the ledger, and the figures that one looks for first."""
    about, summary = found.about, found.summary
    made = datetime.fromtimestamp(about.finished, UTC).strftime("%Y-%m-%d %H:%M UTC")
    told = f"Product knowledge graph \u00b7 {about.backend} backend \u00b7 {made}"
    documents, products = summary.ledger.documents, sum(found.classes.values())
    lead = (
        f"{count(documents, 'document')} became {count(found.facts, 'fact')} about "
        f"{count(products, 'product')}: {count(summary.classes, 'class', 'classes')}, "
        f"{count(summary.properties, 'property', 'properties')}, and every fact with the words "
        "that state it."
    )
    return (
        f'<header><p class="eyebrow">{esc(told)}</p><h1>{esc(about.name, 80)}</h1>'
        f'<p class="lead">{html.escape(lead)}</p>{_ledger(summary.ledger)}{_figures(found)}'
        "</header>"
    )


def _ledger(ledger: Ledger) -> str:
    """A bar of all documents, and the same in words: nothing is ever missing from it."""
    numbers = {**ledger.model_dump(exclude={"lost"}), "lost": len(ledger.lost)}
    parts = "".join(
        f'<b class="{name}" style="width:{100 * share_of(numbers[name], ledger.documents):.3f}%">'
        "</b>"
        for name, _ in _PLACES
        if numbers[name]
    )
    words = "".join(
        f'<li class="{name}"><b>{numbers[name]:,}</b> {label}</li>' for name, label in _PLACES
    )
    lost = "".join(f"<li>{esc(name)}</li>" for name in ledger.lost[:20])
    shown = f'<ul class="bad">{lost}</ul>' if lost else ""
    return f'<div class="ledger"><div class="stack">{parts}</div><ul>{words}</ul>{shown}</div>'


def _figures(found: Findings) -> str:
    units, segments = found.reach.total("units"), found.reach.total("segments")
    grounded = share_of(found.grounded, found.textual) if found.textual else 1.0
    facts = [
        (percent(grounded), "of facts stand word by word in their text"),
        (percent(units.share), "of numbers with a unit became a fact"),
        (percent(segments.share), "of all phrases and sentences hold a fact"),
        (f"{found.summary.shapes.violations:,}", "shapes broken (SHACL)"),
        (f"{found.quads:,}", "quads, evidence included"),
    ]
    return cards(facts)


def sizes(found: Findings) -> Section:
    """The paper's table, what a model cost, and where the time went."""
    here, paper = found.sizes, found.sizes.paper
    rows = [
        ("Classes", f"{here.classes:,}", f"{paper['classes']:,}"),
        ("Properties", f"{here.properties:,}", f"{paper['properties']:,}"),
        *((f"\u2003{spoken(n)}", f"{getattr(here, n):,}", f"{paper[n]:,}")
          for n in ("data_properties", "object_properties")),
        ("Triples without evidence", f"{here.triples:,}", f"{paper['triples']:,}"),
        (
            "Properties used at least once",
            percent(here.schema_instantiation),
            percent(float(paper["schema_instantiation"])),
        ),
        (
            "Documents with facts",
            f"{here.processed:,} of {here.total:,}",
            f"{paper['processed']:,} of {paper['total']:,}",
        ),
    ]  # fmt: skip
    lead = (
        "The paper (arXiv 2511.11017) read 291 descriptions of air conditioners with GPT-4.1 mini. "
        "That is another data set and another schema: its column tells how large such a graph is, "
        "not which of the two is better."
    )
    body = table(("", "this graph", "the paper, another data set"), rows, "sizes")
    return Section("sizes", "Sizes", lead, body + _used(found) + _costs(found) + _times(found))


def _used(found: Findings) -> str:
    at = found.sizes.instantiation_at
    used = ", ".join(f"{percent(share)} in at least {k}" for k, share in at.items() if k > 1)
    return f'<p class="note">Properties used by several documents: {html.escape(used)}.</p>'


def _costs(found: Findings) -> str:
    """What all runs asked of a model, the last one beside them; nothing where none was asked."""
    last, in_all = found.summary.costs, found.summary.in_all
    costs = in_all.costs or last
    if not costs:
        return ""
    facts = [(_figure(value), f"{spoken(name)} ({_figure(last.get(name, 0))} in the last run)")
             for name, value in costs.items() if value]  # fmt: skip
    about = ", ".join(f"{spoken(k)} {v}" for k, v in found.about.backend_facts.items())
    told = f'<p class="note">{esc(about, 400)}</p>' if about else ""
    low = (
        " Replies without a token count make these lower bounds." if costs.get("unmetered") else ""
    )
    runs = count(in_all.runs, "run")
    return f"<h3>What the model took, in {runs}</h3>{cards(facts)}{told}<p>{low}</p>"


def _figure(value: float) -> str:
    return f"{value:,.4g}" if value % 1 else f"{value:,.0f}"


def _times(found: Findings) -> str:
    summary = found.summary
    last, in_all = summary.seconds, summary.in_all
    rows = [
        (esc(spoken(name)), f"{last.get(name, 0):,.1f} s", f"{seconds:,.1f} s")
        for name, seconds in (in_all.seconds or last).items()
    ]
    title = f"Time of the last build: {sum(last.values()):,.1f} s"
    if in_all.runs:
        title += f", of {count(in_all.runs, 'run')} together {sum(in_all.seconds.values()):,.1f} s"
        title += f"; at most {in_all.peak_memory / 2**20:,.0f} MiB a process"
    return fold_away(title, table(("stage", "last build", "all runs"), rows))
