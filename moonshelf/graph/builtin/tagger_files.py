"""A trained tagger on disk: models and lexicons, and a manifest that names their digests.

Models are crfsuite's own binary format, whose reader does not defend itself. So nothing reaches it
that is not, byte for byte, what :func:`save` wrote: the digest is checked on the very bytes that
are handed over. That finds damage, half-written files and mix-ups. It is no signature: whoever can
write the manifest can name another digest, so a tagger from a stranger is not to be opened.

    manifest.json   format, settings, properties by category, digests; written last
    000.crfsuite    model of the first category
    lexicons.json   values seen in training, by category
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from moonshelf.config import Config
from moonshelf.errors import CheckpointError
from moonshelf.files import atomic_folder, write_bytes_atomically, write_json_atomically
from moonshelf.graph.builtin.tagger import Tagger, TaggerSettings
from moonshelf.graph.builtin.tagger_lexicon import Lexicon

FORMAT = 1
MANIFEST, LEXICONS = "manifest.json", "lexicons.json"
_LARGEST = 1 << 30


class _Model(Config):
    category: str
    file: str
    sha256: str


class _Manifest(Config):
    format: Literal[1]
    kind: Literal["tagger"]
    settings: TaggerSettings
    properties: dict[str, tuple[str, ...]]
    models: tuple[_Model, ...]
    lexicons_sha256: str


def save(tagger: Tagger, folder: Path) -> None:
    """Writes ``folder`` whole or not at all; one that exists is replaced."""
    with atomic_folder(folder) as partial:
        models = []
        for k, category in enumerate(sorted(tagger.models)):
            name, data = f"{k:03}.crfsuite", tagger.models[category]
            write_bytes_atomically(partial / name, data)
            models.append(_Model(category=category, file=name, sha256=_digest(data)))
        plain = {name: lexicon.plain() for name, lexicon in sorted(tagger.lexicons.items())}
        data = json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")
        write_bytes_atomically(partial / LEXICONS, data)
        manifest = _Manifest(
            format=FORMAT,
            kind="tagger",
            settings=tagger.settings,
            properties=dict(tagger.properties),
            models=tuple(models),
            lexicons_sha256=_digest(data),
        )
        write_json_atomically(partial / MANIFEST, manifest.model_dump(mode="json"))


def open_tagger(folder: Path) -> Tagger:
    """The tagger that :func:`save` wrote to ``folder``.

    Raises:
        CheckpointError: there is none, of another format, or a file is not what was written.
    """
    manifest = _manifest(folder)
    models = {one.category: _read(folder, one.file, one.sha256) for one in manifest.models}
    rows: dict[str, Any] = json.loads(
        _read(folder, LEXICONS, manifest.lexicons_sha256).decode("utf-8", "surrogatepass")
    )
    lexicons = {name: Lexicon.read(found) for name, found in rows.items()}
    return Tagger(manifest.settings, models, lexicons, manifest.properties)


def _manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    try:
        return _Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be used"
        raise CheckpointError(
            f"the tagger's manifest {reason}", where=str(path), cure="train the tagger again"
        ) from error


def _read(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of a file, proven to be those that were written."""
    path = folder / name
    if Path(name).name != name:
        raise CheckpointError(
            f"{name!r} is no file of this folder", where=str(folder), cure="train the tagger again"
        )
    try:
        data = b"" if path.stat().st_size > _LARGEST else path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            "a file of the tagger is missing", where=str(path), cure="train the tagger again"
        ) from error
    if _digest(data) != digest:
        raise CheckpointError(
            "the file is not the one that was written",
            where=str(path),
            cure="train the tagger again",
        )
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
