"""Beginning with the encoder of a finished run in place of a new one (``start`` of a recipe).

Its weights and its tokenizer are taken over; optimizer, temperature, queue and step counts begin
anew. The recipe still says what the encoder is, so that it stays one whole record: it must be what
the run before had, and products must be shown as they were. One thing may be new: experts, where
the run before had none; each starts as a copy of what it replaces (encoder/experts.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moonshelf.config import differences, read_toml
from moonshelf.encoder import encoder_config, encoder_folder, load_encoder
from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from moonshelf.encoder.base import Encoder
    from moonshelf.encoder.config import FastConfig, VlmConfig
    from moonshelf.training.recipe import Recipe

_ORIGIN = {"path", "revision"}
"""Where weights came from at first: no part of what an encoder is."""


def check_start(recipe: Recipe) -> None:
    """Whether the run that ``recipe`` starts from has an encoder as the recipe says. Reads no
    weights; nothing to do where the recipe names none.

    Raises:
        CheckpointError: there is no encoder at ``start``.
        UsageError: it is another one, or was shown other text fields.
    """
    if recipe.start is None:
        return
    where = f"start={recipe.start}"
    before = encoder_config(recipe.start)
    if _gets_experts(before, recipe.encoder):
        given = recipe.encoder.model_dump(include={"experts"})
        before = before.model_validate(before.model_dump() | given)
    theirs = before.model_dump(mode="json", exclude=_ORIGIN)
    changed = differences(theirs, recipe.encoder.model_dump(mode="json", exclude=_ORIGIN))
    if changed:
        raise UsageError(
            f"the encoder there is not the one of this recipe: {'; '.join(changed[:5])}",
            where=where,
            cure="give the recipe the [encoder] of the run it starts from",
        )
    file = encoder_folder(recipe.start).parent / "recipe.toml"
    if file.is_file():
        fields = list(read_toml(file).get("data", {}).get("text", ["title"]))
        if fields != list(recipe.data.text):
            raise UsageError(
                f"it was shown {', '.join(fields)}, not {', '.join(recipe.data.text)}",
                where=where,
                cure=f"set data.text={fields!r}",
            )


def started_encoder(recipe: Recipe) -> Encoder | None:
    """The encoder that ``recipe`` starts from, on the CPU; None where it names none."""
    if recipe.start is None:
        return None
    check_start(recipe)
    encoder, now = load_encoder(recipe.start), recipe.encoder
    if now.kind == "vlm" and _gets_experts(encoder.config, now):
        import torch

        from moonshelf.encoder.vision_language import VisionLanguageEncoder

        assert isinstance(encoder, VisionLanguageEncoder)  # what such a config describes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            encoder.upcycle(now.experts)
    return encoder


def _gets_experts(before: VlmConfig | FastConfig, now: VlmConfig | FastConfig) -> bool:
    """Whether experts are new in the recipe."""
    if before.kind != "vlm" or now.kind != "vlm":
        return False
    return before.experts.kind == "none" and now.experts.kind != "none"
