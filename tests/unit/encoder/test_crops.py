"""An encoder that is shown crops: original, crop, text; one that is not: as ever."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from moonshelf.catalog.crops.box import Box
from moonshelf.catalog.crops.cropper import cut_out
from moonshelf.catalog.crops.foreground import Foreground
from moonshelf.catalog.images import decode_picture, small_picture
from moonshelf.catalog.product import Content
from moonshelf.encoder import Encoder, FastConfig, VlmConfig, build_encoder, load_encoder
from moonshelf.encoder.language import END, LanguageModel, Question
from moonshelf.encoder.sequence import IMAGE
from tests.unit.encoder.conftest import CONFIGS, PATCHES, titles, wake

OWN = VlmConfig(tiny=PATCHES, pictures={"height": 0, "width": 0, "max_pixels": 64 * 64})
KINDS = CONFIGS | {"own grids": OWN}


def thing(seed: int, plain: bool = False) -> bytes:
    """A PNG of something in a studio; where ``plain``, of nothing."""
    rng = np.random.default_rng(seed)
    pixels = np.full((96, 72, 3), 245, np.uint8)
    if not plain:
        y, x = rng.integers(8, 40, 2)
        pixels[y : y + 40, x : x + 24] = rng.integers(0, 150, (40, 24, 3))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def built(config: VlmConfig | FastConfig, crop: str = "foreground") -> Encoder:
    pictures = config.pictures.model_copy(update={"crop": crop})
    encoder = build_encoder(
        config.model_copy(update={"pictures": pictures}), titles(200), control=(END,)
    )
    wake(encoder)
    return encoder.eval()


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest) -> VlmConfig | FastConfig:
    return KINDS[request.param]


@pytest.fixture
def encoder(config: VlmConfig | FastConfig) -> Encoder:
    return built(config)


MIXED = [
    Content("red mug", (thing(0),)),
    Content("blue dress"),
    Content(None, (thing(1),)),
    Content("nothing to see", (thing(2, plain=True),)),
    Content("two", (thing(3), thing(4))),
    Content("cut already", (thing(5),), crops=()),
]


def test_original_then_crop_are_two_pictures(encoder: Encoder) -> None:
    shown = encoder.shown(MIXED)
    assert [len(pictures) for pictures in shown] == [2, 0, 2, 1, 2, 1]
    canvas = encoder.pictures
    box = Foreground().detect(small_picture(thing(0), Foreground.side))
    assert isinstance(box, Box)
    size = (canvas.height, canvas.width) if canvas.fixed else None
    assert shown[0][0] == thing(0) and np.array_equal(shown[0][1], cut_out(thing(0), box, size))


def test_rows_do_not_depend_on_each_other(encoder: Encoder) -> None:
    together = encoder.embed(MIXED)
    alone = np.concatenate([encoder.embed([content]) for content in MIXED])
    turned = encoder.embed(MIXED[::-1], batch_size=2)[::-1]
    assert np.abs(together - alone).max() < 1e-5 and np.abs(together - turned).max() < 1e-5


def test_switched_off_nothing_changes_and_a_missing_crop_equals_that(
    config: VlmConfig | FastConfig,
) -> None:
    off, on = built(config, "off"), built(config)
    before = build_encoder(config, titles(200), control=(END,))
    wake(before)
    bare = [Content(c.text, c.images) for c in MIXED]
    want = before.eval().embed(bare)
    assert off.cropper is None and np.array_equal(off.embed(MIXED), want)
    # The same weights: what has no crop is what it would be without the switch.
    found = np.abs(on.embed(bare) - want).max(axis=1)
    assert (found[[1, 3]] < 1e-6).all() and (found[[0, 2, 4, 5]] > 1e-4).all()
    none = [Content(c.text, c.images, crops=()) for c in MIXED]
    assert np.abs(on.embed(none) - want).max() < 1e-6


def test_a_decoded_picture_with_its_crop_equals_its_bytes(encoder: Encoder) -> None:
    if not encoder.pictures.fixed:
        pytest.skip("pictures of their own size are not decoded ahead")
    size = (encoder.pictures.height, encoder.pictures.width)
    box = Foreground().detect(small_picture(thing(0), Foreground.side))
    assert isinstance(box, Box)
    ready = Content(
        "red mug",
        (decode_picture(thing(0), *size),),
        crops=(decode_picture(thing(0), *size, part=box),),
    )
    assert np.array_equal(encoder.embed([ready]), encoder.embed(MIXED[:1]))
    bare = Content("red mug", ready.images)  # nobody looked: the encoder does, at these pixels
    assert len(encoder.shown([bare])[0]) == 2


def test_views_of_one_picture_share_one_crop(encoder: Encoder) -> None:
    data = thing(0)
    first, second = encoder.shown([Content("red mug", (data,)), Content(None, (data,))])
    assert first[1] is second[1]


def test_a_picture_and_its_crop_are_twice_the_tokens_before_the_words() -> None:
    on, off = built(CONFIGS["stem"]), built(CONFIGS["stem"], "off")
    with_crop, without = (e.collate(MIXED[:1]) for e in (on, off))
    counts = [int((batch["kinds"] == IMAGE).sum()) for batch in (with_crop, without)]
    assert counts[0] == 2 * counts[1] and len(with_crop["grid"]) == 2
    kinds = with_crop["kinds"].flatten()[: int(with_crop["last"][0]) + 1]
    assert (kinds[: counts[0]] == IMAGE).all() and not (kinds[counts[0] :] == IMAGE).any()


def test_questions_show_the_crop_too() -> None:
    encoder = built(CONFIGS["stem"])
    batch = LanguageModel(encoder).collate([Question(MIXED[0], "What is it?", "a mug")])
    assert len(batch["grid"]) == 2


def test_the_encoder_remembers_what_it_is_shown(tmp_path, encoder: Encoder) -> None:
    encoder.save(tmp_path / "encoder")
    again = load_encoder(tmp_path / "encoder")
    assert again.pictures.crop == "foreground"
    with torch.no_grad():
        assert np.array_equal(again.embed(MIXED), encoder.embed(MIXED))
