"""``moonshelf pairs``: build and look, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.store import Catalog
from moonshelf.cli.main import main
from tests.log_shop import write_log_shop

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_log_shop(tmp_path_factory.mktemp("shop") / "catalog", 4)


def run_json(capsys: Captured, *words: object, code: int = 0) -> dict[str, Any]:
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_build_then_show(shop: Catalog, tmp_path: Path, capsys: Captured) -> None:
    out, page = tmp_path / "pairs", tmp_path / "pairs.html"
    built = run_json(capsys, "pairs", "build", "--catalog", shop.path, "--out", out)
    assert built["total"] == len(build_pairs(shop).pairs) > 10
    shown = run_json(
        capsys, "pairs", "show", out, "--catalog", shop.path, "--examples", 5, "--html", page
    )
    assert len(shown["examples"]) == 5 and shown["by_type"] == built["by_type"]
    (step,) = shown["history"]
    assert (step["step"], step["after"]) == ("build", built["total"])
    assert step["before"] == built["total"] + sum(step["facts"]["left_out"].values())
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html and "data:image/jpeg" in html


def test_options_decide_what_is_a_pair(shop: Catalog, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "pairs"
    words = ("--levels", " purchase,cart", "--before", "1970-01-20", "--least-grade", 0.5)
    told = ("pairs", "build", "--catalog", shop.path, "--out", out, *words, "--following", 2)
    found = run_json(capsys, *told, "--window-days", 9)
    levels = ("cart", "purchase")
    same = build_pairs(
        shop, before="1970-01-20", levels=levels, least_grade=0.5, following=2, window_days=9
    )
    assert found["total"] == len(same.pairs) and found["by_level"]["click"] == 0
    assert found["options"] == dict(same.pairs.options)
    assert PairSet.open(out, shop).options["before"] == "1970-01-20"


def test_people_read_tables_without_control_characters(
    shop: Catalog, tmp_path: Path, capsys: Captured
) -> None:
    out = str(tmp_path / "pairs")
    assert main(["pairs", "build", "--catalog", str(shop.path), "--out", out]) == 0
    captured = capsys.readouterr()
    assert "text -> richer text and picture" in captured.out
    assert "left out" in captured.err and "with a product of another split" in captured.err
    assert main(["pairs", "show", out, "--catalog", str(shop.path), "--examples", "40"]) == 0
    captured = capsys.readouterr()
    assert "product: " in captured.out and "[photo]" in captured.out and "\x1b" not in captured.out
    assert "build" in captured.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--levels", "like"), 2, "no level 'like'"),
        (("--before", "soon"), 2, "is not a date"),
        (("--following", "0"), 2, "above 0"),
        (("--window-days", "nan"), 2, "above 0"),
        (("--window-days", "inf"), 2, "above 0"),
        (("--before", "1960-01-01", "--levels", "click"), 1, "no pair of a train query"),
    ],
)
def test_wrong_use_is_told(
    shop: Catalog, tmp_path: Path, capsys: Captured, words: tuple[str, ...], code: int, told: str
) -> None:
    out = tmp_path / "pairs"
    base = ("pairs", "build", "--catalog", shop.path, "--out", out)
    assert told in run_json(capsys, *base, *words, code=code)["error"]["error"]
    assert not out.exists()


def test_a_folder_that_is_no_pair_set_stays(
    shop: Catalog, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "mine").write_text("dear diary")
    for out in (tmp_path, tmp_path / "mine", shop.path):
        found = run_json(capsys, "pairs", "build", "--catalog", shop.path, "--out", out, code=2)
        assert "no pair set" in found["error"]["error"]
    assert (tmp_path / "mine").read_text() == "dear diary"
    told = run_json(capsys, "pairs", "show", tmp_path, "--catalog", shop.path, code=1)
    assert "moonshelf pairs build" in told["error"]["cure"]
