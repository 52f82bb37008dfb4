"""What a server sent back, read without trust: a chat completion, or a reason why it is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

LONGEST_SHOWN = 300


class BadReply(Exception):
    """The bytes are no chat completion; another try may help."""


class NoText(BadReply):
    """A whole completion in which the model says nothing, or that it will not."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The text of a reply, and what it cost where the server says so.

    ``cut_off``: the reply ended at the token limit.
    """

    text: str
    cut_off: bool = False
    prompt_tokens: int | None = None
    reply_tokens: int | None = None


def completion(data: bytes, content_type: str, secret: str = "") -> Completion:
    """Reads one reply of ``/chat/completions``. ``secret``: what no message may hold.

    Raises:
        BadReply: another content type, no JSON, no choice. NoText: no text, a refusal of the model.
    """
    if not _is_json(content_type):
        kind = shown(content_type, secret) or "no content type"
        raise BadReply(f"the server sent {kind}, not JSON")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the server's JSON cannot be read: {error}") from None
    choice = _first(body.get("choices")) if isinstance(body, Mapping) else None
    message = choice.get("message") if choice is not None else None
    if choice is None or not isinstance(message, Mapping):
        said = shown(_error_text(body), secret)
        raise BadReply("the reply holds no message" + (f": {said}" if said else ""))
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        said = message.get("refusal")
        refused = isinstance(said, str)
        reason = f"the model refused: {shown(said, secret)}" if refused else "it is empty"
        raise NoText(f"the reply holds no text: {reason}")
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    return Completion(
        text=text,
        cut_off=choice.get("finish_reason") == "length",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        reply_tokens=_count(usage.get("completion_tokens")),
    )


def error_message(data: bytes, secret: str = "") -> str:
    """What an error reply says, for a person."""
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return shown(_error_text(body) or text, secret)


def shown(text: str, secret: str = "") -> str:
    """A server's words on one line of at most 300 printable characters, ``secret`` hidden in them
    as it is and as it stands in an address."""
    # First hidden, then cut: half a key is too much of one.
    for form in (secret, quote(secret, safe="")) if secret else ():
        text = text.replace(form, "***")
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else " " for c in line)[:LONGEST_SHOWN]


def _error_text(body: Any) -> str:
    error = body.get("error") if isinstance(body, Mapping) else None
    said = error.get("message") if isinstance(error, Mapping) else error
    return said if isinstance(said, str) else ""


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _first(value: Any) -> Mapping[str, Any] | None:
    found = value[0] if isinstance(value, list) and value else None
    return found if isinstance(found, Mapping) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
