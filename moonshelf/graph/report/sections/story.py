"""The schema's history: how it grew, what waits for a person, what was decided last."""

from __future__ import annotations

from collections.abc import Sequence

from moonshelf.graph.learn import Learned
from moonshelf.graph.report.charts import sparkline
from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.texts import bdi, count, esc, left_out, percent, table
from moonshelf.graph.schema.apply import spoken
from moonshelf.graph.schema.history import Decision
from moonshelf.graph.schema.review import summary


def story(found: Findings) -> Section:
    """Growth, decisions by kind, what waits, what came last."""
    what = found.story
    lead = (
        f"{count(what.decisions, 'decision')} of one gatekeeper made "
        f"{count(what.versions, 'version')}; every edit, also a refused one, is in the log "
        "with its reason."
    )
    grown = ""
    if len(what.growth) > 1:
        ends = f"<span>version 0: {what.growth[0]:,}</span>"
        ends += f"<span>now: {what.growth[-1]:,} classes and properties</span>"
        grown = f'<div class="grown">{sparkline(what.growth)}<div class="ends">{ends}</div></div>'
    counts = [
        (esc(spoken(op)), *(f"{number:,}" for number in numbers)) for op, *numbers in what.counts
    ]
    body = (
        f"{_learned(found.summary.learned)}{grown}"
        f"{table(('edit', 'accepted', 'refused', 'waiting'), counts)}"
        f"{_pending(what.pending, sum(one[3] for one in what.counts))}"
        f"<h3>Last decisions</h3>{_decisions(what.last)}"
        f"{left_out(len(what.last), what.decisions, 'decisions')}"
    )
    return Section("history", "How the schema came to be", lead, body)


def _learned(learned: Learned | None) -> str:
    if learned is None:
        return ""
    told = (
        f"Proposals were made from {count(learned.sampled, 'document')} in "
        f"{count(learned.batches, 'batch', 'batches')}, until {learned.stopped or 'the end'}. "
    )
    if learned.seen:
        told += (
            f"A trial on {count(learned.tried, 'document')} used {learned.seen:,} properties; "
            f"Chao1 estimates {learned.richness:.0f} in all, and that known properties cover "
            f"{percent(learned.coverage)} of all mentions."
        )
    if learned.unrefined:
        told += f" The schema was not refined: {learned.unrefined}"
    return f"<p>{esc(told, 800)}</p>"


def _pending(waiting: Sequence[Decision], total: int) -> str:
    if not waiting:
        return ""
    rows = [
        (esc(summary(one.edit)), esc(one.by, 60), bdi(one.edit.reason, 200), bdi(one.reason, 200))
        for one in waiting
    ]
    head = ("edit", "asked by", "because", "the gatekeeper says")
    return (
        "<h3>Waiting for a person</h3><p>Accept or reject them in the review file, then build "
        f"again.</p>{table(head, rows, 'wordy')}{left_out(len(rows), total, 'edits')}"
    )


def _decisions(some: Sequence[Decision]) -> str:
    rows = [
        (
            f"{one.after_version:,}",
            f'<span class="step {one.outcome}">{one.outcome}</span>',
            esc(summary(one.edit)),
            esc(one.by, 60),
            bdi(one.reason, 200),
        )
        for one in some
    ]
    return table(("version", "", "edit", "asked by", "reason"), rows, "wordy")
