"""What each safety part of the knowledge graph is worth: an arm without it, beside the pipeline.

    python -m benchmarks.graph_ablation --data DIR [--only gatekeeper slices ...]

``DIR`` holds ``air_conditioners/`` and ``attribute_extraction/``.

* ``gatekeeper``: rules of evidence and of integrity off, before a careful agent and two careless
  ones.
* ``slices``: the whole schema for every document, in place of the slice of its class; facts of the
  builtin backend, prompts of the ``llm`` backend.
* ``order``: the schema learned from the documents with most new n-grams, from random ones, and from
  those that come first.
* ``tagger``: none, one of the rules' own hits, one of labels. Reads what ``graph_extraction.py``
  measured.
* ``spans``: the check that the text states a fact, for the builtin backend.
* ``model``: the same check, and the one retry, for the ``llm`` backend with a *simulated* model
  that errs at stated rates. It says what the checks do with such errors, and nothing about how
  often real models make them.

The gold set's test half is read by none of them. Writes ``ablation.json`` and ``ablation.md`` to
``benchmarks/results/graph/``; a part that was not asked for stays as it is there. No product text
is in them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._graph_arms import Part, Row
from benchmarks._graph_gatekeeper import gatekeeper
from benchmarks._graph_model import model
from benchmarks._graph_orders import order
from benchmarks._graph_slices import slices
from benchmarks._graph_spans import spans
from benchmarks._graph_taggers import tagger
from benchmarks.graph_extraction import RESULTS, versions
from moonshelf.errors import StoreError
from moonshelf.files import write_bytes_atomically, write_json_atomically

FILE, PAGE = "ablation.json", "ablation.md"
PARTS: Mapping[str, Callable[[Path], Part]] = {
    "gatekeeper": gatekeeper,
    "slices": slices,
    "order": order,
    "tagger": tagger,
    "spans": spans,
    "model": model,
}
HEADINGS = {
    "gatekeeper": "Gatekeeper",
    "slices": "Slices of the schema",
    "order": "Order in which documents are read",
    "tagger": "Tagger",
    "spans": "Span check, builtin backend",
    "model": "Span check and retry, llm backend with a SIMULATED model: nothing about real models",
}


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    args.results.mkdir(parents=True, exist_ok=True)
    path = args.results / FILE
    figures = _earlier(path)
    for name in args.only or PARTS:
        began = time.process_time()
        part = PARTS[name](args.data)
        figures["parts"][name] = {
            "protocol": part.protocol,
            "cpu_seconds": round(time.process_time() - began, 1),
            "rows": list(part.arms),
            "columns": list(dict.fromkeys(column for row in part.arms.values() for column in row)),
            "arms": part.arms,
        }
        figures["versions"] = versions()
        write_json_atomically(path, figures)
        page = [section(n, figures["parts"][n]) for n in PARTS if n in figures["parts"]]
        write_bytes_atomically(args.results / PAGE, "\n".join(page).encode())
        print(section(name, figures["parts"][name]), flush=True)
    return 0


def section(name: str, part: Mapping[str, Any]) -> str:
    """A part as Markdown: heading, protocol, one line an arm.

    JSON keeps no order of keys, so a part has that of its rows and columns beside its arms.
    """
    columns = part["columns"]
    lines = [f"## {HEADINGS[name]}", "", f"{part['protocol']}.", ""]
    lines += [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for arm in part["rows"]:
        lines.append(f"| {arm} | {' | '.join(_shown(c, part['arms'][arm]) for c in columns)} |")
    return "\n".join([*lines, ""])


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    found = argparse.ArgumentParser(
        prog="graph_ablation", description=(__doc__ or "").split("\n")[0]
    )
    found.add_argument("--data", type=Path, required=True, metavar="DIR")
    found.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART")
    found.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    return found


def _earlier(path: Path) -> dict[str, Any]:
    """What earlier runs wrote.

    Raises:
        StoreError: the file is damaged.
    """
    if not path.exists():
        return {"parts": {}}
    try:
        return {"parts": dict(json.loads(path.read_text("utf-8"))["parts"])}
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"these results cannot be read: {error}", where=str(path), cure="delete the file"
        ) from error


def _shown(column: str, row: Row) -> str:
    """A figure as text: three places, the interval behind it; signed where it is a difference."""
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, Mapping):
        form = "+.3f" if " - " in column else ".3f" if abs(value["value"]) < 100 else ",.0f"
        return f"{value['value']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
