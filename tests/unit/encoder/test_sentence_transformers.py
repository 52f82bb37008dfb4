"""Export: what the other library computes from the folder is what the encoder computes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moonshelf.catalog.product import Content
from moonshelf.cli.main import main
from moonshelf.encoder import Encoder, build_encoder, encoder_version, load_encoder
from moonshelf.encoder.sentence_transformers import MoonshelfModule, export_sentence_transformers
from moonshelf.errors import CheckpointError, DataError, ImageError, UsageError
from tests.unit.encoder.conftest import CONFIGS, photo, titles


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    smooth = Image.fromarray(photo(seed, 8, 6)).resize((90, 120), Image.Resampling.BICUBIC)
    smooth.save(out, "JPEG", quality=90)
    return out.getvalue()


def inputs_and_contents(count: int) -> tuple[list, list[Content]]:
    """Words, pictures and both, in turn, as the other library and as ours takes them."""
    inputs, contents = [], []
    for k, words in enumerate(titles(count)):
        picture = jpeg(k)
        inputs.append([words, picture, {"text": words, "image": picture}][k % 3])
        contents.append(Content(words if k % 3 != 1 else None, (picture,) if k % 3 else ()))
    return inputs, contents


@pytest.fixture
def small(tmp_path: Path) -> Path:
    encoder = build_encoder(CONFIGS["fast"], titles(200))
    return encoder.save(tmp_path / "run" / "encoder").parent


def test_the_other_library_gives_the_same_vectors(encoder: Encoder, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers", reason="extra `st` is not installed")
    encoder.save(tmp_path / "run" / "encoder")
    folder = export_sentence_transformers(tmp_path / "run", tmp_path / "st")
    inputs, contents = inputs_and_contents(11)
    expected = load_encoder(tmp_path / "run").embed(contents)
    model = library.SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    np.testing.assert_allclose(model.encode(inputs, batch_size=4), expected, atol=1e-6)
    assert model.get_embedding_dimension() == encoder.dim
    # Its own save and load keep the vectors, without the flag too.
    model.save(str(tmp_path / "again"))
    module = MoonshelfModule.load(tmp_path / "again")
    again = library.SentenceTransformer(modules=[module], device="cpu")
    np.testing.assert_allclose(again.encode(inputs), expected, atol=1e-6)


def test_every_kind_of_picture_is_the_same_picture(small: Path, tmp_path: Path) -> None:
    module = MoonshelfModule.load(small)
    canvas = module.encoder.pictures
    pixels = photo(1, canvas.height, canvas.width)
    image = Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, "PNG")
    file = tmp_path / "p.png"
    file.write_bytes(out.getvalue())
    kinds = [pixels, image, file, out.getvalue(), {"image": str(file)}, {"image": [image]}]
    vectors = module(module.preprocess(kinds))["sentence_embedding"].detach().numpy()
    expected = module.encoder.embed([Content(images=(pixels,))])
    np.testing.assert_allclose(vectors, np.repeat(expected, len(kinds), 0), atol=1e-6)


def test_arrays_and_odd_images_are_fitted(small: Path) -> None:
    module = MoonshelfModule.load(small)
    sideways = Image.fromarray(photo(2, 40, 90))
    exif = sideways.getexif()
    exif[0x0112] = 6
    out = io.BytesIO()
    sideways.save(out, "PNG", exif=exif)
    opened = Image.open(io.BytesIO(out.getvalue()))
    a, b = (module.encoder.embed([module.content(x)]) for x in (opened, out.getvalue()))
    np.testing.assert_allclose(a, b, atol=1e-6)
    for odd in (photo(3, 200, 30), Image.new("CMYK", (50, 50)), Image.new("RGBA", (9, 9))):
        assert module.encoder.embed([module.content(odd)]).shape == (1, module.encoder.dim)


def test_a_string_is_words_even_if_it_names_a_file(small: Path, tmp_path: Path) -> None:
    module = MoonshelfModule.load(small)
    (tmp_path / "p.jpg").write_bytes(jpeg(0))
    assert module.content(str(tmp_path / "p.jpg")) == Content(str(tmp_path / "p.jpg"))
    assert module.content("shoes", prompt="find ") == Content("find shoes")


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (7, DataError, "int"),
        ({"text": "a", "audio": b"x"}, DataError, "audio"),
        ({}, DataError, "keys"),
        ({"text": ["a"]}, DataError, "list"),
        (np.zeros((4, 4), np.uint8), DataError, r"uint8 \[H, W, 3\]"),
        (Path("nowhere.jpg"), ImageError, "nowhere.jpg"),
        ({"image": "https://example.org/a.jpg"}, ImageError, "on this machine"),
        ("  ", DataError, "no text and no picture"),
    ],
)
def test_other_inputs_are_refused(small: Path, value, error, told) -> None:
    with pytest.raises(error, match=told):
        MoonshelfModule.load(small).preprocess([value])


def test_devices_are_not_read(small: Path) -> None:
    module = MoonshelfModule.load(small)
    with pytest.raises(ImageError, match="not a file"):
        module.preprocess([{"image": "/dev/zero"}])


def test_exports_whole_and_only_to_a_free_folder(small: Path, tmp_path: Path) -> None:
    folder = export_sentence_transformers(small, tmp_path / "st")
    assert encoder_version(folder) == encoder_version(small)
    (listed,) = json.loads((folder / "modules.json").read_text())
    assert listed["type"] == f"{MoonshelfModule.__module__}.{MoonshelfModule.__qualname__}"
    with pytest.raises(UsageError, match="taken"):
        export_sentence_transformers(small, folder)
    (small / "encoder" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError):
        export_sentence_transformers(small, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(UsageError, match="no such folder"):
        MoonshelfModule.load("someone/some-model")


def test_the_verb_shows_and_exports(small: Path, tmp_path: Path, capsys) -> None:
    assert main(["encoder", "show", str(small), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == encoder_version(small) and shown["kind"] == "fast"
    assert shown["dim"] == CONFIGS["fast"].dim
    assert sum(shown["parts"].values()) == shown["parameters"]
    assert main(["encoder", "show", str(small)]) == 0
    assert "stem.width" in capsys.readouterr().out
    assert main(["encoder", "export", str(small), "--to", str(tmp_path / "st")]) == 0
    assert MoonshelfModule.load(tmp_path / "st").get_embedding_dimension() == shown["dim"]
    assert main(["encoder", "export", str(small), "--to", str(tmp_path / "st")]) == 2
    assert main(["encoder", "show", str(tmp_path / "nothing")]) == 1
