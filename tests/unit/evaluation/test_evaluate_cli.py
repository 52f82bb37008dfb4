"""The verb on a catalogue on disk, controls only: files, tables, JSON and mistakes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.cli.evaluate import default_suite
from moonshelf.cli.main import main
from moonshelf.encoder import build_encoder
from moonshelf.evaluation import evaluate
from moonshelf.evaluation.controls import controls
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import Suite
from tests.small_encoder import FAST
from tests.unit.evaluation.shop import MemoryCatalog


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 9, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def records() -> tuple[list[Product], list[Query]]:
    products = [
        Product(
            f"p{k}",
            f"{('red', 'blue')[k % 2]} thing {k // 2}",
            (picture(k),) if k % 7 else (),
            category=("goods", f"kind {k % 2}"),
            attributes={"color": (("red", "blue")[k % 2],)},
            group=f"g{k // 4}",
            split="test" if k < 60 else "train",
        )
        for k in range(80)
    ]
    queries = [
        Query(f"q{k}", f"thing {k}", (picture(1000 + k),), (f"p{k}",), split="test")
        for k in range(10)
    ]
    return products, queries


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluate") / "cat"
    products, queries = records()
    with CatalogWriter(path, source={"reader": "table"}) as writer:
        for product in products:
            writer.add_product(product)
        for query in queries:
            writer.add_query(query)
        writer.commit()
    return path


def test_a_catalogue_on_disk_gives_the_figures_of_one_in_memory(folder: Path) -> None:
    tasks = [
        {"kind": "retrieval", "name": "a", "query": "i", "item": "mm", "positives": "group"},
        {"kind": "photo_search", "name": "b", "item": "i"},
        {"kind": "attribute", "name": "c", "key": "color"},
        {"kind": "classification", "name": "d"},
    ]
    suite = Suite.model_validate({"name": "s", "bootstrap": 100, "tasks": tasks})
    disk, memory = Catalog.open(folder), MemoryCatalog(*records())
    assert Shelf(disk).values("color", "x") == Shelf(memory).values("color", "x")
    for a, b in zip(controls(disk), controls(memory), strict=True):
        first, second = evaluate(a, disk, suite).to_dict(), evaluate(b, memory, suite).to_dict()
        assert first["tasks"] == second["tasks"] and first["skipped"] == second["skipped"]


def test_controls_alone_write_all_files_and_print_the_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["evaluate", "--catalog", str(folder), "--controls", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "photo -> product" in shown.out.replace("\\>", ">") and "tfidf" in shown.out
    assert sorted(file.name for file in out.iterdir()) == ["metrics.json", "table.html", "table.md"]
    value = json.loads((out / "metrics.json").read_text())
    assert value["embedders"][0]["embedder"] == "random"
    assert value["embedders"][0]["suite"] == "any"
    assert value["embedders"][0]["catalog"] == Catalog.open(folder).fingerprint


def test_json_prints_one_object_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--catalog", str(folder), "--controls", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "evaluation"


def test_prefixes_are_measured_beside_the_whole(folder: Path, tmp_path: Path) -> None:
    """Rows of a run and of its prefixes; the whole width asked for is no second row."""
    build_encoder(FAST, [f"red thing {k}" for k in range(20)]).save(tmp_path / "run")
    words = ["evaluate", str(tmp_path / "run"), "--catalog", str(folder), "--widths", "2", "8", "4"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [e["embedder"] for e in told["embedders"]] == ["run", "run, first 4", "run, first 2"]
    assert main([*words, "--out", str(tmp_path / "out"), "--widths", "9"]) == 2


def test_mistakes_are_usage_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["evaluate", "--catalog", str(folder)]
    assert main(here) == 2
    assert main([*here, "--controls"]) == 2  # no place to write to
    assert main([*here, "--controls", "--out", "x", "--suite", "mintra"]) == 2
    assert "did you mean 'myntra'" in capsys.readouterr().err
    assert main(["evaluate", "--catalog", str(folder / "no"), "--controls", "--out", "x"]) == 1


def test_the_suite_follows_the_reader_of_the_catalogue() -> None:
    class Manifest:
        def __init__(self, *readers: str) -> None:
            self.manifest = {"generations": [{"source": {"reader": r}} for r in readers]}

    assert default_suite(Manifest("hm", "hm")) == "hm"
    assert default_suite(Manifest("hm", "table")) == "any"
    assert default_suite(Manifest("table")) == "any"
