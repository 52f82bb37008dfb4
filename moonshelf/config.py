"""Typed settings: pydantic model <-> TOML <-> ``a.b=c`` on the command line.

A recipe is data. It is read from TOML, changed by ``key=value`` words, checked against a typed
model, and written back into the run folder, so that a run can be repeated from its own folder.
Every mistake names the key and, where one is near, the key that was probably meant.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from moonshelf.errors import UsageError

LARGEST_FILE = 1 << 20
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Config(BaseModel):
    """Base of every settings class: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(
    model: type[ConfigT], data: Mapping[str, Any], *, where: str = "settings"
) -> ConfigT:
    """Checks ``data`` against ``model``.

    Raises:
        UsageError: naming every wrong key, what was got, and the closest known key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems, cures = [], []
        for detail in error.errors(include_url=False, include_context=False):
            problem, cure = _explain(model, detail)
            problems.append(problem)
            cures.append(cure)
        raise UsageError(
            "; ".join(problems), where=where, cure="; ".join(dict.fromkeys(filter(None, cures)))
        ) from error


def read_toml(path: Path, largest: int = LARGEST_FILE) -> dict[str, Any]:
    """The tables of a TOML file of at most ``largest`` bytes; UsageError where it cannot be
    read."""
    try:
        if path.stat().st_size > largest:
            what = f"is larger than {largest >> 20} MiB"
            raise UsageError(what, where=str(path), cure="pass a TOML file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("no such file", where=str(path), cure="check the path") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"not UTF-8 at byte {error.start}", where=str(path), cure="save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=str(path), cure="mend it") from error
    except OSError as error:
        raise UsageError(
            error.strerror or "cannot be read", where=str(path), cure="pass a TOML file"
        ) from error


def with_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of ``data`` with each ``a.b=value`` applied; tables on the way are created.

    A value is read as TOML (``3``, ``0.5``, ``true``, ``[1, 2]``, ``"x"``) and, where that fails,
    as the plain string it is. ``a.b=`` with nothing after it removes the key (its default holds).
    A number as a key addresses a place in a list.
    """
    result = json.loads(json.dumps(data, default=str))
    for word in overrides:
        path, equals, text = word.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise UsageError(f"{word!r} is not key=value", cure="write e.g. stages.align.steps=100")
        _put(result, keys, text.strip(), word)
    return result


def to_toml(model: BaseModel) -> str:
    """The whole of ``model`` as TOML, defaults included; ``None`` is left out."""
    return "".join(_table_lines(model.model_dump(mode="json"), ())).lstrip("\n")


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys at which two nested tables differ, e.g. ``stages.align.batch: 256 -> 512``."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        here = f"{prefix}{key}"
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{here}.")
        elif a != b:
            found.append(f"{here}: {a!r} -> {b!r}")
    return found


def closest(name: str, known: Iterable[str]) -> str:
    """``"did you mean x?"``, or a list of what is known when nothing is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"choose among {', '.join(known)}" if known else ""


def _put(target: Any, keys: Sequence[str], text: str, word: str) -> None:
    for i, key in enumerate(keys):
        last = i == len(keys) - 1
        if isinstance(target, list):
            if not key.isdigit() or int(key) >= len(target):
                raise UsageError(
                    f"{'.'.join(keys[:i])} is a list of {len(target)}, {key!r} is no place in it",
                    where=word,
                    cure=f"use a number from 0 to {len(target) - 1}",
                )
            place: Any = int(key)
        elif isinstance(target, dict):
            place = key
        else:
            raise UsageError(
                f"{'.'.join(keys[:i])} is a single value, not a table", where=word, cure="see above"
            )
        if last:
            _assign(target, place, text)
        elif isinstance(target, dict):
            target = target.setdefault(place, {})
        else:
            target = target[place]


def _assign(target: Any, place: Any, text: str) -> None:
    if text:
        target[place] = _value(text)
    elif isinstance(target, dict):
        target.pop(place, None)
    else:
        del target[place]


def _value(text: str) -> Any:
    if "\n" not in text:
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
        # Dates and times have no JSON form; the typed model reads them from text.
        return value if isinstance(value, bool | int | float | str | list | dict) else text
    return text


def _explain(model: type[BaseModel], detail: Any) -> tuple[str, str]:
    path, known = _follow(model, detail["loc"])
    key = ".".join(path) or "settings"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key!r}", closest(path[-1], known)
    if detail["type"] == "missing":
        return f"key {key!r} is missing", f"give {key} a value"
    got = repr(detail["input"])
    got = got if len(got) <= 60 else got[:57] + "..."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]}, got {got}", f"change {key}"


def _follow(model: type[BaseModel], location: Sequence[Any]) -> tuple[list[str], set[str]]:
    """The dotted path a user wrote, and the field names of the table its last part stands in.

    pydantic's location also names the member of a tagged union it tried (``encoder.fast.width``);
    that is no key of the file, and says which members' fields may follow.
    """
    path: list[str] = []
    here, next_tables = {model}, {model}
    free = False
    for part in map(str, location):
        tagged = {one for one in next_tables if part in _tags(one)}
        if len(next_tables) > 1 and tagged and not free:
            next_tables = tagged
            continue
        path.append(part)
        here = next_tables
        # What follows is a name of the user's own, even where it is that of a member.
        free = not free and any(_is_free_table(one, part) for one in here)
        inner = {
            found
            for one in here
            if part in one.model_fields
            for found in _models_in(one.model_fields[part].annotation)
        }
        # A key of a free table, or a place in a list, does not change which fields may follow.
        next_tables = inner or here
    return path, {name for one in here for name in one.model_fields}


def _is_free_table(model: type[BaseModel], key: str) -> bool:
    field = model.model_fields.get(key)
    return field is not None and typing.get_origin(field.annotation) is dict


def _tags(model: type[BaseModel]) -> set[str]:
    return {
        str(value)
        for found in model.model_fields.values()
        if typing.get_origin(found.annotation) is typing.Literal
        for value in typing.get_args(found.annotation)
    }


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return {found for part in typing.get_args(annotation) for found in _models_in(part)}
    return set()


def _table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, below = [], []
    for key, value in table.items():
        here = (*path, key)
        name = ".".join(_key(part) for part in here)
        if value is None:
            continue
        if isinstance(value, Mapping):
            below += [f"\n[{name}]\n", *_table_lines(value, here)]
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for entry in value:
                below += [f"\n[[{name}]]\n", *_table_lines(entry, here)]
        else:
            lines.append(f"{_key(key)} = {_scalar(value)}\n")
    return lines + below


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(_scalar(entry) for entry in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_scalar(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"TOML has no form for {type(value).__name__}")


def _string(text: str) -> str:
    # JSON escapes are TOML escapes, except DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
