"""``moonshelf graph tagger``: labels in, a tagger out that a later build uses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.graph.builtin.tagger_files import open_tagger
from moonshelf.graph.state import State

Captured = pytest.CaptureFixture[str]
LINES = ("Aurora", "Borealis", "Corona", "Delphi", "Eclipse", "Fortuna", "Gemini")
MAKERS = ("Alveo", "Caldera", "Ferro", "Elmwick", "Dorian", "Brunt")


def title(k: int) -> str:
    return (
        f"{MAKERS[k % 6]} {1 + k % 4} L Kettle from the {LINES[k % 7]} line-up, "
        f"{('White', 'Black', 'Red')[k % 3]}, {1000 + 100 * (k % 8)} W"
    )


def write(path: Path, header: list[str], rows: list[list[str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture
def graph(tmp_path: Path, capsys: Captured) -> str:
    items = write(tmp_path / "items.csv", ["id", "title"], [[f"k{k}", title(k)] for k in range(70)])
    folder = str(tmp_path / "g")
    build = ["graph", "build", "--from", items, "--fields", "title", "--to", folder]
    assert main([*build, "--workers", "1"]) == 0
    capsys.readouterr()
    return folder


def again(graph: str, tagger: str, *more: str) -> int:
    items = str(Path(graph).parent / "items.csv")
    words = ["graph", "build", "--from", items, "--fields", "title", "--to", graph, *more]
    return main([*words, "--workers", "1", "--option", f"tagger={tagger}", "--json"])


def test_labels_train_a_tagger_that_a_build_uses(
    graph: str, tmp_path: Path, capsys: Captured
) -> None:
    rows = [[f"k{k}", "Line", LINES[k % 7]] for k in range(60)]
    rows += [["k1", "Line", "Nowhere"], ["stranger", "Line", "Aurora"]]
    labels = write(tmp_path / "labels.csv", ["document", "attribute", "value"], rows)
    folder = str(tmp_path / "tagger")
    assert main(["graph", "tagger", graph, "--to", folder, "--labels", labels]) == 0
    told = capsys.readouterr()
    assert "learned from 60 documents, 60 values" in told.out and "held out" in told.out
    assert "1 labels stand nowhere" in told.err and "1 ids are no document" in told.err

    assert again(graph, folder, "--learn", "again") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["extracted"] == 70  # another fingerprint: everything is read again
    with State.open(Path(graph), create=False) as state:
        said = {
            one.document: [f.value for f in one.facts if f.property == "line"]
            for one in state.outcomes("done")
        }
    assert said["k65"] == [LINES[65 % 7].lower()]  # nobody labelled it
    assert again(graph, folder) == 0
    assert json.loads(capsys.readouterr().out)["extracted"] == 0


def test_rules_teach_where_nobody_labelled(graph: str, tmp_path: Path, capsys: Captured) -> None:
    folder = str(tmp_path / "tagger")
    assert main(["graph", "tagger", graph, "--to", folder, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["choice"] is None and found["settings"]["trust"] == 0.75
    assert found["settings"]["threshold"] == pytest.approx(0.5 / 0.75)
    assert "brand" in found["properties"] and found["documents"] == 70
    assert found["digest"] == open_tagger(Path(folder)).digest
    assert again(graph, folder) == 0
    assert json.loads(capsys.readouterr().out)["extracted"] == 70


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--labels", "labels.csv", "--least", "0.5"], "--least is about facts"),
        (["--set", "id=sku"], "--set names columns of labels"),
        (["--least", "1.5"], "is no confidence"),
        (["--properties", "brnd"], "did you mean 'brand'"),
        (["--labels", "missing.csv"], "no such file"),
        (["--labels", "labels.csv"], "nothing to learn from"),
    ],
)
def test_mistakes(
    graph: str, tmp_path: Path, capsys: Captured, words: list[str], complaint: str
) -> None:
    write(tmp_path / "labels.csv", ["id", "property", "value"], [["k1", "Line", "Nowhere"]])
    words = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    assert main(["graph", "tagger", graph, "--to", str(tmp_path / "t"), *words]) != 0
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_a_folder_that_is_no_tagger_stops_the_build(
    graph: str, tmp_path: Path, capsys: Captured
) -> None:
    assert again(graph, str(tmp_path / "elsewhere")) != 0
    assert "manifest is missing" in capsys.readouterr().err
