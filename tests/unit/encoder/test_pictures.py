"""Our picture path equals the library's processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.encoder.config import PictureConfig
from moonshelf.encoder.pictures import (
    fitting_size,
    normalize,
    own_grid,
    patchify,
    to_canvas,
)
from moonshelf.errors import DataError
from tests.unit.encoder.conftest import photo


def test_patches_equal_the_library() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    processor = Qwen2VLImageProcessorPil(
        patch_size=8, temporal_patch_size=2, merge_size=2, do_resize=False
    )
    image = photo(0, 48, 32)
    expected = processor(images=[image], return_tensors="pt")
    mean, std = (torch.tensor(getattr(processor, f"image_{name}")) for name in ("mean", "std"))
    pixels = normalize(torch.from_numpy(image)[None], mean, std)
    ours = patchify(pixels, patch=8, temporal=2, merge=2)
    torch.testing.assert_close(ours, expected["pixel_values"], rtol=0, atol=1e-5)
    assert expected["image_grid_thw"].tolist() == [[1, 6, 4]]


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([16, 28, 32]))
def test_fitting_size_keeps_the_bounds(height: int, width: int, factor: int) -> None:
    low, high = 4 * factor**2, 64 * factor**2
    h, w = fitting_size(height, width, factor, low, high)
    assert h % factor == w % factor == 0
    if max(height, width) < 50 * min(height, width):
        assert low <= h * w or max(h, w) == factor
        assert h * w <= high * 1.6  # a side never falls below one block


def test_fitting_size_equals_the_library() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    rng = np.random.default_rng(0)
    for height, width in rng.integers(30, 900, (200, 2)):
        expected = smart_resize(int(height), int(width), 32, 64 * 64, 448 * 448)
        assert fitting_size(int(height), int(width), 32, 64 * 64, 448 * 448) == expected


@pytest.mark.parametrize("factor", [28, 32])
def test_a_thread_of_a_picture_stays_in_bounds(factor: int) -> None:
    for sides in ((16_384, 1), (1, 16_384), (3, 900)):
        h, w = fitting_size(*sides, factor, 64 * 64, 448 * 448)
        assert h % factor == w % factor == 0
        assert 64 * 64 <= h * w <= 448 * 448


def test_own_grid_of_a_decoded_picture() -> None:
    config = PictureConfig(height=0, width=0, min_pixels=32 * 32, max_pixels=128 * 128)
    assert own_grid(photo(0, 70, 200), config, 32).shape == (64, 192, 3)


def test_wrong_decoded_shape_is_named() -> None:
    with pytest.raises(DataError, match=r"uint8 \(10, 10, 3\), expected uint8 \(64, 32, 3\)"):
        to_canvas([photo(0, 10, 10)], PictureConfig(height=64, width=32))
