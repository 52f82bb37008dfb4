"""The verb `train`: overrides anywhere, results as JSON, mistakes with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.config import to_toml
from tests.invariants.resume_job import small_recipe
from tests.small_shop import write_small_shop


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    write_small_shop(folder / "shop")
    (folder / "small.toml").write_text(to_toml(small_recipe()))
    return folder / "small.toml"


def words(recipe: Path, out: str, *more: str) -> list[str]:
    shop = str(recipe.parent / "shop")
    return ["train", str(recipe), "--catalog", shop, "--out", str(recipe.parent / out), *more]


def test_trains_with_overrides_before_and_after_options(recipe: Path, capsys):
    command = words(recipe, "run", "stages.align.steps=2", "--json", "stages.again.steps=1")
    command.insert(2, "seed=7")
    assert main(command) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["stages"]["align"]["steps"] == 2 and shown["stages"]["again"]["steps"] == 1
    assert "seed = 7" in (recipe.parent / "run" / "recipe.toml").read_text()
    assert main([*words(recipe, "run", "seed=7")]) == 2
    assert "--resume" in capsys.readouterr().err


def test_unknown_key_and_stray_words_are_wrong_use(recipe: Path, capsys):
    assert main(words(recipe, "other", "stages.align.stepz=2")) == 2
    assert "did you mean 'steps'?" in capsys.readouterr().err
    assert main(words(recipe, "other", "--resum")) == 2
    assert main([*words(recipe, "other"), "--catalog"]) == 2
    assert not (recipe.parent / "other").exists()
