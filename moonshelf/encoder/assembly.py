"""Build, save and load encoders; the version that stamps every vector store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from moonshelf.encoder.backbone import FAMILIES, build_tiny, load_pretrained, skeleton
from moonshelf.encoder.base import FORMAT, Encoder
from moonshelf.encoder.config import EncoderConfig, FastConfig, VlmConfig
from moonshelf.encoder.fast import FastEncoder
from moonshelf.encoder.text import TextTokenizer, train_tokenizer
from moonshelf.encoder.vision_language import VisionLanguageEncoder
from moonshelf.encoder.weights import (
    drafting,
    read_headers,
    refuse_long_lists,
    refuse_other_shapes,
)
from moonshelf.errors import CheckpointError, MoonshelfError, UsageError


def build_encoder(
    config: VlmConfig | FastConfig,
    texts: Iterable[str] = (),
    *,
    seed: int = 0,
    control: Sequence[str] = (),
) -> Encoder:
    """A new encoder: pretrained where ``config.path`` is set, else random from ``seed``.

    Args:
        texts: training-split text; only tiny and fast models read it, to train their tokenizer.
        control: control tokens that this tokenizer has besides the usual ones.

    Raises:
        CheckpointError: the pretrained weights do not match. DataError: no text to learn from.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, FastConfig):
            return FastEncoder(config, train_tokenizer(texts, config.vocabulary, control))
        if config.path is None:
            tokenizer = train_tokenizer(texts, config.tiny.vocabulary, control)
            return VisionLanguageEncoder(config, build_tiny(config, tokenizer), tokenizer)
        return _pretrained(config)


def _pretrained(config: VlmConfig) -> Encoder:
    backbone = load_pretrained(config)
    tokenizer = TextTokenizer.load(_file_of(config, "tokenizer.json").parent)
    if config.readout == "emb":
        new = tokenizer.add_control_token("<|emb|>")
        _grow_embeddings(backbone, new)
    file = _file_of(config, "preprocessor_config.json")
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        mean, std = settings["image_mean"], settings["image_std"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"no picture normalization can be read ({error!r})",
            where=str(file),
            cure="copy the checkpoint again; image_mean and image_std are needed",
        ) from error
    return VisionLanguageEncoder(config, backbone, tokenizer, mean, std)


def _file_of(config: VlmConfig, name: str) -> Path:
    """A file of a checkpoint folder, or of a hub repository (downloaded to the library's cache)."""
    local = Path(str(config.path))
    if local.is_dir():
        if not (local / name).is_file():
            raise CheckpointError(
                f"{name} is missing", where=str(local), cure="copy the whole folder"
            )
        return local / name
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(str(config.path), name, revision=config.revision))


def _grow_embeddings(backbone: Any, token: int) -> None:
    """Room for ``token``, which starts as the mean embedding (methods.md 6.9)."""
    table = backbone.get_input_embeddings()
    if token >= table.num_embeddings:
        backbone.resize_token_embeddings(token + 1, mean_resizing=False)
        table = backbone.get_input_embeddings()
    with torch.no_grad():
        table.weight[token] = table.weight[:token].mean(dim=0)


def load_encoder(folder: Path | str) -> Encoder:
    """The encoder of a run folder or of an encoder folder, in evaluation mode.

    What ``encoder.json`` asks for is compared with what the weights' header says before it is
    built: no description makes this take more memory than the weights' own size warrants.

    Raises:
        CheckpointError: a file is missing or damaged, or any weight is missing, unexpected or of
            another shape; names file, weight and cure.
    """
    folder = encoder_folder(folder)
    described = _description(folder)
    weights = folder / "model.safetensors"
    held = read_headers([weights], str(weights))
    refuse_long_lists(described, held, str(folder / "encoder.json"))
    tokenizer = TextTokenizer.load(folder / "tokenizer")
    # What is drawn here is overwritten; the caller's random state must not notice.
    with torch.random.fork_rng(devices=[]):
        with drafting(held, str(folder / "encoder.json")):
            draft = _described_encoder(described, tokenizer, folder)
        refuse_other_shapes(draft.state_dict(), held)
        encoder = _described_encoder(described, tokenizer, folder)
    _load_weights(encoder, weights)
    encoder.folder = folder
    return encoder.eval()


def _described_encoder(
    described: dict[str, Any], tokenizer: TextTokenizer, folder: Path
) -> Encoder:
    """The modules that ``encoder.json`` describes, before their weights are loaded."""
    config = _config(described, folder)
    try:
        if isinstance(config, FastConfig):
            return FastEncoder(config, tokenizer)
        backbone = skeleton(config, _transformers_config(described["backbone"]))
        return VisionLanguageEncoder(
            config, backbone, tokenizer, described["picture_mean"], described["picture_std"]
        )
    except UsageError as error:
        raise CheckpointError(
            f"encoder.json describes no model that can be built: {error.what}",
            where=str(folder),
            cure="copy the folder again",
        ) from error
    except MoonshelfError:
        raise
    except Exception as error:  # the library raises anything on sizes and names that fit nothing
        raise CheckpointError(
            f"encoder.json describes no model that can be built ({error!r:.200})",
            where=str(folder),
            cure="copy the folder again, or use the transformers version that wrote it",
        ) from error


def _config(described: dict[str, Any], folder: Path) -> VlmConfig | FastConfig:
    try:
        return TypeAdapter(EncoderConfig).validate_python(described.get("config"))
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(
            "encoder.json has a config that this version does not take: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(folder),
            cure="load it with the Moonshelf version that wrote it, or copy the folder again",
        ) from error


def encoder_config(folder: Path | str) -> VlmConfig | FastConfig:
    """The config of a saved encoder, without its weights.

    Raises:
        CheckpointError: there is no encoder, or its description is damaged.
    """
    folder = encoder_folder(folder)
    return _config(_description(folder), folder)


def encoder_folder(folder: Path | str) -> Path:
    """``folder`` itself or its ``encoder/``, whichever holds ``encoder.json``."""
    folder = Path(folder)
    for candidate in (folder, folder / "encoder"):
        if (candidate / "encoder.json").is_file():
            return candidate
    raise CheckpointError(
        "no encoder here (encoder.json not found)",
        where=str(folder),
        cure="give the folder that moonshelf train wrote, after training has finished",
    )


def encoder_version(folder: Path | str) -> str:
    """16 hex digits of the content of config, weights and tokenizer: equal means equal vectors."""
    folder = encoder_folder(folder)
    digest = hashlib.sha256()
    for name in ("encoder.json", "model.safetensors", "tokenizer/tokenizer.json"):
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise CheckpointError(
                f"cannot be read ({error.strerror})",
                where=str(folder / name),
                cure="copy the whole folder again",
            ) from error
    return digest.hexdigest()[:16]


def _description(folder: Path) -> dict[str, Any]:
    file = folder / "encoder.json"
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"encoder.json is damaged: {error}", where=str(file), cure="copy the folder again"
        ) from error
    found = described.get("format") if isinstance(described, dict) else None
    if found != FORMAT:
        raise CheckpointError(
            f"encoder format {found!r}, this version reads {FORMAT}",
            where=str(file),
            cure="load it with the Moonshelf version that wrote it",
        )
    return described


def _transformers_config(described: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    # Another class could bring its own code (auto_map), or lack what is asked of it later.
    if described.get("model_type") not in FAMILIES:
        raise ValueError(f"model type {described.get('model_type')!r} is not supported")
    return AutoConfig.for_model(**described)


def _load_weights(encoder: Encoder, file: Path) -> None:
    try:
        found = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"weights cannot be read: {error}", where=str(file), cure="copy the folder again"
        ) from error
    encoder.load_state_dict(found, strict=True, assign=True)
