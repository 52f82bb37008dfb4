"""Where products are found in drawn pictures, what counts as no crop, what controls keep equal."""

from __future__ import annotations

import numpy as np
import pytest

from moonshelf.catalog.crops.box import MARGIN, NO_BOX, TOO_LARGE, TOO_SMALL, Box, Missing, shown
from moonshelf.catalog.crops.controls import CenterCrop, RandomCrop
from moonshelf.catalog.crops.detector import Detector, embedded
from moonshelf.catalog.crops.foreground import Foreground
from moonshelf.errors import UsageError

SIDE = 64


def ellipse(box: Box, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """bool [H, W]: the ellipse that fills a box."""
    y, x = np.mgrid[:height, :width] + 0.5
    across = (x / width - (box.left + box.right) / 2) / (box.width / 2)
    down = (y / height - (box.top + box.bottom) / 2) / (box.height / 2)
    return across**2 + down**2 <= 1


def studio(box: Box, seed: int = 0) -> np.ndarray:
    """A dark thing on a light ground with noise and a soft gradient."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE, SIDE, 3), 236.0) - np.linspace(0, 8, SIDE)[:, None, None]
    picture[ellipse(box)] = rng.integers(20, 120, 3)
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


def clutter(box: Box, seed: int = 0) -> np.ndarray:
    """A thing of its own color in front of stripes and patches of many others."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((SIDE, SIDE, 3))
    for _ in range(160):
        y, x = rng.integers(0, SIDE, 2)
        picture[y : y + 14, x : x + 5] = rng.integers(0, 140, 3)
    picture[ellipse(box)] = (240, 200, 30)
    return (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_thing_on_a_plain_ground_is_found(seed: int) -> None:
    left, top = np.random.default_rng(seed).uniform(0.05, 0.4, 2)
    box = Box(left, top, left + 0.4, top + 0.5)
    found = Foreground().detect(studio(box, seed))
    assert isinstance(found, Box) and found.overlap(shown_box(box)) > 0.85


@pytest.mark.parametrize("seed", range(4))
def test_a_thing_in_front_of_clutter_is_found(seed: int) -> None:
    left, top = np.random.default_rng(seed).uniform(0.2, 0.35, 2)
    box = Box(left, top, left + 0.45, top + 0.45)
    found = Foreground().detect(clutter(box, seed))
    assert isinstance(found, Box) and found.overlap(shown_box(box)) > 0.6


def shown_box(box: Box) -> Box:
    found = shown(box)
    assert isinstance(found, Box)
    return found


def test_loose_parts_belong_together_and_specks_to_nothing() -> None:
    picture = np.full((SIDE, SIDE, 3), 250, np.uint8)
    picture[20:44, 10:20] = picture[20:44, 40:50] = 30  # a pair of socks
    picture[2, 60] = 0  # a crumb
    assert Foreground().detect(picture) == shown(Box(10 / 64, 20 / 64, 50 / 64, 44 / 64))


def test_only_ground_is_no_box() -> None:
    assert Foreground().detect(np.full((SIDE, SIDE, 3), 255, np.uint8)) == Missing(NO_BOX)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Box(0.0, 0.0, 0.2, 0.2), TOO_SMALL),  # 4 %, with its margin 4.4 %
        (Box(0.4, 0.4, 0.615, 0.615), None),  # 4.6 %, with its margin 5.6 %
        (Box(0.0, 0.0, 1.0, 0.904), None),  # 94.9 % with its margin
        (Box(0.0, 0.0, 1.0, 0.906), TOO_LARGE),  # 95.1 % with its margin
        (Box(0.0, 0.0, 1.0, 1.0), TOO_LARGE),
        (Box(0.5, 0.5, 0.5, 0.9), TOO_SMALL),
    ],
)
def test_bounds_hold_for_the_crop_as_it_is_shown(found: Box, why: str | None) -> None:
    said = shown(found)
    assert said == Missing(why) if why else isinstance(said, Box)
    if isinstance(said, Box):
        assert said.left == max(0, found.left - MARGIN * found.width)
        assert said.bottom == min(1, found.bottom + MARGIN * found.height)


def test_pixels_of_a_box_are_all_that_it_touches_and_never_none() -> None:
    assert Box(10 / 64, 20 / 64, 50 / 64, 44 / 64).pixels(64, 64) == (10, 20, 50, 44)
    assert Box(0.1, 0.1, 0.9, 0.9).pixels(4, 4) == (0, 0, 4, 4)
    assert Box(0.5, 0.5, 0.51, 0.51).pixels(1, 1) == (0, 0, 1, 1)
    assert Box(0.99, 0.99, 1.0, 1.0).of(np.zeros((3, 200, 3), np.uint8)).shape == (1, 2, 3)


def left_of(detector: Detector, picture: np.ndarray) -> float:
    found = detector.detect(picture)
    assert isinstance(found, Box)
    return found.left


def test_controls_differ_from_the_foreground_by_the_place_alone() -> None:
    boxes = [Box(0.1, 0.1, 0.4, 0.6), Box(0.5, 0.3, 0.9, 0.9), Box(0.3, 0.3, 0.6, 0.7)]
    pictures = [studio(boxes[k % 3], k) for k in range(60)]
    truth = [Foreground().detect(p) for p in pictures]
    for control in (CenterCrop(), RandomCrop()):
        found = [control.detect(p) for p in pictures]
        assert found == [control.detect(p.copy()) for p in pictures]  # nothing is drawn anew
        for own, moved in zip(truth, found, strict=True):
            assert isinstance(own, Box) and isinstance(moved, Box)
            assert (moved.width, moved.height) == pytest.approx((own.width, own.height))
            assert min(moved.left, moved.top) >= 0 and max(moved.right, moved.bottom) <= 1
    sized = list(
        zip(pictures, [found.width for found in truth if isinstance(found, Box)], strict=True)
    )
    middles = [left_of(CenterCrop(), p) + width / 2 for p, width in sized]
    assert middles == pytest.approx([0.5] * len(sized))
    places = [left_of(RandomCrop(), p) / (1 - width) for p, width in sized]
    assert min(places) < 0.2 and max(places) > 0.8 and 0.35 < np.mean(places) < 0.65
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert CenterCrop().detect(blank) == RandomCrop().detect(blank) == Missing(NO_BOX)


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (64, 1), (7, 64), (8, 8), (8, 64), (9, 300)])
@pytest.mark.parametrize("kind", ["flat", "noise", "two colors"])
def test_odd_pictures_have_a_box_or_none(shape: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((*shape, 3), np.uint8)
    if kind == "noise":
        picture = rng.integers(0, 256, picture.shape, dtype=np.uint8)
    elif kind == "two colors":
        picture[:, ::2] = 255
    for name in ("foreground", "center", "random"):
        found = embedded(name).detect(picture)
        assert isinstance(found, Missing) or 0.05 <= found.area <= 0.95


def test_a_detector_that_needs_a_model_is_none_of_the_embedded() -> None:
    with pytest.raises(UsageError, match=r"'grounding'.*foreground, center, random"):
        embedded("grounding")
