"""`moonshelf embed` and `moonshelf search` on a real catalogue, with a fake encoder."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from moonshelf.catalog.product import Product
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.cli.main import main
from moonshelf.encoder.narrow import prefix
from tests.unit.center.fakes import FakeEncoder
from tests.unit.center.pictures import png

COLORS = {"Red": (200, 30, 30), "Blue": (30, 30, 200), "Green": (30, 160, 60)}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a catalogue of nine products and a run, whose encoder is fake."""
    with CatalogWriter(tmp_path / "catalog") as writer:
        for n in range(9):
            color = list(COLORS)[n % 3]
            writer.add(
                Product(
                    id=f"p{n}",
                    title=f"{color} shirt {n}",
                    images=(png((*COLORS[color][:2], COLORS[color][2] + n)),),
                    category=("Apparel", "Topwear") if n < 6 else ("Shoes",),
                    attributes={"color": (color,)},
                    price=100.0 * n,
                )
            )
        writer.commit()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "version").write_text("fake-1")
    module = ModuleType("moonshelf.encoder")
    vars(module)["load_encoder"] = lambda folder: FakeEncoder()
    vars(module)["prefix"] = prefix
    vars(module)["encoder_version"] = lambda folder: (folder / "version").read_text()
    monkeypatch.setitem(sys.modules, "moonshelf.encoder", module)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embed(*more: str) -> int:
    return main(["embed", "run", "--catalog", "catalog", "--to", "store", *more])


def search_json(capsys, *arguments: str) -> list[dict]:
    capsys.readouterr()
    assert main(["search", "store", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)["hits"]


def test_embed_then_search_needs_only_the_store(work, capsys):
    assert embed("--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["counts"]["embedded"] == 9 and result["index"] == "exact://"
    (work / "q.png").write_bytes(png((200, 30, 34)))
    hits = search_json(capsys, "--text", "Blue shirt 4", "--image", "q.png")
    assert len(hits) == 9
    mixed = search_json(capsys, "--text", "Red shirt 0", "--image", "q.png", "--mix", "1")
    assert mixed != hits
    again = [h["id"] for h in search_json(capsys, "--text", "Red shirt 0", "--k", "3")]
    assert len(again) == 3 and again[0] == "p0"


def test_the_store_can_be_searched_from_elsewhere(work, capsys, monkeypatch):
    embed()
    (work / "other").mkdir()
    monkeypatch.chdir(work / "other")
    assert main(["search", "../store", "--text", "Red shirt 0", "--html", "x.html"]) == 0
    assert (work / "other" / "x.html").exists()


def test_a_store_of_prefixes_is_searched_by_prefixes(work, capsys):
    assert embed("--width", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["dim"] == 3
    hits = search_json(capsys, "--text", "Red shirt 0", "--k", "3")
    assert hits[0]["id"] == "p0" and hits[0]["score"] > 0.5
    assert embed() == 1  # whole vectors and prefixes do not meet
    assert "made with dim 3" in capsys.readouterr().err
    assert main(["embed", "run", "--catalog", "catalog", "--to", "wide", "--width", "9999"]) == 2


def test_filters(work, capsys):
    embed()
    hits = search_json(
        capsys, "--text", "x", "--where", "category=apparel/topwear", "color=Red|Blue",
        "--where", "price<=300",
    )  # fmt: skip
    assert {hit["id"] for hit in hits} == {"p0", "p1", "p3"}
    assert main(["search", "store", "--text", "x", "--where", "colour=Red"]) == 2
    assert "color" in capsys.readouterr().err


def test_vectors_that_fall_out_of_use_are_told(work, capsys):
    embed()
    with CatalogWriter(work / "catalog", replace=True) as writer:
        writer.add(Product(id="p0", title="another title"))
        writer.commit()
    capsys.readouterr()
    embed()
    assert "1 items, 1 embedded now" in (out := capsys.readouterr().out)
    assert "9 no longer used" in out
    embed()
    assert "no longer used" not in capsys.readouterr().out


def test_another_catalog_needs_a_switch(work, capsys):
    embed()
    with CatalogWriter(work / "other") as writer:
        writer.add(Product(id="p0", title="another shop"))
        writer.commit()
    arguments = ["embed", "run", "--catalog", "other", "--to", "store"]
    assert main(arguments) == 1
    assert "--another-catalog" in capsys.readouterr().err
    assert main([*arguments, "--another-catalog"]) == 0
    assert "1 items, 1 embedded now" in capsys.readouterr().out


def test_the_table_for_people(work, capsys):
    embed()
    out = capsys.readouterr().out
    assert "9 items" in out and "exact://" in out
    assert main(["search", "store", "--text", "Red shirt 0", "--k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rank", "score", "id", "title", "category", "price"]
    assert "p0" in lines[2] and len(lines) == 4
    main(["search", "store", "--text", "x", "--where", "color=Mauve"])
    assert "nothing matches" in capsys.readouterr().out


def test_the_page_is_written(work, capsys):
    embed()
    arguments = ["--text", "<b>Red", "--html", "out/results.html", "--where", "price<=300"]
    assert main(["search", "store", *arguments]) == 0
    page = (work / "out" / "results.html").read_text()
    assert page.count("<figure") == 4 and "&lt;b&gt;Red" in page and "price&lt;=300" in page


def test_a_second_embed_keeps_everything(work, capsys):
    embed()
    capsys.readouterr()
    embed("--json")
    assert json.loads(capsys.readouterr().out)["counts"]["reused"] == 9


def test_errors_have_a_cure(work, capsys):
    assert main(["search", "store", "--text", "x"]) == 1
    assert "moonshelf embed" in capsys.readouterr().err
    embed()
    assert main(["search", "store"]) == 2
    assert main(["search", "store", "--text", "x", "--image", "none.png"]) == 1
    assert "none.png" in capsys.readouterr().err
    (work / "run" / "version").write_text("fake-2")
    assert main(["search", "store", "--text", "x"]) == 1
    assert "incompatible" in capsys.readouterr().err
    assert embed() == 1
    assert "new folder" in capsys.readouterr().err
    (work / "run").rename(work / "gone")
    assert main(["search", "store", "--text", "x"]) == 1
    assert "--encoder" in capsys.readouterr().err
    (work / "gone" / "version").write_text("fake-1")
    assert main(["search", "store", "--text", "x", "--encoder", "gone"]) == 0


def test_lance_by_name_without_lancedb(work, capsys, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "lancedb" else real(n, *a)
    )
    assert embed("--index", "lance") == 2
    assert 'pip install "moonshelf[index]"' in capsys.readouterr().err
    assert not (work / "store").exists()
