"""What the pages promise is there: commands, targets, paths, pins; and nothing that must not be."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.invariants.sources import ROOT, name, text_files

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([0-9]+(?:\.[0-9a-z]+)*)$")
REPOSITORY_PATH = re.compile(
    r"(?<![\w./-])((?:moonshelf|docs|tests|recipes|benchmarks|\.ci)/[\w./*-]*[\w/*])"
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


@cache
def page_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shell_lines(text: str) -> list[str]:
    """Lines of fenced blocks marked sh, bash or console; ``\\`` at the end joins lines."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip().removeprefix("$ ") for line in joined.splitlines()]


def documented_commands() -> list[tuple[str, ...]]:
    """Every ``moonshelf ...`` line of the pages, comments removed."""
    found = {
        tuple(shlex.split(line, comments=True))
        for page in PAGES
        for line in shell_lines(page_text(page))
        if re.match(r"moonshelf\s", line)
    }
    return sorted(found)


@cache
def help_text(words: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "moonshelf", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, f"moonshelf {' '.join(words)} --help: {done.stderr}"
    return done.stdout


def test_there_are_commands_to_check() -> None:
    assert {command[1] for command in documented_commands()} >= {
        *("catalog", "train", "evaluate", "embed", "search"),
    }


@pytest.mark.parametrize("command", documented_commands(), ids=" ".join)
def test_documented_commands_exist(command: tuple[str, ...]) -> None:
    """The verb answers ``--help``, and the help names every long option the page uses."""
    verbs: list[str] = []
    for word in command[1:3]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        verbs.append(word)
    options = {word.split("=")[0] for word in command if word.startswith("--")} - {"--help"}
    help_page = help_text(tuple(verbs))
    missing = {o for o in options if not re.search(rf"{re.escape(o)}(?![\w-])", help_page)}
    assert not missing, f"moonshelf {' '.join(verbs)} has no {sorted(missing)}"


def test_documented_python_runs_as_far_as_its_names() -> None:
    """Blocks parse, and what they import from moonshelf is there."""
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"^```python\n(.*?)^```", page_text(page), re.MULTILINE | re.DOTALL)
        if page.name != "architecture.md"  # signatures, not statements
    ]
    assert blocks
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moonshelf"):
            found = importlib.import_module(node.module or "")
            absent = [alias.name for alias in node.names if not hasattr(found, alias.name)]
            assert not absent, f"{node.module} has no {absent}"


def test_documented_make_targets_exist() -> None:
    makefile = page_text(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert targets >= {"demo", "test", "lint", "format", "types", "bench", "clean", "help"}
    wrong = [
        f"{name(page)}: make {target}"
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page_text(page), re.MULTILINE)
        if target not in targets
    ]
    assert not wrong, wrong


def test_paths_that_pages_name_exist() -> None:
    wrong = []
    for page in PAGES:
        for found in set(REPOSITORY_PATH.findall(page_text(page))):
            if not any(ROOT.glob(found.rstrip("/"))):
                wrong.append(f"{name(page)}: {found}")
        for link in set(LINK.findall(page_text(page))):
            if not (page.parent / link).exists():
                wrong.append(f"{name(page)}: link to {link}")
    assert not wrong, "\n".join(sorted(wrong))


def test_pages_and_files_that_code_names_exist() -> None:
    """Comments send the reader to pages, tests and recipes; those must not have moved."""
    pointer = re.compile(r"(?<![\w./-])(?:docs|benchmarks|recipes|tests)/[\w/-]+\.(?:md|py|toml)")
    wrong = [
        f"{name(path)}: {found}"
        for path in text_files()
        if path.suffix in {".py", ".toml", ".txt", ""}
        for found in set(pointer.findall(page_text(path)))
        if not (ROOT / found).is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_sections_that_code_cites_exist() -> None:
    """`methods.md 8.2` in a comment is a heading of docs/methods.md; no other page is cited."""
    pages = {page.name for page in PAGES}
    methods = page_text(ROOT / "docs" / "methods.md")
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?) ", methods, re.MULTILINE))
    code = {path: page_text(path) for path in text_files() if path.suffix in {".py", ".toml"}}
    written = set(re.findall(r"[\"/]([\w-]+\.md)\"", "\n".join(code.values())))
    wrong = []
    for path, text in code.items():
        for page in set(re.findall(r"(?<![\w./*{}-])([\w-]+\.md)(?=[\s,;:)]|$)", text)):
            if page in pages | written:
                continue
            wrong.append(f"{name(path)}: {page} is no page of this repository")
        cited = re.findall(r"methods\.md,? (\d[\d.]*\d|\d)(?: (?:and|to) (\d[\d.]*\d|\d))?", text)
        for section in {one for pair in cited for one in pair if one} - sections:
            wrong.append(f"{name(path)}: methods.md has no section {section}")
    assert not wrong, "\n".join(wrong)


@cache
def pins() -> dict[str, str]:
    lines = page_text(ROOT / "constraints.txt").splitlines()
    wanted = [line for line in lines if line.strip() and not line.startswith("#")]
    odd = [line for line in wanted if not PIN.match(line)]
    assert not odd, f"constraints.txt holds `name==version` and nothing else: {odd}"
    return dict(line.split("==") for line in wanted)


@cache
def project() -> dict:
    return tomllib.loads(page_text(ROOT / "pyproject.toml"))["project"]


def requirements() -> list[Requirement]:
    extras = project()["optional-dependencies"].values()
    named = [*project()["dependencies"], *(one for group in extras for one in group)]
    parsed = [Requirement(text) for text in named]
    return [one for one in parsed if canonicalize_name(one.name) != "moonshelf"]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    missing = {r.name for r in requirements()} - set(pins())
    assert not missing, f"not in constraints.txt: {sorted(missing)}"
    outside = [str(r) for r in requirements() if pins()[r.name] not in r.specifier]
    assert not outside, f"constraints.txt is outside pyproject.toml's bounds: {outside}"


def test_torch_is_bounded_above_and_pinned_without_a_build() -> None:
    """Unbounded, or with a local suffix, the install fails or pulls gigabytes on some machine."""
    torch = next(r for r in requirements() if r.name == "torch")
    assert "2.99" not in torch.specifier and "2.6" in torch.specifier
    assert re.fullmatch(r"\d+\.\d+\.\d+", pins()["torch"])


def test_python_bounds_agree() -> None:
    oldest = re.search(r"^SUPPORTED := (\S+)", page_text(ROOT / "Makefile"), re.MULTILINE)
    assert oldest is not None and oldest.group(1) in SpecifierSet(project()["requires-python"])
    assert project()["requires-python"] == f">={oldest.group(1)}"


def test_the_licence_is_whole() -> None:
    text = page_text(ROOT / "LICENSE")
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    assert project()["license"] == "Apache-2.0"


# Each pattern is written so that it does not match itself.
FORBIDDEN = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "an access token": r"\b(?:hf_[A-Za-z]{30,}|gh[pousr]_\w{30,}|AKIA[0-9A-Z]{16}|pypi-AgE\w{20,})",
    "a password in an address": r"[a-z]+://[^/\s:@'\"{]+:[^/\s:@'\"{]+@\w",
    "a package index": r"--(?:extra-)?index-[u]rl|--find-[l]inks|PIP_(?:INDEX|FIND)_\w|[/]simple/",
    "a file address": r"\bfile:/[/]/(?!etc/passwd)\w",
    "an address of a machine": (
        r"\b(?:10(?:\.\d{1,3}){3}|(?:192\.168|172\.16)(?:\.\d{1,3}){2})\b(?!\.\d)"
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_secret_or_local_is_committed(what: str) -> None:
    found = [
        f"{name(path)}:{number}"
        for path in text_files()
        for number, line in enumerate(page_text(path).splitlines(), start=1)
        if re.search(FORBIDDEN[what], line)
    ]
    assert not found, f"{what}: {found}"


def test_nothing_large_is_committed() -> None:
    """Data and weights belong elsewhere; a picture for a page fits in 1.5 MB."""
    folders = [ROOT / f for f in ("moonshelf", "docs", "tests", "recipes", "benchmarks")]
    found = (p for folder in folders for p in folder.rglob("*") if "__pycache__" not in p.parts)
    assert not [name(p) for p in found if p.is_file() and p.stat().st_size > 1_500_000]
