"""Settings of stage ``pretrain``. Free of torch: a recipe is read before anything heavy loads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from moonshelf.training.settings import LoopConfig, OptimizerConfig, ScheduleConfig

Task = Literal["describe", "attribute", "attributes", "title", "subject"]


class PretrainConfig(ScheduleConfig, LoopConfig):
    """Every switch of stage ``pretrain``; the budget is steps, minutes or core_seconds."""

    kind: Literal["pretrain"] = "pretrain"
    batch: int = Field(default=256, ge=2)
    mini_batch: int | None = Field(default=None, ge=1)
    """Questions answered at once; smaller than ``batch`` turns GradCache on."""
    templates: str = "en"
    """Wording of the questions: a file of ``training/templates`` by name, or a .toml file."""
    tasks: dict[Task, float] = Field(
        default_factory=lambda: {
            "describe": 1.0,
            "attribute": 1.0,
            "attributes": 1.0,
            "title": 1.0,
            "subject": 1.0,
        }
    )
    """Share of the steps that each task gets; a task that is not named gets none."""
    show_title: float = Field(default=0.3, ge=0, le=1)
    """Chance that a question shows the title beside the picture (never where the title is asked
    for): what a title spells needs no picture."""
    keys: tuple[str, ...] = ()
    """Attribute keys that are asked for, in the order of the answer; by default the
    ``most_keys`` that most train products carry."""
    most_keys: int = Field(default=12, ge=1, le=1000)
    question_tokens: int = Field(default=96, ge=8)
    """Longest question, its title included; the title is cut."""
    answer_tokens: int = Field(default=64, ge=2)
    """Longest answer; the rest of a longer one is not learned."""
    optimizer: OptimizerConfig = OptimizerConfig()

    @field_validator("tasks")
    @classmethod
    def _some_task(cls, tasks: dict[Task, float]) -> dict[Task, float]:
        if any(not 0 <= share < float("inf") for share in tasks.values()):
            raise ValueError("shares must be 0 or more")
        if not any(tasks.values()):
            raise ValueError("needs at least one task with a share above 0")
        return tasks

    @property
    def shows_attributes(self) -> bool:
        """Whether the tokenizer should read attribute values besides the answers, which it reads
        anyway (``Questions.texts``)."""
        return False
