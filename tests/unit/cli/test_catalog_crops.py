"""``moonshelf catalog crops``: figures, a page, a resumed call, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from tests.small_shop import write_small_shop


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["catalog", "crops", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_figures_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = str(write_small_shop(tmp_path / "shop", products=12).path)
    page = tmp_path / "page.html"
    code, out, _ = run(capsys, shop, "--json", "--html", str(page))
    found = json.loads(out)
    assert code == 0 and found["counts"] == {"box": 12} and found["looked"] == 12
    assert found["requests"] is None and page.read_text().count("<img") == 12
    code, out, _ = run(capsys, shop)
    assert code == 0 and "0 pictures looked at now, 12 known" in out
    code, out, _ = run(capsys, shop, "--replace")
    assert code == 0 and "12 pictures looked at now" in out and "0 known" in out
    for name in ("center", "random"):
        assert run(capsys, shop, "--detector", name, "--threads", "1")[0] == 0


def test_what_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = str(write_small_shop(tmp_path / "shop", products=4).path)
    code, _, err = run(capsys, shop, "--set", "model=m")
    assert code == 2 and "--detector grounding" in err
    code, _, err = run(capsys, shop, "--threads", "0")
    assert code == 2 and "--threads 0" in err
    code, _, err = run(capsys, shop, "--detector", "grounding")
    assert code == 2 and "model" in err
