"""Tables of results: rows are embedders, columns are metrics with their intervals.

One table for each retrieval direction, one for each view and slice of the label tasks (a column
for each task), all as Markdown, an HTML fragment, and one JSON object with everything. Under
each table stand the protocol, how many queries and candidates there were, chance, and what was
left out.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moonshelf.errors import UsageError
from moonshelf.evaluation.bootstrap import paired_difference
from moonshelf.evaluation.labels import EVERY
from moonshelf.evaluation.results import (
    FORMAT,
    HEADLINE,
    MID_RANK,
    Measure,
    Results,
    TaskResult,
)

LABELS = ("classification", "attribute")
NONE = "\u2013"
STAR = "\u2020"


@dataclass(frozen=True)
class Table:
    """Cells are finished text. ``lines`` are the notes under the table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def tables(results: Sequence[Results]) -> list[Table]:
    """All tables of several embedders on one suite, split and catalogue.

    Raises:
        UsageError: the results are of different suites, splits or catalogues.
    """
    one_evaluation(results)
    made: list[Table] = []
    done: set[tuple[str, ...]] = set()
    for result in results:
        for task in result.tasks:
            key = (
                (task.direction, task.slice) if task.kind in LABELS else (task.task, task.direction)
            )
            if key in done:
                continue
            done.add(key)
            if task.kind in LABELS:
                made += _label_tables(results, task.direction, task.slice)
            else:
                made.append(_retrieval_table(results, task))
    made.sort(key=lambda table: table.title.startswith("Labels"))
    return [*_headline_table(results), *made]


def one_evaluation(results: Sequence[Results]) -> None:
    """Refuses to put results of different evaluations side by side."""
    kinds = {(r.suite, r.split, r.catalog, r.seed) for r in results}
    if len(kinds) > 1:
        raise UsageError(
            "results of different suites, splits, catalogues or seeds do not belong in one table",
            cure="evaluate all embedders the same way",
        )


def cell(measure: Measure | None, mark: str = "") -> str:
    """``52.1 [50.0, 54.2]`` in percent."""
    if measure is None:
        return NONE
    value, low, high = (100 * x for x in (measure.value, measure.low, measure.high))
    return f"{value:.1f}{mark} [{low:.1f}, {high:.1f}]"


def _find(result: Results, task: str, direction: str, slice_name: str) -> TaskResult | None:
    return next((t for t in result.tasks if t.key == (task, direction, slice_name)), None)


def _retrieval_table(results: Sequence[Results], task: TaskResult) -> Table:
    names = tuple(task.metrics)
    rows = [("chance", *(f"{100 * task.metrics[name].chance:.2f}" for name in names))]
    for result in results:
        found = _find(result, *task.key)
        measures = found.metrics if found else {}
        rows.append((result.embedder, *(cell(measures.get(name)) for name in names)))
    each = task.facts.get("positives per query", 1.0)
    lines = (
        task.protocol,
        f"{task.queries:,} queries, {task.pool:,} candidates, {each:.3g} right answers a query.",
        *task.notes,
    )
    photos = ", augmented photos" if task.photos == "augmented" else ""
    return Table(
        f"{task.task} ({task.direction}{photos})", ("embedder", *names), tuple(rows), lines
    )


def _headline_table(results: Sequence[Results]) -> list[Table]:
    """Image-based search recall by its name, where the suite has a photo search i->mm."""
    found = [(result.embedder, result.image_search) for result in results]
    first = next((task for _, task in found if task), None)
    if first is None:
        return []
    names = [name for name in HEADLINE if name in first.metrics]
    rows = [("chance", *(f"{100 * first.metrics[name].chance:.2f}" for name in names))]
    for embedder, task in found:
        rows.append((embedder, *(cell(task.metrics[name] if task else None) for name in names)))
    photos = "augmented photos" if first.photos == "augmented" else "users' photos"
    line = f"The intermediate metric: {first.queries:,} {photos}; protocol under {first.task!r}."
    title = f"Image-based search recall ({first.direction}, {photos})"
    return [Table(title, ("embedder", *names), tuple(rows), (line,))]


def _label_tables(results: Sequence[Results], view: str, slice_name: str) -> list[Table]:
    first: dict[str, TaskResult] = {}
    for result in results:
        for task in result.tasks:
            if task.kind in LABELS and (task.direction, task.slice) == (view, slice_name):
                first.setdefault(task.task, task)
    what = "" if slice_name == EVERY else f", {slice_name}"
    made = []
    for metric in ("accuracy", "macro-F1"):
        chance = tuple(f"{100 * t.metrics[metric].chance:.1f}" for t in first.values())
        rows: list[tuple[str, ...]] = [("chance", *chance)]
        if metric == "accuracy":
            largest = (f"{100 * t.facts['largest class']:.1f}" for t in first.values())
            rows.append(("largest class", *largest))
        starred = False
        for result in results:
            cells = []
            for name in first:
                task = _find(result, name, view, slice_name)
                mark = STAR if task and task.method == "supervised centroid" else ""
                starred |= bool(mark)
                cells.append(cell(task.metrics[metric] if task else None, mark))
            rows.append((result.embedder, *cells))
        # The F1 table follows the accuracy table and would only repeat these lines.
        lines = [] if metric != "accuracy" else [_label_line(name, t) for name, t in first.items()]
        if starred:
            lines.insert(
                0, f"{STAR} supervised centroid: not zero-shot, class means of training items."
            )
        title = f"Labels from {view}{what}: {metric}"
        made.append(Table(title, ("embedder", *first), tuple(rows), tuple(lines)))
    return made


def _label_line(name: str, task: TaskResult) -> str:
    notes = "".join(f" {note}." for note in task.notes)
    return f"{name}: {task.queries:,} products, {task.pool} values. {task.protocol}{notes}"


def differences(results: Sequence[Results]) -> list[dict[str, Any]]:
    """First embedder minus each other one, paired over the same queries, with intervals."""
    one_evaluation(results)
    if not results:
        return []
    made = []
    first = results[0]
    for other in results[1:]:
        for task in first.tasks:
            twin = _find(other, *task.key)
            if twin is None or twin.queries != task.queries:
                continue
            for metric, values in task.per_query.items():
                if metric not in twin.per_query:
                    continue
                gap, span = paired_difference(
                    np.asarray(values),
                    np.asarray(twin.per_query[metric]),
                    draws=first.bootstrap,
                    seed=first.seed,
                    clusters=task.clusters,
                    confidence=first.confidence,
                )
                made.append(
                    {
                        "task": task.task,
                        "direction": task.direction,
                        "slice": task.slice,
                        "metric": metric,
                        "first": first.embedder,
                        "second": other.embedder,
                        "difference": gap,
                        "low": span.low,
                        "high": span.high,
                    }
                )
    return made


def to_json(results: Sequence[Results]) -> dict[str, Any]:
    """Everything: results of each embedder and paired differences of the first to the others."""
    return {
        "format": FORMAT,
        "kind": "evaluation",
        "embedders": [result.to_dict() for result in results],
        "differences": differences(results),
    }


def _heading(results: Sequence[Results]) -> tuple[str, str]:
    first = results[0]
    title = f"Suite {first.suite}, split {first.split}"
    text = (
        f"Percent, with {100 * first.confidence:g} % bootstrap intervals over queries "
        f"({first.bootstrap:,} draws, seed {first.seed}). {MID_RANK}"
    )
    return title, text


def _skipped(results: Sequence[Results]) -> list[str]:
    lines = []
    for result in results:
        reasons: dict[str, list[str]] = {}
        for skipped in result.skipped:
            reasons.setdefault(skipped.reason, []).append(f"{skipped.task} ({skipped.direction})")
        lines += [f"{result.embedder}: {why}: {', '.join(what)}" for why, what in reasons.items()]
    return lines


def to_markdown(results: Sequence[Results]) -> str:
    """The tables as Markdown; cells are escaped."""
    if not results:
        raise UsageError("there are no results to show")
    title, text = _heading(results)
    parts = [f"# {_md(title)}\n\n{_md(text)}\n"]
    for table in tables(results):
        head = "| " + " | ".join(map(_md, table.columns)) + " |"
        rule = "|---" + "|---:" * (len(table.columns) - 1) + "|"
        rows = ["| " + " | ".join(map(_md, row)) + " |" for row in table.rows]
        notes = [f"- {_md(line)}" for line in table.lines]
        parts.append("\n".join([f"## {_md(table.title)}\n", head, rule, *rows, "", *notes]) + "\n")
    skipped = _skipped(results)
    if skipped:
        parts.append(
            "\n".join(["## Not measured\n", *(f"- {_md(line)}" for line in skipped)]) + "\n"
        )
    return "\n".join(parts)


def to_html(results: Sequence[Results]) -> str:
    """The tables as an HTML fragment (headings h3 and h4, no page around it); all is escaped."""
    if not results:
        raise UsageError("there are no results to show")
    title, text = _heading(results)
    parts = [f'<section class="evaluation"><h3>{html.escape(title)}</h3><p>{html.escape(text)}</p>']
    for table in tables(results):
        parts.append(f"<h4>{html.escape(table.title)}</h4><table><thead><tr>")
        parts += [f"<th>{html.escape(name)}</th>" for name in table.columns]
        parts.append("</tr></thead><tbody>")
        for row in table.rows:
            cells = "".join(f"<td>{html.escape(text)}</td>" for text in row[1:])
            parts.append(f"<tr><th>{html.escape(row[0])}</th>{cells}</tr>")
        notes = "".join(f"<li>{html.escape(line)}</li>" for line in table.lines)
        parts.append(
            f"</tbody></table><details><summary>protocol</summary><ul>{notes}</ul></details>"
        )
    skipped = _skipped(results)
    if skipped:
        notes = "".join(f"<li>{html.escape(line)}</li>" for line in skipped)
        parts.append(f"<h4>Not measured</h4><ul>{notes}</ul>")
    return "\n".join([*parts, "</section>\n"])


def _md(text: str) -> str:
    flat = " ".join(text.split())
    for sign in "\\|<>*_`[]":
        flat = flat.replace(sign, f"\\{sign}") if sign not in "[]_" else flat
    return flat
