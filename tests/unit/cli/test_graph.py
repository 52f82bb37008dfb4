"""``moonshelf graph``: from a table to a graph, asked, checked, compared and exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.product import Product
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.cli.graph_build import notes, read_ontology
from moonshelf.cli.main import main
from moonshelf.errors import UsageError
from moonshelf.graph import backends
from moonshelf.graph.learn import Learned
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document
from moonshelf.graph.summary import Ledger, Summary
from tests.unit.graph.toy_backend import POWER, ToyBackend, reply_error

Captured = pytest.CaptureFixture[str]
ITEMS = """\
sku,name,desc,price
a,Fan 20 W red AB100,Quiet.,cheap
b,Lamp 30 W blue,With 2 kW inside.,9
c,=SUM(A1) 2 kW green,,
d,nothing,,
"""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> list[ToyBackend]:
    """The verbs with a backend of four rules; the real ones have tests of their own."""
    made: list[ToyBackend] = []

    def make(name: str, settings: Any = None) -> ToyBackend:
        explode = {key: reply_error() for key in (settings or {}).get("explode", "").split(",")}
        made.append(ToyBackend(explode=explode))
        return made[-1]

    monkeypatch.setattr(backends, "make_backend", make)
    return made


@pytest.fixture
def items(tmp_path: Path) -> str:
    path = tmp_path / "items.csv"
    path.write_text(ITEMS)
    return str(path)


@pytest.fixture
def graph(tmp_path: Path, items: str, capsys: Captured) -> str:
    out = str(tmp_path / "graph")
    assert main(["graph", "build", "--from", items, "--to", out, "--json"]) == 0
    capsys.readouterr()
    return out


def answer(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["graph", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def failed(capsys: Captured, *words: str, code: int) -> str:
    assert main(["graph", *words]) == code
    return capsys.readouterr().err


def test_build_tells_the_ledger_and_does_nothing_twice(
    tmp_path: Path, items: str, capsys: Captured
) -> None:
    words = ("build", "--from", items, "--to", str(tmp_path / "g"), "--set", "title=name")
    found = answer(capsys, *words)
    assert found["ledger"] == {
        "documents": 4,
        "graph": 3,
        "no_facts": 1,
        "quarantined": 0,
        "lost": [],
    }
    assert (found["sound"], found["extracted"], found["refused"]) == (True, 4, {"conflict": 1})
    assert main(["graph", *words]) == 0
    out, err = capsys.readouterr()
    assert "4 documents: 3 in the graph, 1 without facts, 0 quarantined, 0 lost" in out
    assert "0 done now, 4 unchanged" in out and "0 shape violations" in out
    assert "title <- name" in err


def test_what_failed_is_told_with_its_list(
    tmp_path: Path, items: str, capsys: Captured, toy: list[ToyBackend]
) -> None:
    out = tmp_path / "g"
    words = ("build", "--from", items, "--to", str(out), "--option", "explode=b")
    assert main(["graph", *words]) == 0
    shown = capsys.readouterr()
    assert "1 quarantined" in shown.out and "quarantine.jsonl" in shown.err
    found = answer(capsys, "build", "--from", items, "--to", str(out), "--retry")
    assert (found["extracted"], found["ledger"]["quarantined"]) == (1, 0)
    err = failed(capsys, *words[:-1], "explode=a", "--retry", "--on-error", "stop", code=0)
    assert "quarantined" not in err, "what is done is not done again"
    new = ("build", "--from", items, "--to", str(tmp_path / "h"), "--option", "explode=a")
    err = failed(capsys, *new, "--on-error", "stop", code=1)
    assert "no JSON" in err and "cure:" in err


def test_a_catalogue_is_a_source(tmp_path: Path, capsys: Captured) -> None:
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(3):
            writer.add_product(Product(id=f"p{k}", title=f"Fan {k}0 W", description="red"))
        writer.commit()
    words = ("build", "--catalog", str(tmp_path / "shop"), "--to", str(tmp_path / "g"))
    assert answer(capsys, *words, "--fields", "title")["facts"] == 3
    both = answer(capsys, *words, "--fields", "title,description", "--learn", "again")
    assert (both["facts"], both["extracted"]) == (6, 3)
    assert answer(capsys, *words, "--limit", "1", "--prune")["pruned"] == 2
    assert "names columns" in failed(capsys, *words, "--set", "title=name", code=2)


def test_what_went_wrong_in_learning_and_writing_is_told(tmp_path: Path) -> None:
    ledger = Ledger(documents=9, graph=9, no_facts=0, quarantined=0)
    summary = Summary(
        ledger=ledger,
        learned=Learned(version=1, failed=2),
        unfit=3,
        unfit_reasons=("document a: no property 'x'",),
    )
    told = " ".join(notes(summary, tmp_path))
    assert "without 2 batches" in told
    assert "3 facts fit no property" in told and "no property 'x'" in told
    assert notes(Summary(ledger=ledger, learned=Learned(version=1)), tmp_path) == []


def test_query_shows_rows_and_short_addresses(graph: str, capsys: Captured) -> None:
    sparql = "SELECT ?c ?w { GRAPH ?g { ?x a ?c; p:power ?w; p:color ?k } } ORDER BY ?w"
    assert main(["graph", "query", graph, sparql]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["c:Fan", "20"],
        ["c:Lamp", "30"],
        ["c:Product", "2000"],
    ]
    found = answer(capsys, "query", graph, sparql, "--limit", "1")
    assert found["truncated"] is True
    assert found["rows"][0]["w"]["value"] == "20"
    assert found["rows"][0]["w"]["datatype"].endswith("#decimal")
    assert found["rows"][0]["c"]["type"] == "iri"
    assert answer(capsys, "query", graph, "ASK { GRAPH ?g { ?x a c:Fan } }")["truth"] is True
    bound = answer(
        capsys,
        "query",
        graph,
        "SELECT ?l ?x { GRAPH ?g { ?x rdfs:label ?l } }",
        "--bind",
        "l=nothing",
    )
    assert bound["rows"] == []


def test_query_from_a_file_and_its_mistakes(graph: str, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "q.rq"
    path.write_text("SELECT ?x { GRAPH ?g { ?x a c:Lamp } }")
    assert len(answer(capsys, "query", graph, "--file", str(path))["rows"]) == 1
    assert "name one query" in failed(capsys, "query", graph, code=2)
    assert "is not NAME=TEXT" in failed(capsys, "query", graph, "ASK {}", "--bind", "x", code=2)
    assert "cure:" in failed(capsys, "query", graph, "DROP ALL", code=2)
    assert "no graph" in failed(capsys, "query", str(tmp_path), "ASK {}", code=1)


def test_validate_says_whether_every_shape_holds(graph: str, capsys: Captured) -> None:
    assert main(["graph", "validate", graph]) == 0
    assert "every shape holds" in capsys.readouterr().out
    found = answer(capsys, "validate", graph)
    assert (found["conforms"], found["violations"]) == (True, 0)


def test_validate_finds_what_somebody_put_there(graph: str, capsys: Captured) -> None:
    from moonshelf.graph.rdf.library import oxigraph
    from moonshelf.graph.rdf.store import GraphStore

    library = oxigraph()
    with GraphStore.open(Path(graph) / "store") as store:
        names = store.names
        quad = library.Quad(
            library.NamedNode(names.product("a")),
            library.NamedNode(names.property("power")),
            library.Literal(
                "12,5", datatype=library.NamedNode("http://www.w3.org/2001/XMLSchema#decimal")
            ),
            library.NamedNode(names.facts("a")),
        )
        store.database.extend([quad])
    found = answer(capsys, "validate", graph, code=1)
    assert found["violations"] >= 1 and found["first"][0]["product"] == "a"


@pytest.mark.parametrize("format", ["nq", "ttl", "jsonld", "schema-ttl", "csv"])
def test_every_export_is_read_back(
    graph: str, tmp_path: Path, capsys: Captured, format: str
) -> None:
    from moonshelf.graph.rdf.library import oxigraph

    path = tmp_path / f"out.{format}"
    words = ("export", graph, "--to", str(path), "--format", format)
    found = answer(capsys, *words)
    first = path.read_bytes()
    assert answer(capsys, *words) == found and path.read_bytes() == first
    library = oxigraph()
    if format == "csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = {row["id"]: row for row in csv.DictReader(file)}
        assert rows["b"]["power [watt]"] == "30" and rows["a"]["class"] == "Fan"
        assert rows["c"]["label"] == "'=SUM(A1) 2 kW green", "no spreadsheet calculates it"
    elif format == "jsonld":
        products = json.loads(first)["@graph"]
        assert {one["identifier"] for one in products} == {"a", "b", "c"}
    else:
        kinds = {"nq": library.RdfFormat.N_QUADS}
        quads = list(library.parse(first, format=kinds.get(format, library.RdfFormat.TURTLE)))
        assert len(quads) > 20
        assert ("quads" if format == "nq" else "products") in found
        raws = [q for q in quads if q.predicate.value.endswith("/raw")]
        assert bool(raws) is (format == "nq"), "evidence is in the full dump alone"


def test_export_knows_a_format_by_its_suffix(graph: str, tmp_path: Path, capsys: Captured) -> None:
    assert answer(capsys, "export", graph, "--to", str(tmp_path / "x.csv"))["format"] == "csv"
    err = failed(capsys, "export", graph, "--to", str(tmp_path / "x.xlsx"), code=2)
    assert "--format nq, ttl" in err


def test_diff_of_two_versions(graph: str, capsys: Captured) -> None:
    found = answer(capsys, "diff", graph, "0", "3")
    assert found["changes"] and all(line.startswith("+") for line in found["changes"])
    assert main(["graph", "diff", graph, "2", "2"]) == 0
    assert "are the same" in capsys.readouterr().out
    assert "choose from 0 to" in failed(capsys, "diff", graph, "0", "99", code=2)


def test_an_ontology_of_ones_own(tmp_path: Path, items: str, capsys: Captured) -> None:
    path = tmp_path / "mine.json"
    mine = Ontology(properties=(POWER.model_copy(update={"locked": True}),))
    path.write_text(mine.model_dump_json())
    assert read_ontology(path) == mine
    words = ("build", "--from", items, "--to", str(tmp_path / "g"), "--ontology", str(path))
    found = answer(capsys, *words, "--frozen")
    assert (found["classes"], found["properties"], found["ontology"]) == (1, 1, 0)
    err = failed(capsys, "build", "--from", items, "--to", str(tmp_path / "h"), "--frozen", code=2)
    assert "pass --ontology FILE" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"propertys": []}', "did you mean 'properties'"),
        ('{"properties": [{"name": "Power"}]}', "is named like cooling_capacity"),
        ('{"properties": [{"name": "a", "domain": "X"}]}', "unknown class 'X'"),
    ],
)
def test_a_wrong_ontology_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_ontology(path)
    assert message in str(caught.value)
    with pytest.raises(UsageError, match="no such file"):
        read_ontology(tmp_path / "none.json")


def test_wrong_use_is_exit_two(items: str, tmp_path: Path, capsys: Captured) -> None:
    out = str(tmp_path / "g")
    for words in (
        ("build", "--to", out),
        ("build", "--from", items, "--catalog", items, "--to", out),
        ("build", "--from", items, "--to", out, "--frozen", "--learn", "again"),
        ("build", "--from", items, "--to", out, "--workers", "0"),
        ("build", "--from", items, "--to", out, "--samples", "0"),
        ("build", "--from", items, "--to", out, "--fields", "titel"),
        ("build", "--from", items, "--to", out, "--set", "title=none"),
        ("build", "--from", items, "--to", out, "--base", "ftp://x"),
    ):
        assert "error:" in failed(capsys, *words, code=2)
    assert failed(capsys, "build", "--from", str(tmp_path / "no.csv"), "--to", out, code=1)


def test_documents_in_a_graph_keep_their_text(graph: str) -> None:
    from moonshelf.graph.state import State

    with State.open(Path(graph)) as state:
        found = state.document("a")
    assert found == Document(
        id="a", fields=(("title", "Fan 20 W red AB100"), ("description", "Quiet."))
    )
