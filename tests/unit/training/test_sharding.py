"""Weights in shards, as far as one process can tell; groups: tests/invariants/test_parallel.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from moonshelf.catalog.product import Content
from moonshelf.encoder import build_encoder
from moonshelf.encoder.base import Encoder
from moonshelf.errors import UsageError
from moonshelf.training.ahead import Work, cut
from moonshelf.training.parallel import Group
from moonshelf.training.sharding import Shards, rows_of
from tests.invariants.objective_cases import FAST, VLM

WORDS = ["small red square", "large blue bar", "pink frame"]


def group_of(size: int, rank: int = 0) -> Group:
    group = Group()
    group.size, group.rank = size, rank  # pyright: ignore[reportAttributeAccessIssue]
    return group


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_rows_are_cut_as_torch_cuts_them(size: int) -> None:
    for count in range(1, 12):
        parts = [torch.arange(count)[part].tolist() for part in rows_of(count, group_of(size))]
        chunks = [chunk.tolist() for chunk in torch.arange(count).chunk(size)]
        assert parts == chunks + [[]] * (size - len(chunks))


def work(rows: int, mini: int, processes: int) -> Work:
    pieces = [dict] * len(cut(rows, mini, processes))
    return Work(3, "pair", rows, [np.arange(rows)], [pieces])


def test_processes_that_gather_together_need_equally_many_mini_batches() -> None:
    for rows in range(4, 14):
        for mini in (2, 3, 5):
            found = [
                len(work(rows, mini, 3).part_of(group_of(3, rank), alike=True).sides[0])
                for rank in range(3)
            ]
            assert len(set(found)) == 1
    with pytest.raises(UsageError, match=r"\[5\] mini-batches a side .* 2 processes"):
        work(5, 1, 2).part_of(group_of(2), alike=True)
    assert len(work(5, 1, 2).part_of(group_of(2)).sides[0]) == 2


@pytest.mark.parametrize("config", [FAST, VLM], ids=["fast", "multimodal LLM"])
def test_an_empty_part_changes_no_vector_and_learns_nothing(config) -> None:
    encoder = build_encoder(config, WORDS * 20, seed=0)
    photo = np.full((32, 32, 3), 90, np.uint8)
    batches = {
        "words": [Content(text=text) for text in WORDS],
        "pictures": [Content(images=(photo,)), Content(images=(photo // 2,))],
    }
    for contents in batches.values():
        batch = encoder.collate(contents)
        wanted = [True] * len(encoder.parts(batch))
        plain, found = gradients(encoder, batch, len(contents))
        filled = encoder.filled(batch, wanted)
        assert encoder.parts(filled) == tuple(wanted) and encoder.filled(filled, wanted)
        more, with_more = gradients(encoder, filled, len(contents))
        torch.testing.assert_close(more, plain, rtol=0, atol=1e-6)
        for name, gradient in with_more.items():
            expected = found.get(name, torch.zeros_like(gradient))
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6, msg=name)
        assert len(with_more) > len(found) or len(wanted) == 1


def gradients(
    encoder: Encoder, batch: dict[str, torch.Tensor], count: int
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    encoder.zero_grad(set_to_none=True)
    vectors = encoder(batch)[:count]
    vectors.square().mul(torch.arange(1, 1 + encoder.dim)).sum().backward()
    named = encoder.named_parameters()
    return vectors.detach(), {n: p.grad.clone() for n, p in named if p.grad is not None}


def test_compiled_layers_are_refused() -> None:
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    layers[0]._compiled_call_impl = layers[0].forward  # as ``compile()`` leaves it, which is slow
    with pytest.raises(UsageError, match="compiled layers cannot be gathered"):
        Shards(layers, group_of(2))
