"""The house style that a formatter does not know: short files, short functions, names that say."""

from __future__ import annotations

import ast
import re

from tests.invariants.sources import files, name, package_files, text_files, tree

FILE_LINES = 400
FUNCTION_LINES = 60
GRAB_BAGS = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}
# A folder that exists on one machine only. /tmp, /etc and /dev name no machine.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/*}>-])/(?:home|root|work|opt|mnt|srv|Users|workspace|data)/[\w.-]+"
    r"|(?<!\w)[A-Z]:\\\\?[A-Za-z]"
)


def test_files_stay_short() -> None:
    counts = {name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in files(".py")}
    assert not {n: c for n, c in counts.items() if c > FILE_LINES}


def test_functions_stay_short() -> None:
    """The docstring is not counted: saying more about shapes and sources costs nothing."""
    long = {
        f"{name(path)}:{node.lineno} {node.name}": code_lines(node)
        for path in files(".py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and code_lines(node) > FUNCTION_LINES
    }
    assert not long


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        docstring = node.body[0]
        assert docstring.end_lineno is not None
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def test_no_grab_bags() -> None:
    assert not [name(p) for p in files(".py") if p.stem in GRAB_BAGS or p.parent.name in GRAB_BAGS]


def test_every_module_says_what_it_is() -> None:
    """A file with code opens with a docstring; tests may let their names speak."""
    silent = [
        name(path)
        for path in files(".py")
        if tree(path).body and not ast.get_docstring(tree(path)) and not "tests" not in path.parts
    ]
    assert not silent


def test_annotations_are_lazy_in_every_module() -> None:
    eager = [
        name(path)
        for path in package_files()
        if any(isinstance(n, ast.FunctionDef | ast.AnnAssign) for n in ast.walk(tree(path)))
        and not any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for node in tree(path).body
        )
    ]
    assert not eager


def test_no_path_of_somebodys_machine() -> None:
    found = [
        f"{name(path)}:{number} {match.group()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := MACHINE_PATH.search(line))
    ]
    assert not found


def test_the_path_check_sees_paths() -> None:
    assert MACHINE_PATH.search("open('" + "/home" + "/someone/x.csv')")
    assert MACHINE_PATH.search('"' + "C:" + '\\\\Users"')
    assert not MACHINE_PATH.search("https://example.org/data/x, ../shared/data/hm, <repo>/data/x")
