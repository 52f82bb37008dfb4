"""What did not become a fact or a document: refusals, conflicts, quarantine, broken shapes."""

from __future__ import annotations

from moonshelf.graph.quarantine import Quarantined
from moonshelf.graph.report.findings import Findings, Troubles
from moonshelf.graph.report.sections.evidence import refusal_line
from moonshelf.graph.report.sections.section import Section
from moonshelf.graph.report.texts import bdi, count, esc, left_out, table
from moonshelf.graph.schema.apply import spoken

_STEPS = {
    "json": "no readable answer",
    "vocabulary": "no such property for this class",
    "span": "the words do not stand in the text",
    "guard": "said of something else, denied, compared or bundled",
    "unit": "the unit measures something else",
    "range": "outside of the bounds",
    "option": "no option of the property",
    "conflict": "a surer fact says otherwise",
    "shacl": "the graph would break a shape",
}


def troubles(found: Findings) -> Section:
    """Refusals by step with examples, conflicts, quarantine."""
    what = found.troubles
    turned = sum(one.times for one in what.turned)
    lead = (
        f"{count(turned, 'candidate')} turned down, "
        f"{count(what.quarantined, 'document')} quarantined, "
        f"{count(found.summary.shapes.violations, 'broken shape')}. Nothing is dropped in silence: "
        "each has a step and a reason."
    )
    body = _turned(what) + _conflicts(what) + _quarantine(what)
    return Section("refusals", "Refusals, conflicts, quarantine", lead, body)


def _turned(what: Troubles) -> str:
    if not what.turned:
        return ""
    rows = []
    for one in what.turned:
        examples = "".join(
            f"<li>{refusal_line(refusal)} <small>{bdi(refusal.document, 40)}</small></li>"
            for refusal in one.examples
        )
        rows.append(
            (
                f'<span class="step">{esc(one.step)}</span>',
                f"{one.times:,}",
                esc(_STEPS.get(one.step, "")),
                f'<ul class="turned">{examples}</ul>',
            )
        )
    return "<h3>Candidates turned down</h3>" + table(
        ("step", "times", "meaning", "for example"), rows, "wordy"
    )


def _conflicts(what: Troubles) -> str:
    made = []
    if what.conflicts:
        named = ", ".join(f"{spoken(name)} {times:,}" for name, times in what.conflicts[:30])
        made.append(f"<p>Two values within one text, by property: {esc(named, 1000)}.</p>")
    if what.overruled:
        rows = [
            (bdi(document, 60), esc(spoken(name), 60), bdi(reason, 200))
            for document, name, reason in what.overruled_examples
        ]
        made.append(
            f"<p>{count(what.overruled, 'fact')} gave way to another document about the same "
            "product:</p>" + table(("document", "property", "reason"), rows, "wordy")
        )
        made.append(left_out(len(rows), what.overruled, "such facts"))
    return f"<h3>Conflicts between values</h3>{''.join(made)}" if made else ""


def _quarantine(what: Troubles) -> str:
    if not what.quarantined:
        return "<h3>Quarantine</h3><p>No document is quarantined.</p>"
    steps = ", ".join(f"{step} {times:,}" for step, times in what.steps)
    rows = [
        (bdi(one.document, 60), f'<span class="step">{esc(one.step)}</span>', _why(one))
        for one in what.quarantine
    ]
    return (
        f"<h3>Quarantine</h3><p>By step: {esc(steps)}. <code>graph build --retry</code> tries them "
        f"again.</p>{table(('document', 'step', 'reason'), rows, 'wordy')}"
        f"{left_out(len(rows), what.quarantined, 'quarantined documents')}"
    )


def _why(one: Quarantined) -> str:
    lines = [bdi(one.what, 300)]
    lines += [f'<small class="soft">{bdi(line, 200)}</small>' for line in one.errors[:5]]
    if one.cure:
        lines.append(f'<small class="soft">cure: {bdi(one.cure, 200)}</small>')
    if one.reply:
        lines.append(f"<code>{esc(one.reply, 300)}</code>")
    return "<br>".join(lines)
