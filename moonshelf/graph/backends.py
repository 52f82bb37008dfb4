"""Backends by name, as the command line asks for them; what a backend needs is loaded only then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from moonshelf.config import Config, closest, load_config
from moonshelf.errors import UsageError
from moonshelf.graph.backend import Backend

if TYPE_CHECKING:
    from moonshelf.graph.builtin.tagger import Tagger

BACKENDS = ("builtin", "llm")


class BuiltinSettings(Config):
    """What a user may set about the rules."""

    studied: int = Field(default=10_000, ge=1)
    """Documents that the rules learn from, evenly spaced over a larger corpus."""
    tagger: Path | None = None
    """Folder of a tagger that ``graph tagger`` trained, for what the rules do not find."""


def make_backend(name: str, settings: Mapping[str, Any] | None = None) -> Backend:
    """The backend called ``name``.

    Args:
        name: ``builtin`` (rules, offline, deterministic) or ``llm`` (a model behind a server).
        settings: a table, as TOML and ``--set`` give it: of :class:`BuiltinSettings` or
            ``LlmSettings``.

    Raises:
        UsageError: no such backend, an unknown or wrong setting, or a missing extra.
        StoreError: the cache of ``llm`` cannot be used.
        CheckpointError: the tagger's folder is not as it was written.
    """
    settings = settings or {}
    if name == "builtin":
        from moonshelf.graph.builtin.backend import BuiltinBackend

        found = load_config(BuiltinSettings, settings, where="builtin settings")
        return BuiltinBackend(studied=found.studied, tagger=_tagger(found.tagger))
    if name == "llm":
        from moonshelf.graph.llm.backend import LlmBackend
        from moonshelf.graph.llm.settings import LlmSettings

        return LlmBackend(load_config(LlmSettings, settings, where="llm settings"))
    raise UsageError(f"no backend {name!r}", cure=closest(name, BACKENDS))


def _tagger(folder: Path | None) -> Tagger | None:
    from moonshelf.graph.builtin.tagger_files import open_tagger

    return None if folder is None else open_tagger(folder)
