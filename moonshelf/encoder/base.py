"""The protocol every encoder keeps: contents in, unit vectors out.

``collate`` is pure CPU work (tokenize, decode, pack) and may run in a background thread;
``forward`` is pure tensor work. A row's vector never depends on its batch-mates, on padding or on
the batch size (tests/invariants/test_row_independence.py).
"""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from moonshelf.catalog.crops.cropper import Cropper
from moonshelf.catalog.product import Content
from moonshelf.encoder.config import FastConfig, PictureConfig, VlmConfig
from moonshelf.encoder.text import TextTokenizer
from moonshelf.errors import DataError, UsageError
from moonshelf.files import atomic_folder

if TYPE_CHECKING:
    from moonshelf.catalog.product import Picture

FORMAT = 1
Batch = dict[str, Tensor]


class Encoder(nn.Module, ABC):
    """Base of all encoders. ``dim`` is the width d of the exported unit vectors."""

    config: VlmConfig | FastConfig
    tokenizer: TextTokenizer
    dim: int
    embed_batch = 256
    folder: Path | None = None
    """Where the encoder was loaded from or saved to last."""

    @property
    def version(self) -> str | None:
        """Content hash of the saved encoder (stamps vector stores); None when it is not saved."""
        if self.folder is None:
            return None
        from moonshelf.encoder.assembly import encoder_version

        return encoder_version(self.folder)

    @property
    def pictures(self) -> PictureConfig:
        return self.config.pictures

    @functools.cached_property
    def cropper(self) -> Cropper | None:
        """Finds the core product of what is shown; None where ``pictures.crop`` is off."""
        canvas = self.pictures
        if canvas.crop == "off":
            return None
        return Cropper(canvas.crop, (canvas.height, canvas.width) if canvas.fixed else None)

    def shown(self, contents: Sequence[Content]) -> list[tuple[Picture, ...]]:
        """The pictures of each content as they are fed: at most ``per_product`` of its own, and
        behind the first its crop, where the encoder is shown crops and there is one.

        Raises:
            ImageError: a picture cannot be read.
            DataError: nobody can say where the product is in a picture.
        """
        most = self.pictures.per_product
        if self.cropper is None:
            return [content.images[:most] for content in contents]
        return self.cropper.shown(contents, most)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @abstractmethod
    def collate(self, contents: Sequence[Content]) -> Batch:
        """CPU tensors for :meth:`forward`.

        Raises:
            ImageError: a picture cannot be read. DataError: a content is empty.
        """

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Unit vectors ``[B, d]`` in float32, in the order of the contents."""

    @abstractmethod
    def parts(self, batch: Mapping[str, Tensor]) -> tuple[bool, ...]:
        """Through which of the parts that not every batch needs (towers) ``forward`` passes."""

    @abstractmethod
    def filled(self, batch: Mapping[str, Tensor], wanted: Sequence[bool]) -> Batch:
        """``batch`` (on its device) with something empty for each part that is ``wanted`` and that
        it lacks: the first ``count`` vectors stay what they are, without gradient for those parts.
        """

    @torch.inference_mode()
    def embed(
        self,
        contents: Iterable[Content],
        batch_size: int | None = None,
        progress: Callable[[int], None] | None = None,
        bf16: bool = False,
    ) -> np.ndarray:
        """Vectors ``float32 [N, d]`` of all contents, in evaluation mode.

        Args:
            batch_size: contents a forward pass; the result does not depend on it.
            progress: called with the number of contents done after each batch.
            bf16: run the forward pass in bfloat16 autocast (cosine to float32 above 0.999).
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}, expected at least 1")
        was_training = self.training
        self.eval()
        size = self.embed_batch if batch_size is None else batch_size
        out: list[np.ndarray] = []
        try:
            for chunk in _chunks(contents, size):
                batch = {k: v.to(self.device) for k, v in self.collate(chunk).items()}
                with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                    vectors = self(batch)
                out.append(vectors.float().cpu().numpy())
                if progress:
                    progress(len(chunk))
        finally:
            self.train(was_training)
        return np.concatenate(out) if out else np.zeros((0, self.dim), np.float32)

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def save(self, folder: Path | str, state: Mapping[str, Tensor] | None = None) -> Path:
        """Writes a self-describing folder (safetensors, JSON, tokenizer), whole or not at all.

        Args:
            state: ``state_dict`` to write, where this process does not hold all of it.
        """
        folder = Path(folder)
        with atomic_folder(folder) as scratch:
            description = {
                "format": FORMAT,
                "config": json.loads(self.config.model_dump_json()),
                **self._describe(),
            }
            (scratch / "encoder.json").write_text(json.dumps(description, indent=2) + "\n")
            held = self.state_dict() if state is None else state
            tensors = {k: v.detach().cpu().contiguous() for k, v in held.items()}
            save_file(tensors, scratch / "model.safetensors", metadata={"format": "pt"})
            self.tokenizer.save(scratch / "tokenizer")
        self.folder = folder
        return folder

    def _describe(self) -> dict[str, object]:
        """What besides the config is needed to rebuild the modules before loading weights."""
        return {}


def check_contents(contents: Sequence[Content]) -> None:
    """Raises DataError naming the first content that has neither words nor a picture."""
    if not contents:
        raise DataError("an empty batch cannot be encoded", cure="pass at least one product")
    for k, content in enumerate(contents):
        if not content.images and not (content.text and content.text.strip()):
            raise DataError(
                "no text and no picture to encode",
                where=f"content {k} of the batch",
                cure="choose a view for which every product has content, or leave such rows out",
            )


def _chunks(contents: Iterable[Content], size: int) -> Iterable[list[Content]]:
    chunk: list[Content] = []
    for content in contents:
        chunk.append(content)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
