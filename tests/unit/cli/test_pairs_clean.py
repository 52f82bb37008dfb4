"""The cleaning commands, one after the other: what they write, what they say, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.catalog.pair_set import PairSet
from moonshelf.catalog.product import Event, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.cli.main import main
from moonshelf.encoder import build_encoder
from tests.log_shop import HOSTILE
from tests.small_encoder import FAST
from tests.small_shop import COLORS, SHAPES, picture

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of styles with a log of exposures and purchases, its pairs, and an encoder."""
    path, rng = tmp_path_factory.mktemp("work"), np.random.default_rng(0)
    with CatalogWriter(path / "shop") as writer:
        for k in range(30):
            color, shape = [*COLORS][k % 6], SHAPES[k // 2 % 4]
            words = HOSTILE[k % 5] if k % 7 == 0 else ""
            writer.add_product(
                Product(
                    id=f"p{k}",
                    title=f"{color} {shape} {words}" if k % 4 else f"Dolly {words}",
                    images=(picture(color, shape, "large", rng),),
                    category=("things", shape),
                    attributes={"color": (color,)},
                    group=f"g{k // 2}",
                )
            )
        for k in range(10):
            writer.add_query(Query(f"q{k}", f"{[*COLORS][k % 6]} {SHAPES[k % 4]}" if k else "gift"))
        for k in range(200):
            kind, query = (("purchase", f"q{rng.integers(10)}"), ("exposure", ""))[k % 2]
            # Mostly bars are shown; everything is bought.
            item = (
                rng.integers(30) if k % 2 == 0 else rng.choice((2, 3, 10, 11, 18, rng.integers(30)))
            )
            writer.add_event(Event(k, f"u{k % 5}", f"p{item}", kind, query))
        writer.commit()
    shop = Catalog.open(path / "shop")
    build_pairs(shop).pairs.write(path / "pairs", step="build", options={"before": None})
    build_encoder(FAST, shop.column("title").to_pylist()).save(path / "encoder")
    return path


def clean(work: Path, verb: str, pairs: str, out: Path, *more: str) -> int:
    folders = [str(work / pairs), "--catalog", str(work / "shop"), "--out", str(out)]
    return main(["pairs", verb, *folders, *more])


def result(capsys: Captured) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def columns(path: Path, work: Path) -> dict[str, list[Any]]:
    pairs = PairSet.open(path, Catalog.open(work / "shop"))
    return {name: np.nan_to_num(array, nan=9).tolist() for name, array in pairs.columns.items()}


STEPS = (
    ("dedup", ("--encoder", "{work}/encoder")),
    ("merge", ()),
    ("rebalance", ("--tolerate", "0.2")),
    ("entities", ("--least", "1")),
)


def test_the_four_steps_in_order(work: Path, tmp_path: Path, capsys: Captured) -> None:
    given = {file.name: file.read_bytes() for file in (work / "pairs").iterdir()}
    before = "pairs"
    for verb, more in STEPS:
        words = [word.format(work=work) for word in more]
        out = tmp_path / verb
        assert clean(work, verb, before, out, *words, "--json") == 0
        told = result(capsys)
        assert told["step"] == verb
        assert told["before"]["total"] > told["after"]["total"] > 0
        assert sum(told["reasons"].values()) == told["before"]["total"]
        assert told["reasons"]["kept"] == told["after"]["total"]
        before = str(out)
    assert {file.name: file.read_bytes() for file in (work / "pairs").iterdir()} == given
    final = PairSet.open(tmp_path / "entities", Catalog.open(work / "shop"))
    assert [line["step"] for line in final.history] == ["build", *(verb for verb, _ in STEPS)]
    for earlier, later in zip(final.history, final.history[1:], strict=False):
        assert later["before"] == earlier["after"] and later["facts"]["pairs"]["kept"]
    assert not np.isnan(final.similarity).any()


@pytest.mark.parametrize(("verb", "more"), STEPS)
def test_every_step_twice_is_once(
    work: Path, tmp_path: Path, capsys: Captured, verb: str, more: tuple[str, ...]
) -> None:
    words = [word.format(work=work) for word in more]
    assert clean(work, verb, "pairs", tmp_path / "once", *words) == 0
    capsys.readouterr()
    assert clean(work, verb, str(tmp_path / "once"), tmp_path / "twice", *words, "--json") == 0
    told = result(capsys)
    assert told["before"] == told["after"]
    assert columns(tmp_path / "once", work) == columns(tmp_path / "twice", work)


def test_what_a_reader_sees(work: Path, tmp_path: Path, capsys: Captured) -> None:
    page = tmp_path / "page.html"
    words = ("--encoder", str(work / "encoder"), "--examples", "200", "--html", str(page))
    assert clean(work, "dedup", "pairs", tmp_path / "out", *words) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "label noise" in shown and "a harder query is kept" in shown
    assert "text -> title and picture" in shown and "level: purchase" in shown
    html = page.read_text(encoding="utf-8")
    total = len(PairSet.open(work / "pairs", Catalog.open(work / "shop")))
    assert html.count("<figure>") == total and "<script" not in html.lower()


def test_examples_cover_every_reason(work: Path, tmp_path: Path, capsys: Captured) -> None:
    words = ("--encoder", str(work / "encoder"), "--floor", "0.2", "--examples", "2", "--json")
    assert clean(work, "dedup", "pairs", tmp_path / "out", *words) == 0
    told = result(capsys)
    for reason, count in told["reasons"].items():
        mine = [one for one in told["examples"] if one["why"] == reason]
        assert len(mine) == min(2, count)
        assert mine == sorted(mine, key=lambda one: one["similarity"])


def test_the_input_is_never_the_output(work: Path, capsys: Captured) -> None:
    assert clean(work, "merge", "pairs", work / "x" / ".." / "pairs") == 2
    assert "--out is the pair set that is cleaned" in capsys.readouterr().err
    assert clean(work, "merge", "pairs", work / "shop") == 2
    assert "no pair set" in capsys.readouterr().err


def test_what_stands_in_and_what_is_missed_is_said_loudly(
    work: Path, tmp_path: Path, capsys: Captured
) -> None:
    strict = ("--tolerate", "0", "--least", "0.9")
    assert clean(work, "rebalance", "pairs", tmp_path / "a", *strict) == 0
    told = capsys.readouterr().err
    assert "WARNING: the tolerance of 0 is not met" in told and "stand in" not in told
    assert clean(work, "entities", "pairs", tmp_path / "b", "--least", "9") == 0
    assert "0 are left: the texts of this catalogue name too little" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "more", "said"),
    [
        ("rebalance", ("--depth", "0"), "is no level"),
        ("rebalance", ("--tolerate", "2"), "is no share"),
        ("rebalance", ("--before", "soon"), "not a date"),
        ("entities", ("--tagger", "os:system"), "no installed package offers"),
        ("entities", ("--fields", "price"), "unknown text field"),
        ("entities", ("--examples", "-1"), "--examples -1"),
        ("dedup", ("--encoder", "{work}/encoder", "--floor", "1"), "is no share"),
    ],
)
def test_wrong_use_is_told(
    work: Path, tmp_path: Path, capsys: Captured, verb: str, more: tuple[str, ...], said: str
) -> None:
    words = [word.format(work=work) for word in more]
    assert clean(work, verb, "pairs", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
