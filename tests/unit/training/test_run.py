"""A run from recipe to run folder: what is in it, what it refuses, what it learns."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.product import Product, View
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.encoder import load_encoder
from moonshelf.errors import CheckpointError, DataError, MoonshelfError, UsageError
from moonshelf.training.contents import ContentSource
from moonshelf.training.folder import open_run
from moonshelf.training.recipe import load_recipe
from moonshelf.training.run import train
from tests.invariants.resume_job import small_recipe
from tests.small_shop import write_small_shop


def quick(*words: str):
    recipe = small_recipe("stages.align.steps=10", "stages.align.log_every=5", *words)
    return recipe.model_copy(update={"stages": {"align": recipe.stages["align"]}})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_small_shop(tmp_path_factory.mktemp("shop") / "catalog")


@pytest.fixture(scope="module")
def run(shop: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    train(quick("stages.align.validate_every=5", "stages.align.validation_items=10"), shop, out)
    return out


def test_the_run_folder_tells_everything(run: Path, shop: Catalog):
    names = {p.name for p in run.iterdir()}
    assert {"manifest.json", "recipe.toml", "metrics.jsonl", "metrics.json", "encoder"} <= names
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["seed"] == 3
    assert manifest["catalog"]["fingerprint"] == shop.fingerprint
    assert "torch" in manifest["versions"] and manifest["stages"]["align"]["precision"] == "fp32"
    assert json.loads((run / "metrics.json").read_text())["stages"]["align"]["steps"] == 10
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [5, 10]
    assert all(line["masked_share"] >= 0 for line in lines if "loss" in line)
    validated = [line for line in lines if "val/t-i/R@10" in line]
    assert [line["step"] for line in validated] == [5, 10]
    assert all(0 <= line["val/t-i/R@1"] <= line["val/t-i/R@10"] <= 100 for line in validated)
    assert load_encoder(run).dim == 16


def test_a_taken_folder_needs_resume_and_a_finished_run_stays(run: Path, shop: Catalog):
    recipe = quick("stages.align.validate_every=5", "stages.align.validation_items=10")
    with pytest.raises(UsageError, match=r"exists already.*--resume"):
        train(recipe, shop, run)
    before = (run / "metrics.jsonl").read_bytes()
    notes: list[str] = []
    train(recipe, shop, run, resume=True, note=notes.append)
    assert notes == ["this run is finished already"]
    assert (run / "metrics.jsonl").read_bytes() == before


def test_resume_refuses_another_recipe_catalogue_or_folder(
    run: Path, shop: Catalog, tmp_path: Path
):
    with pytest.raises(UsageError, match=r"stages.align.batch: 16 -> 8"):
        train(quick("stages.align.batch=8"), shop, run, resume=True)
    other = write_small_shop(tmp_path / "other", seed=1)
    recipe = quick("stages.align.validate_every=5", "stages.align.validation_items=10")
    with pytest.raises(UsageError, match="catalogue is not the one"):
        train(recipe, other, run, resume=True)
    with pytest.raises(UsageError, match="no run to resume"):
        train(recipe, shop, tmp_path / "nowhere", resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="is not a run folder"):
        train(recipe, shop, tmp_path / "mine", resume=True)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_second_process_is_kept_out(shop: Catalog, tmp_path: Path):
    recipe = quick()
    with (
        open_run(tmp_path / "run", recipe, shop, resume=False),
        pytest.raises(MoonshelfError, match="another process"),
        open_run(tmp_path / "run", recipe, shop, resume=True),
    ):
        pass


def test_it_learns_more_than_chance(shop: Catalog, tmp_path: Path):
    words = ["stages.align.steps=150", "stages.align.terms.variant.share=0", "encoder.width=32"]
    recipe = small_recipe(*words)
    recipe = recipe.model_copy(update={"stages": {"align": recipe.stages["align"]}})
    out = train(recipe, shop, tmp_path / "run")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    encoder = load_encoder(out)
    rows = shop.split_rows("train")[::2]
    from moonshelf.training.contents import ContentSource

    source = ContentSource(shop, None)
    texts = encoder.embed(source(rows, View.TEXT))
    pictures = encoder.embed(source(rows, View.IMAGE))
    hits = (texts @ pictures.T).argmax(1) == np.arange(len(rows))
    assert hits.mean() > 5 / len(rows)


def test_a_term_without_pairs_says_so(shop: Catalog, tmp_path: Path):
    recipe = quick("stages.align.terms.s={source='session', query='mm', item='mm', before=0}")
    with pytest.raises(
        DataError, match=r"for term s it has no user.*stages\.align\.terms\.s\.share=0"
    ):
        train(recipe, shop, tmp_path / "run")


@pytest.mark.parametrize("grouped", [True, False])
def test_a_catalogue_without_pictures_is_told_how_to_train(tmp_path: Path, grouped: bool):
    """The words of the cure are taken at their word: with them it trains."""
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(24):
            group = f"g{k // 2}" if grouped else ""
            writer.add(Product(f"p{k}", f"red lamp {k}", description="a story", group=group))
        shop = writer.commit()
    small = ["stages.align.steps=2", "stages.align.batch=4", "compute.device=cpu"]
    with pytest.raises(DataError) as caught:
        train(load_recipe("fast", small), shop, tmp_path / "refused")
    why = "for term title-picture it has 0 pairs with a title and a readable picture"
    assert why in str(caught.value)
    assert "variants" not in caught.value.what and caught.value.where == str(shop.path)
    words = [word for word in shlex.split(caught.value.cure) if word.startswith("stages.")]
    assert len(words) == (1 if grouped else 2)
    train(load_recipe("fast", [*small, *words]), shop, tmp_path / "run")


def test_optional_terms_alone_need_one_with_pairs(tmp_path: Path):
    with CatalogWriter(tmp_path / "shop") as writer:
        for k in range(8):
            writer.add(Product(f"p{k}", f"red lamp {k}"))
        shop = writer.commit()
    only = "{v={source='variant', query='mm', item='mm', optional=true}}"
    with pytest.raises(DataError, match=r"for term v it has no two train products of one group"):
        train(quick(f"stages.align.terms={only}"), shop, tmp_path / "run")


def test_a_teacher_is_followed(run: Path, shop: Catalog, tmp_path: Path):
    recipe = quick(f"stages.align.distill={{teacher='{run}', weight=2.0}}")
    out = train(recipe, shop, tmp_path / "run")
    line = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["distill"] > 0
    assert line["loss"] == pytest.approx(line["contrast"] + 2 * line["distill"], rel=1e-5)
    assert len(list((out / "teacher").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["encoder.pictures.height=48"], "sees pictures at 32 x 32.*decoded once, at 48 x 32"),
        (["data.text=['title', 'category']"], "reads title; the student is shown title, category"),
    ],
)
def test_a_teacher_that_sees_products_otherwise_is_refused_at_once(
    run: Path, shop: Catalog, tmp_path: Path, words: list[str], found: str
):
    recipe = quick(f"stages.align.distill={{teacher='{run}'}}", *words)
    with pytest.raises(UsageError, match=found) as caught:
        train(recipe, shop, tmp_path / "run")
    assert str(run) in caught.value.where and caught.value.cure
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_is_no_run_is_refused_at_once(run: Path, shop: Catalog, tmp_path: Path):
    shutil.copytree(run / "encoder", tmp_path / "copied")
    for teacher, error, found in (
        (tmp_path / "copied", UsageError, "whole run folder"),
        (tmp_path / "nowhere", CheckpointError, "no encoder here"),
    ):
        with pytest.raises(error, match=found):
            train(quick(f"stages.align.distill={{teacher='{teacher}'}}"), shop, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    train(quick(f"stages.align.distill={{teacher='{run / 'encoder'}'}}"), shop, tmp_path / "run")


def test_a_teacher_of_another_canvas_decodes_for_itself(run: Path, shop: Catalog, tmp_path: Path):
    words = ["encoder.pictures.height=48", "data.cache_pictures=false", "stages.align.steps=2"]
    train(quick(f"stages.align.distill={{teacher='{run}'}}", *words), shop, tmp_path / "run")
    rows, source = shop.split_rows("train"), ContentSource(shop, None)
    expected = load_encoder(run).embed(source(rows, View.IMAGE))
    (kept,) = (tmp_path / "run" / "teacher" / "align").iterdir()
    np.testing.assert_allclose(np.load(kept / "i.npy")[rows], expected, atol=1e-3)


def test_what_a_catalogue_lacks_is_told_and_does_not_stop_the_rest(tmp_path: Path):
    shop = write_small_shop(tmp_path / "shop", products=12)  # too few for a val gallery
    notes: list[str] = []
    recipe = quick(
        "stages.align.terms.s={source='session', query='mm', item='mm', before=0, optional=true}",
        "stages.align.validate_every=5",
        "stages.align.batch=4",
    )
    out = train(recipe, shop, tmp_path / "run", note=notes.append)
    assert any("no validation while training" in note for note in notes)
    assert any("term s gets no steps" in note for note in notes)
    manifest = json.loads((out / "manifest.json").read_text())
    assert "s" in manifest["stages"]["align"]["terms_without_pairs"]
