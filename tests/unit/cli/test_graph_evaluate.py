"""``moonshelf graph evaluate`` says what its functions say, and fails where a graph is unsound."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.evaluate import gold
from moonshelf.graph.evaluate.thresholds import fold_of
from tests.unit.graph.evaluate import shop
from tests.unit.graph.toy_backend import ToyBackend

Captured = pytest.CaptureFixture[str]
SHOP = [shop.document(f"d{k}", f"Fan {k + 1} W red number {k}, 5 kg") for k in range(8)]


@pytest.fixture
def graph(tmp_path: Path) -> str:
    build(from_documents(SHOP), ToyBackend(), tmp_path / "g", BuildSettings(workers=1))
    return str(tmp_path / "g")


def test_figures_as_tables_and_as_json(
    graph: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = shop.gold_set(
        *(shop.gold_text(doc, "dev" if k < 4 else "test", brand=("red", "red"))
          for k, doc in enumerate(SHOP))
    )  # fmt: skip
    monkeypatch.setattr(gold, "read_gold", lambda: labels)
    assert main(["graph", "evaluate", graph, "--gold", "--missed", "2"]) == 0
    told = capsys.readouterr().out
    assert "schema instantiation" in told and "7,459" in told and "listed-slot" in told
    assert told.count("no fact: d") == 2 and "5 kg" in told
    assert main(["graph", "evaluate", graph, "--gold", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"]["units"] == {"mentions": 16, "reached": 8, "share": 0.5}
    assert found["facts"]["listed"]["score"]["f1"] == 1
    assert found["soundness"]["lost"] == []
    assert "number" not in json.dumps(found["text"])  # no text of a document


def test_a_lost_document_is_an_exit_code(graph: str, capsys: Captured) -> None:
    with sqlite3.connect(Path(graph) / "state.sqlite") as db:
        db.execute("DELETE FROM outcome WHERE id = 'd3'")
    assert main(["graph", "evaluate", graph, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["soundness"]["lost"] == ["d3"]


def test_a_gold_set_of_other_texts_is_an_error(graph: str, capsys: Captured) -> None:
    assert main(["graph", "evaluate", graph, "--gold"]) != 0
    assert "gold set" in capsys.readouterr().err


def test_an_induced_schema_against_labels(graph: str, tmp_path: Path, capsys: Captured) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f"d{k},Shade,red\nd{k},Mass,5 kg\n" for k in range(8)]
    labels.write_text("sku,property,value\n" + "".join(rows))
    words = ["graph", "evaluate", graph, "--labels", str(labels), "--set", "id=sku"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "keys, one to one" in told and "harmonic mean" in told
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["labels"]
    # half of the labelled texts are scored, the others pair keys with attributes
    scored = [doc for doc in SHOP if fold_of(doc, 2) == 0]
    assert found["texts"] == len(scored) and 0 < len(scored) < len(SHOP)
    assert found["gold"] == (2 if len(scored) >= 3 else 0)
    labels.write_text("sku,property,value\nstranger,Shade,red\n")
    assert main(words) != 0
    assert "labelled texts" in capsys.readouterr().err
    assert main(["graph", "evaluate", graph, "--set", "id=sku"]) != 0
