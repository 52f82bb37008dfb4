"""Weights are all loaded or none: every missing and every unexpected one is named (methods.md 10.4;
elsewhere, towers stay random after an upgrade and nothing says so)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from moonshelf.encoder import build_encoder, load_encoder
from moonshelf.errors import CheckpointError
from tests.unit.encoder.conftest import CONFIGS, mixed_contents, titles, wake


@pytest.mark.parametrize("kind", ["stem", "deepstack", "fast"])
def test_every_weight_that_does_not_fit_is_named(kind: str, tmp_path: Path) -> None:
    encoder = build_encoder(CONFIGS[kind], titles(200), seed=5)
    wake(encoder)
    file = encoder.save(tmp_path / "encoder") / "model.safetensors"
    contents = mixed_contents(6)
    assert np.array_equal(load_encoder(tmp_path).embed(contents), encoder.embed(contents))

    whole = load_file(file)
    first, last, odd = (sorted(whole)[k] for k in (0, -1, len(whole) // 2))
    damage = {
        "missing": {k: v for k, v in whole.items() if k not in (first, last)},
        "unexpected": whole | {"stranger.a": torch.ones(2), "stranger.b": torch.ones(3)},
        "of another shape": whole | {odd: torch.ones(1, 2, 3)},
    }
    names = {
        "missing": (first, last),
        "unexpected": ("stranger.a", "stranger.b"),
        "of another shape": (odd,),
    }
    for what, weights in damage.items():
        save_file(weights, file)
        with pytest.raises(CheckpointError) as told:
            load_encoder(tmp_path)
        assert f"{len(names[what])} {what}" in str(told.value)
        assert all(name in str(told.value) for name in names[what]), str(told.value)
