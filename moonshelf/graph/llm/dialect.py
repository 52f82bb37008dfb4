"""How a server is made to answer in JSON, and how its text becomes an object.

Three dialects, the strictest first: ``json_schema`` (the server holds the model to the schema),
``json_object`` (to JSON), ``prompt`` (to nothing). What a server's page promises and what it does
differ (llama.cpp issue 11847), so ``probe.py`` finds out. Nothing is ever mended by guessing: code
fences are taken off, anything else that is no JSON object is an error for the model to hear of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeAlias

Dialect: TypeAlias = Literal["json_schema", "json_object", "prompt"]
DIALECTS: tuple[Dialect, ...] = ("json_schema", "json_object", "prompt")
_FENCE = re.compile(r"[^\S\n]*```(?P<of>[\w-]*)[^\S\n]*")
_SCHEMA_WORDS = frozenset(
    {"$schema", "type", "properties", "required", "additionalProperties", "title", "description"}
)


class NoObject(Exception):
    """The text is not one JSON object; the message says why, for the model."""


def response_format(dialect: Dialect, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The ``response_format`` of a request."""
    if dialect == "json_schema":
        form = {"name": "answer", "strict": True, "schema": dict(schema)}
        return {"type": "json_schema", "json_schema": form}
    return {"type": "json_object"} if dialect == "json_object" else None


def read_object(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The object that ``text`` is, numbers exact.

    Raises:
        NoObject: no JSON, cut off, a key twice, not an object, or the schema sent back.
    """
    body = _without_fences(text)
    try:
        found = json.loads(
            body,
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise NoObject("the reply is nested too deeply") from None
    except ValueError as error:
        whole = "" if body.rstrip().endswith("}") else "; it ends before the object does"
        raise NoObject(f"the reply is not valid JSON: {error}{whole}") from None
    if not isinstance(found, dict):
        raise NoObject("the reply is JSON, but not an object")
    if is_schema(found, schema):
        raise NoObject("the reply is the JSON schema itself, not an answer that follows it")
    return found


def is_schema(found: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether ``found`` echoes the schema: whole, in part, or key by key."""
    wanted = schema.get("properties", {})
    if isinstance(found.get("properties"), Mapping) and "properties" not in wanted:
        return True
    if found and set(found) <= _SCHEMA_WORDS - set(wanted):
        return True
    described = [v for k, v in found.items() if k in wanted and isinstance(v, Mapping)]
    return bool(described) and all("type" in value or "enum" in value for value in described)


def _without_fences(text: str) -> str:
    """What stands in the only code fence, words around it left out; else the text as it is."""
    stripped = text.strip()
    if stripped.startswith("{"):
        return stripped
    lines, blocks = stripped.split("\n"), []
    opened: int | None = None
    for number, line in enumerate(lines):
        mark = _FENCE.fullmatch(line)
        if mark is None:
            continue
        if opened is None:
            opened = number + 1
        elif not mark["of"]:
            blocks.append((opened, number))
            opened = None
    return "\n".join(lines[slice(*blocks[0])]).strip() if len(blocks) == 1 else stripped


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:80]!r} is there twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
