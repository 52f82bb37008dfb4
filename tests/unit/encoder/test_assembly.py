"""Saved encoders come back exactly, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from moonshelf.catalog.product import Content
from moonshelf.encoder import (
    Encoder,
    FastConfig,
    VlmConfig,
    build_encoder,
    encoder_version,
    load_encoder,
)
from moonshelf.encoder.text import TextTokenizer, train_tokenizer
from moonshelf.errors import CheckpointError, DataError, UsageError
from tests.unit.encoder.conftest import CONFIGS, mixed_contents, titles


def test_round_trip_is_exact(encoder: Encoder, tmp_path: Path) -> None:
    contents = mixed_contents(9)
    encoder.save(tmp_path / "run" / "encoder")
    again = load_encoder(tmp_path / "run")
    assert np.array_equal(again.embed(contents), encoder.embed(contents))


def test_vectors_are_unit_rows(encoder: Encoder) -> None:
    vectors = encoder.embed(mixed_contents(9))
    assert vectors.shape == (9, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_version_follows_the_weights(encoder: Encoder, tmp_path: Path) -> None:
    first = encoder_version(encoder.save(tmp_path / "a"))
    assert encoder_version(encoder.save(tmp_path / "b")) == first
    with torch.no_grad():
        next(encoder.parameters()).flatten()[0] += 1
    assert encoder_version(encoder.save(tmp_path / "c")) != first


def test_same_seed_same_weights() -> None:
    one, two, other = (build_encoder(CONFIGS["stem"], titles(200), seed=s) for s in (0, 0, 1))
    contents = mixed_contents(3)
    assert np.array_equal(one.embed(contents), two.embed(contents))
    assert not np.allclose(one.embed(contents), other.embed(contents))


def spoil(folder: Path, change: str) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    key = sorted(weights)[0]
    if change == "missing":
        del weights[key]
    elif change == "unexpected":
        weights["stranger"] = torch.ones(2)
    elif change == "of another shape":
        weights[key] = torch.ones(1, 2, 3)
    save_file(weights, file)


@pytest.mark.parametrize("change", ["missing", "unexpected", "of another shape"])
def test_changed_weights_are_refused(tmp_path: Path, change: str) -> None:
    folder = build_encoder(CONFIGS["fast"], titles(200)).save(tmp_path / "e")
    spoil(folder, change)
    with pytest.raises(CheckpointError, match=f"1 {change}"):
        load_encoder(folder)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    folder = build_encoder(CONFIGS["fast"], titles(200)).save(tmp_path / "e")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_encoder(folder)
    (folder / "encoder.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        load_encoder(folder)
    (folder / "encoder.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load_encoder(folder)
    with pytest.raises(CheckpointError, match="after training has finished"):
        load_encoder(tmp_path)


def test_weights_of_integers_are_refused(tmp_path: Path) -> None:
    folder = build_encoder(CONFIGS["fast"], titles(200)).save(tmp_path / "e")
    weights = load_file(folder / "model.safetensors")
    weights["norm.weight"] = weights["norm.weight"].long()
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 not floating point \(norm\.weight\)"):
        load_encoder(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": None},
        {"backbone": {"model_type": "bert", "auto_map": {"AutoModel": "x--y.Z"}}},
        {"backbone": {"model_type": "qwen3_vl", "text_config": {"hidden_act": "nothing"}}},
        {"config": None},
        {"picture_mean": "red"},
    ],
)
def test_a_hostile_description_is_an_error(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = build_encoder(CONFIGS["stem"], titles(200)).save(tmp_path / "e")
    file = folder / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(CheckpointError):
        load_encoder(folder)


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, '""'])
def test_a_description_that_is_no_table_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "encoder.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_encoder(tmp_path)


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = build_encoder(CONFIGS["stem"], titles(200)).save(tmp_path / "e")
    texts = [f"{word}{k}" for word in "abcdefghij" for k in range(100)]
    train_tokenizer(texts * 2, 340).save(folder / "tokenizer")
    with pytest.raises(CheckpointError, match=r"tokenizer has 3\d\d tokens, the model 299"):
        load_encoder(folder)


def test_a_version_needs_every_file(tmp_path: Path) -> None:
    folder = build_encoder(CONFIGS["fast"], titles(200)).save(tmp_path / "e")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        encoder_version(folder)


def test_loading_leaves_the_random_state(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "e")
    before = torch.get_rng_state()
    load_encoder(tmp_path / "e")
    assert torch.equal(torch.get_rng_state(), before)


def test_text_that_is_not_unicode_is_named(tokenizer: TextTokenizer) -> None:
    with pytest.raises(DataError, match=r"text 1 of the batch.*character 4"):
        tokenizer.encode(["red", "lamp\ud800"], 16)


def test_a_batch_size_below_one_is_refused() -> None:
    encoder = build_encoder(CONFIGS["fast"], titles(200))
    with pytest.raises(UsageError, match="batch_size is 0"):
        encoder.embed([Content("red lamp")], batch_size=0)


def test_empty_content_is_named(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="content 1 of the batch"):
        encoder.embed([Content("red lamp"), Content("  ")])


def test_control_tokens_in_a_title_stay_text(tokenizer: TextTokenizer) -> None:
    hostile = "lamp <|image_pad|><|emb|></think> red"
    control = {tokenizer.id(t) for t in ("<|image_pad|>", "<|emb|>", "</think>")}
    ids = tokenizer.encode([hostile], 200)[0]
    assert not control & set(ids)
    assert tokenizer.decode(ids).strip() == hostile


def test_any_string_has_tokens(tokenizer: TextTokenizer) -> None:
    for text in ("日本語 👗", "\x00\x01", "ÅÄÖ ß", "a" * 100_000):
        assert 0 < len(tokenizer.encode([text], 16)[0]) <= 16


def test_configs_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="not multiples of 32"):
        VlmConfig(pictures={"height": 80, "width": 64})
    with pytest.raises(ValidationError, match="needs a fixed canvas"):
        VlmConfig(pictures={"height": 0, "width": 0})
    with pytest.raises(ValidationError, match="stages"):
        VlmConfig(tiny={"stem": {"blocks": [1, 1]}})
    with pytest.raises(ValidationError, match="blocks"):
        VlmConfig(tiny={"stem": {"blocks": [1, 0, 1, 1]}})
    with pytest.raises(ValidationError, match="3 kv_heads"):
        VlmConfig(tiny={"kv_heads": 3})
    with pytest.raises(ValidationError, match="no even head width"):
        VlmConfig(tiny={"width": 36})
    with pytest.raises(ValidationError, match="no multiple of 4 x 5 heads"):
        VlmConfig(tiny={"vision_depth": 1, "vision_heads": 5})
    with pytest.raises(ValidationError, match="not multiples of 16 above 0"):
        FastConfig(pictures={"height": 66, "width": 64})
    with pytest.raises(ValidationError, match="not multiples of 16 above 0"):
        FastConfig(pictures={"height": 0, "width": 0})
    with pytest.raises(ValidationError, match="is above max_pixels"):
        VlmConfig(pictures={"min_pixels": 2, "max_pixels": 1})
