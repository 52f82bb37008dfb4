"""What a server sent back, read without trust: a chat completion, or a reason why it is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BadReply(Exception):
    """The bytes are no chat completion; another try may help."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The text of a reply, and what it cost where the server says so.

    ``cut_off``: the reply ended at the token limit.
    """

    text: str
    cut_off: bool = False
    prompt_tokens: int | None = None
    reply_tokens: int | None = None


def completion(data: bytes, content_type: str) -> Completion:
    """Reads one reply of ``/chat/completions``.

    Raises:
        BadReply: another content type, no JSON, no choice, no text, a refusal of the model.
    """
    if not _is_json(content_type):
        raise BadReply(f"the server sent {content_type or 'no content type'}, not JSON")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the server's JSON cannot be read: {error}") from None
    choice = _first(body.get("choices")) if isinstance(body, Mapping) else None
    message = choice.get("message") if choice is not None else None
    if choice is None or not isinstance(message, Mapping):
        raise BadReply(f"the reply holds no message{_error_text(body)}")
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        said = message.get("refusal")
        reason = f"the model refused: {said[:200]}" if isinstance(said, str) else "it is empty"
        raise BadReply(f"the reply holds no text: {reason}")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Completion(
        text=text,
        cut_off=choice.get("finish_reason") == "length",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        reply_tokens=_count(usage.get("completion_tokens")),
    )


def error_message(data: bytes) -> str:
    """What an error reply says, for a person; at most 300 characters."""
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    found = _error_text(body).removeprefix(": ") or " ".join(text.split())
    return "".join(c if c.isprintable() else " " for c in found)[:300]


def _error_text(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    said = error.get("message") if isinstance(error, Mapping) else error
    return f": {said[:300]}" if isinstance(said, str) else ""


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _first(value: Any) -> Mapping[str, Any] | None:
    found = value[0] if isinstance(value, list) and value else None
    return found if isinstance(found, Mapping) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
