"""An augmented photo follows from seed, key, strength and picture alone, and shows the product."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog import augmented_photos
from moonshelf.catalog.augmented_photos import augmented_photo
from moonshelf.errors import ImageError

RED, WHITE = (200, 20, 30), (250, 250, 250)


def drawn(ground: tuple[int, int, int] = WHITE, mode: str = "PNG") -> bytes:
    """A red bar in the middle of a plain ground, 60 wide and 80 high."""
    pixels = np.full((80, 60, 3), ground, np.uint8)
    pixels[20:60, 20:40] = RED
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, mode)
    return file.getvalue()


def pixels_of(photo: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")).astype(int)


def fresh(*given: object) -> bytes:
    """Not from memory."""
    augmented_photos._PHOTOS.clear()
    return augmented_photo(*given)


def test_photos_are_kept_and_pictures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    memory: dict = {}

    def make(picture: bytes, key: str, seed: int, strength: float) -> bytes:
        made.append(key)
        return f"{key} {seed} {strength}".encode()

    monkeypatch.setattr(augmented_photos, "_made", make)
    monkeypatch.setattr(augmented_photos, "_PHOTOS", memory)
    monkeypatch.setattr(augmented_photos, "KEPT", 2)
    large = bytes(100_000)
    for key in ("a", "b", "a", "c", "a", "b"):  # c takes the place of b, not of a
        assert augmented_photo(large, key) == f"{key} 0 0.5".encode()
    assert made == ["a", "b", "c", "b"]
    assert len(memory) == 2
    assert all(len(asked[0]) == 16 and large not in asked for asked in memory)
    assert augmented_photo(large + b"1", "b") and made[-2:] == ["b", "b"]


def test_a_photo_depends_on_nothing_but_what_it_is_made_from() -> None:
    wanted = {key: fresh(drawn(), key, 3, 0.7) for key in ("a", "b", "c")}
    np.random.default_rng().random(5)
    assert {key: fresh(drawn(), key, 3, 0.7) for key in ("c", "a", "b")} == wanted
    assert augmented_photo(drawn(), "a", 3, 0.7) == wanted["a"]
    others = [
        fresh(drawn(), "a", 4, 0.7),
        fresh(drawn(), "a", 3, 0.8),
        fresh(drawn((9, 9, 9)), "a", 3, 0.7),
        wanted["b"],
    ]
    assert wanted["a"] not in others and len({*others}) == 4


@pytest.mark.parametrize("key", ["", "x" * 10_000, "\x00\ud800<script>", "日本語"])
def test_any_id_makes_a_photo(key: str) -> None:
    assert pixels_of(fresh(drawn(), key)).shape == (128, 96, 3)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_any_picture_makes_a_photo(size: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("L", size, 7).save(file, "PNG")
    height, width, _ = pixels_of(fresh(file.getvalue(), "a", 0, 2.0)).shape
    assert 128 <= height <= 448 and width == height * 3 // 4


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ImageError):
        augmented_photo(b"no picture", "a")


def reds(photo: bytes) -> np.ndarray:
    pixels = pixels_of(photo)
    return (pixels[..., 0] > 90) & (pixels[..., 1:].max(2) < 0.55 * pixels[..., 0])


def test_the_product_stays_in_the_photo_and_its_ground_does_not() -> None:
    """At strength 1 every ground is another one; most photos still show a good piece of the bar."""
    photos = [fresh(drawn(), str(k), 0, 1.0) for k in range(24)]
    shares = [reds(photo).mean() for photo in photos]
    assert np.median(shares) > 0.05
    white = [(pixels_of(photo).min(2) > 235).mean() for photo in photos]
    assert np.median(white) < 0.1
    mild = [(pixels_of(fresh(drawn(), str(k), 0, 0.0)).min(2) > 235).mean() for k in range(8)]
    assert min(mild) > 0.6


def test_more_strength_is_farther_from_the_picture() -> None:
    def distance(strength: float) -> float:
        base = pixels_of(fresh(drawn(), "0", 0, 0.0))
        photos = [pixels_of(fresh(drawn(), str(k), 0, strength)) for k in range(16)]
        return float(np.mean([np.abs(photo - base).mean() for photo in photos]))

    near, middle, far = (distance(strength) for strength in (0.1, 0.5, 1.0))
    assert near < middle < far


def test_the_figure_is_told_from_a_plain_ground_alone() -> None:
    picture = np.full((20, 16, 3), 240, np.uint8)
    picture[5:15, 4:12] = RED
    picture[8:12, 6:10] = 240  # a pale print inside stays part of the product
    figure = augmented_photos._figure(picture)
    wanted = np.zeros((20, 16), bool)
    wanted[5:15, 4:12] = True
    np.testing.assert_array_equal(figure, wanted)
    assert augmented_photos._figure(np.full((20, 16, 3), 240, np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (20, 16, 3), dtype=np.uint8)
    assert augmented_photos._figure(noise) is None


def test_an_outline_with_gaps_is_filled() -> None:
    """White on white: the sides are seen in some rows only, top and hem in all columns."""
    picture = np.full((20, 20, 3), 250, np.uint8)
    picture[[4, 15], 5:15] = 100
    picture[4:7, [5, 14]] = 100
    figure = augmented_photos._figure(picture)
    assert figure is not None and figure[4:16, 5:15].all()
