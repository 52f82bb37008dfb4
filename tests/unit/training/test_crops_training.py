"""Crops in training: the pixels of evaluation, one step however cut up, every way to an encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.crops.box import Box
from moonshelf.catalog.crops.cropper import Cropper, use_crops
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Product, Query, View, product_content
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.center import embed_catalog
from moonshelf.center.search import query_vector
from moonshelf.cli.main import main
from moonshelf.encoder import Encoder, build_encoder, load_encoder
from moonshelf.errors import CatalogError, DataError, StoreError, UsageError
from moonshelf.evaluation import evaluate
from moonshelf.evaluation.protocol import EncoderEmbedder
from moonshelf.evaluation.suite import PhotoSearchTask, Suite
from moonshelf.progress import silent
from moonshelf.training.contents import ContentSource, Draws
from moonshelf.training.decoded import decoded_contents, ready_crops
from moonshelf.training.image_search import ImageSearch
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.questions import DRAWS, Questions
from moonshelf.training.run import train
from moonshelf.training.settings import AugmentConfig
from tests.small_encoder import FAST
from tests.small_shop import picture, write_small_shop
from tests.unit.training.test_run import quick


def encoder_of(crop: str) -> Encoder:
    pictures = FAST.pictures.model_copy(update={"crop": crop})
    return build_encoder(
        FAST.model_copy(update={"pictures": pictures}), ["small red square no 1"] * 9
    ).eval()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Products, one without a picture, and a photo query."""
    path = tmp_path_factory.mktemp("shop") / "catalog"
    write_small_shop(path, products=40)
    with CatalogWriter(path, append=True) as writer:
        writer.add_product(Product(id="bare", title="small red bar", split="train"))
        photo = picture("red", "bar", "large", np.random.default_rng(9))
        writer.add_query(Query(id="q", images=(photo,), positives=("p0",), split="train"))
        return writer.commit()


def test_training_shows_the_pixels_that_evaluation_shows(shop: Catalog) -> None:
    encoder = encoder_of("foreground")
    source = decoded_contents(encoder, shop, ("title",), photos=True, progress=silent)
    rows = np.arange(len(source))
    trained = source(rows, View.BOTH)
    seen = [product_content(shop[k], View.BOTH) for k in range(len(shop))]
    seen.append(ContentSource(shop, None)(rows[-1:], View.BOTH)[0])  # the query, as it is
    assert [len(c.crops or ()) for c in trained] == [1] * 40 + [0, 1]
    ours, theirs = encoder.shown(trained), encoder_of("foreground").shown(seen)
    for own, other in zip(ours, theirs, strict=True):
        assert len(own) == len(other)
        if own:
            assert np.array_equal(own[1], other[1])
    assert np.array_equal(encoder.embed(trained), encoder_of("foreground").embed(seen))


def test_a_crop_is_augmented_as_its_picture_is(shop: Catalog) -> None:
    encoder = encoder_of("foreground")
    source = decoded_contents(encoder, shop, ("title",), photos=False, progress=silent)
    rows, flip = np.arange(12), AugmentConfig(flip=True)
    plain = source(rows, View.IMAGE)
    turned = source(rows, View.IMAGE, flip, Draws((1,), 12))
    flips = 0
    for before, after in zip(plain, turned, strict=True):
        pairs = [(before.images[0], after.images[0]), (before.crops[0], after.crops[0])]  # type: ignore[index]
        was = [np.array_equal(a, b[:, ::-1]) for a, b in pairs]
        assert was[0] == was[1] and (was[0] or all(np.array_equal(a, b) for a, b in pairs))
        flips += was[0]
    assert 0 < flips < 12


def test_a_run_on_crops_is_trained_evaluated_embedded_and_searched(
    shop: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(quick("encoder.pictures.crop=foreground"), shop, run)
    encoder = load_encoder(run)
    assert encoder.pictures.crop == "foreground"
    store = embed_catalog(encoder, shop, tmp_path / "store", run=run)
    # Without what is kept in the catalogue's folder, the encoder finds the same on the spot.
    alone = load_encoder(run).embed([product_content(shop[3], View.BOTH)])[0]
    assert np.abs(store.get([shop[3].id])[0][0] - alone).max() < 2e-3
    assert store.manifest["counts"]["failed"] == 0
    hits = store.search(query_vector(encoder, shop[3].title, shop.image(3)), 1)
    assert hits[0].id == shop[3].id
    file = tmp_path / "new.png"
    file.write_bytes(picture("pink", "frame", "large", np.random.default_rng(5)))
    assert main(["search", str(tmp_path / "store"), "--image", str(file)]) == 0
    assert "core product" not in capsys.readouterr().err
    assert main(["evaluate", str(run), "--catalog", str(shop.path)]) == 0


def test_training_takes_every_crop_from_its_cache(
    shop: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a crop was looked for again")

    monkeypatch.setattr(Cropper, "_cut", refuse)
    more = ("stages.align.validate_every=2", "stages.align.steps=4")
    train(quick("encoder.pictures.crop=foreground", *more), shop, tmp_path / "run")
    source = decoded_contents(
        encoder_of("foreground"), shop, ("title",), photos=False, progress=silent
    )
    questions = Questions(source, PretrainConfig(steps=1, tasks={"title": 1}))
    (asked,) = questions("title", np.array([2]), np.zeros((1, DRAWS)))
    (shown,) = source(np.array([2]), View.IMAGE)
    assert asked.content.crops and shown.crops
    assert np.array_equal(asked.content.crops[0], shown.crops[0]) and asked.content.text is None


@pytest.mark.slow
def test_two_processes_and_mini_batches_make_the_steps_of_one(
    shop: Catalog, tmp_path: Path
) -> None:
    words = ("encoder.pictures.crop=foreground", "stages.align.steps=4")
    more = {"one": (), "two": ("compute.processes=2", "stages.align.mini_batch=5")}
    found = {}
    for name, own in more.items():
        train(quick(*words, *own), shop, tmp_path / name)
        found[name] = load_encoder(tmp_path / name).embed(
            [product_content(shop[k], View.BOTH) for k in range(8)]
        )
    assert np.abs(found["one"] - found["two"]).max() < 1e-4


def test_boxes_of_a_model_are_all_there_or_training_does_not_start(
    shop: Catalog, tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    shutil.copytree(shop.path, path)
    catalog, encoder = Catalog.open(path), encoder_of("grounding")
    with pytest.raises(CatalogError, match="--detector grounding"):
        ready_crops(encoder, catalog, silent)
    hashes = [catalog.picture_digest(k) for k in range(catalog.picture_count)]
    box = Box(0.25, 0.25, 0.75, 0.75)
    CropTable.of("grounding", "m", dict.fromkeys(hashes[1:], box)).write(path)
    with pytest.raises(DataError, match=r"not looked at 1 pictures.*--detector grounding"):
        ready_crops(encoder, catalog, silent)
    CropTable.of("grounding", "m", dict.fromkeys(hashes, box)).write(path)
    source = decoded_contents(encoder, catalog, ("title",), photos=True, progress=silent)
    assert len(encoder.shown(source(np.array([0]), View.IMAGE))[0]) == 2
    # Stores do not mix the boxes of two models.
    encoder.save(tmp_path / "encoder")
    file = table_file(path, "grounding")
    whole = file.read_bytes()
    CropTable.of("grounding", "m", dict.fromkeys(hashes[1:], box)).write(path)
    # A row that fails for want of its box would count as done for ever.
    with pytest.raises(DataError, match=r"not looked at 1 pictures.*--detector grounding"):
        embed_catalog(encoder, catalog, tmp_path / "store", view="i")
    file.unlink()
    with pytest.raises(CatalogError, match="--detector grounding"):
        embed_catalog(encoder, catalog, tmp_path / "store", view="mm")
    embed_catalog(encoder_of("grounding"), catalog, tmp_path / "words", view="t", version="1")
    file.write_bytes(whole)
    store = embed_catalog(encoder, catalog, tmp_path / "store", view="i")
    assert store.manifest["counts"]["failed"] == 1  # the one without a picture
    CropTable.of("grounding", "other", dict.fromkeys(hashes, box)).write(path)
    with pytest.raises(StoreError, match=r"crops 'grounding m'.*'grounding other'"):
        embed_catalog(load_encoder(tmp_path / "encoder"), catalog, tmp_path / "store", view="i")


def test_search_by_an_unseen_picture_says_what_is_missing(
    shop: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shop"
    shutil.copytree(shop.path, path)
    catalog, encoder = Catalog.open(path), encoder_of("grounding")
    hashes = [catalog.picture_digest(k) for k in range(catalog.picture_count)]
    box = Box(0.25, 0.25, 0.75, 0.75)
    CropTable.of("grounding", "m", dict.fromkeys(hashes, box)).write(path)
    encoder.save(tmp_path / "run" / "encoder")
    embed_catalog(encoder, catalog, tmp_path / "store", run=tmp_path / "run")
    known, new = tmp_path / "known.png", tmp_path / "new.png"
    known.write_bytes(catalog.image(0))
    new.write_bytes(picture("pink", "frame", "large", np.random.default_rng(5)))
    for file, says in ((known, False), (new, True)):
        assert main(["search", str(tmp_path / "store"), "--image", str(file)]) == 0
        assert ("sees the whole picture alone" in capsys.readouterr().err) == says
    with pytest.raises(DataError, match="no crop of this picture"):
        query_vector(load_encoder(tmp_path / "run"), picture=new.read_bytes())


def test_a_run_does_not_go_on_with_other_boxes(shop: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "shop"
    shutil.copytree(shop.path, path)
    catalog, out = Catalog.open(path), tmp_path / "run"
    hashes = [catalog.picture_digest(k) for k in range(catalog.picture_count)]
    recipe = quick("encoder.pictures.crop=grounding", "stages.align.steps=2")
    for right in (0.5, 0.75):
        boxes = dict.fromkeys(hashes, Box(0.25, 0.25, right, 0.75))
        CropTable.of("grounding", "m", boxes).write(path)
        if right == 0.5:
            train(recipe, catalog, out)
            manifest = json.loads((out / "manifest.json").read_text())
            (out / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
            train(recipe, catalog, out, resume=True)
            (out / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    with pytest.raises(UsageError, match="the crops are not those"):
        train(recipe, catalog, out, resume=True)


def test_a_teacher_is_shown_what_the_student_is(shop: Catalog, tmp_path: Path) -> None:
    train(quick("encoder.pictures.crop=foreground"), shop, tmp_path / "teacher")
    taught = f"stages.align.distill={{teacher={str(tmp_path / 'teacher')!r}}}"
    with pytest.raises(UsageError, match="crop foreground"):
        train(quick(taught), shop, tmp_path / "student")


def test_changed_boxes_are_cut_anew(shop: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "shop"
    shutil.copytree(shop.path, path)
    catalog, encoder = Catalog.open(path), encoder_of("foreground")
    before = decoded_contents(encoder, catalog, ("title",), photos=False, progress=silent)
    table_file(path, "foreground").write_bytes(b"damaged")
    after = decoded_contents(encoder, catalog, ("title",), photos=False, progress=silent)
    one, other = (s(np.arange(4), View.IMAGE) for s in (before, after))
    for a, b in zip(one, other, strict=True):
        assert a.crops and b.crops and np.array_equal(a.crops[0], b.crops[0])
    assert PixelCache.open(catalog, 32, 32).has(0)


def test_photos_that_were_made_are_shown_whole_where_nobody_can_look(tmp_path: Path) -> None:
    path, out = tmp_path / "shop", tmp_path / "run"
    write_small_shop(path, products=160)
    catalog = Catalog.open(path)
    hashes = [catalog.picture_digest(k) for k in range(catalog.picture_count)]
    CropTable.of("grounding", "m", dict.fromkeys(hashes, Box(0.25, 0.25, 0.75, 0.75))).write(path)
    words = ("stages.align.steps=2", "stages.align.validate_every=2")
    train(quick("encoder.pictures.crop=grounding", *words), catalog, out)
    lines = (out / "metrics.jsonl").read_text()
    assert "val/image-search/R@1" in lines
    source = ContentSource(catalog, None)
    for crop, blind in (("grounding", True), ("foreground", False)):
        encoder = encoder_of(crop)
        use_crops(encoder, catalog)
        search = ImageSearch(encoder, source, items=50, seed=0, bf16=False)
        assert search.photos == "augmented"
        assert {content.crops for content in search._photos} == {() if blind else None}
        assert any("without a crop" in note for note in search.notes) == blind
        assert search()["val/image-search/photos"] == "augmented"
        made = PhotoSearchTask(kind="photo_search", name="a", item=View.IMAGE, photos="augmented")
        suite = Suite(name="s", tasks=(made,))
        (result,) = evaluate(EncoderEmbedder(encoder, crop), catalog, suite, split="val").tasks
        assert any("without a crop" in note for note in result.notes) == blind


def test_a_run_by_another_version_is_told_before_its_boxes_are_gone(
    shop: Catalog, tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    shutil.copytree(shop.path, path)
    catalog, out = Catalog.open(path), tmp_path / "run"
    recipe = quick("encoder.pictures.crop=foreground", "stages.align.steps=2")
    train(recipe, catalog, out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    table = CropTable.open(path, "foreground")
    rows = {bytes(h): table[k] for k, h in enumerate(table._hashes)}
    CropTable.of("foreground", "0", rows).write(path)
    before = table_file(path, "foreground").read_bytes()
    with pytest.raises(UsageError, match="started with crops by foreground 0"):
        train(recipe, catalog, out, resume=True)
    assert table_file(path, "foreground").read_bytes() == before
    train(recipe, catalog, tmp_path / "new")  # a new run looks again
    assert CropTable.open(path, "foreground").version == table.version
