"""What was asked of the store to draw the page, and how long each query took."""

from __future__ import annotations

from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.sections.section import Section, fold_away
from moonshelf.graph.report.texts import count, esc, table

SLOWEST = 8


def machine(found: Findings) -> Section:
    """The slowest queries, and where the page came from."""
    ranked = sorted(found.questions, key=lambda one: -one.milliseconds)
    total = sum(one.milliseconds for one in ranked)
    asked = count(len(ranked), "SPARQL query", "SPARQL queries")
    lead = f"{asked} over {count(found.quads, 'quad')} took {total:,.0f} ms."
    if ranked:
        lead += (
            f" The slowest took {ranked[0].milliseconds:,.1f} ms on the clock, "
            f"{ranked[0].cpu_milliseconds:,.1f} ms of them its own."
        )
    rows = [
        (
            f"{one.milliseconds:,.2f} ms",
            f"{one.cpu_milliseconds:,.2f} ms",
            f"{one.rows:,}",
            f"<code>{esc(one.sparql, 300)}</code>",
        )
        for one in ranked[:SLOWEST]
    ]
    body = fold_away(
        f"The {len(rows)} slowest",
        table(("wall clock", "processor", "rows", "query"), rows, "wordy"),
    )
    return Section("queries", "Queries", lead, body)
