"""The manifest of a catalogue: which files make it up, how large each is, where they came from.

``manifest.json`` is the only file that is ever replaced. Everything it names lies in immutable
generation folders, so a catalogue is either the old one or the new one at any moment.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from moonshelf.errors import CatalogError

KIND, FORMAT = "catalog", 1
MANIFEST = "manifest.json"
GENERATION = re.compile(r"generation-\d{6}")
_FILE = re.compile(r"[a-z_]+(-\d{3,})?\.(arrow|npy|blob|jsonl)")
COUNTS = ("products", "queries", "events", "pictures")
AGAIN = "import the catalogue again"


def generation_name(number: int) -> str:
    return f"generation-{number:06d}"


def read_manifest(path: Path) -> dict[str, Any]:
    """The validated manifest of the catalogue at ``path``; every file it names has its size.

    Raises:
        CatalogError: no catalogue, half-written, damaged, or written by another version.
    """
    if not path.is_dir():
        raise CatalogError(
            "there is no catalogue here", where=str(path), cure="make one: moonshelf catalog import"
        )
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise CatalogError(
            f"has no {MANIFEST}: not a catalogue, or one that was never finished",
            where=str(path),
            cure="check the path, or import again into a new folder",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogError(f"cannot be read ({error})", where=str(file), cure=AGAIN) from error
    _check_shape(manifest, file)
    for folder, files in named_files(manifest):
        for name, facts in files.items():
            _check_size(path / folder / name, facts["bytes"])
    return manifest


def named_files(manifest: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """(folder, {file name: facts}) of all generations and of the current tables."""
    for generation in manifest["generations"]:
        yield generation["folder"], generation["files"]
    yield manifest["current"]["folder"], manifest["current"]["files"]


def extended(
    before: dict[str, Any] | None,
    generation: dict[str, Any],
    current: dict[str, Any],
    content: Any,
    origin: str | None,
) -> dict[str, Any]:
    """The manifest of a catalogue with one more generation.

    Args:
        before: the manifest so far; None for a new catalogue.
        generation: what is added: folder, files, batches, counts, source.
        current: the files with the tables over all rows; they lie in the new generation's folder.
        content: a running hash over all that the generation brings; the fingerprint also covers
            what was there before.
        origin: of the catalogue that is added to or replaced; None starts a new one.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    older = before["generations"] if before else []
    content.update(before["fingerprint"].encode() if before else b"")
    fingerprint = content.hexdigest()
    return {
        "kind": KIND,
        "format": FORMAT,
        "created": before["created"] if before else now,
        "fingerprint": fingerprint,
        "origin": origin or fingerprint,
        "generations": [*older, {**generation, "created": now}],
        "current": {"folder": generation["folder"], "files": current},
        **{name: generation[name] + (before[name] if before else 0) for name in COUNTS},
    }


def origin(manifest: dict[str, Any]) -> str:
    """Which catalogue this is a state of: the fingerprint of the first import into its folder.

    Adding to a catalogue and replacing it keep it. Older manifests lack it: such a catalogue
    counts as its own beginning.
    """
    return manifest.get("origin") or manifest["fingerprint"]


def file_facts(path: Path, *, hashed: bool = True) -> dict[str, Any]:
    """Size and BLAKE2b of a file. Picture shards go unhashed: each picture has its own hash."""
    facts: dict[str, Any] = {"bytes": path.stat().st_size}
    if hashed:
        facts["blake2b"] = file_hash(path)
    return facts


def file_hash(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_shape(manifest: Any, file: Path) -> None:
    def refuse(what: str, cure: str = AGAIN) -> CatalogError:
        return CatalogError(what, where=str(file), cure=cure)

    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise refuse("does not describe a catalogue", "check the path")
    if manifest.get("format") != FORMAT:
        raise refuse(
            f"has format {manifest.get('format')!r}, this version reads {FORMAT}",
            "use the version of moonshelf that wrote it, or import again",
        )
    for name in ("fingerprint", "created"):
        if not isinstance(manifest.get(name), str):
            raise refuse(f"has no {name}")
    if not isinstance(manifest.get("origin", ""), str):
        raise refuse("has an origin that is no text")
    if not isinstance(manifest.get("generations"), list) or not manifest["generations"]:
        raise refuse("names no generation")
    if not all(_is_count(manifest.get(name)) for name in COUNTS):
        raise refuse("lacks a count")
    for part in (*manifest["generations"], manifest.get("current")):
        if not _is_part(part):
            raise refuse("names a file or folder that cannot be part of a catalogue")
    for generation in manifest["generations"]:
        batches = generation.get("batches")
        good = isinstance(batches, list) and all(_is_count(n) for n in batches)
        if not good or not all(_is_count(generation.get(name)) for name in COUNTS):
            raise refuse(f"lacks counts of {generation['folder']}")
        if sum(batches) != generation["products"]:
            raise refuse(f"counts the products of {generation['folder']} in two ways")
    for name in COUNTS:
        if sum(generation[name] for generation in manifest["generations"]) != manifest[name]:
            raise refuse(f"counts its {name} in two ways")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_part(part: Any) -> bool:
    """A folder and its files, none of which leaves the catalogue."""
    return (
        isinstance(part, dict)
        and isinstance(part.get("folder"), str)
        and GENERATION.fullmatch(part["folder"]) is not None
        and isinstance(part.get("files"), dict)
        and all(
            _FILE.fullmatch(name) is not None
            and isinstance(facts, dict)
            and _is_count(facts.get("bytes"))
            for name, facts in part["files"].items()
        )
    )


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CatalogError("is missing", where=str(path), cure=AGAIN) from error
    if size != expected:
        raise CatalogError(
            f"has {size:,} bytes, the manifest says {expected:,}: truncated or changed",
            where=str(path),
            cure="restore the file, or import the catalogue again",
        )
