"""From words and pictures to one query vector."""

from __future__ import annotations

import numpy as np
import pytest

from moonshelf.catalog.product import Content
from moonshelf.center.embed import embed_catalog
from moonshelf.center.search import check_version, query_vector, read_picture
from moonshelf.errors import ImageError, StoreError, UsageError
from tests.unit.center.fakes import FakeCatalog, FakeEncoder, draw_products
from tests.unit.center.pictures import png


def test_both_together_are_one_content():
    encoder = FakeEncoder()
    vector = query_vector(encoder, " red shirt ", b"picture")
    assert encoder.seen == [Content(text="red shirt", images=(b"picture",))]
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-6)
    assert query_vector(encoder, "red shirt").shape == (32,)
    assert encoder.seen[-1] == Content(text="red shirt")
    query_vector(encoder, picture=b"picture")
    assert encoder.seen[-1] == Content(images=(b"picture",))


def test_mix_moves_from_words_to_picture():
    encoder = FakeEncoder()
    words, seen = query_vector(encoder, "red"), query_vector(encoder, picture=b"p")
    np.testing.assert_allclose(query_vector(encoder, "red", b"p", mix=0), words, atol=1e-6)
    np.testing.assert_allclose(query_vector(encoder, "red", b"p", mix=1), seen, atol=1e-6)
    half = query_vector(encoder, "red", b"p", mix=0.5)
    assert half @ words == pytest.approx(half @ seen, abs=1e-6)
    np.testing.assert_allclose(np.linalg.norm(half), 1, atol=1e-6)
    third = query_vector(encoder, "red", b"p", mix=0.3)
    assert third @ words > third @ seen


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"text": "  "},
        {"text": "", "picture": b"p"},
        {"text": "red", "mix": 0.5},
        {"picture": b"p", "mix": 0.5},
        {"text": "red", "picture": b"p", "mix": 1.5},
        {"text": "red", "picture": b"p", "mix": float("nan")},
        {"text": "x" * 10_001},
    ],
)
def test_wrong_queries(arguments):
    with pytest.raises(UsageError):
        query_vector(FakeEncoder(), **arguments)


def test_vectors_that_cancel_out_are_an_error():
    class Opposite(FakeEncoder):
        def embed(self, contents, batch_size=None):
            sign = 1.0 if next(iter(contents)).text else -1.0
            return np.full((1, 4), sign / 2, np.float32)

    with pytest.raises(StoreError, match="cancel out"):
        query_vector(Opposite(), "red", b"p", mix=0.5)


def test_a_picture_file_is_checked(tmp_path):
    good = tmp_path / "good.png"
    good.write_bytes(png((200, 30, 30)))
    assert read_picture(good) == good.read_bytes()
    (tmp_path / "bad.png").write_bytes(png((1, 2, 3))[:60])
    (tmp_path / "text.png").write_text("hello")
    for name in ("bad.png", "text.png", "none.png", ""):
        with pytest.raises(ImageError) as caught:
            read_picture(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)


def test_another_encoder_version_is_refused(tmp_path):
    store = embed_catalog(FakeEncoder(), FakeCatalog(draw_products(3)), tmp_path / "s")
    check_version(store, "fake-1")
    with pytest.raises(StoreError, match="incompatible"):
        check_version(store, "fake-2")
