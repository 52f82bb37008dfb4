"""Muon against torch's own and a float64 reference; placement; state without pickle."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from moonshelf.errors import CheckpointError, UsageError
from moonshelf.training.muon import Muon, newton_schulz
from moonshelf.training.optim import build_optimizer, embedding_names
from moonshelf.training.settings import OptimizerConfig


@pytest.mark.parametrize("scale", ["spectral", "rms"])
def test_muon_equals_torch_on_matrices(scale):
    torch.manual_seed(0)
    shapes = [(12, 20), (20, 12), (12, 20), (16, 16)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    a = Muon(ours, lr=0.02, momentum=0.9, weight_decay=0.1, scale=scale, dtype=torch.bfloat16)
    b = torch.optim.Muon(
        theirs,
        lr=0.02,
        momentum=0.9,
        weight_decay=0.1,
        adjust_lr_fn="original" if scale == "spectral" else "match_rms_adamw",
    )
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        # Batched and single bf16 products round differently: compare to a fraction of a step.
        assert (p - q).abs().max() < 0.02 * 0.15
        moved = torch.cosine_similarity(p.flatten(), q.flatten(), dim=0)
        assert moved > 0.9999


def test_kernel_is_its_flattened_matrix_and_a_stack_is_its_matrices():
    torch.manual_seed(1)
    kernel, matrix = torch.randn(8, 4, 3, 3), torch.randn(3, 6, 10)
    grads = torch.randn_like(kernel), torch.randn_like(matrix)
    whole = [nn.Parameter(kernel.to(memory_format=torch.channels_last)), nn.Parameter(matrix)]
    apart = [nn.Parameter(kernel.reshape(8, -1).clone())]
    apart += [nn.Parameter(m.clone()) for m in matrix]
    whole[0].grad, whole[1].grad = grads[0].to(memory_format=torch.channels_last), grads[1]
    for p, g in zip(apart, [grads[0].reshape(8, -1), *grads[1]], strict=True):
        p.grad = g.clone()
    Muon(whole, lr=0.1, stacks=[whole[1]]).step()
    Muon(apart, lr=0.1).step()
    torch.testing.assert_close(whole[0].reshape(8, -1), apart[0])
    torch.testing.assert_close(whole[1], torch.stack([p.detach() for p in apart[1:]]))


def test_step_is_the_written_out_one_in_float64():
    torch.manual_seed(2)
    w = nn.Parameter(torch.randn(6, 4, dtype=torch.float64))
    expected, buffer = w.detach().clone(), torch.zeros(6, 4, dtype=torch.float64)
    optimizer = Muon([w], lr=0.05, momentum=0.8, weight_decay=0.3, dtype=torch.float64)
    for _ in range(3):
        w.grad = torch.randn_like(w)
        buffer = 0.8 * buffer + 0.2 * w.grad
        x = (0.2 * w.grad + 0.8 * buffer).T
        x = x / x.norm()
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        expected = expected * (1 - 0.05 * 0.3) - 0.05 * math.sqrt(6 / 4) * x.T
        optimizer.step()
        torch.testing.assert_close(w.detach(), expected, rtol=1e-12, atol=1e-12)


def test_newton_schulz_evens_out_singular_values():
    torch.manual_seed(3)
    x = torch.randn(5, 16, 40) * torch.logspace(-1, 1, 16)[:, None]
    values = torch.linalg.svdvals(newton_schulz(x))
    assert values.max() < 1.3 and values.min() > 0.5


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)
        self.layer = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)
        self.conv = nn.Conv2d(3, 8, 3)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.text_head = nn.Linear(6, 5, bias=False)
        self.frozen = nn.Linear(2, 2, bias=False).requires_grad_(False)


def build(model: nn.Module, **changes):
    return build_optimizer(
        model.named_parameters(), OptimizerConfig(**changes), embeddings=embedding_names(model)
    )


def test_every_parameter_is_placed_once():
    model = Model()
    placement = build(model).placement
    assert set(placement.muon) == {"layer.weight", "conv.weight"}
    assert set(placement.frozen) == {"frozen.weight"}
    named = [*placement.muon, *placement.adamw, *placement.frozen]
    assert sorted(named) == sorted(n for n, _ in model.named_parameters())
    assert "text_head.weight" in build(model, muon=("text_head*",)).placement.muon
    assert "layer.weight" in build(model, adamw=("layer*",)).placement.adamw
    assert build(model, matrices="adamw").placement.muon == ()


def test_glob_that_matches_nothing_is_an_error():
    with pytest.raises(UsageError, match="matches no parameter"):
        build(Model(), slower={"backbone*": 0.1})
    with pytest.raises(UsageError, match="every parameter is frozen"):
        build(Model().requires_grad_(False))


def step_with_gradients(model: nn.Module, optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        if p.requires_grad:
            p.grad = torch.randn(p.shape, generator=generator)
    optimizer.step(1 - 0.1 * seed)


def test_state_survives_safetensors_exactly():
    torch.manual_seed(4)
    first, second = Model(), Model()
    a = build(first, slower={"conv*": 0.5})
    for seed in range(3):
        step_with_gradients(first, a, seed)
    second.load_state_dict(first.state_dict())
    b = build(second, slower={"conv*": 0.5})
    b.load_tensors(load(save({k: v.contiguous() for k, v in a.tensors().items()})))
    for seed in range(3, 6):
        step_with_gradients(first, a, seed)
        step_with_gradients(second, b, seed)
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(p, q)


def test_state_of_another_model_is_refused():
    optimizer = build(Model())
    with pytest.raises(CheckpointError, match="fits no parameter"):
        optimizer.load_tensors({"layer.weight/momentum": torch.zeros(3, 3)})


def test_slower_scales_the_step():
    def moved(**changes) -> float:
        torch.manual_seed(5)
        model = Model()
        before = model.conv.weight.detach().clone()
        step_with_gradients(model, build(model, weight_decay=0.0, **changes), 0)
        return float((model.conv.weight.detach() - before).norm())

    assert moved(slower={"conv*": 0.25}) == pytest.approx(0.25 * moved(), rel=1e-4)


def test_loaded_state_lies_where_the_weights_lie() -> None:
    weight = nn.Parameter(torch.zeros(8, 4, device="meta"))
    optimizer = build_optimizer([("w", weight)], OptimizerConfig())
    optimizer.load_tensors({"w/momentum": torch.zeros(8, 4)})
    assert optimizer.tensors()["w/momentum"].device.type == "meta"
