"""A product's vector does not depend on its batch-mates, on padding or on the batch size
(methods.md 10.4), to 1e-5 in float32; and nothing crosses modalities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, build_encoder
from tests.unit.encoder.conftest import CONFIGS, mixed_contents, photo, titles, wake


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    built = build_encoder(CONFIGS[request.param], titles(200))
    wake(built)
    return built.eval()


def test_single_batched_and_shuffled_agree(encoder: Encoder) -> None:
    contents = mixed_contents(40)
    together = encoder.embed(contents)
    alone = np.concatenate([encoder.embed([content]) for content in contents])
    order = np.random.default_rng(1).permutation(40)
    shuffled = encoder.embed([contents[k] for k in order], batch_size=7)[np.argsort(order)]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - shuffled).max() < 1e-5


def test_rows_are_independent_in_training_mode_too(encoder: Encoder) -> None:
    encoder.train()
    contents = mixed_contents(12)
    together = encoder(encoder.collate(contents))
    alone = torch.cat([encoder(encoder.collate([content])) for content in contents])
    assert (together - alone).abs().max() < 1e-5


def test_neighbors_get_no_gradient(encoder: Encoder) -> None:
    if "pixels" not in encoder.collate(mixed_contents(3)):
        pytest.skip("this encoder takes pictures of mixed size")
    pictures = [photo(k) for k in range(4)]
    base = encoder.embed([Content("red mug", (p,)) for p in pictures])
    changed = [pictures[0], photo(99), *pictures[2:]]
    again = encoder.embed([Content("red mug", (p,)) for p in changed])
    moved = np.abs(base - again).max(axis=1)
    assert moved[1] > 1e-3
    assert np.delete(moved, 1).max() < 1e-6


def test_a_shared_picture_gives_the_vectors_of_separate_ones(encoder: Encoder) -> None:
    """One vision pass a picture: views that hold the very same picture equal views of copies."""
    pictures = [photo(k) for k in range(3)]
    views = [(None, True), ("red mug", True), ("blue dress", False)]
    shared = [Content(text, (p,) if see else ()) for text, see in views for p in pictures]
    copied = [Content(c.text, tuple(np.copy(p) for p in c.images)) for c in shared]
    once, each = encoder.collate(shared), encoder.collate(copied)
    assert len(once["grid" if "grid" in once else "pixels"]) == 3
    assert len(each["grid" if "grid" in each else "pixels"]) == 6
    with torch.no_grad():
        assert (encoder(once) - encoder(each)).abs().max() < 1e-5
