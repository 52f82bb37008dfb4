"""The files that the repository's own checks read; found on disk, so a copy without git works."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "moonshelf"
LEFT_OUT = {"__pycache__", "build", "dist", "demo", "runs", "shared"}
TEXT_SUFFIXES = {
    *("", ".cfg", ".css", ".html", ".in", ".js", ".json", ".md", ".py", ".svg", ".toml", ".txt"),
    *(".yaml", ".yml"),
}


def files(*suffixes: str) -> list[Path]:
    """Every file of the repository with one of ``suffixes``, hidden tool folders left out."""
    return sorted(path for path in _walk(ROOT) if path.suffix in suffixes)


def text_files() -> list[Path]:
    return files(*TEXT_SUFFIXES)


def package_files() -> list[Path]:
    return sorted(path for path in files(".py") if path.is_relative_to(PACKAGE))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    """How a message calls a file: its path inside the repository."""
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """``moonshelf/catalog/store.py`` -> ``moonshelf.catalog.store``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name != ".ci"
            if not hidden and path.name not in LEFT_OUT and not path.name.endswith(".egg-info"):
                yield from _walk(path)
        elif not path.name.endswith(".partial"):
            yield path
