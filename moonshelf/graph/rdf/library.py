"""The libraries of the extra ``graph``, imported on first use; one word when they are missing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from moonshelf.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType


def extra(name: str) -> ModuleType:
    """The module ``name`` of the extra ``graph``.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"RDF needs {name}, which is not installed", cure="pip install 'moonshelf[graph]'"
        ) from error


def oxigraph() -> Any:
    """pyoxigraph: terms, parser, serializer, store, SPARQL."""
    return extra("pyoxigraph")
