"""A prefix of an encoder gives the first numbers of its vectors, made unit again."""

from __future__ import annotations

import numpy as np
import pytest

from moonshelf.encoder import PrefixEncoder, build_encoder, prefix
from moonshelf.encoder.narrow import cut
from moonshelf.errors import UsageError
from tests.unit.encoder.conftest import CONFIGS, mixed_contents, titles


def test_vectors_are_unit_prefixes() -> None:
    encoder = build_encoder(CONFIGS["fast"], titles(20))
    contents = mixed_contents(7)
    whole, narrow = encoder.embed(contents), PrefixEncoder(encoder, 5)
    found = narrow.embed(contents, batch_size=3)
    assert found.shape == (7, 5) and narrow.dim == 5 and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    lengths = np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(found * lengths, whole[:, :5], rtol=1e-5, atol=1e-7)
    assert narrow.version == encoder.version


def test_the_whole_is_itself() -> None:
    encoder = build_encoder(CONFIGS["fast"], titles(20))
    assert prefix(encoder, None) is encoder and prefix(encoder, encoder.dim) is encoder
    for width in (0, encoder.dim + 1):
        with pytest.raises(UsageError, match="a prefix of"):
            prefix(encoder, width)


def test_a_prefix_of_zeros_stays_zero() -> None:
    vectors = np.array([[0.0, 0.0, 1.0]], np.float32)
    assert not cut(vectors, 2).any() and np.isfinite(cut(vectors, 2)).all()
