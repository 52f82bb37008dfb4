"""A saved encoder as a Sentence Transformers folder that gives the same vectors.

    export_sentence_transformers("runs/tiny", "tiny-st")

    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer("tiny-st", trust_remote_code=True)
    model.encode(["red running shoes", {"text": "red shoes", "image": "shoe.jpg"}])

That library loads a class from outside itself only with ``trust_remote_code=True`` (6.0 and newer);
``SentenceTransformer(modules=[MoonshelfModule.load("tiny-st")])`` does without. Moonshelf must be
installed where the folder is used: the folder holds weights and settings, never code.

:class:`MoonshelfModule` keeps the library's module protocol without importing it, so exporting
needs no extra.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from moonshelf import __version__
from moonshelf.catalog.images import Limits, fit_canvas
from moonshelf.catalog.product import Content
from moonshelf.encoder.assembly import encoder_folder, load_encoder
from moonshelf.encoder.base import Encoder
from moonshelf.errors import DataError, ImageError, UsageError
from moonshelf.files import atomic_folder, write_bytes_atomically

if TYPE_CHECKING:
    from PIL import Image

    from moonshelf.catalog.product import Picture

CLASS = "moonshelf.encoder.sentence_transformers.MoonshelfModule"
WEIGHTS = "encoder"
_WANTED = (
    "a str (words), a picture (PIL image, bytes, Path, uint8 array) or a dict of text and image"
)

_README = """---
library_name: sentence-transformers
tags: [sentence-transformers, moonshelf]
---
# Product encoder, {dim} dimensions

Exported by Moonshelf {version}. It needs `pip install moonshelf sentence-transformers`.

```python
from pathlib import Path

from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/of/this/folder", trust_remote_code=True)
model.encode(["red running shoes"])                          # words
model.encode([Path("shoe.jpg")])                             # a picture
model.encode([{{"text": "red shoes", "image": "shoe.jpg"}}])   # both
```

A bare string is always words, even if it looks like a file name. Vectors have unit length.
"""


class MoonshelfModule(nn.Module):
    """The only module of an exported model: collates, embeds, saves.

    Inputs are ``str`` (words), ``PIL.Image``, ``bytes``, ``Path`` or ``uint8 [H, W, 3]`` (a
    picture), or ``{"text": ..., "image": ...}`` where ``image`` is a picture, a file name, or a
    list of them. Kinds may be mixed in one call.
    """

    save_in_root = True
    # "message" is how the library names a batch of mixed kinds; it refuses one without it.
    modalities = ("text", "image", ("image", "text"), "message")
    config_keys: tuple[str, ...] = ()

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **rest: Any
    ) -> dict[str, Tensor]:
        """CPU tensors for :meth:`forward`; ``prompt`` goes before the words of an input.

        Raises:
            DataError: an input of another kind, or without words and picture.
            ImageError: a picture cannot be read.
        """
        return self.encoder.collate([self.content(one, prompt) for one in inputs])

    def tokenize(self, texts: Sequence[Any], **rest: Any) -> dict[str, Tensor]:
        """The name of :meth:`preprocess` before version 5.4 of the library."""
        return self.preprocess(texts, **rest)

    def forward(self, features: dict[str, Tensor], **rest: Any) -> dict[str, Tensor]:
        """``features`` with ``sentence_embedding`` [B, d], unit rows."""
        return {**features, "sentence_embedding": self.encoder(features)}

    def get_embedding_dimension(self) -> int:
        return self.encoder.dim

    def get_sentence_embedding_dimension(self) -> int:
        """The name of :meth:`get_embedding_dimension` before version 5.4 of the library."""
        return self.encoder.dim

    def get_config_dict(self) -> dict[str, Any]:
        return json.loads(self.encoder.config.model_dump_json())

    def save(self, output_path: str, *args: Any, **rest: Any) -> None:
        self.encoder.save(Path(output_path) / WEIGHTS)

    @classmethod
    def load(
        cls, model_name_or_path: str | Path, subfolder: str = "", **rest: Any
    ) -> MoonshelfModule:
        """The module of an exported folder, a run folder or an encoder folder on this machine.

        Raises:
            UsageError: no such folder. CheckpointError: a file is missing or damaged.
        """
        folder = Path(model_name_or_path) / subfolder
        if not folder.is_dir():
            raise UsageError(
                "no such folder on this machine",
                where=str(folder),
                cure="download the repository first and give its folder",
            )
        return cls(load_encoder(folder))

    # ---- inputs --------------------------------------------------------------------------------

    def content(self, value: Any, prompt: str | None = None) -> Content:
        """One input as the encoder takes it."""
        text, pictures = _parts(value)
        if text is not None and prompt:
            text = prompt + text
        return Content(text, tuple(self._picture(p) for p in pictures))

    def _picture(self, value: Any) -> Picture:
        from PIL import Image

        if isinstance(value, bytes):
            return value
        if isinstance(value, str | Path):
            return _read(value)
        if isinstance(value, Image.Image):
            return _encoded(value)
        if isinstance(value, np.ndarray):
            if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
                raise DataError(
                    f"a decoded picture is uint8 [H, W, 3], got {value.dtype} {value.shape}",
                    cure="convert it, or pass the bytes of its file",
                )
            canvas = self.encoder.pictures
            if not canvas.fixed or value.shape[:2] == (canvas.height, canvas.width):
                return value
            return fit_canvas(Image.fromarray(value), canvas.height, canvas.width)
        raise _unknown(value)


def _parts(value: Any) -> tuple[str | None, Sequence[Any]]:
    if isinstance(value, str):
        # Never a file name: a title from a stranger must not open a file here.
        return value, ()
    if not isinstance(value, Mapping):
        return None, (value,)
    unknown = sorted(set(value) - {"text", "image"}, key=str)
    if unknown or not value:
        raise DataError(f"an input has the keys {unknown}", cure="use only 'text' and 'image'")
    text, image = value.get("text"), value.get("image")
    if text is not None and not isinstance(text, str):
        raise DataError(f"'text' is a {type(text).__name__}", cure="pass one str")
    if image is None:
        return text, ()
    return text, image if isinstance(image, list | tuple) else (image,)


def _unknown(value: Any) -> DataError:
    return DataError(f"an input is a {type(value).__name__}", cure=f"pass {_WANTED}")


def _read(name: str | Path) -> bytes:
    path, most = Path(name), Limits().max_bytes
    try:
        # A device or pipe has no size and may never end: files only, and no more than may be.
        if path.exists() and not path.is_file():
            raise OSError("not a file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise ImageError(
            f"no picture can be read: {error}",
            where=str(name),
            cure="give a file on this machine, or the bytes of the picture",
        ) from error
    if len(data) > most:
        raise ImageError(
            f"the picture has more than {most:,} bytes",
            where=str(name),
            cure="re-encode it smaller",
        )
    return data


def _encoded(image: Image.Image) -> bytes:
    """Lossless bytes, so that turning, transparency and size limits are those of a file's."""
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = image.convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1, exif=image.getexif())
    return out.getvalue()


def export_sentence_transformers(run: str | Path, to: str | Path) -> Path:
    """Writes the encoder of ``run`` as a Sentence Transformers folder ``to``, whole or not at all.

    The encoder's files are copied byte for byte: the version that stamps stores stays the same.

    Raises:
        UsageError: ``to`` holds files already.
        CheckpointError: there is no encoder in ``run``, or it cannot be loaded.
    """
    source, to = encoder_folder(run), Path(to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError("the folder is taken", where=str(to), cure="choose another, or empty it")
    dim = load_encoder(source).dim  # strict: a damaged encoder is refused here, not at the user's
    with atomic_folder(to) as scratch:
        shutil.copytree(source, scratch / WEIGHTS)
        _write(scratch / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": CLASS}])
        _write(
            scratch / "config_sentence_transformers.json",
            {
                "model_type": "SentenceTransformer",
                "__version__": {"moonshelf": __version__},
                "prompts": {},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
        )
        text = _README.format(dim=dim, version=__version__)
        write_bytes_atomically(scratch / "README.md", text.encode())
    return to


def _write(path: Path, value: Any) -> None:
    write_bytes_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
