"""Hostile and odd pictures become an ImageError or the pixels a viewer would show."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.images import Limits, check_picture, decode_picture, open_picture
from moonshelf.errors import ImageError, UsageError
from tests.unit.catalog.making import encoded, picture

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def flat(color: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, color if len(color) > 1 else sum(color))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size; its pixels are missing, so decoding it would fail otherwise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_every_allowed_format_opens(form: str) -> None:
    image = open_picture(encoded(flat(RED), form))
    assert image.mode == "RGB" and image.size == (8, 8)
    assert np.abs(np.asarray(image, int) - RED).max() < 8


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (encoded(flat(RED), "TIFF"), "not a picture"),
        (encoded(flat(RED), "PPM"), "not a picture"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        open_picture(data)
    assert caught.value.cure


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_truncated_files_are_refused_everywhere(form: str, kept: float) -> None:
    data = picture(0, 200, 200, form)
    cut = data[: int(len(data) * kept)]
    for read in (open_picture, check_picture, lambda d: decode_picture(d, 16, 16)):
        with pytest.raises(ImageError, match=r"truncated or damaged|not a picture"):
            read(cut)


def test_any_damage_is_an_image_error_or_a_picture() -> None:
    rng = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        good = picture(1, 40, 40, form)
        for _ in range(60):
            bad = bytearray(good)
            for place in rng.integers(0, len(bad), 4):
                bad[place] = rng.integers(256)
            try:
                assert decode_picture(bytes(bad), 8, 8).shape == (8, 8, 3)
            except ImageError as error:
                assert error.what and error.cure


# Pillow itself warns, without refusing, between its limit and twice that.
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(60_000, 60_000), (16_385, 1), (10_000, 9_000), (30_000, 2_000)])
def test_huge_pictures_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    start = time.process_time()
    with pytest.raises(ImageError, match=r"the limit is 50,000,000") as caught:
        open_picture(png_header(*size))
    assert "truncated" not in str(caught.value)  # what decoding would have said
    assert time.process_time() - start < 0.5


def test_limits_are_the_callers() -> None:
    data = picture(0, 20, 10)
    for limits in (Limits(max_side=19), Limits(max_pixels=199), Limits(max_bytes=len(data) - 1)):
        with pytest.raises(ImageError, match="limit"):
            check_picture(data, limits)
    assert check_picture(data, Limits(len(data), 200, 20)) == (20, 10)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    upright = np.zeros((6, 4, 3), np.uint8)
    upright[0], upright[:, 0] = RED, GREEN  # tells all eight apart
    turned = Image.fromarray(upright)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that each orientation undoes
    if orientation > 1:
        turned = turned.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(turned, "PNG", exif=exif)
    assert np.array_equal(np.asarray(open_picture(data)), upright)
    assert np.array_equal(decode_picture(data, 6, 4), upright)
    assert check_picture(data) == (4, 6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_transparency_lies_over_white(mode: str) -> None:
    clear = flat((0, 0, 0, 0), "RGBA").convert("LA" if mode == "LA" else "RGBA")
    if mode in ("P", "PA"):
        clear = flat((0, 0, 0, 0), "RGBA").quantize(2)
    assert np.asarray(open_picture(encoded(clear))).min() == 255
    half = flat((255, 0, 0, 128), "RGBA")
    assert np.abs(np.asarray(open_picture(encoded(half)), int)[0, 0] - [255, 127, 127]).max() <= 1


def test_other_color_modes_keep_their_colors() -> None:
    assert (np.asarray(open_picture(encoded(flat((200,), "L")))) == 200).all()
    assert (np.asarray(open_picture(encoded(flat(RED).quantize(4)))) == RED).all()
    gray16 = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    assert (np.asarray(open_picture(encoded(gray16))) == 40_000 >> 8).all()
    cmyk = np.asarray(open_picture(encoded(flat((0, 255, 255, 0), "CMYK"), "JPEG")), int)
    assert np.abs(cmyk - RED).max() < 12


def test_gif_shows_its_first_frame() -> None:
    data = encoded(flat(RED), "GIF", save_all=True, append_images=[flat(BLUE)])
    assert (np.asarray(open_picture(data))[0, 0] == RED).all()


def test_fitting_keeps_the_aspect_and_pads_with_white() -> None:
    wide = decode_picture(encoded(flat(RED, size=(40, 20))), 32, 32)
    assert wide.shape == (32, 32, 3) and wide.dtype == np.uint8
    assert (wide[:8] == 255).all() and (wide[24:] == 255).all()
    assert (wide[8:24] == RED).all()
    tall = decode_picture(encoded(flat(BLUE, size=(1, 1_000))), 10, 10)
    assert (tall != 255).any(axis=2).sum() == 10  # a side never vanishes
    with pytest.raises(UsageError):
        decode_picture(encoded(flat(RED)), 0, 8)


def test_draft_decoding_changes_little() -> None:
    ramp = np.linspace(0, 255, 800)
    x, y = np.meshgrid(ramp, ramp)
    image = Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))
    fast = decode_picture(encoded(image, "JPEG", quality=95), 64, 64).astype(int)
    slow = decode_picture(encoded(image, "PNG"), 64, 64).astype(int)
    assert np.abs(fast - slow).mean() < 1.5
