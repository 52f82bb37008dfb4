"""Tiny encoders and checkpoints, built and saved by the tests themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, FastConfig, VlmConfig, build_encoder
from moonshelf.encoder.backbone import tiny_transformers_config
from moonshelf.encoder.config import TinyConfig
from moonshelf.encoder.text import TextTokenizer, train_tokenizer

WORDS = ["red", "blue", "green", "shirt", "dress", "shoe", "women", "men", "cotton", "denim"]
SMALL = {"width": 48, "heads": 4, "kv_heads": 2, "feed_forward": 64, "vocabulary": 300}
PATCHES = SMALL | {"stem": None, "patch": 8, "vision_width": 32, "vision_depth": 2}
CANVAS = {"height": 64, "width": 32}

CONFIGS = {
    "stem": VlmConfig(tiny=SMALL | {"vision_width": 32, "stem": {"width": 4}}, pictures=CANVAS),
    "causal": VlmConfig(
        tiny=SMALL | {"vision_width": 32, "stem": {"width": 4}},
        pictures=CANVAS,
        attention="causal",
        readout="emb",
        vision_markers=True,
    ),
    "deepstack": VlmConfig(
        tiny=PATCHES | {"deepstack": [0]}, pictures=CANVAS, readout="balanced", pack=0
    ),
    "qwen2_5": VlmConfig(tiny=PATCHES | {"family": "qwen2_5_vl"}, pictures=CANVAS, readout="last"),
    "fast": FastConfig(vocabulary=300, width=32, stem={"width": 4}, pictures=CANVAS, dim=24),
}


def titles(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(count)]


def photo(seed: int, height: int = 64, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mixed_contents(count: int) -> list[Content]:
    """Text only, picture only and both, in turn; titles of unequal length."""
    words = titles(count)
    return [
        Content(words[k] if k % 3 != 1 else None, (photo(k),) if k % 3 else ())
        for k in range(count)
    ]


def wake(encoder: torch.nn.Module, seed: int = 0) -> None:
    """Gives zero-initialized branches weights, so that a wrong mask or position would show."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1 and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.2)


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    built = build_encoder(CONFIGS[request.param], titles(200))
    wake(built)
    return built.eval()


@pytest.fixture(scope="session")
def tokenizer() -> TextTokenizer:
    return train_tokenizer(titles(200), 300)


@pytest.fixture(scope="session", params=["qwen3_vl", "qwen2_5_vl"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a hub repository has it: a causal LM with its processor files."""
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration

    folder = tmp_path_factory.mktemp(request.param)
    own = train_tokenizer(titles(200), 300)
    deepstack = {"deepstack": [0]} if request.param == "qwen3_vl" else {}
    tiny = TinyConfig(**(PATCHES | deepstack | {"family": request.param}))
    config = tiny_transformers_config(tiny, own)
    config.vision_config.temporal_patch_size = 2  # as the real checkpoints have it
    classes = {
        "qwen3_vl": Qwen3VLForConditionalGeneration,
        "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    }
    torch.manual_seed(0)
    classes[request.param](config).save_pretrained(folder)
    own.save(folder)
    settings = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": [0.48, 0.45, 0.40],
        "image_std": [0.27, 0.26, 0.28],
        "patch_size": 8,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "size": {"shortest_edge": 256, "longest_edge": 64 * 64},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder
