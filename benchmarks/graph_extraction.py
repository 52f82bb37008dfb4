"""How much of what product texts say is extracted, and how much of that is right.

    python -m benchmarks.graph_extraction --data DIR [--sets wdc_pave ae110k air_conditioners]

``DIR`` holds ``attribute_extraction/`` and ``air_conditioners/``.

* ``wdc_pave``, ``ae110k``: the tagger learns on the train split. Its threshold is chosen on a fifth
  of train (whole product clusters), then it learns on all of train; test reports once.
* ``air_conditioners``: `graph build` with the builtin backend on all listings, then every figure of
  ``graph evaluate``, the gold set's test half included, and the schema's stability.

Each set runs in a process of its own, so that memory is its own. Writes one JSON a set to
``benchmarks/results/graph/``; no product text is in it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moonshelf.files import write_json_atomically
from moonshelf.graph.builtin.tagger import Labelled, Tagged, Tagger, TaggerSettings
from moonshelf.graph.evaluate.slots import slot_scores
from moonshelf.graph.evaluate.stability import peak_memory
from moonshelf.graph.records import Document

RESULTS = Path(__file__).parent / "results" / "graph"
TAGGED = ("wdc_pave", "ae110k")
SETS = (*TAGGED, "air_conditioners")
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
LEAST = min(THRESHOLDS)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measures what is extracted, and how much is right."
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in args.sets:
        if not args.here:
            words = ["--data", str(args.data), "--results", str(args.results), "--sets", name]
            command = [sys.executable, "-m", "benchmarks.graph_extraction", *words, "--here"]
            subprocess.run(command, check=True)
            continue
        started = time.perf_counter()
        figures = air_conditioners(args.data) if name not in TAGGED else tagged(args.data, name)
        figures |= {
            "set": name,
            "wall_seconds": round(time.perf_counter() - started, 2),
            "peak_memory_bytes": peak_memory(),
            "versions": versions(),
        }
        write_json_atomically(args.results / f"{name}.json", figures)
        print(shown(figures), flush=True)


# --- tagger ---------------------------------------------------------------------------------------
def tagged(data: Path, name: str) -> dict[str, Any]:
    """Chooses the threshold within train, learns on train, reports test once."""
    rows = [
        json.loads(line)
        for line in (data / "attribute_extraction" / f"{name}.jsonl")
        .read_text("utf-8")
        .splitlines()
    ]
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] == "test"]
    fit, held = [r for r in train if not _held(r)], [r for r in train if _held(r)]
    threshold, tried = chosen(learned(fit), held)
    started = time.process_time()
    tagger = learned(train)
    trained = time.process_time() - started
    started = time.process_time()
    tags = [tagger.tag(labelled(row).document, threshold) for row in test]
    scores = slot_scores(
        [first_values(found) for found in tags],
        [row["attributes"] for row in test],
        [row["attributes"] for row in train],
    )
    return {
        "protocol": f"test split of {len(test)} products, {len(train)} for training; one value a "
        "slot, exact match with any annotated value, micro-averaged; threshold chosen on a fifth "
        "of train; 95 % intervals from 1000 resamplings of the products",
        "settings": {**tagger.settings.model_dump(mode="json"), "threshold": threshold},
        "threshold_f1_on_train": tried,
        "train_cpu_seconds": round(trained, 1),
        "tag_cpu_milliseconds_a_product": round(
            1000 * (time.process_time() - started) / len(test), 2
        ),
        "model_bytes": sum(map(len, tagger.models.values())),
        **scores.model_dump(mode="json"),
    }


def learned(rows: Sequence[Row]) -> Tagger:
    return Tagger.train([labelled(row) for row in rows], TaggerSettings())


def chosen(tagger: Tagger, rows: Sequence[Row]) -> tuple[float, dict[str, float]]:
    """The threshold with the best listed-slot F1 on ``rows``, and the F1 of each."""
    tags = [tagger.tag(labelled(row).document, LEAST) for row in rows]
    tried = {}
    for threshold in THRESHOLDS:
        found = [first_values([t for t in one if t.confidence >= threshold]) for one in tags]
        wanted = [row["attributes"] for row in rows]
        tried[str(threshold)] = slot_scores(found, wanted, draws=1).listed.score.f1
    best = max(THRESHOLDS, key=lambda threshold: tried[str(threshold)])
    return best, tried


def labelled(row: Row) -> Labelled:
    fields = [(name, row[name]) for name in ("title", "description") if row.get(name)]
    document = Document(id=row["id"], fields=tuple(fields), category=row["category"])
    return Labelled(document=document, values={k: tuple(v) for k, v in row["attributes"].items()})


def first_values(found: Sequence[Tagged]) -> Mapping[str, str]:
    """The most confident value of each property: ``Tagger.tag`` puts it first."""
    values: dict[str, str] = {}
    for one in found:
        values.setdefault(one.property, one.raw)
    return values


def _held(row: Row) -> bool:
    """Whether a row of train is held out to choose on: a fifth, clusters and equal titles whole."""
    key = str(row.get("cluster_id", row["title"]))
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 5 == 0


# --- air conditioners -----------------------------------------------------------------------------
def air_conditioners(data: Path) -> dict[str, Any]:
    """Builds the graph of all listings and evaluates it."""
    from moonshelf.graph.backends import make_backend
    from moonshelf.graph.build import build
    from moonshelf.graph.documents import from_table
    from moonshelf.graph.evaluate.folder import evaluate_graph
    from moonshelf.graph.evaluate.gold import read_gold
    from moonshelf.graph.evaluate.stability import stability

    table = data / "air_conditioners" / "listings.parquet"
    source = from_table(table, {"title": "name"}, ["title"])
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph"
        started = time.perf_counter()
        build(source, make_backend("builtin"), graph)
        built = time.perf_counter() - started
        memory = peak_memory()
        found = evaluate_graph(graph, read_gold())
    documents = list(source.documents())
    stable = stability(documents, lambda: make_backend("builtin"))
    return {
        "protocol": "one build of all listings, titles only, builtin backend",
        "build_wall_seconds": round(built, 2),
        "build_peak_memory_bytes": memory,
        **found.model_dump(mode="json"),
        "stability": stable.model_dump(mode="json"),
    }


# --- results --------------------------------------------------------------------------------------
def versions() -> dict[str, str]:
    names = ("python-crfsuite", "pyoxigraph", "pyshacl", "rdflib", "rapidfuzz")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}


def shown(figures: Mapping[str, Any]) -> str:
    """A few lines for a person."""
    if "listed" in figures:
        scores, name = figures, figures["set"]
        more = f"; recall seen {scores['recall_seen']:.3f}, unseen {scores['recall_unseen']:.3f}"
    else:
        sizes, name = figures["sizes"], figures["set"]
        scores = figures["facts"]
        more = (
            f"; instantiation {sizes['schema_instantiation']:.3f}, at df >= 3 "
            f"{sizes['instantiation_at']['3' if '3' in sizes['instantiation_at'] else 3]:.3f}; "
            f"units reached {figures['text']['units']['share']:.3f}; "
            f"grounded {figures['soundness']['grounding']:.3f}; "
            f"lost {len(figures['soundness']['lost'])}"
        )
    return f"{name}: {_f1(scores['listed'])} listed-slot, {_f1(scores['strict'])} strict{more}"


def _f1(one: Mapping[str, Any]) -> str:
    return f"F1 {one['score']['f1']:.3f} [{one['f1']['low']:.3f}, {one['f1']['high']:.3f}]"


if __name__ == "__main__":
    main()
