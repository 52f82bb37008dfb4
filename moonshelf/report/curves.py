"""Training curves as inline SVG (matplotlib, extra ``report``), identical for identical metrics."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from moonshelf.errors import UsageError

# One figure a group of keys that share an axis.
PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Loss", "nats", ("loss",)),
    ("In-batch accuracy", "share", ("accuracy",)),
    ("Held-out answers", "nats a token", ("answer_loss/",)),
    ("Validation retrieval", "R@k, %", ("val/",)),
    ("Similarity", "cosine", ("positive_similarity", "negative_similarity")),
    ("Temperature", "", ("temperature",)),
    ("Speed", "pairs a second", ("samples_per_s",)),
)


def curves(metrics: Sequence[Mapping[str, Any]]) -> str:
    """An HTML fragment with one plot a panel that has data.

    Args:
        metrics: lines of ``metrics.jsonl``, in order.
    """
    plots = [
        svg
        for title, unit, keys in PANELS
        if (svg := _panel(title, unit, _series(metrics, keys))) is not None
    ]
    figures = "".join(f"<figure>{svg}</figure>" for svg in plots)
    return f'<div class="plots">{figures}</div>'


def _series(
    metrics: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> dict[str, tuple[list[float], list[float]]]:
    """name -> (minutes of training, value); a key that ends in ``/`` takes all that start so."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    before, seconds, stage = 0.0, 0.0, None
    for line in metrics:
        if line.get("stage") != stage:  # each stage has a clock of its own; they follow each other
            before, seconds, stage = before + seconds, 0.0, line.get("stage")
        # Validation lines carry no clock; they belong to the log line before them.
        seconds = line.get("seconds", seconds)
        minutes = (before + seconds) / 60
        for key, value in line.items():
            wanted = any(key == k or (k.endswith("/") and key.startswith(k)) for k in keys)
            if wanted and isinstance(value, int | float):
                xs, ys = found.setdefault(key.removeprefix("val/"), ([], []))
                xs.append(minutes)
                ys.append(float(value))
    return found


def _panel(
    title: str, unit: str, series: Mapping[str, tuple[list[float], list[float]]]
) -> str | None:
    if not any(len(xs) > 1 for xs, _ in series.values()):
        return None
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("plots need matplotlib", cure="pip install 'moonshelf[report]'") from error
    from matplotlib.figure import Figure

    # Fixed salt and no date: the same metrics give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "moonshelf", "font.size": 9}):
        figure = Figure(figsize=(5, 2.6), layout="constrained")
        axes = figure.add_subplot()
        for name, (xs, ys) in series.items():
            axes.plot(xs, ys, label=name, linewidth=1.6)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("minutes")
        axes.set_ylabel(unit)
        axes.grid(alpha=0.25)
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=8)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
