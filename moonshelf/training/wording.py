"""How the questions of pretraining are worded: data files of ``training/templates``.

A file gives several wordings of each task, so that a model learns what is asked and not one string.
The only slot is ``{key}``; what a shop writes is put in as it is and never read as a template.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from moonshelf.config import Config, closest, load_config, read_toml
from moonshelf.errors import UsageError
from moonshelf.training.pretrain_settings import Task

TEMPLATES = Path(__file__).parent / "templates"
_SLOT = "{key}"
_Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=300)]
_Texts: TypeAlias = Annotated[tuple[_Text, ...], Field(min_length=1)]


class Wording(Config):
    """Ways to ask for each task."""

    format: Literal[1]
    describe: _Texts
    attribute: _Texts
    attributes: _Texts
    title: _Texts
    subject: _Texts

    @model_validator(mode="after")
    def _slots_where_they_belong(self) -> Wording:
        for task in type(self).model_fields:
            if task == "format":
                continue
            for text in getattr(self, task):
                slots = text.count(_SLOT)
                if slots != (task == "attribute") or "{" in text.replace(_SLOT, ""):
                    wanted = f"one slot {_SLOT}" if task == "attribute" else "no slot"
                    raise ValueError(f"a question of task {task} has {wanted}, not {text!r}")
        return self

    def question(self, task: Task, draw: float, key: str = "") -> str:
        """One of the wordings, chosen by ``draw`` in [0, 1), with ``key`` in its slot."""
        texts = getattr(self, task)
        return texts[int(draw * len(texts))].replace(_SLOT, key)


def load_wording(name_or_path: str | Path) -> Wording:
    """The wordings of a file of the package by its name, or of a ``.toml`` file.

    Raises:
        UsageError: no such file, or a key or text in it that is not as it should be.
    """
    text = str(name_or_path)
    named = {path.stem: path for path in sorted(TEMPLATES.glob("*.toml"))}
    if not text.endswith(".toml") and text not in named:
        raise UsageError(
            f"there are no templates {text!r}",
            cure=f"{closest(text, named)}, or pass a path that ends in .toml",
        )
    path = named.get(text, Path(text))
    return load_config(Wording, read_toml(path), where=f"templates {path.name}")
