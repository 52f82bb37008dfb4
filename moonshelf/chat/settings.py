"""Where a model's server is, how it is asked, what a call may take and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from moonshelf.config import Config

OPENAI = "https://api.openai.com/v1"


class Prices(Config):
    """In any currency, for a million tokens; nothing is assumed where nothing is given."""

    prompt: Decimal = Field(ge=0)
    reply: Decimal = Field(ge=0)


class ServerSettings(Config):
    """The model, its server and the limits of every call."""

    model: str = Field(min_length=1)
    base_url: str = OPENAI
    """http or https; a hosted API, or a server of your own."""
    api_key_env: str | None = None
    """Name of the environment variable with the key. By default OPENAI_API_KEY for OpenAI itself
    and no key for any other server, so that no key goes where it was not meant to."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """None leaves it out, for models that refuse it."""
    seed: int | None = 0
    extra_body: Mapping[str, Any] = {}
    """Further keys of the request, e.g. ``{chat_template_kwargs = {enable_thinking = false}}``."""

    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """For one reply, from the first byte sent to the last one read."""
    attempts: int = Field(default=3, ge=1, le=10)
    """Requests before giving up on a server that is busy, broken or silent."""
    longest_wait_s: float = Field(default=60.0, ge=0)
    """The longest pause that a server may ask for (Retry-After)."""
    most_reply_bytes: int = Field(default=2_000_000, ge=1000)
    most_reply_tokens: int | None = Field(default=4000, ge=16)
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the limit on reply tokens."""

    prices: Prices | None = None

    @field_validator("base_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address of a server starts with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a key does not belong in the address; set api_key_env")
        if parts.query or parts.fragment:
            raise ValueError("the address of a server has no query")
        return value.rstrip("/")

    @property
    def key_variable(self) -> str | None:
        """Where the key is read from, if there is one to send."""
        if self.api_key_env is not None:
            return self.api_key_env
        return "OPENAI_API_KEY" if self.base_url == OPENAI else None
