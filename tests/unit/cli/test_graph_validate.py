"""``moonshelf graph validate`` sees whatever somebody did to a store, and makes it anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moonshelf.cli.main import main
from moonshelf.files import write_json_atomically
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.store import GraphStore
from tests.unit.graph.report.shop import made

Captured = pytest.CaptureFixture[str]
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "g"
    made(out)
    return out


@pytest.fixture
def graph(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "g")
    return tmp_path / "g"


def told(capsys: Captured, *words: str, code: int) -> dict[str, Any]:
    assert main(["graph", "validate", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def dump(graph: Path) -> bytes:
    with GraphStore.open(graph / "store", read_only=True) as store:
        store.dump(graph.parent / "dump.nq")
    return (graph.parent / "dump.nq").read_bytes()


def test_a_sound_graph_is_what_its_state_says(graph: Path, capsys: Captured) -> None:
    found = told(capsys, str(graph), code=0)
    assert (found["conforms"], found["differing_graphs"], found["undeclared_elements"]) == (
        True,
        0,
        0,
    )
    assert main(["graph", "validate", str(graph)]) == 0
    assert "the store is what the state says" in capsys.readouterr().out


def _quad(store: GraphStore, subject: str, predicate: str, value: Any, graph: str) -> Any:
    library = oxigraph()
    node = library.NamedNode
    value = node(value) if isinstance(value, str) else value
    return library.Quad(node(subject), node(predicate), value, node(graph))


def _property(store: GraphStore) -> None:
    names, value = store.names, oxigraph().Literal("x")
    quad = _quad(store, names.product("lamp"), names.property("secret"), value, names.facts("lamp"))
    store.database.add(quad)


def _class(store: GraphStore) -> None:
    names = store.names
    kind = names.product_class("Spaceship")
    store.database.add(_quad(store, names.product("lamp"), RDF_TYPE, kind, names.facts("lamp")))


def _alien(store: GraphStore) -> None:
    value = oxigraph().Literal("x")
    quad = _quad(store, "https://evil.org/a", "https://evil.org/b", value, "https://evil.org/g")
    store.database.add(quad)


def _nowhere(store: GraphStore) -> None:
    node = oxigraph().NamedNode
    store.database.add(oxigraph().Quad(node("https://evil.org/a"), node("https://evil.org/b"),
                                       node("https://evil.org/c")))  # fmt: skip


def _deleted(store: GraphStore) -> None:
    path = oxigraph().NamedNode(store.names.property("power"))
    store.database.remove(next(store.database.quads_for_pattern(None, path, None, None)))


def _no_evidence(store: GraphStore) -> None:
    store.database.remove_graph(oxigraph().NamedNode(store.names.evidence("fan-3")))


def _no_document(store: GraphStore) -> None:
    store.drop("kettle")


def _other_link(store: GraphStore) -> None:
    names = store.names
    same = "http://www.w3.org/2002/07/owl#sameAs"
    store.database.add(
        _quad(store, names.product("lamp"), same, names.product("fan-1"), names.links)
    )


def _no_ontology(store: GraphStore) -> None:
    store.database.remove_graph(oxigraph().NamedNode(store.names.ontology))


DAMAGE: list[tuple[Callable[[GraphStore], None], dict[str, Any]]] = [
    (_property, {"where": "lamp", "what": "document", "missing": 0, "foreign": 1}),
    (_class, {"where": "lamp", "what": "document", "missing": 0, "foreign": 1}),
    (
        _alien,
        {"where": "<https://evil.org/g>", "what": "unknown graph", "missing": 0, "foreign": 1},
    ),
    (_nowhere, {"where": "the default graph", "what": "unknown graph", "missing": 0, "foreign": 1}),
    (_deleted, {"what": "document", "missing": 1, "foreign": 0}),
    (_no_evidence, {"where": "fan-3", "what": "document", "foreign": 0}),
    (_no_document, {"where": "kettle", "what": "document", "foreign": 0}),
    (_other_link, {"where": "graph:links", "what": "graph", "missing": 0, "foreign": 1}),
    (_no_ontology, {"what": "graph", "foreign": 0}),
]


@pytest.mark.parametrize(("damage", "wanted"), DAMAGE, ids=lambda one: getattr(one, "__name__", ""))
def test_whatever_was_done_to_the_store_is_seen_and_mended(
    graph: Path, capsys: Captured, damage: Callable[[GraphStore], None], wanted: dict[str, Any]
) -> None:
    before = dump(graph)
    with GraphStore.open(graph / "store") as store:
        damage(store)
    found = told(capsys, str(graph), code=1)
    assert found["differing_graphs"] == 1 and found["conforms"] is False
    assert wanted.items() <= found["differences"][0].items()
    assert found["differences"][0]["missing"] + found["differences"][0]["foreign"] > 0
    elements = {one["name"] for one in found["undeclared"]}
    assert elements == {_property: {"p:secret"}, _class: {"c:Spaceship"}}.get(damage, set())
    assert main(["graph", "validate", str(graph)]) == 1
    assert "--repair" in capsys.readouterr().err
    assert told(capsys, str(graph), "--repair", code=0)["differing_graphs"] == 0
    assert dump(graph) == before


def test_a_build_makes_a_store_anew_that_somebody_changed(graph: Path) -> None:
    before = dump(graph)
    assert made(graph).remade is False
    with GraphStore.open(graph / "store") as store:
        _alien(store)
        _deleted(store)
        _deleted(store)
    assert made(graph).remade is True
    assert dump(graph) == before and made(graph).remade is False


def test_a_database_that_is_gone_or_damaged_comes_back(graph: Path, capsys: Captured) -> None:
    before = dump(graph)
    for file in (graph / "store" / "data").glob("*"):
        if file.name.startswith(("MANIFEST", "CURRENT")) or file.suffix == ".sst":
            file.write_bytes(b"damage")
    assert main(["graph", "validate", str(graph)]) == 1
    assert "--repair" in capsys.readouterr().err
    assert main(["graph", "validate", str(graph), "--repair"]) == 0
    assert dump(graph) == before


def test_a_graph_that_is_not_complete_is_not_compared_nor_repaired(
    graph: Path, capsys: Captured
) -> None:
    manifest = json.loads((graph / "manifest.json").read_text())
    write_json_atomically(graph / "manifest.json", {**manifest, "status": "building"})
    assert told(capsys, str(graph), code=0)["differing_graphs"] is None
    assert main(["graph", "validate", str(graph), "--repair"]) == 1
    assert "not complete" in capsys.readouterr().err
