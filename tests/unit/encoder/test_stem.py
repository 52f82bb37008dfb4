"""The stem: an orthonormal wavelet, zero-initialized blocks, tokens in the order of the patches."""

from __future__ import annotations

import pytest
import torch

from moonshelf.encoder.config import StemConfig
from moonshelf.encoder.pictures import normalize, patchify
from moonshelf.encoder.stem import ConvStem, HaarConv, ResidualBlock, haar


def test_wavelet_loses_nothing() -> None:
    pixels = torch.randn(2, 8, 6, 3, dtype=torch.float64)
    bands = haar(pixels)
    assert bands.shape == (2, 12, 4, 3)
    torch.testing.assert_close(bands.square().sum(), pixels.square().sum())
    average, vertical, horizontal, diagonal = bands.split(3, dim=1)
    corner = (average + vertical + horizontal + diagonal).permute(0, 2, 3, 1) / 2
    torch.testing.assert_close(corner, pixels[:, 0::2, 0::2])


def test_blocks_start_as_their_shortcut() -> None:
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(ResidualBlock(4, 4, 1)(x), x)


def test_a_second_wavelet_sees_every_pixel_once() -> None:
    """Two levels on 8 x 4 pixels: 48 bands on 2 x 1 places, of the same length as the picture."""
    pixels = torch.randn(1, 8, 4, 3, dtype=torch.float64)
    bands = haar(pixels, levels=2)
    assert bands.shape == (1, 48, 2, 1)
    torch.testing.assert_close(bands.square().sum(), pixels.square().sum())
    # The first three bands are the means of 4 x 4 pixels, times 4 (each level keeps the length).
    means = pixels.reshape(1, 2, 4, 1, 4, 3).mean((2, 4)).permute(0, 3, 1, 2)
    torch.testing.assert_close(bands[:, :3], 4 * means)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_wavelet_inside_the_kernel_is_the_wavelet(levels: int) -> None:
    """Same values, same gradients, and the weights are those of the bands."""
    pixels = torch.randn(2, 16, 8, 3, dtype=torch.float64, requires_grad=True)
    conv = HaarConv(levels, 5).double()
    plain = torch.nn.Conv2d(conv.in_channels, 5, 3, 1, 1).double()
    plain.load_state_dict(conv.state_dict())
    given = torch.randn(2, 5, 16 >> levels, 8 >> levels, dtype=torch.float64)
    ours, theirs = conv(pixels), plain(haar(pixels, levels))
    torch.testing.assert_close(ours, theirs)
    for mine, reference in zip(
        torch.autograd.grad(ours, [pixels, *conv.parameters()], given),
        torch.autograd.grad(theirs, [pixels, *plain.parameters()], given),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize(("levels", "blocks"), [(1, (1, 1, 1)), (2, (1, 1))])
def test_tokens_stand_where_the_patches_stand(levels: int, blocks: tuple[int, ...]) -> None:
    """A change inside one patch moves that patch's token most: the order is the patches' own."""
    torch.manual_seed(0)
    stem = ConvStem(StemConfig(width=4, blocks=blocks, levels=levels), width=8).eval()
    stem.register_module("norm", torch.nn.Identity())  # it blows small changes of neighbors up
    base = torch.zeros(1, 64, 32, 3)
    for row, column in ((0, 0), (1, 0), (0, 3), (5, 2)):
        changed = base.clone()
        changed[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
        where = patchify(changed, patch=8, temporal=1, merge=2).sum(1).argmax()
        moved = (stem(changed) - stem(base)).square().sum(1).argmax()
        assert int(moved) == int(where)


def test_normalizing_in_bf16_is_exact_to_its_digits() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.5)
    exact = normalize(pixels, mean, std)
    torch.testing.assert_close(exact, pixels.float() / 127.5 - 1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = normalize(pixels, mean, std)
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - exact).abs().max()) < 0.01
