"""Real checkpoint folders load strictly and give the library's own hidden states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, VlmConfig, build_encoder, load_encoder
from moonshelf.encoder.sequence import IMAGE
from moonshelf.errors import CheckpointError, UsageError
from tests.unit.encoder.conftest import photo

OWN_GRID = {"height": 0, "width": 0, "min_pixels": 256, "max_pixels": 64 * 64}


def config_for(checkpoint: Path, **changes: object) -> VlmConfig:
    settings = {"attention": "causal", "vision_markers": True, "dim": None, "pictures": OWN_GRID}
    return VlmConfig(path=str(checkpoint), **(settings | changes))  # type: ignore[arg-type]


def test_hidden_states_equal_the_stock_forward(checkpoint: Path) -> None:
    encoder = build_encoder(config_for(checkpoint, pack=0)).eval()
    content = Content("blue denim shirt men", (photo(1, 48, 32), photo(2, 32, 64)))
    batch = encoder.collate([content])
    with torch.no_grad():
        ours = encoder.hidden_states(batch)  # type: ignore[operator]
        stock = encoder.backbone(  # type: ignore[operator]
            input_ids=batch["input_ids"],
            attention_mask=torch.ones_like(batch["input_ids"]),
            pixel_values=batch["patches"],
            image_grid_thw=batch["grid"],
            mm_token_type_ids=(batch["kinds"] == IMAGE).int(),
        ).last_hidden_state
    torch.testing.assert_close(ours, stock, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_batched_vision_attention_equals_the_loop(checkpoint: Path, kernel: str) -> None:
    encoder: Any = build_encoder(config_for(checkpoint, pack=0, attention_kernel=kernel)).eval()
    contents = [Content(None, (photo(k, 48, 32),)) for k in range(5)]
    alone = torch.cat([torch.from_numpy(encoder.embed([c])) for c in contents])
    visual = encoder.backbone.visual
    for place in getattr(visual, "fullatt_block_indexes", range(len(visual.blocks))):
        visual.blocks[place].attn.forward.stock = None  # pictures of one grid need no loop
    together = torch.from_numpy(encoder.embed(contents))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_pictures_of_unequal_size_may_be_shared(checkpoint: Path) -> None:
    encoder = build_encoder(config_for(checkpoint)).eval()
    pictures = [photo(1, 48, 32), photo(2, 32, 64), photo(3, 16, 16)]
    shared = [Content(text, (p,)) for text in ("red mug", None) for p in pictures]
    copied = [Content(c.text, tuple(np.copy(p) for p in c.images)) for c in shared]
    batch = encoder.collate(shared)
    assert len(batch["grid"]) == 3 and len(encoder.collate(copied)["grid"]) == 6
    with torch.no_grad():
        torch.testing.assert_close(encoder(batch), encoder(encoder.collate(copied)))


def table_of(encoder: Encoder) -> torch.Tensor:
    backbone: Any = encoder.backbone
    return backbone.get_input_embeddings().weight.detach().clone()


def plain(name: str) -> str:
    """A weight's name without the prefixes that differ from version to version."""
    return name.removeprefix("model.").removeprefix("language_model.")


def test_weights_and_normalization_are_those_of_the_checkpoint(checkpoint: Path) -> None:
    # Another seed than the checkpoint was drawn from: fresh weights would not equal it by chance.
    encoder: Any = build_encoder(config_for(checkpoint), seed=7)
    stored = {plain(k): v for k, v in load_file(checkpoint / "model.safetensors").items()}
    built = {plain(k): v for k, v in encoder.backbone.state_dict().items()}
    assert built.keys() == stored.keys() - {"lm_head.weight"}
    assert all(torch.equal(stored[k], v) for k, v in built.items())
    assert encoder.picture_mean == (0.48, 0.45, 0.40)
    assert encoder.picture_std == (0.27, 0.26, 0.28)


def test_a_new_emb_token_starts_as_the_mean_embedding(checkpoint: Path, tmp_path: Path) -> None:
    """The tokenizers of real checkpoints do not have it: the table grows by a row."""
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    tokenizer = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(tokenizer.replace("<|emb|>", "<|other|>"))
    before = table_of(build_encoder(config_for(folder)))
    encoder = build_encoder(config_for(folder, readout="emb"))
    grown = table_of(encoder)
    new = encoder.tokenizer.id("<|emb|>")
    assert new == len(before) == len(grown) - 1
    assert torch.equal(grown[:new], before)
    torch.testing.assert_close(grown[new], before.mean(dim=0))
    vectors = encoder.embed([Content("red lamp"), Content("mug")])
    again = load_encoder(encoder.save(tmp_path / "saved"))
    assert np.array_equal(again.embed([Content("red lamp"), Content("mug")]), vectors)


def test_round_trip_of_a_pretrained_encoder(checkpoint: Path, tmp_path: Path) -> None:
    encoder = build_encoder(config_for(checkpoint)).eval()
    contents = [Content("red lamp", (photo(0, 32, 32),)), Content("mug")]
    before = encoder.embed(contents)
    after = load_encoder(encoder.save(tmp_path / "saved")).embed(contents)
    assert (before == after).all()


def test_half_precision_checkpoints_train_in_float32(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    weights = {k: v.bfloat16() for k, v in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    encoder = build_encoder(config_for(folder))
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_a_canvas_that_cuts_patches_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="not multiples of 16"):
        build_encoder(config_for(checkpoint, pictures={"height": 24, "width": 32}))


def test_a_checkpoint_with_code_of_its_own_is_refused_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # the library would ask, and run it
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "code.Strange"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(CheckpointError, match="no model can be read"):
        build_encoder(VlmConfig(path=str(tmp_path)))


def test_missing_picture_normalization_is_named(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="image_mean and image_std"):
        build_encoder(config_for(folder))


def broken_copy(checkpoint: Path, folder: Path, **changes: torch.Tensor | None) -> Path:
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    for name, value in changes.items():
        key = next(k for k in weights if k.endswith(name.replace("__", ".")))
        del weights[key]
        if value is not None:
            weights[key] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_missing_tensor_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    folder = broken_copy(checkpoint, tmp_path / "c", layers__0__mlp__up_proj__weight=None)
    with pytest.raises(CheckpointError, match=r"1 missing .*layers\.0\.mlp\.up_proj\.weight"):
        build_encoder(config_for(folder))


def test_an_unexpected_tensor_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "c")
    weights = load_file(folder / "model.safetensors")
    weights["model.language_model.layers.0.extra.weight"] = torch.ones(3)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 unexpected .*extra\.weight"):
        build_encoder(config_for(folder))


def test_another_model_type_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="'bert' is not supported"):
        build_encoder(VlmConfig(path=str(tmp_path)))


def test_a_missing_folder_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"give a folder with config\.json"):
        build_encoder(VlmConfig(path=str(tmp_path / "nothing")))
