"""``moonshelf graph query``: options in any order, addresses to copy, errors of one line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.rdf.iris import Names
from moonshelf.graph.records import Document
from tests.unit.graph.toy_backend import ToyBackend

Captured = pytest.CaptureFixture[str]
LONG = "a-product-whose-identifier-is-longer-than-any-cell-of-a-table-may-be-0123456789"
FANS = "SELECT ?x { GRAPH ?g { ?x a c:Fan } }"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("graphs") / "g"
    texts = [("b", "Fan 20 W"), (LONG, "Fan 30 W red"), ("c", "Lamp 5 W")]
    documents = [Document(id=name, fields=(("title", text),)) for name, text in texts]
    build(from_documents(documents), ToyBackend(), out, BuildSettings(workers=1))
    return str(out)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_options_stand_anywhere(graph: str, order: tuple[int, ...], capsys: Captured) -> None:
    # the graph comes before the query, whatever stands between them
    words = [[graph], [FANS], ["--limit", "1"], ["--json", "--timeout", "5"]]
    if order.index(0) > order.index(1):
        return
    assert main(["graph", "query", *itertools.chain(*(words[k] for k in order))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 1 and found["truncated"]


def test_a_file_in_place_of_the_query_also_before_the_graph(
    graph: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "q.rq"
    path.write_text(FANS)
    for words in (["--file", str(path), graph], [graph, "--file", str(path), "--limit", "9"]):
        assert main(["graph", "query", *words, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["rows"]) == 2
    assert main(["graph", "query", "--limit", "5"]) == 2
    assert "graph" in capsys.readouterr().err
    assert main(["graph", "query", graph, FANS, "and more"]) == 2
    assert "and more" in capsys.readouterr().err


def test_what_is_shown_can_be_asked_for(graph: str, capsys: Captured) -> None:
    sparql = "SELECT ?x ?s { GRAPH ?g { ?s rdf:subject ?x; v:raw 'red' } }"
    assert main(["graph", "query", graph, sparql]) == 0
    product, statement = capsys.readouterr().out.splitlines()[-1].split()
    assert product.startswith("product:a-product") and "\u2026" not in product + statement
    assert statement.startswith("<https://") and statement.endswith(">")
    again = (
        f"SELECT ?w {{ GRAPH ?g {{ {product} p:power ?w }} GRAPH ?h {{ {statement} v:raw ?r }} }}"
    )
    assert main(["graph", "query", graph, again, "--json"]) == 0
    assert [row["w"]["value"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["30"]


def test_help_names_every_prefix(capsys: Captured) -> None:
    assert main(["graph", "query", "--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in Names().query_prefixes() if f" {name}:" not in told] == []


def test_names_are_short_only_where_a_query_takes_them() -> None:
    names = Names()
    assert names.short(names.product_class("Fan")) == "c:Fan"
    assert names.short(names.property("power", "min")) == "p:power-min"
    entity = names.entity("brand", "LG")
    assert names.short(entity) == f"<{entity}>", "a slash needs an escape"
    assert names.short("https://elsewhere.org/x") == "<https://elsewhere.org/x>"
    assert names.short(f"{names.base}product/") == f"<{names.base}product/>"


@pytest.mark.parametrize(
    ("sparql", "told"),
    [
        ("SELECT ?x { ?x a FOO }", "line 1, character 21: behind 'FOO', before '}'"),
        ("SELECT ?x {\n ?x zz:kind ?y }", "the prefix zz: is not declared"),
        ("SELECT ?x { ?x a ?y", "at its end"),
        ("DROP ALL", "write SELECT"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(
    graph: str, sparql: str, told: str, capsys: Captured
) -> None:
    assert main(["graph", "query", graph, sparql]) == 2
    err = capsys.readouterr().err
    assert told in err and "cure:" in err
    assert "expected" not in err and max(map(len, err.splitlines())) < 200
