"""What a user may set about the model that reads products: its server, and how much it is asked."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from moonshelf.chat.settings import ServerSettings


class LlmSettings(ServerSettings):
    """The model, its server, the limits of every call and what one call asks."""

    keys_a_call: int = Field(default=20, ge=3, le=200)
    """Keys of one answer; a larger slice is asked for in several calls."""
    longest_text: int = Field(default=16_000, ge=500)
    """Characters of product text in one prompt; a longer document is read in pieces."""
    translate: bool = False
    """Ask for English wordings of values in other languages. The raw words stay the evidence; the
    translation itself is the model's word."""

    cache: Path | None = None
    """File in which replies are kept; without one, nothing is."""
