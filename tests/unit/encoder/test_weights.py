"""No description makes loading take more memory than the weights beside it warrant."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from moonshelf.encoder import build_encoder, load_encoder
from moonshelf.encoder.weights import Held, drafting
from moonshelf.errors import CheckpointError
from tests.unit.encoder.conftest import CONFIGS, titles
from tests.unit.encoder.test_checkpoints import config_for

BILLION, MILLION = 10**9, 10**6


@contextlib.contextmanager
def memory_for(extra: int) -> Iterator[None]:
    """At most ``extra`` further bytes: a defect fails the test and not the machine."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        pytest.skip("the memory of a process is told by Linux only")
    now = int(statm.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + extra, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def change(file: Path, changes: Mapping[str, Any]) -> None:
    described = json.loads(file.read_text())
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        table = described
        for key in path:
            table = table[key]
        table[last] = value
    file.write_text(json.dumps(described))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("saved")
    kinds = ("fast", "stem", "qwen2_5")
    return {kind: build_encoder(CONFIGS[kind], titles(200)).save(folder / kind) for kind in kinds}


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("fast", "config.width", BILLION),
        ("fast", "config.dim", BILLION),
        ("fast", "config.stem.width", MILLION),
        ("fast", "config.stem.blocks", [1, 1, 1, 32]),
        ("stem", "config.dim", BILLION),
        ("stem", "config.tiny.stem.width", MILLION),
        ("stem", "backbone.text_config.hidden_size", BILLION),
        ("stem", "backbone.text_config.vocab_size", 10**12),
        ("stem", "backbone.text_config.num_hidden_layers", MILLION),
        ("stem", "backbone.text_config.head_dim", BILLION),
        ("stem", "backbone.vision_config.depth", MILLION),
        ("stem", "backbone.vision_config.deepstack_visual_indexes", [0] * 10_000),
        # The stem replaces the patch embedding, which the library builds all the same.
        ("stem", "backbone.vision_config.patch_size", 100_000),
        ("stem", "backbone.vision_config.temporal_patch_size", BILLION),
        ("stem", "backbone.num_labels", BILLION),
        ("qwen2_5", "backbone.text_config.num_hidden_layers", BILLION),
        ("qwen2_5", "backbone.text_config.head_dim", BILLION),  # no weight has it, positions do
    ],
)
def test_a_description_larger_than_its_weights_is_refused_before_it_is_built(
    saved: Mapping[str, Path], tmp_path: Path, kind: str, key: str, value: Any
) -> None:
    folder = shutil.copytree(saved[kind], tmp_path / "e")
    change(folder / "encoder.json", {key: value})
    with (
        memory_for(2**28),
        pytest.raises(CheckpointError, match=r"holds|weights do not match") as caught,
    ):
        load_encoder(folder)
    assert str(folder) in caught.value.where and caught.value.cure


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("stem", "config.pack", BILLION),
        ("stem", "config.pictures.min_pixels", BILLION),
        ("fast", "config.pictures.height", BILLION),
    ],
)
def test_sizes_that_no_weight_shows_are_bounded(
    saved: Mapping[str, Path], tmp_path: Path, kind: str, key: str, value: Any
) -> None:
    folder = shutil.copytree(saved[kind], tmp_path / "e")
    change(folder / "encoder.json", {key: value})
    name = key.removeprefix("config.").replace(".", r"\.")
    with pytest.raises(CheckpointError, match=f"{name}: Input should be less than"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_config.hidden_size", BILLION),
        ("text_config.num_hidden_layers", BILLION),
        ("vision_config.depth", MILLION),
        ("vision_config.patch_size", 100_000),
        ("num_labels", BILLION),
    ],
)
def test_a_checkpoint_whose_config_asks_for_more_than_it_holds_is_refused(
    checkpoint: Path, tmp_path: Path, key: str, value: int
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    change(folder / "config.json", {key: value})
    with memory_for(2**28), pytest.raises(CheckpointError, match="holds") as caught:
        build_encoder(config_for(folder))
    assert caught.value.where == str(folder / "config.json") and caught.value.cure


@pytest.mark.parametrize(
    ("value", "words"), [(64, r"of another shape \(.*embed_tokens"), (-5, "can be built")]
)
def test_a_checkpoint_of_other_sizes_is_refused(
    checkpoint: Path, tmp_path: Path, value: int, words: str
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    change(folder / "config.json", {"text_config.hidden_size": value})
    with pytest.raises(CheckpointError, match=words):
        build_encoder(config_for(folder))


def test_a_draft_counts_what_its_own_thread_builds() -> None:
    held = Held("here", {"weight": (2, 3)}, {"weight": "F32"})
    large = {"device": "meta"}
    with drafting(held, "here"):
        assert nn.Linear(3, 2).weight.is_meta
        other = threading.Thread(target=lambda: nn.Linear(10**6, 10**6, **large))
        other.start()
        other.join()
        nn.Linear(3, 2)
        with pytest.raises(CheckpointError, match="more weights than here holds"):
            nn.Linear(10**6, 10**6)
    nn.Linear(10**6, 10**6, **large)
    assert torch.get_default_device().type == "cpu"
