"""The review file: edits that wait, in TOML, for a person to accept or reject.

    [[edit]]
    id = "3f09a1b2c4d5"
    decision = "pending"      # write "accept" or "reject" here
    note = ""                 # why, if you like; it goes into the history
    summary = "merge colour into color"
    reason = "same values"    # what the agent said
    opinion = "..."           # what the gatekeeper says for or against it
    by = "llm"
    edit = "{...}"            # the edit itself; do not change it

The file is a form, not the truth: the history knows what is pending and writes the form anew after
every run. Names and reasons come from agents that read strangers' texts, so nothing here is shown
that is not printable, and nothing is ever built from a name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from moonshelf.config import Config, load_config, read_toml
from moonshelf.errors import UsageError
from moonshelf.files import write_bytes_atomically
from moonshelf.graph.edits import AddClass, AddProperty, Edit, Merge, Rename, Split

LARGEST = 16 << 20
"""Bytes of a form."""
_HEAD = """\
# Edits to the schema that wait for you. For each, set decision to "accept" or "reject" and run the
# build again. Change nothing else: an edit is taken by its id, as it was asked for.
"""


class Verdict(Config):
    """What a person wrote beside one edit."""

    id: str
    decision: Literal["pending", "accept", "reject"] = "pending"
    note: str = ""
    summary: str = ""
    reason: str = ""
    opinion: str = ""
    by: str = ""
    edit: str = ""


class _Form(Config):
    edit: tuple[Verdict, ...] = ()


def review_id(edit: Edit) -> str:
    """12 hex digits: the same edit, whatever its reason, waits once."""
    body = edit.model_dump(mode="json", exclude={"reason"})
    text = json.dumps(body, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_review(path: Path, known: Mapping[str, Edit]) -> list[Verdict]:
    """What a person decided, in the order of the file; those still pending are left out.

    Args:
        path: may be missing, which decides nothing.
        known: the edits that wait, by id. Verdicts on others are over, and left out.

    Raises:
        UsageError: not TOML, unknown keys, another decision than the three, two verdicts on one
            edit, or an edit that was changed by hand.
    """
    if not path.exists():
        return []
    form = load_config(_Form, read_toml(path, LARGEST), where=str(path))
    found: dict[str, Verdict] = {}
    for verdict in form.edit:
        if verdict.id in found:
            raise UsageError(
                f"edit {verdict.id!r} is there twice", where=str(path), cure="leave one of them"
            )
        found[verdict.id] = verdict
        if verdict.id in known and verdict.edit != _written(known[verdict.id]):
            raise UsageError(
                f"edit {verdict.id!r} is not what was asked for",
                where=str(path),
                cure="reject it; an edit of your own is handed in by itself",
            )
    return [v for v in found.values() if v.decision != "pending" and v.id in known]


def write_review(path: Path, waiting: Mapping[str, tuple[Edit, str, str]]) -> None:
    """The form for ``waiting``: id -> (edit, who asked, opinion of the gatekeeper).

    No larger than half of what may be read, as a person adds notes: what does not fit comes when
    the others are decided.
    """
    blocks, size, left_out = [_HEAD.encode()], 0, 0
    for name, (edit, by, opinion) in waiting.items():
        fields: dict[str, Any] = {
            "id": name,
            "decision": "pending",
            "note": "",
            "summary": summary(edit),
            "reason": edit.reason,
            "opinion": opinion,
            "by": by,
            "edit": _written(edit),
        }
        lines = (f"{key} = {toml_text(value)}\n" for key, value in fields.items())
        block = ("\n[[edit]]\n" + "".join(lines)).encode()
        if size + len(block) > LARGEST // 2:
            left_out += 1
            continue
        blocks.append(block)
        size += len(block)
    if left_out:
        blocks.append(f"\n# {left_out:,} more wait until these are decided.\n".encode())
    write_bytes_atomically(path, b"".join(blocks))


def summary(edit: Edit) -> str:
    """One line for a person."""
    if isinstance(edit, AddClass):
        return f"add class {edit.element.name} (a {edit.element.parent})"
    if isinstance(edit, AddProperty):
        return f"add property {edit.element.name} of {edit.element.domain}"
    if isinstance(edit, Merge):
        return f"merge {', '.join(n for n in edit.names if n != edit.into)} into {edit.into}"
    if isinstance(edit, Rename):
        return f"rename {edit.name} to {edit.to}"
    if isinstance(edit, Split):
        return f"split {edit.name} into {', '.join(p.name for p in edit.into)}"
    return f"{edit.op} {edit.name}"


def toml_text(text: str) -> str:
    """``text`` as a TOML basic string in which nothing hides: what is not printable is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0xD800 <= code < 0xE000:  # no TOML has it; such an element is refused anyway
        return "\\uFFFD"
    if character == " " or character.isprintable():
        return character
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def _written(edit: Edit) -> str:
    body = json.dumps(edit.model_dump(mode="json"), ensure_ascii=True, sort_keys=True)
    return body
