"""How much of what product texts say is extracted, and how much of that is right.

    python -m benchmarks.graph_extraction --data DIR [--sets wdc_pave ae110k ...]

``DIR`` holds ``attribute_extraction/`` and ``air_conditioners/``.

* ``wdc_pave``, ``ae110k``: the tagger learns on the train split. Its threshold is chosen on a fifth
  of train (whole product clusters), then it learns on all of train; test reports once. WDC-PAVE
  also by normalized values.
* ``wdc_pave_open``: the schema is hidden, induced from the train texts without labels, and compared
  with the hidden one on the test texts.
* ``air_conditioners``: `graph build` with the builtin backend on all listings, then every figure of
  ``graph evaluate``, the gold set's test half included, the schema's stability, and the same graph
  with a tagger that learned from the rules' own hits.

Each set runs in a process of its own, so that memory is its own. Writes one JSON a set to
``benchmarks/results/graph/``; no product text is in it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._open_schema import Row, document_of, in_backend, open_schema, read_rows
from moonshelf.files import write_json_atomically
from moonshelf.graph.builtin.tagger import Labelled, Tagger
from moonshelf.graph.evaluate.normalized import Normalizer, normalized_scores
from moonshelf.graph.evaluate.slots import slot_scores
from moonshelf.graph.evaluate.thresholds import choose, first_values
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.spending import peak_memory

RESULTS = Path(__file__).parent / "results" / "graph"
TAGGED = ("wdc_pave", "ae110k")
SETS = (*TAGGED, "wdc_pave_open", "air_conditioners")


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
        figures = measured(args.data, name) | {
            "set": name,
            "wall_seconds": round(time.perf_counter() - started, 2),
            "peak_memory_bytes": peak_memory(),
            "versions": versions(),
        }
        write_json_atomically(args.results / f"{name}.json", figures)
        print(shown(figures), flush=True)


def measured(data: Path, name: str) -> dict[str, Any]:
    if name == "wdc_pave_open":
        return open_schema(data)
    return tagged(data, name) if name in TAGGED else air_conditioners(data)


# --- tagger ---------------------------------------------------------------------------------------
def tagged(data: Path, name: str) -> dict[str, Any]:
    """Chooses the threshold within train, learns on train, reports test once."""
    train, test = read_rows(data, name)
    examples = [labelled(row) for row in train]
    choice = choose(examples)
    assert choice is not None
    started = time.process_time()
    tagger = Tagger.train(examples)
    trained = time.process_time() - started
    started = time.process_time()
    tags = [tagger.tag(labelled(row).document, choice.threshold) for row in test]
    each = 1000 * (time.process_time() - started) / len(test)
    found = [first_values(one) for one in tags]
    scores = slot_scores(
        found, [row["attributes"] for row in test], [row["attributes"] for row in train]
    )
    return {
        "protocol": f"test split of {len(test)} products, {len(train)} for training; one value a "
        "slot, exact match with any annotated value, micro-averaged; threshold chosen on a fifth "
        "of train; 95 % intervals from 1000 resamplings of the products",
        "settings": {**tagger.settings.model_dump(mode="json"), "threshold": choice.threshold},
        "threshold_f1_on_train": choice.f1,
        "train_cpu_seconds": round(trained, 1),
        "tag_cpu_milliseconds_a_product": round(each, 2),
        "model_bytes": sum(map(len, tagger.models.values())),
        **scores.model_dump(mode="json"),
        **normalized(train, test, found),
        "in_backend": inside(train, test, tagger, choice.threshold),
    }


def inside(
    train: Sequence[Row], test: Sequence[Row], tagger: Tagger, threshold: float
) -> dict[str, Any]:
    """The tagger as part of the builtin backend: rules, guards and ladder included."""
    settings = tagger.settings.model_copy(update={"threshold": threshold})
    ready = Tagger(settings, tagger.models, tagger.lexicons, tagger.properties)
    table: dict[str, Any] = {
        "protocol": "schema of the builtin backend, learned from the train texts; the surest "
        "checked fact of every listed slot, as written; slots of other attributes are not counted"
    }
    for name, one in (("rules", None), ("rules_and_tagger", ready)):
        scores = slot_scores(in_backend(train, test, one), [row["attributes"] for row in test])
        table[name] = scores.listed.model_dump(mode="json")
    return table


def normalized(
    train: Sequence[Row], test: Sequence[Row], found: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Figures of normalized values, where a set has them."""
    key = "attributes_normalized"
    if key not in test[0]:
        return {}
    normalizer = Normalizer.learn((row["attributes"], row[key]) for row in train)
    scores = normalized_scores(
        found, [row["attributes"] for row in test], [row[key] for row in test], normalizer
    )
    return {"normalized": scores.model_dump(mode="json")}


def labelled(row: Row) -> Labelled:
    values = {name: tuple(told) for name, told in row["attributes"].items()}
    return Labelled(document=document_of(row), values=values)


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
        rules = fact_table(graph)
        settings = {"tagger": str(taught(graph, Path(folder) / "tagger"))}
        build(source, make_backend("builtin", settings), graph)
        both = fact_table(graph)
    documents = list(source.documents())
    stable = stability(documents, lambda: make_backend("builtin"))
    return {
        "protocol": "one build of all listings, titles only, builtin backend",
        "build_wall_seconds": round(built, 2),
        "build_peak_memory_bytes": memory,
        **found.model_dump(mode="json"),
        "stability": stable.model_dump(mode="json"),
        "ablation": {
            "protocol": "the same graph by rules alone, and with a tagger that learned from what "
            "they are sure of; opposites: a feature may also stand for the no of a yes/no property",
            "rules": rules,
            "rules_and_tagger": both,
        },
    }


def taught(graph: Path, folder: Path) -> Path:
    """A tagger that learned from the sure facts of ``graph``, as `graph tagger` trains it."""
    from moonshelf.graph.builtin.tagger_files import save
    from moonshelf.graph.builtin.teach import LEAST_SURE, of_rules, settings_of
    from moonshelf.graph.state import State

    with State.open(graph, create=False) as state:
        examples = of_rules(state.documents(), state.outcomes("done"), ontology_of(graph))
    save(Tagger.train(examples.labelled, settings_of(LEAST_SURE)), folder)
    return folder


def fact_table(graph: Path) -> dict[str, Any]:
    """Facts and scores of a graph on both halves of the gold set, with and without opposites."""
    from moonshelf.graph.evaluate.facts import fact_scores
    from moonshelf.graph.evaluate.folder import extraction_of
    from moonshelf.graph.evaluate.gold import read_gold
    from moonshelf.graph.state import State

    with State.open(graph, create=False) as state:
        documents = list(state.documents())
        found = {one.document: extraction_of(one) for one in state.outcomes("done")}
    table: dict[str, Any] = {"facts": sum(len(one.facts) for one in found.values())}
    for split in ("dev", "test"):
        for opposites in (False, True):
            scores = fact_scores(
                found,
                documents,
                ontology_of(graph),
                read_gold(),
                split="dev" if split == "dev" else "test",
                opposites=opposites,
            )
            name = f"{split}_opposites" if opposites else split
            table[name] = {
                "listed": scores.listed.model_dump(mode="json"),
                "strict": scores.strict.model_dump(mode="json"),
            }
    return table


def ontology_of(graph: Path) -> Ontology:
    from moonshelf.graph.manifest import ONTOLOGY
    from moonshelf.graph.schema.history import History

    return History.open(graph / ONTOLOGY, create=False).ontology()


# --- results --------------------------------------------------------------------------------------
def versions() -> dict[str, str]:
    names = ("python-crfsuite", "pyoxigraph", "pyshacl", "rdflib", "rapidfuzz")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}


def shown(figures: Mapping[str, Any]) -> str:
    """A few lines for a person."""
    if "keys" in figures:
        return (
            f"{figures['set']}: key F1 {figures['keys']['f1']:.3f} "
            f"(P {figures['keys']['precision']:.3f}, R {figures['keys']['recall']:.3f}); harmonic "
            f"{figures['harmonic']:.3f}; values {_f1(figures['values'])}"
        )
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
    if "normalized" in figures:
        more += f"; normalized {_f1(figures['normalized']['found'])}"
    return f"{name}: {_f1(scores['listed'])} listed-slot, {_f1(scores['strict'])} strict{more}"


def _f1(one: Mapping[str, Any]) -> str:
    return f"F1 {one['score']['f1']:.3f} [{one['f1']['low']:.3f}, {one['f1']['high']:.3f}]"


if __name__ == "__main__":
    main()
