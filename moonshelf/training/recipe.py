"""A recipe: everything that decides what a run learns, as one checked, frozen record.

    seed = 0
    [encoder]
    kind = "fast"
    [stages.align]
    minutes = 15
    [stages.align.terms.title-picture]
    query = "t"
    item = "i"

Stages run in the order in which they stand. What a stage does is its ``kind``: ``align`` where its
table names none, ``pretrain`` and ``refine``. Named recipes live in the folder ``recipes`` of the
source tree; a wheel carries the same files inside the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

import moonshelf
from moonshelf.config import Config, closest, load_config, read_toml, with_overrides
from moonshelf.encoder.config import EncoderConfig
from moonshelf.errors import UsageError
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.refine_settings import RefineConfig
from moonshelf.training.settings import AlignConfig

_BUDGETS = ("steps", "minutes", "core_seconds")
_STAGE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


KINDS = ("align", "pretrain", "refine")


def _kind_of(stage: Any) -> str:
    """By which settings the table of a stage is read."""
    found = stage.get("kind") if isinstance(stage, Mapping) else getattr(stage, "kind", None)
    return "align" if found is None else str(found)


StageConfig: TypeAlias = Annotated[
    Annotated[AlignConfig, Tag("align")]
    | Annotated[PretrainConfig, Tag("pretrain")]
    | Annotated[RefineConfig, Tag("refine")],
    Discriminator(
        _kind_of,
        custom_error_type="unknown_kind",
        custom_error_message=f"kind is none of {', '.join(KINDS)}",
    ),
]


class DataConfig(Config):
    """What of a product the encoder is shown."""

    text: tuple[Literal["title", "category", "attributes", "description"], ...] = ("title",)
    cache_pictures: bool = True
    """Decode each first picture once into a memory-mapped cache (fixed canvas only)."""
    pairs: str | None = None
    """Folder of the pair set (``moonshelf pairs build``) that terms of source "log" draw from; a
    stage may name another one."""


class ComputeConfig(Config):
    """Where and in which number format; "auto" measures (training/precision.py)."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    processes: int = Field(default=1, ge=1)
    """Processes that share every step; on GPUs one each. The batch and what is learned stay the
    same. Under torchrun the environment says how many."""
    shard: bool = False
    """Spread weights, gradients and optimizer state over the processes (training/sharding.py): less
    memory for each, more to say to each other; the same steps."""
    threads: int | None = Field(default=None, ge=1)
    """Of each process; by default as torch chooses, or the cores shared out among processes."""


class Recipe(Config):
    """Encoder, data and stages of a run."""

    name: str = ""
    seed: int = Field(default=0, ge=0, lt=2**32)
    start: str | None = None
    """A finished run, or the folder of an encoder, whose weights this run begins with."""
    encoder: EncoderConfig
    data: DataConfig = DataConfig()
    compute: ComputeConfig = ComputeConfig()
    stages: dict[str, StageConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _asked_is_a_language_model(self) -> Recipe:
        for name, stage in self.stages.items():
            if stage.kind == "pretrain" and self.encoder.kind != "vlm":
                raise ValueError(
                    f"stage {name} asks questions, which an encoder of kind "
                    f"{self.encoder.kind!r} cannot answer: use one of kind 'vlm'"
                )
        return self

    @property
    def caches_pictures(self) -> bool:
        """Whether first pictures are decoded once, for the encoder's canvas, and kept on disk."""
        canvas = self.encoder.pictures
        return self.data.cache_pictures and canvas.fixed and canvas.per_product == 1

    def stage(self, name: str) -> StageConfig:
        """The settings of a stage, with what it takes from the rest of the recipe."""
        found = self.stages[name]
        if isinstance(found, AlignConfig) and found.pairs is None:
            return found.model_copy(update={"pairs": self.data.pairs})
        return found

    @field_validator("stages")
    @classmethod
    def _plain_names(cls, stages: dict[str, StageConfig]) -> dict[str, StageConfig]:
        for name in stages:
            if not _STAGE_NAME.fullmatch(name):
                raise ValueError(f"stage name {name!r} must be letters, digits, - and _")
        return stages


def load_recipe(path_or_name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe of a TOML file, or the named one, with ``a.b=value`` words applied.

    Setting one budget of a stage (steps, minutes, core_seconds) removes the others.

    Raises:
        UsageError: no such recipe, a key is unknown (with the closest known one) or wrong.
    """
    path = find_recipe(path_or_name)
    overrides = list(overrides)
    data = read_toml(path)
    _drop_other_budgets(data, overrides)
    data = with_overrides(data, overrides)
    data.setdefault("name", path.stem)
    return load_config(Recipe, data, where=str(path_or_name))


def find_recipe(path_or_name: str | Path) -> Path:
    """The file of a recipe: a path, else a name among :func:`recipe_folders`."""
    path = Path(path_or_name)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UsageError("no such recipe file", where=str(path), cure="check the path")
    named = {p.stem: p for folder in recipe_folders() for p in sorted(folder.glob("*.toml"))}
    if path.name in named:
        return named[path.name]
    raise UsageError(
        f"there is no recipe {path.name!r}",
        cure=f"{closest(path.name, named)} or pass a path that ends in .toml".lstrip(),
    )


def recipe_folders() -> list[Path]:
    """Where named recipes are looked up; a source tree's own come last and so win."""
    package = Path(moonshelf.__file__).parent
    folders = [package / "recipes"]
    # Only beside a source tree: in site-packages a stranger's "recipes" may stand there.
    if (package.parent / "pyproject.toml").is_file():
        folders.append(package.parent / "recipes")
    return [folder for folder in folders if folder.is_dir()]


def _drop_other_budgets(data: Mapping[str, Any], overrides: Iterable[str]) -> None:
    stages = data.get("stages")
    for word in overrides:
        keys = word.partition("=")[0].strip().split(".")
        if len(keys) == 3 and keys[0] == "stages" and keys[2] in _BUDGETS:
            stage = stages.get(keys[1]) if isinstance(stages, dict) else None
            if isinstance(stage, dict):
                for other in _BUDGETS:
                    stage.pop(other, None)
