"""Recipes: named or by path, checked, changed from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from moonshelf.config import load_config, read_toml, to_toml
from moonshelf.errors import UsageError
from moonshelf.training import recipe as module
from moonshelf.training.recipe import KINDS, Recipe, StageConfig, load_recipe
from moonshelf.training.settings import AlignConfig
from moonshelf.training.stages.registry import STAGES

TEXT = """
seed = 2
[encoder]
kind = "fast"
[stages.align]
minutes = 15
[stages.align.terms.title-picture]
query = "t"
item = "i"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "small.toml"
    found.write_text(TEXT)
    return found


def test_loads_with_overrides_and_its_own_name(path: Path):
    recipe = load_recipe(path, ["seed=5", "stages.align.optimizer.lr=0.1", "encoder.width=64"])
    assert recipe.name == "small" and recipe.seed == 5 and recipe.encoder.kind == "fast"
    assert recipe.stages["align"].optimizer.lr == 0.1


def test_a_budget_on_the_command_line_replaces_the_recipes(path: Path):
    align = load_recipe(path, ["stages.align.steps=100"]).stages["align"]
    assert align.steps == 100 and align.minutes is None
    with pytest.raises(UsageError, match="exactly one budget"):
        load_recipe(path, ["stages.align.steps=100", "stages.align.core_seconds=3"])


def test_a_stage_without_a_kind_is_an_align(path: Path):
    words = ["encoder.kind=vlm", "stages.first.kind=pretrain", "stages.first.steps=3"]
    recipe = load_recipe(path, words)
    assert [(name, stage.kind) for name, stage in recipe.stages.items()] == [
        ("align", "align"),
        ("first", "pretrain"),
    ]
    assert type(recipe.stages["align"]) is AlignConfig
    # What a process compares with the leader's, and a run folder with its own, names it all.
    assert '"kind":"align"' in recipe.model_dump_json()


def test_every_kind_has_a_class():
    members = get_args(get_args(StageConfig)[0])
    assert [member.__metadata__[0].tag for member in members] == list(KINDS) == list(STAGES)
    assert [get_args(member)[0].model_fields["kind"].default for member in members] == list(KINDS)


def test_writes_itself_whole(path: Path, tmp_path: Path):
    recipe = load_recipe(path)
    again = tmp_path / "recipe.toml"
    again.write_text(to_toml(recipe))
    assert load_config(Recipe, read_toml(again)) == recipe


@pytest.mark.parametrize(
    "word, what, cure",
    [
        ("stages.align.bach=3", "unknown key 'stages.align.bach'", "'batch'"),
        ("stages.align.terms.title-picture.vew=t", "title-picture.vew'", "choose among"),
        ("encoder.widht=3", "unknown key 'encoder.widht'", "'width'"),
        ("encoder.stem.widht=3", "unknown key 'encoder.stem.widht'", "'width'"),
        ("stages.align.terms.title-picture.share=0", "at least one term", ""),
        ("stages.align.terms.title-picture.query=x", "terms.title-picture.query", ""),
        ("encoder.kind=slow", "encoder", ""),
        ("stages.align.kind=slow", "stages.align: kind is none of align, pretrain", ""),
        ("stages.align.kind=pretrain", "unknown key 'stages.align.terms'", ""),
        ("stages.later.kind=pretrain", "stages.later: give exactly one budget", ""),
        ("compute.device=tpu", "compute.device", ""),
    ],
)
def test_mistakes_are_told(path: Path, word: str, what: str, cure: str):
    with pytest.raises(UsageError) as caught:
        load_recipe(path, [word])
    assert what in caught.value.what and cure in caught.value.cure


def test_unknown_recipe_names_the_closest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tiny.toml").write_text(TEXT)
    monkeypatch.setattr(module, "recipe_folders", lambda: [tmp_path])
    assert load_recipe("tiny").name == "tiny"
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        load_recipe("tiy")
    with pytest.raises(UsageError, match="no such recipe file"):
        load_recipe("elsewhere/tiny.toml")


def test_every_recipe_of_the_repository_loads():
    for folder in module.recipe_folders():
        for found in folder.glob("*.toml"):
            assert load_recipe(found).name


def test_settings_and_config_do_not_load_torch():
    code = "import sys, moonshelf.training.settings; assert 'torch' not in sys.modules"
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
