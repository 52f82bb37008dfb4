"""The tables of the ladder: which figures, their spread over seeds, the distance between rows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moonshelf.evaluation.results import IMAGE_SEARCH
from moonshelf.files import write_bytes_atomically, write_json_atomically

HARD = ("Pattern", "Fit", "Material", "Occasion")
COLUMN_NOTE = (
    "image search: image-based search recall, photo → product (augmented: photos made from the "
    f"products' own pictures); attributes: mean accuracy over {', '.join(HARD)}; styles, variants: "
    "the other products of the group. † not zero-shot: class means of labeled training products."
)


@dataclass(frozen=True)
class Column:
    """One figure of a table: a metric of a task, or its mean over several tasks; without a task,
    the headline of the evaluation (image-based search recall)."""

    name: str
    tasks: tuple[str, ...] = ()
    direction: str = ""
    metric: str = "accuracy"
    slice: str = "all"


def _headline(photos: str = "") -> tuple[Column, ...]:
    return tuple(Column(f"image search{photos} R@{k}", metric=f"HitRate@{k}") for k in (1, 10))


def _variants(tasks: str, short: str) -> tuple[Column, ...]:
    """The three directions that ask for the other products of a group."""
    asked = (("title", "t"), ("picture", "i"), ("product", "mm"))
    return tuple(
        Column(f"{short} {view}→mm R@10", (f"{what} -> {tasks}",), f"{view}->mm", "HitRate@10")
        for what, view in asked
    )


_WORDS_AND_PICTURES = (
    Column("all t→i R@10", ("title -> picture",), "t->i", "HitRate@10"),
    Column("all i→t R@10", ("picture -> title",), "i->t", "HitRate@10"),
)
COLUMNS = {
    "grocery": (
        *_headline(),
        Column("photo→picture R@1", ("photo -> product picture",), "i->i", "HitRate@1"),
        Column("photo→title R@1", ("photo -> product title",), "i->t", "HitRate@1"),
    ),
    "shop": (
        *_headline(),
        *_WORDS_AND_PICTURES,
        *_variants("variants", "variants"),
        Column("type i", ("article type",), "i"),
        Column("type mm", ("article type",), "mm"),
        Column("color i", ("color",), "i"),
        Column("pattern i", ("pattern",), "i"),
    ),
    "myntra": (
        *_headline(" (augmented)"),
        *_WORDS_AND_PICTURES,
        *_variants("variants", "variants"),
        Column("t→i R@1", ("gallery title -> picture",), "t->i", "HitRate@1"),
        Column("t→i R@10", ("gallery title -> picture",), "t->i", "HitRate@10"),
        Column("i→t R@10", ("gallery picture -> title",), "i->t", "HitRate@10"),
        Column("attributes i", HARD, "i"),
        Column("attributes mm", HARD, "mm"),
        Column("attributes mm, not in title", HARD, "mm", slice="value not in title"),
        Column("article type i", ("article type",), "i"),
        Column("article type mm", ("article type",), "mm"),
    ),
    "hm": (
        *_headline(" (augmented)"),
        *_WORDS_AND_PICTURES,
        *_variants("styles", "styles"),
        Column("color i", ("perceived color",), "i"),
        Column("color mm", ("perceived color",), "mm"),
        Column("type i", ("product type",), "i"),
        Column("type mm", ("product type",), "mm"),
    ),
}


def figures(embedder: Mapping[str, Any], data: str) -> dict[str, dict[str, Any]]:
    """Columns an embedder has, in percent. One whose tasks it could not do, or whose K is too large
    for the pool, is absent."""
    done = {(t["task"], t["direction"], t["slice"]): t for t in embedder["tasks"]}
    found: dict[str, dict[str, Any]] = {}
    for column in COLUMNS[data]:
        if not column.tasks:
            headline = (embedder.get(IMAGE_SEARCH) or {"metrics": {}})["metrics"]
            if column.metric in headline:
                value = 100 * headline[column.metric]["value"]
                found[column.name] = {"value": value, "supervised": False}
            continue
        keys = [(task, column.direction, column.slice) for task in column.tasks]
        if not all(key in done and column.metric in done[key]["metrics"] for key in keys):
            continue
        values = [done[key]["metrics"][column.metric]["value"] for key in keys]
        supervised = any(done[key]["method"] == "supervised centroid" for key in keys)
        found[column.name] = {"value": 100 * statistics.fmean(values), "supervised": supervised}
    return found


def summarize(cells: Sequence[Mapping[str, Any]], data: str) -> dict[str, dict[str, Any]]:
    """Row name -> column name -> mean, std, min, max, values, supervised; rows as they came."""
    rows: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for cell in cells:
        for name, columns in cell["figures"].items():
            for column, figure in columns.items():
                rows.setdefault(name, {}).setdefault(column, []).append(figure)
    return {
        name: {column: _spread(found) for column, found in columns.items()}
        for name, columns in rows.items()
    }


def _spread(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [float(figure["value"]) for figure in found]
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        "min": min(values),
        "max": max(values),
        "values": values,
        "supervised": any(figure["supervised"] for figure in found),
    }


def leads(summary: Mapping[str, Mapping[str, Any]], arm: str, data: str) -> list[str]:
    """One line a column: how far the worst seed of ``arm`` is above the best seed of any other."""
    lines = []
    for column in COLUMNS[data]:
        own = summary.get(arm, {}).get(column.name)
        others = {
            name: row[column.name]
            for name, row in summary.items()
            if name != arm and column.name in row and not row[column.name]["supervised"]
        }
        if own is None or not others:
            continue
        best = max(others, key=lambda name: others[name]["mean"])
        gap = own["mean"] - others[best]["mean"]
        sure = own["min"] > others[best]["max"]
        lines.append(
            f"- {column.name}: {gap:+.1f} to the best other row ({best}); "
            + ("every seed above every seed" if sure else "seeds overlap or lie below")
        )
    return lines


def markdown(summary: Mapping[str, Mapping[str, Any]], data: str, heading: str, arm: str) -> str:
    """The table of one data set and the distance of ``arm`` to the other rows."""
    columns = [c.name for c in COLUMNS[data] if any(c.name in row for row in summary.values())]
    lines = [f"## {heading}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in summary.items():
        lines.append(f"| {name} | {' | '.join(_figure(row.get(c)) for c in columns)} |")
    told = leads(summary, arm, data)
    if told:
        lines += ["", f"`{arm}` (rows without † only):", "", *told]
    return "\n".join([*lines, ""])


def publish(folder: Path, name: str, text: str, facts: Mapping[str, Any]) -> None:
    """Shows a table and leaves it in ``folder``, with its figures beside it."""
    write_bytes_atomically(folder / f"{name}.md", text.encode())
    write_json_atomically(folder / f"{name}.json", facts)
    print(text)


def _figure(spread: Mapping[str, Any] | None) -> str:
    if spread is None:
        return ""
    mark = "†" if spread["supervised"] else ""
    if len(spread["values"]) == 1:
        return f"{spread['mean']:.1f}{mark}"
    return f"{spread['mean']:.1f} ± {spread['std']:.1f}{mark}"
