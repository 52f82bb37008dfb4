"""``moonshelf graph report`` writes the page and says where, as a person or a machine reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.files import write_json_atomically
from tests.unit.graph.report.shop import SHOP, made

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    made(tmp_path / "g")
    return tmp_path / "g"


def test_the_page_lies_in_the_graph_or_where_it_is_wanted(
    graph: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["graph", "report", str(graph)]) == 0
    told = capsys.readouterr().out
    assert str(graph / "report.html") in told and f"{len(SHOP)} documents" in told
    assert (graph / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    out = tmp_path / "pages" / "shop.html"
    assert main(["graph", "report", str(graph), "--out", str(out)]) == 0
    assert out.is_file()


def test_figures_for_a_machine_hold_no_text_of_a_document(graph: Path, capsys: Captured) -> None:
    assert main(["graph", "report", str(graph), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ledger"]["documents"] == len(SHOP) and found["ledger"]["lost"] == []
    assert found["report"] == str(graph / "report.html")
    assert found["coverage"]["units"]["mentions"] > found["coverage"]["units"]["reached"] > 0
    assert found["sizes"]["paper"]["triples"] == 7459
    assert found["refused"] == {"conflict": 1, "span": 1}
    assert found["quarantined"] == {"extract": 1}
    assert found["queries"]["count"] > 0 and found["queries"]["slowest_ms"] > 0
    assert "AB100" not in json.dumps(found)


def test_an_unsound_graph_is_an_exit_code(graph: Path, capsys: Captured) -> None:
    manifest = json.loads((graph / "manifest.json").read_text())
    manifest["summary"]["ledger"]["lost"] = ["<b>gone</b>"]
    write_json_atomically(graph / "manifest.json", manifest)
    assert main(["graph", "report", str(graph)]) == 1
    page = (graph / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;gone" in page and "<b>gone" not in page


def test_a_folder_is_no_page(graph: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["graph", "report", str(graph), "--out", str(tmp_path)]) == 2
    assert "cure" in capsys.readouterr().err


def test_what_is_no_graph_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    assert main(["graph", "report", str(tmp_path)]) == 1
    assert "graph build" in capsys.readouterr().err
