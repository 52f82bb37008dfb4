"""bf16 only where it gives the same vectors."""

from __future__ import annotations

import torch
from torch import nn

from moonshelf.training import precision
from moonshelf.training.precision import choose_precision, parity_probe

CPU = torch.device("cpu")


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 16)
        self.dropout = nn.Dropout(0.5)

    def forward(self, batch):
        return nn.functional.normalize(self.dropout(self.layer(batch["x"])).float(), dim=-1)


class Fragile(Plain):
    """The vector is what is left of the difference of two large and nearly equal products."""

    def forward(self, batch):
        large = self.layer(batch["x"] + 1000)
        return nn.functional.normalize((large - self.layer(batch["x"] + 999)).float(), dim=-1)


def probe() -> dict[str, torch.Tensor]:
    return {"x": torch.randn(8, 32, generator=torch.Generator().manual_seed(0))}


def test_sound_encoder_passes_and_fragile_one_does_not(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    torch.manual_seed(0)
    sound = choose_precision(Plain(), probe(), "auto", CPU)
    fragile = choose_precision(Fragile(), probe(), "auto", CPU)
    assert sound.name == "bf16" and sound.cosine is not None and sound.cosine > 0.9995
    assert fragile.name == "fp32" and "<=" in fragile.reason


def test_choice_is_obeyed_and_missing_hardware_respected(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert choose_precision(Plain(), probe(), "auto", CPU).name == "fp32"
    assert choose_precision(Plain(), probe(), "fp32", CPU).cosine is None
    assert choose_precision(Plain(), probe(), "bf16", CPU).name == "bf16"


def test_probe_leaves_mode_and_random_state_alone():
    model = Plain().train()
    state = torch.get_rng_state()
    assert parity_probe(model, probe(), CPU) > 0.9
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


def test_vectors_that_are_not_numbers_fail_the_probe():
    model = Plain()
    with torch.no_grad():
        model.layer.weight[0, 0] = float("nan")
    assert parity_probe(model, probe(), CPU) == -1.0
