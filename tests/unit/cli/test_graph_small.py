"""Small shops: what cannot be learned is said, and an ontology of one's own helps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.graph.builtin.induce import LEAST
from moonshelf.graph.summary import FEW, little_learned

Captured = pytest.CaptureFixture[str]
# As docs/graph.md has it.
MINE = {
    "classes": [{"name": "Product"}, {"name": "Fan", "synonyms": ["fan"]}],
    "properties": [
        {"name": "power", "datatype": "decimal", "dimension": "power", "unit": "watt"},
        {"name": "color", "options": ["red", "blue"]},
    ],
}


def shop(path: Path, rows: int) -> str:
    lines = [f"p{k},Acme Fan {k + 2}0 W red,Quiet and light." for k in range(rows)]
    path.write_text("\n".join(["id,title,description", *lines]))
    return str(path)


@pytest.mark.parametrize("rows", [2, 4])
def test_a_small_shop_is_told_why_and_what_helps(
    tmp_path: Path, rows: int, capsys: Captured
) -> None:
    words = ["graph", "build", "--from", shop(tmp_path / "s.csv", rows), "--workers", "1"]
    assert main([*words, "--to", str(tmp_path / "g"), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert "at least 3 documents" in err and "--ontology FILE" in err
    assert found["little_learned"] in err
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(MINE))
    more = ["--to", str(tmp_path / "h"), "--ontology", str(mine), "--json"]
    assert main([*words, *more]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["facts"] >= 2 * rows and found["little_learned"] == "" and "at least" not in err


def test_what_is_enough_is_not_worth_a_word() -> None:
    assert little_learned("builtin", FEW * LEAST, 5, bool) == ""
    assert "4 documents" in little_learned("builtin", 4, 2, bool)
    assert little_learned("builtin", 4, 2, lambda: True) == ""
    assert little_learned("llm", 2, 5, bool) == ""
    told = little_learned("llm", 2, 0, bool)
    assert "nothing recurred" in told and "builtin" not in told


def test_an_ontology_needs_no_more_than_names(tmp_path: Path) -> None:
    from moonshelf.cli.graph_build import read_ontology

    path = tmp_path / "mine.json"
    path.write_text(json.dumps(MINE))
    found = read_ontology(path)
    root, fan = found.classes
    assert (root.parent, fan.parent, root.locked) == (None, "Product", True)
    path.write_text('{"classes": [{"name": "Fan"}]}')
    assert [one.name for one in read_ontology(path).classes] == ["Product", "Fan"]


@pytest.fixture
def graph(tmp_path: Path, capsys: Captured) -> str:
    mine, out = tmp_path / "mine.json", str(tmp_path / "own")
    mine.write_text(json.dumps(MINE))
    table = shop(tmp_path / "s.csv", 3)
    words = ["graph", "build", "--from", table, "--to", out, "--ontology", str(mine)]
    assert main([*words, "--workers", "1"]) == 0
    capsys.readouterr()
    return out


def test_an_export_makes_no_folders(graph: str, tmp_path: Path, capsys: Captured) -> None:
    for name in ("none/x.nq", "none/x.jsonl"):
        assert main(["graph", "export", graph, "--to", str(tmp_path / name)]) == 2
        told = capsys.readouterr().err
        assert "no such folder" in told and f"where: {tmp_path / 'none'}" in told
        assert not (tmp_path / "none").exists()
    assert main(["graph", "export", graph, "--to", str(tmp_path), "--format", "nq"]) == 2


def test_diff_alone_lists_the_versions(graph: str, capsys: Captured) -> None:
    from moonshelf.graph.manifest import ONTOLOGY
    from moonshelf.graph.schema.history import History

    assert main(["graph", "diff", graph, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    history = History.open(Path(graph) / ONTOLOGY, create=False)
    assert (found["first"], found["present"]) == (0, history.ontology().version)
    assert [one["version"] for one in found["versions"]] == list(history.versions)[1:]
    assert main(["graph", "diff", graph]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0: began with 2 classes, 2 properties"
    assert len(lines) == len(history.versions)
    assert main(["graph", "diff", graph, "0"]) == 2
    assert "lists all versions" in capsys.readouterr().err
    assert main(["graph", "diff", "--json", graph, "0", "0"]) == 0


def test_an_edit_in_a_few_words() -> None:
    from moonshelf.cli.graph_read import _edit
    from moonshelf.graph.edits import AddClass, Drop, Merge, Rename, Split
    from moonshelf.graph.ontology import ClassDef, PropertyDef
    from moonshelf.graph.schema.history import Decision

    parts = (PropertyDef(name="size"), PropertyDef(name="color"))
    edits = {
        "add class Fan": AddClass(element=ClassDef(name="Fan"), reason="x"),
        "merge colour, color into color": Merge(
            names=("colour", "color"), into="color", reason="x"
        ),
        "rename a into b": Rename(name="a", to="b", reason="x"),
        "split both into size, color": Split(name="both", into=parts, reason="x"),
        "drop a": Drop(name="a", reason="x"),
    }
    for told, edit in edits.items():
        decision = Decision(
            edit=edit, outcome="accepted", reason="", by="me", before_version=0, after_version=1
        )
        assert _edit(decision) == told


def test_the_root_is_no_category(tmp_path: Path, capsys: Captured) -> None:
    table, mine = tmp_path / "s.csv", tmp_path / "mine.json"
    table.write_text("id,title\na,Thing red\nb,Fan red\n")
    mine.write_text(json.dumps(MINE))
    words = ["graph", "build", "--from", str(table), "--ontology", str(mine), "--frozen"]
    assert main([*words, "--to", str(tmp_path / "g"), "--workers", "1"]) == 0
    out = tmp_path / "x.jsonld"
    assert main(["graph", "export", str(tmp_path / "g"), "--to", str(out)]) == 0
    found = {
        one["identifier"]: one.get("category") for one in json.loads(out.read_text())["@graph"]
    }
    assert found == {"a": None, "b": "fan"}


def test_a_cell_as_long_as_a_line_of_json_is_read(tmp_path: Path) -> None:
    import csv

    from moonshelf.catalog.readers.rows import MAX_CELL, Row, RowFile

    before = csv.field_size_limit()
    path = tmp_path / "long.csv"
    path.write_text(f"id,title\na,{'x' * 1_000_000}\nb,y\nc,{'z' * (MAX_CELL + 1)}\nd,y\n")
    rows = list(RowFile(path).rows())
    assert [isinstance(row, Row) for row in rows][:3] == [True, True, False]
    assert len(rows[0].fields["title"]) == 1_000_000  # type: ignore[union-attr]
    assert f"longer than {MAX_CELL:,}" in rows[2].error.what  # type: ignore[union-attr]
    assert csv.field_size_limit() == before, "others in this process keep theirs"


def test_the_example_of_the_docs_is_an_ontology(tmp_path: Path) -> None:
    import re

    from moonshelf.cli.graph_build import read_ontology
    from moonshelf.graph.schema.rules import check_base

    page = Path(__file__).parents[3] / "docs" / "graph.md"
    found = re.search(r'```json\n(\{\n  "classes".*?)```', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    path = tmp_path / "mine.json"
    path.write_text(found[1])
    ontology = read_ontology(path)
    check_base(ontology)
    assert ontology.property_of("power").unit == "watt" and ontology.class_of("Fan")
