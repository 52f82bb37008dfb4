"""From descriptions, reviews and pictures to filters: the whole way through the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import Content, Product
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.cli.main import main
from moonshelf.graph import backends
from tests.unit.center.fakes import FakeEncoder
from tests.unit.graph.toy_backend import ToyBackend

Captured = pytest.CaptureFixture[str]
COLORS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (30, 30, 200)}
PER_SPLIT = 90


class ColorEncoder(FakeEncoder):
    """Text "red" and a red picture share a vector; anything else is as of the fake encoder."""

    def embed(self, contents: Any, batch_size: int | None = None) -> np.ndarray:
        return np.stack([self._one(content, batch_size) for content in contents])

    def _one(self, content: Content, batch_size: int | None) -> np.ndarray:
        color = content.text
        if content.text is None and content.images:
            pixel = Image.open(io.BytesIO(content.images[0])).convert("RGB").getpixel((0, 0))  # type: ignore[arg-type]
            color = min(COLORS, key=lambda name: abs(np.subtract(COLORS[name], pixel)).sum())
        if color in COLORS:
            return np.eye(self.dim, dtype=np.float32)[list(COLORS).index(color)]
        return super().embed([content], batch_size)[0]


def png(color: str, number: int) -> bytes:
    file, pixel = io.BytesIO(), COLORS[color]
    image = Image.new("RGB", (8, 8), pixel)
    image.putpixel((7, 7), (number % 256, number // 256, 0))
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop of fans whose own color attribute is missing where the text or the picture tells."""
    with CatalogWriter(tmp_path / "shop") as writer:
        for split in ("train", "val", "test"):
            for k in range(PER_SPLIT):
                color = list(COLORS)[k % 3]
                number = ("train", "val", "test").index(split) * PER_SPLIT + k
                own: dict[str, tuple[str, ...]] = {"tone": (color,)} if k < 80 else {}
                if k == 0:
                    own["color"] = ("Purple",)
                writer.add_product(
                    Product(
                        id=f"{split}{k}",
                        title=f"Fan {10 * (k + 1)} W" + (f" {color}" if k % 2 == 0 else ""),
                        description="Hums.",
                        category=("Home", "Fans"),
                        attributes=own,
                        images=(png(color, number),),
                        split=split,
                    )
                )
        writer.commit()
    (tmp_path / "reviews.csv").write_text(
        'asin,words\ntrain1,"It is blue, and takes 5 kW"\nnobody,red\n', encoding="utf-8"
    )
    (tmp_path / "run").mkdir()
    module = ModuleType("moonshelf.encoder")
    vars(module)["load_encoder"] = lambda folder: ColorEncoder()
    vars(module)["encoder_version"] = lambda folder: "fake-1"
    vars(module)["prefix"] = lambda encoder, width: encoder
    monkeypatch.setitem(sys.modules, "moonshelf.encoder", module)
    monkeypatch.setattr(backends, "make_backend", lambda name, settings=None: ToyBackend())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: Captured, *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def failed(capsys: Captured, *words: str, code: int) -> str:
    capsys.readouterr()
    assert main([*words]) == code
    return capsys.readouterr().err


def found(capsys: Captured, *where: str) -> dict[str, Any]:
    hits = answer(capsys, "search", "store", "--text", "x", "--k", "1000", "--where", *where)[
        "hits"
    ]
    return {hit["id"]: hit["attributes"] for hit in hits}


READ = ("encoder", "attributes", "run", "--catalog", "shop", "--to", "seen.jsonl")
BUILD = (
    *("graph", "build", "--catalog", "shop", "--to", "graph", "--workers", "1"),
    *("--customer-reviews", "reviews.csv", "--set", "reviews.text=words"),
)
EXPORT = ("graph", "export", "graph", "--to", "told.jsonl")
EMBED = ("embed", "run", "--catalog", "shop", "--to", "store", "--view", "t")


def test_texts_reviews_and_pictures_become_filters(work: Path, capsys: Captured) -> None:
    seen = answer(capsys, *READ, "--key", "tone=color")
    (key,) = seen["calibration"]
    assert (key["key"], key["val"]["precision"], key["test"]["coverage"]) == ("color", 1.0, 1.0)
    assert seen["products"] == 3 * PER_SPLIT
    built = answer(capsys, *BUILD, "--pictures", "seen.jsonl")
    assert built["ledger"]["quarantined"] == 1, "the review of nobody"
    assert built["ledger"]["lost"] == [] and built["sound"]
    told = answer(capsys, *EXPORT)
    assert (told["format"], told["products"], told["left_out"]) == ("attributes", 3 * PER_SPLIT, 0)
    plain = answer(capsys, *EMBED)
    assert plain["attributes"] is None
    assert "no item has an attribute" in failed(
        capsys, "search", "store", "--text", "x", "--where", "power=20 W", code=2
    )
    joined = answer(capsys, *EMBED, "--attributes", "told.jsonl")
    assert joined["counts"]["embedded"] == 0 and joined["attributes"]["gave_way"] == 3
    assert set(found(capsys, "power=30 W")) == {"train2", "val2", "test2"}
    red = found(capsys, "color=red")
    assert set(red) == {f"{s}{k}" for s in ("train", "val", "test") for k in range(3, PER_SPLIT, 3)}
    assert "train0" not in red and found(capsys, "color=purple")["train0"]["color"] == ["Purple"]
    capsys.readouterr()
    assert main([*EMBED]) == 0
    assert "catalogue's attributes alone" in capsys.readouterr().err
    assert main([*EMBED, "--attributes", "told.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "2 keys" in shown and "3 times the catalogue has its own" in shown


def test_without_pictures_only_what_is_said_can_be_found(work: Path, capsys: Captured) -> None:
    answer(capsys, *BUILD)
    answer(capsys, *EXPORT)
    answer(capsys, *EMBED, "--attributes", "told.jsonl")
    blue = found(capsys, "color=blue")
    assert "train1" in blue, "its review says so"
    assert "val1" not in blue and "train2" in blue
    assert "train1" in found(capsys, "power=20 W"), "the title has the last word"


def test_a_part_of_the_shop_takes_what_is_beside_it(work: Path, capsys: Captured) -> None:
    found = answer(capsys, *BUILD, "--limit", "2")
    assert (found["ledger"]["documents"], found["ledger"]["quarantined"]) == (3, 0)


def test_mistakes_on_the_way_are_told_with_their_cure(work: Path, capsys: Captured) -> None:
    err = failed(capsys, *BUILD[:8], "--set", "reviews.text=words", code=2)
    assert "pass that file" in err
    assert "a catalogue holds listings" in failed(capsys, *BUILD[:8], "--kind", "review", code=2)
    err = failed(capsys, *BUILD[:10], "--set", "reviews.words=words", code=2)
    assert "no option 'words'" in err
    err = failed(capsys, *BUILD[:8], "--pictures", "reviews.csv", code=1)
    assert "not JSON" in err
    err = failed(capsys, *EMBED, "--attributes", "reviews.csv", code=1)
    assert "not JSON" in err and "cure" in err
    assert "precision is 2" in failed(capsys, *READ, "--key", "tone", "--precision", "2", code=2)
    assert "no product" in failed(capsys, *READ, "--key", "tint", code=1)
    assert "holds no graph" in failed(capsys, *EXPORT, code=1)


def test_an_encoder_that_is_never_sure_writes_an_empty_file(work: Path, capsys: Captured) -> None:
    (work / "seen.jsonl").write_text("old")
    capsys.readouterr()
    words = [*READ, "--key", "color"]
    assert main(words) == 0, "one product a split has it: too few to choose by"
    out = capsys.readouterr().out
    assert "abstains" in out and "0 keys of 0 products" in out
    assert len((work / "seen.jsonl").read_text().splitlines()) == 1
