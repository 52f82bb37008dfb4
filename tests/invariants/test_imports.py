"""Imports run one way, in the order that docs/architecture.md states, and stay light where it says.

The order is read from the page itself, so page and code cannot disagree.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.invariants.sources import PACKAGE, ROOT, module, name, package_files, tree

# What a distribution is called inside Python, where that differs from its name.
IMPORT_NAMES = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "python-crfsuite": "pycrfsuite",
    "scikit-learn": "sklearn",
}
HEAVY = {"torch", "transformers", "safetensors", "tokenizers"}


@dataclass(frozen=True)
class Import:
    """One imported module: where, and whether it happens as the file loads."""

    target: str
    line: int
    at_load: bool
    typing_only: bool


@cache
def imports(path: Path) -> list[Import]:
    return list(_imports(tree(path), module(path), path.name == "__init__.py"))


def _imports(
    node: ast.AST, here: str, package: bool, at_load: bool = True, typing: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            body = ast.Module(body=child.body, type_ignores=[])
            yield from _imports(body, here, package, at_load, typing=True)
            rest = ast.Module(body=child.orelse, type_ignores=[])
            yield from _imports(rest, here, package, at_load, typing)
            continue
        for target in _targets(child, here, package):
            yield Import(target, getattr(child, "lineno", 0), at_load, typing)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(child, here, package, at_load and not inside, typing)


def _targets(node: ast.AST, here: str, package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = here.split(".")
        base = parts[: len(parts) - node.level + package] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        # `from moonshelf.catalog import store` may name a module: both spellings are looked at.
        yield from (f"{origin}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and _called(node).endswith("import_module"):
        yield from (
            str(arg.value)
            for arg in node.args[:1]
            if isinstance(arg, ast.Constant) and str(arg.value).startswith("moonshelf")
        )


def _called(node: ast.Call) -> str:
    """The last word of what is called; ``""`` where that is no name."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def room(target: str) -> str:
    """``moonshelf.catalog.store`` -> ``catalog``; the package itself is ``""``."""
    parts = target.split(".")
    known = len(parts) > 1 and (
        (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
    )
    return parts[1] if known else ""


def stated_layers() -> list[list[str]]:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("    ") and "<-" in line]
    assert len(lines) == 1, "docs/architecture.md states the import order in exactly one line"
    return [re.findall(r"\w+", layer) for layer in lines[0].split("<-")]


def test_every_room_has_a_place_in_the_order() -> None:
    stated = {r for layer in stated_layers() for r in layer}
    present = {room(module(path)) for path in package_files()} - {"", "__main__"}
    assert present <= stated, f"not in docs/architecture.md's order: {sorted(present - stated)}"


def test_imports_run_one_way() -> None:
    layers = stated_layers()
    level = {r: k for k, layer in enumerate(layers) for r in layer}
    level |= {"": 0, "__main__": len(layers)}
    wrong = []
    for path in package_files():
        here = room(module(path))
        for found in imports(path):
            if found.target.split(".")[0] != "moonshelf":
                continue
            there = room(found.target)
            if there == "" and here and not re.fullmatch(r"moonshelf(\.__\w+__)?", found.target):
                wrong.append(f"{name(path)}:{found.line} takes {found.target} from the package")
            foundation = level.get(here) == level.get(there) == 0
            if here == there or foundation or level.get(there, 99) < level.get(here, 99):
                continue
            wrong.append(f"{name(path)}:{found.line} {here} imports {there}")
    assert not wrong, "\n".join(wrong)


def test_rooms_take_nothing_from_the_lazy_package() -> None:
    """`moonshelf.Catalog` inside a room would import any other room unseen; names like
    `moonshelf.__version__` are fine."""
    wrong = [
        f"{name(path)}:{node.lineno} uses moonshelf.{node.attr}"
        for path in package_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "moonshelf"
        and not (node.attr.startswith("__") or room(f"moonshelf.{node.attr}"))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_two_modules_need_each_other_to_load() -> None:
    modules = {module(path): path for path in package_files()}
    needs: dict[str, set[str]] = {}
    for here, path in modules.items():
        loads = [i.target for i in imports(path) if i.at_load and not i.typing_only]
        found = {t if t in modules else t.rpartition(".")[0] for t in loads}
        needs[here] = {t for t in found if t in modules and t != here}
    done: set[str] = set()

    def visit(here: str, trail: tuple[str, ...]) -> None:
        assert here not in trail, " -> ".join((*trail[trail.index(here) :], here))
        if here not in done:
            for there in sorted(needs[here]):
                visit(there, (*trail, here))
            done.add(here)

    for here in sorted(needs):
        visit(here, ())


def test_the_graph_knows_the_catalogue_alone() -> None:
    allowed = {"graph", "catalog", *stated_layers()[0]}
    wrong = [
        f"{name(path)}:{found.line} imports {found.target}"
        for path in package_files()
        if room(module(path)) == "graph"
        for found in imports(path)
        if found.target.split(".")[0] == "moonshelf"
        and room(found.target) not in allowed
        and not re.fullmatch(r"moonshelf\.__\w+__", found.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_catalogue_the_graph_and_the_foundation_never_touch_torch() -> None:
    light = {"catalog", "graph", *stated_layers()[0]}
    wrong = [
        f"{name(path)}:{found.line} imports {found.target}"
        for path in package_files()
        if room(module(path)) in light
        for found in imports(path)
        if found.target.split(".")[0] in {"torch", "transformers"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("light", ["", "cli", "__main__"])
def test_start_up_loads_nothing_heavy(light: str) -> None:
    wrong = [
        f"{name(path)}:{found.line} imports {found.target} as it loads"
        for path in package_files()
        if room(module(path)) == light
        for found in imports(path)
        if found.at_load and not found.typing_only and found.target.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_objectives_are_pure_tensor_functions() -> None:
    allowed = {"torch", "moonshelf", *sys.stdlib_module_names}
    wrong = [
        f"{name(path)}:{found.line} imports {found.target}"
        for path in package_files()
        if room(module(path)) == "objectives"
        for found in imports(path)
        if found.target.split(".")[0] not in allowed or found.target.startswith("torch.distributed")
    ]
    assert not wrong, "\n".join(wrong)


def test_extras_are_loaded_only_where_they_are_used() -> None:
    """The core loads with the core's dependencies; an extra is imported inside a function."""
    core, extras = declared()
    wrong = []
    for path in package_files():
        for found in imports(path):
            top = found.target.split(".")[0]
            if top in {"moonshelf", *sys.stdlib_module_names, *core}:
                continue
            if top not in extras:
                wrong.append(f"{name(path)}:{found.line} {top} is not in pyproject.toml")
            elif found.at_load and not found.typing_only:
                wrong.append(f"{name(path)}:{found.line} the extra {top} is imported at load")
    assert not wrong, "\n".join(wrong)


def declared() -> tuple[set[str], set[str]]:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        found = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in requirements}
        return {IMPORT_NAMES.get(n, n.replace("-", "_")) for n in found}

    extras = [r for group in project["optional-dependencies"].values() for r in group]
    return names(project["dependencies"]), names(extras) - {"moonshelf"}
