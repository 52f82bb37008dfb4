"""``moonshelf graph evaluate`` shows every table that its inputs allow, and names the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moonshelf.cli import graph_scores
from moonshelf.cli.main import main
from moonshelf.errors import DataError, UsageError
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.evaluate.known_groups import read_known_groups
from moonshelf.graph.evaluate.thresholds import fold_of
from moonshelf.graph.records import Document
from tests.unit.graph.evaluate import shop
from tests.unit.graph.toy_backend import ToyBackend

Captured = pytest.CaptureFixture[str]
COLORS = ("red", "blue", "green")
SHOP = [shop.document(f"d{k}", f"Fan {k + 1} W {COLORS[k % 3]} number {k}") for k in range(12)]
TWINS = [
    Document(id=f"{side}{k}", fields=(("title", f"Fan {k + 1}0 W red AB10{k}"),))
    for k in range(4)
    for side in ("abt", "buy")
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("scores") / "g"
    build(from_documents([*SHOP, *TWINS]), ToyBackend(), out, BuildSettings(workers=1))
    return str(out)


def told(capsys: Captured, *words: str) -> dict[str, Any]:
    assert main(["graph", "evaluate", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def labels(path: Path) -> str:
    rows = ["id,property,value,form"]
    for k, one in enumerate(SHOP):
        rows += [f"{one.id},Colour,{COLORS[k % 3]},{COLORS[k % 3].upper()}"]
        rows += [f"{one.id},power,{k + 1} W,{k + 1}.0", f"{one.id},origin,,"]
        rows += [f"{one.id},Serial,{k},"]
    path.write_text("\n".join(rows))
    return str(path)


def test_what_is_missing_is_named_with_its_option(graph: str, capsys: Captured) -> None:
    assert main(["graph", "evaluate", graph]) == 0
    shown = capsys.readouterr().out
    for option in ("--gold", "--labels FILE", "normalized=COLUMN", "--pairs FILE", "--stability N"):
        assert option in shown
    assert "largest process, MiB" in shown and "extract, seconds" in shown
    assert set(told(capsys, graph)["missing"]) == set(graph_scores.MISSING)


def test_slots_and_normal_forms(graph: str, tmp_path: Path, capsys: Captured) -> None:
    words = (graph, "--labels", labels(tmp_path / "l.csv"), "--set", "normalized=form")
    found = told(capsys, *words)
    scored = [one for one in SHOP if fold_of(one, 2) == 0]
    listed = found["slots"]["listed"]["score"]
    # color and power are found in every text; nothing is said of the origin; Serial is unknown
    assert found["slots"]["products"] == len(scored)
    assert (listed["matched"], listed["found"]) == (2 * len(scored), 2 * len(scored))
    assert listed["wanted"] == 3 * len(scored)
    assert found["unknown_attributes"] == ["Serial", "origin"]
    assert found["slots"]["attributes"]["Colour"]["f1"] == 1
    assert found["slots"]["attributes"]["Serial"]["recall"] == 0
    forms = found["normalized"]
    assert forms["found"]["score"]["matched"] == 2 * len(scored), "power as 1.0, color in capitals"
    assert forms["as_written"]["matched"] == 0
    assert {"labels", "normalized"} & set(found["missing"]) == set()
    assert main(["graph", "evaluate", *words]) == 0
    out, err = capsys.readouterr()
    assert "listed-slot" in out and "found and normalized" in out and "harmonic mean" in out
    assert "2 labelled attributes have no property: Serial, origin" in err


@pytest.mark.parametrize("layout", ["abt_buy", "groups", "named", "alike"])
def test_pairs_in_every_layout(graph: str, tmp_path: Path, capsys: Captured, layout: str) -> None:
    path, more = tmp_path / "pairs.csv", list[str]()
    if layout == "abt_buy":  # abt_buy_perfectMapping.csv
        path.write_text('"idAbt","idBuy"\n' + "".join(f'"abt{k}","buy{k}"\n' for k in range(4)))
    if layout == "groups":
        rows = "".join(f"{s}{k},c{k}\n" for k in range(4) for s in ("abt", "buy"))
        path.write_text(f"product_id,cluster_id\n{rows}gone,c9\n")
    if layout == "named":
        path.write_text("n,a,b\n" + "".join(f"{k},abt{k},buy{k}\n" for k in range(4)))
        more = ["--set", "pairs.left=a", "--set", "pairs.right=b"]
    if layout == "alike":  # pyJedAI's copy: both tables count from 0
        path.write_text("D1|D2\n" + "".join(f"{k}|{k}\n" for k in range(4)))
        for word in ("left_prefix=abt", "right_prefix=buy", "delimiter=|"):
            more += ["--set", f"pairs.{word}"]
    found = told(capsys, graph, "--pairs", str(path), *more)["pairs"]
    assert found["groups"] == 4 and found["same"]["wanted"] == 4
    assert found["same"]["recall"] == 1 and found["same"]["precision"] == 1
    assert found["products"] == (8 if layout == "groups" else len(SHOP) + len(TWINS))
    assert found["not_in_the_graph"] == (layout == "groups")


def test_known_groups_are_closed_and_wrong_tables_explained(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("x,y\na,b\nc,d\nb,c\ne,f\n")
    found = read_known_groups(path)
    assert found.groups == {**dict.fromkeys("abcd", "a"), **dict.fromkeys("ef", "e")}
    path.write_text("x,y,z\na,b,c\n")
    with pytest.raises(UsageError, match="which columns"):
        read_known_groups(path)
    with pytest.raises(UsageError, match="no column 'w'"):
        read_known_groups(path, {"left": "w", "right": "x"})
    with pytest.raises(UsageError, match="no setting 'leftt'"):
        read_known_groups(path, {"leftt": "x"})
    path.write_text("x,y\na,\n")
    with pytest.raises(DataError, match="empty cell"):
        read_known_groups(path)


def test_strangers_and_graphs_without_resolution(
    graph: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "p.csv"
    path.write_text("x,y\nstranger,other\n")
    assert main(["graph", "evaluate", graph, "--pairs", str(path)]) == 1
    assert "no known product" in capsys.readouterr().err
    out = tmp_path / "h"
    build(from_documents(SHOP), ToyBackend(), out, BuildSettings(workers=1, resolve=False))
    assert main(["graph", "evaluate", str(out), "--pairs", str(path)]) == 1
    assert "--no-resolve" in capsys.readouterr().err
    assert main(["graph", "evaluate", graph, "--set", "pairs.left=x"]) == 2


def test_stability_is_asked_of_rules_alone(graph: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["graph", "evaluate", graph, "--stability", "2"]) == 2
    assert "toy backend" in capsys.readouterr().err
    table = tmp_path / "s.csv"
    rows = [f"p{k},Acme Fan {k + 2}0 W {COLORS[k % 3]} with 5 kg" for k in range(12)]
    table.write_text("id,title\n" + "\n".join(rows))
    out = str(tmp_path / "b")
    words = ["graph", "build", "--from", str(table), "--to", out, "--fields", "title"]
    assert main([*words, "--workers", "1"]) == 0
    capsys.readouterr()
    found = told(capsys, out, "--stability", "2")
    assert found["stability"]["orders"] == 2 and 0 <= found["stability"]["jaccard"] <= 1
    assert "stability" not in found["missing"]
    assert main(["graph", "evaluate", out, "--stability", "1"]) == 2
