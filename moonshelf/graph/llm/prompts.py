"""Prompts are data: the files in ``prompts/``, filled in once, product text always inside a fence
(``chat/fence.py``)."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from string import Template

from moonshelf.graph.records import Document

_NAMES = (
    *("system", "schema", "retry", "probe", "class", "extract", "translate", "propose"),
    "refine",
)
_PLAIN_NAME = re.compile(r"[a-z_]{1,20}")


def filled(name: str, **values: str) -> str:
    """The prompt ``name`` with its places filled. A ``$`` inside a value stays what it is."""
    return Template(_text(name)).substitute(values).strip()


def prompts_digest() -> str:
    """64 hex digits of all prompt files."""
    whole = "\0".join(f"{name}\0{_text(name)}" for name in _NAMES)
    return hashlib.sha256(whole.encode()).hexdigest()


def document_parts(document: Document, prefix: str = "") -> dict[str, str]:
    """The texts of a document by the names under which prompts show them: ``1 title``."""
    parts = {}
    for place, (name, text) in enumerate(document.fields, start=1):
        shown = f" {name}" if _PLAIN_NAME.fullmatch(name) else ""
        parts[f"{prefix}{place}{shown}"] = text
    if document.category:
        parts[f"{prefix}category in the shop"] = document.category
    return parts


def text_name(document: Document) -> str:
    """What a document is called in a prompt; its own id is a stranger's text."""
    return f"text-{document.digest[:8]}"


def pieces(text: str, longest: int) -> list[str]:
    """``text`` in stretches of at most ``longest`` characters that overlap by a tenth."""
    if len(text) <= longest:
        return [text]
    step = longest - longest // 10
    return [text[start : start + longest] for start in range(0, len(text) - longest // 10, step)]


@cache
def _text(name: str) -> str:
    return files("moonshelf.graph.llm").joinpath("prompts", f"{name}.txt").read_text("utf-8")
