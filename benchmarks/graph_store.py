"""The graph store: loading, changing, dumping, querying and checking, beside rdflib alone.

    python -m benchmarks.graph_store

Documents are drawn (no data needed); each arm runs in a process of its own. rdflib gets the dump of
the small store and the same queries; at a million quads it would need a few GB and many minutes.
Writes ``benchmarks/results/graph_store.json`` and prints a table.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.records import Amount, Fact, Span, TextEvidence

RESULTS = Path(__file__).parent / "results"
CLASSES, PROPERTIES, FACTS, BATCH = 42, 69, 8, 1_000
QUADS_PER_DOCUMENT = 108

NARROW_TOP = "SELECT ?v (COUNT(*) AS ?n) {{ GRAPH ?g {{ ?s <{path}> ?v }} }} GROUP BY ?v"
QUERIES = {
    "count by class": "SELECT ?c (COUNT(*) AS ?n) { GRAPH ?g { ?s a ?c } } GROUP BY ?c",
    "count by property": "SELECT ?p (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } } GROUP BY ?p",
}


# --- drawn documents ------------------------------------------------------------------------------
def ontology() -> Ontology:
    """As many classes and properties as the paper's: 42 and 69, a third of them quantities."""
    kinds = [ClassDef(name="Product", parent=None)]
    kinds += [ClassDef(name=f"Kind{n}") for n in range(CLASSES - 1)]
    owned = []
    for n in range(PROPERTIES):
        if n % 3 == 0:
            owned.append(
                PropertyDef(name=f"p{n}", datatype="decimal", dimension="mass", unit="kilogram")
            )
        elif n % 10 == 1:
            owned.append(PropertyDef(name=f"p{n}", kind="object"))
        elif n % 10 == 2:
            owned.append(PropertyDef(name=f"p{n}", kind="feature", datatype="boolean"))
        else:
            owned.append(PropertyDef(name=f"p{n}", many=True))
    return Ontology(version=1, classes=tuple(kinds), properties=tuple(owned))


def entries(count: int, known: Ontology, seed: int = 0) -> Iterator[Entry]:
    """Documents with eight facts; a few classes, properties and values are frequent."""
    chance = random.Random(seed)
    for n in range(count):
        chosen = {int(chance.random() ** 2 * PROPERTIES) for _ in range(FACTS + 2)}
        facts = tuple(
            _fact(f"listing {n}", known.properties[k], chance) for k in sorted(chosen)[:FACTS]
        )
        kind = known.classes[int(chance.random() ** 2 * CLASSES)].name
        yield Entry(f"listing {n}", facts, kind, label=f"Product number {n}", backend="drawn")


def _fact(document: str, owned: PropertyDef, chance: random.Random) -> Fact:
    rank = int(chance.random() ** 3 * 300)
    value: Any = f"value {rank}"
    if owned.datatype == "decimal":
        value = Amount(amount=Decimal(rank) / 4)
    elif owned.datatype == "boolean":
        value = rank % 2 == 0
    start = chance.randrange(200)
    raw = f"{owned.name} {rank} kg"
    evidence = TextEvidence(span=Span(field="title", start=start, end=start + len(raw)), raw=raw)
    return Fact(
        document=document, property=owned.name, value=value, evidence=evidence, confidence=0.9
    )


# --- the store ------------------------------------------------------------------------------------
def measure_store(quads: int, folder: Path) -> dict[str, Any]:
    """All that a build does with a store of about ``quads`` quads, and what a report asks of it."""
    from moonshelf.graph.rdf.check import check
    from moonshelf.graph.rdf.store import GraphStore

    known = ontology()
    count = quads // QUADS_PER_DOCUMENT
    drawn = list(entries(count, known))
    found: dict[str, Any] = {"documents": count, "process_mib_before": _memory("VmRSS")}
    store = GraphStore.open(folder / "store")
    store.put_ontology(known)
    found["put"] = _timed(lambda: _put(store, drawn, known))
    found["quads"] = len(store)
    found["optimize"] = _timed(store.optimize)
    some = drawn[: max(1, count // 20)]
    found["put 5 % unchanged"] = _timed(lambda: _put(store, some, known))
    other = list(entries(len(some), known, seed=1))
    found["put 5 % all new facts"] = _timed(lambda: _put(store, other, known))
    found["put 5 % back"] = _timed(lambda: _put(store, some, known))
    names = [entry.document for entry in some]
    found["drop 5 %"] = _timed(lambda: store.drop_many(names))
    _put(store, some, known)
    store.flush()
    found["process_mib_peak"] = _memory("VmHWM")
    found["disk_mib"] = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) >> 20
    found["dump"] = _timed(lambda: store.dump(folder / "a.nq"))
    found["dump_mib"] = (folder / "a.nq").stat().st_size >> 20
    found["dump_again_equal"] = store.dump(folder / "b.nq") == _digest(folder / "a.nq")
    found["queries_ms"] = _queries(store, known)
    path = store.names.property(known.properties[0].name)
    text = f"SELECT ?s ?v {{ ?s <{path}> ?v }} LIMIT 20"
    found["query process, first"] = _timed(lambda: store.query(text))
    found["query process, then"] = _timed(lambda: store.query(text))
    found["check"] = _timed(lambda: list(check(store, known)))
    found["check"]["violations"] = sum(1 for _ in check(store, known, documents=names))
    found["product_statements"] = count * (FACTS + 2)
    store.close()
    found["open"] = _timed(lambda: GraphStore.open(folder / "store", read_only=True).close())
    found["restore"] = _timed(lambda: GraphStore.restore(folder / "a.nq", folder / "again"))
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(store: Any, drawn: list[Entry], known: Ontology) -> None:
    waiting = iter(drawn)
    while part := list(itertools.islice(waiting, BATCH)):
        refused = store.put_many(part, known)
        assert not refused, refused[0]


def _queries(store: Any, known: Ontology) -> dict[str, float]:
    """As anybody would write them, and as the report asks."""
    from moonshelf.graph.rdf import summary

    names = store.names
    kinds = [names.product_class(kind.name) for kind in known.classes]
    paths = [names.property(owned.name) for owned in known.properties]
    told = {
        f"{name}, plain": _best(lambda t=t: list(store.database.query(t)))
        for name, t in QUERIES.items()
    }
    told["count by class, narrow"] = _best(lambda: summary.counts(store, "?s a ?x", kinds, False))
    told["count by property, narrow"] = _best(
        lambda: summary.counts(store, "?s ?x ?o", paths, False)
    )
    told["count by property, narrow, distinct"] = _best(
        lambda: summary.counts(store, "?s ?x ?o", paths)
    )
    frequent = known.properties[4]
    told["top values of a frequent property"] = _best(lambda: summary.top_values(store, frequent))
    told["top values of a rare property"] = _best(
        lambda: summary.top_values(store, known.properties[-1])
    )
    told["products of a class with a property"] = _best(
        lambda: list(
            store.database.query(
                f"SELECT ?s ?v {{ GRAPH ?g {{ ?s a <{kinds[1]}> ; <{paths[4]}> ?v }} }} LIMIT 100"
            )
        )
    )
    told["whole summary"] = _best(lambda: summary.summarize(store, known))
    return told


# --- rdflib alone ---------------------------------------------------------------------------------
def measure_rdflib(dump: Path) -> dict[str, Any]:
    """Loads the statements of a dump and asks the same. One plain graph, its fastest form: over one
    graph a document (``GRAPH ?g``) the first query takes rdflib a minute."""
    import logging

    import pyoxigraph
    import rdflib

    logging.disable(logging.WARNING)
    kind = pyoxigraph.RdfFormat
    triples = (quad.triple for quad in pyoxigraph.parse(path=str(dump), format=kind.N_QUADS))
    lines = dump.with_suffix(".nt")
    pyoxigraph.serialize(triples, lines, format=kind.N_TRIPLES)
    found: dict[str, Any] = {"process_mib_before": _memory("VmRSS")}
    data = rdflib.Graph(bind_namespaces="none")
    found["load"] = _timed(lambda: data.parse(lines, format="nt"))
    found["quads"] = len(data)
    found["process_mib_peak"] = _memory("VmHWM")
    path = "https://example.org/moonshelf/ontology/property/p4"
    asked = {f"{name}, plain": text for name, text in QUERIES.items()}
    asked["top values of a frequent property"] = NARROW_TOP.format(path=path)
    plain = {name: text.replace("GRAPH ?g {", "{") for name, text in asked.items()}
    found["queries_ms"] = {
        name: _best(lambda t=text: list(data.query(t)), repeats=2) for name, text in plain.items()
    }
    return found


def measure_oxigraph(dump: Path, folder: Path) -> dict[str, Any]:
    """pyoxigraph alone, on disk, for the same dump: what the store adds is the rest."""
    import pyoxigraph

    found: dict[str, Any] = {"process_mib_before": _memory("VmRSS")}
    store = pyoxigraph.Store(str(folder / "plain"))
    found["load"] = _timed(
        lambda: store.bulk_load(path=str(dump), format=pyoxigraph.RdfFormat.N_QUADS)
    )
    found["quads"] = len(store)
    found["process_mib_peak"] = _memory("VmHWM")
    return found


# --- how it is measured ---------------------------------------------------------------------------
def _timed(work: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "wall_s": round(time.perf_counter() - wall, 4),
        "cpu_s": round(time.process_time() - cpu, 5),
    }


def _best(work: Callable[[], Any], repeats: int = 5) -> float:
    """CPU milliseconds: what a query takes on an idle machine, whatever this one does else."""
    return round(1_000 * min(_timed(work)["cpu_s"] for _ in range(repeats)), 2)


def _memory(field: str) -> int:
    """MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) >> 10


def _in_a_process(arm: str, folder: Path, quads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.graph_store", "--arm", arm]
    command += ["--folder", str(folder), "--quads", str(quads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arm} at {quads} quads failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def _machine() -> dict[str, Any]:
    names = ("pyoxigraph", "rdflib", "pyshacl")
    model = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "load_average_after": [round(x, 2) for x in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def table(results: dict[str, Any]) -> str:
    small, large = results["small"], results["large"]
    lines = [
        f"| | store, {small['quads']:,} quads | store, {large['quads']:,} quads | rdflib, small |"
    ]
    lines += ["|---|--:|--:|--:|"]
    for name in (
        "put",
        "optimize",
        "put 5 % unchanged",
        "put 5 % all new facts",
        "drop 5 %",
        "dump",
        "restore",
        "check",
    ):
        lines.append(
            f"| {name}, CPU s | {small[name]['cpu_s']:.2f} | {large[name]['cpu_s']:.2f} | |"
        )
    loads = [results[arm]["load"]["cpu_s"] for arm in ("oxigraph", "rdflib")]
    lines.append(
        f"| load of the small dump, CPU s | {loads[0]:.2f} (pyoxigraph alone) | | {loads[1]:.2f} |"
    )
    for name, value in small["queries_ms"].items():
        theirs = results["rdflib"]["queries_ms"].get(name)
        told = "" if theirs is None else f"{theirs:,.1f}"
        lines.append(
            f"| {name}, CPU ms | {value:,.1f} | {large['queries_ms'][name]:,.1f} | {told} |"
        )
    for name in ("process_mib_before", "process_mib_peak"):
        lines.append(f"| {name} | {small[name]} | {large[name]} | {results['rdflib'][name]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", type=int, default=100_000, help="quads, with rdflib beside")
    parser.add_argument("--large", type=int, default=1_000_000, help="quads, the store alone")
    parser.add_argument("--arm", choices=["store", "rdflib", "oxigraph"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm == "store":
        print(json.dumps(measure_store(options.quads, options.folder)))
        return
    if options.arm:
        dump = options.folder / "a.nq"
        arm = {"rdflib": measure_rdflib, "oxigraph": lambda d: measure_oxigraph(d, options.folder)}
        print(json.dumps(arm[options.arm](dump)))
        return
    results: dict[str, Any] = {
        "what": "wall and CPU seconds; queries: CPU milliseconds, best of five"
    }
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        results["small"] = _in_a_process("store", Path(small), options.small)
        results["rdflib"] = _in_a_process("rdflib", Path(small), options.small)
        results["oxigraph"] = _in_a_process("oxigraph", Path(small), options.small)
        results["large"] = _in_a_process("store", Path(large), options.large)
    results["machine"] = _machine()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "graph_store.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
