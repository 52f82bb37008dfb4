"""A graph's store against its state, of which it is made: what differs, and the store made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moonshelf.errors import StoreError
from moonshelf.files import lock_folder, write_json_atomically
from moonshelf.graph.held import pieces, with_outcomes
from moonshelf.graph.manifest import MANIFEST, ONTOLOGY, STORE, read_complete
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.quarantine import FILE as QUARANTINE
from moonshelf.graph.quarantine import write_quarantine
from moonshelf.graph.rdf.compare import Difference, compare
from moonshelf.graph.rdf.product_graph import Entry
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.resolve import Link
from moonshelf.graph.schema.history import History
from moonshelf.graph.stages import Clock, Stages, quiet
from moonshelf.graph.state import State
from moonshelf.graph.writing import (
    PUT_TOGETHER,
    Written,
    empty_store,
    entry_of,
    refuse_early,
    write_graph,
)
from moonshelf.progress import Progress, silent


def differences(
    graph: Path, store: GraphStore, ontology: Ontology, progress: Progress | None = None
) -> Iterator[Difference]:
    """What ``store`` holds otherwise than the state of ``graph`` says.

    Args:
        graph: a folder whose last build came to its end.
        store: of it, opened to read.
        ontology: the present one.

    Raises:
        StoreError: no graph, or one whose build has not ended.
    """
    resolved = read_complete(graph)["settings"]["resolve"]
    with State.open(graph, create=False) as state:
        known = (state.recall("resolution") or {"links": ()}) if resolved else {"links": ()}
        links = [Link.model_validate(one) for one in known["links"]]
        yield from compare(store, _entries(state, progress or silent), ontology, links)


def repair(graph: Path, stages: Stages = quiet) -> Written:
    """Makes the store of a graph anew from its state; the source is not needed.

    A run that is killed leaves a graph that says it is not complete; repair it again, or build.

    Raises:
        StoreError: no graph, one that is being built or read, or a damaged state.
    """
    manifest = read_complete(graph)
    busy = StoreError(
        "another build works in this folder", where=str(graph), cure="wait until it is done"
    )
    with lock_folder(graph, busy), State.open(graph, create=False) as state:
        settings = manifest["settings"]
        refuse_early(graph / STORE, base=settings["base"], resolve=settings["resolve"])
        write_json_atomically(graph / MANIFEST, {**manifest, "status": "building"})
        empty_store(state, graph / STORE)
        written = write_graph(
            state,
            graph / STORE,
            History.open(graph / ONTOLOGY, create=False).ontology(),
            base=settings["base"],
            resolve=settings["resolve"],
            clock=Clock(),
            stages=stages,
        )
        problems = (one.problem for one in state.outcomes("quarantined"))
        write_quarantine(graph / QUARANTINE, (one for one in problems if one is not None))
        write_json_atomically(graph / MANIFEST, _noted(manifest, written))
    return written


def _entries(state: State, progress: Progress) -> Iterator[Entry]:
    overruled = state.overruled()
    names = sorted(state.ids("done"))
    done = 0
    for piece in pieces(names, PUT_TOGETHER):
        for document, outcome in with_outcomes(state, piece):
            yield entry_of(document, outcome, overruled.get(document.id, {}))
        done += len(piece)
        progress(done, len(names))


def _noted(manifest: dict[str, Any], written: Written) -> dict[str, Any]:
    """The manifest with what the store holds now."""
    summary = {
        **manifest["summary"],
        "quads": written.quads,
        "same": written.same,
        "variants": written.variants,
        "shapes": {"checked": written.checked, "violations": written.violations},
    }
    return {**manifest, "summary": summary}
