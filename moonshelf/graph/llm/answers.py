"""Answers checked against their schema here, whatever a server promises about its own checking.

The JSON schemas in use are of one plain dialect (``schema/card.py``): an object of nullable values,
lists of texts, lists of flat objects. Each becomes a pydantic model; unknown, missing and mistyped
keys are errors with the key in front, in words that a model can act on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Optional

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    create_model,
)

LONGEST_TEXT = 4000
MOST_ITEMS = 200
_MOST_ERRORS = 20


def errors_of(found: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Every way in which ``found`` is not what ``schema`` asks for: ``key: what is wrong``."""
    try:
        _model(json.dumps(schema)).model_validate(found)
    except ValidationError as error:
        return [_said(one) for one in error.errors(include_url=False)][:_MOST_ERRORS]
    return []


def good_keys(found: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    """Keys of ``found`` that are right by themselves, whatever is wrong with the others."""
    good = set()
    for key, wanted in schema["properties"].items():
        alone = {"type": "object", "properties": {key: wanted}}
        if key in found and not errors_of({key: found[key]}, alone):
            good.add(key)
    return good


@lru_cache(maxsize=512)
def _model(schema: str) -> type[BaseModel]:
    return _object_model(json.loads(schema))


def _object_model(schema: Mapping[str, Any]) -> type[BaseModel]:
    # Keys are aliases: a key named like a method of the model would be a clash.
    fields: dict[str, Any] = {
        f"f{number}": (_type(wanted), Field(alias=key))
        for number, (key, wanted) in enumerate(schema["properties"].items())
    }
    return create_model("Answer", __config__=ConfigDict(extra="forbid"), **fields)


def _type(wanted: Mapping[str, Any]) -> Any:
    """No unions other than with None: one mistake is to be one error."""
    if "enum" in wanted:
        return Literal[tuple(wanted["enum"])]  # pyright: ignore[reportInvalidTypeForm]
    names = wanted["type"]
    names = [names] if isinstance(names, str) else names
    (name,) = (name for name in names if name != "null")
    found = _plain(name, wanted)
    return Optional[found] if "null" in names else found  # noqa: UP045 - built at run time


def _plain(name: str, wanted: Mapping[str, Any]) -> Any:
    if name == "array":
        item = wanted["items"]
        inner = _object_model(item) if item["type"] == "object" else _type(item)
        return Annotated[list[inner], Field(max_length=MOST_ITEMS)]
    if name == "number":
        return Annotated[Decimal, PlainValidator(_number)]
    if name == "integer":
        return StrictInt
    if name == "boolean":
        return StrictBool
    return Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("Input should be a number")
    return value


def _said(error: Any) -> str:
    """``color__value: Input should be 'red', 'blue' or None, got "green"``."""
    key = ".".join(map(str, error["loc"])) or "the object"
    if error["type"] == "extra_forbidden":
        return f"{key[:80]}: no such key"
    if error["type"] == "missing":
        return f"{key}: the key is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = json.dumps(error["input"], ensure_ascii=True, default=str)
    return f"{key}: {_cut(message, 300)}, got {_cut(shown, 80)}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
