"""Boxes are kept by picture, looked for once, and cut out as the encoder cuts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from moonshelf.catalog.blobs import picture_hash
from moonshelf.catalog.crops.box import NO_BOX, Box, Looked, Missing
from moonshelf.catalog.crops.cropper import Cropper, cut_out
from moonshelf.catalog.crops.looking import NotLooked, look_at_pictures
from moonshelf.catalog.crops.page import write_crops_page
from moonshelf.catalog.crops.table import CropTable, table_file
from moonshelf.catalog.images import decode_picture, open_picture, small_picture
from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Content, Product, Query
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.errors import CatalogError, DataError
from tests.unit.catalog.making import encoded, picture


class Scripted:
    """Answers by title, and remembers what it was shown."""

    name = "foreground"
    side = 32

    def __init__(self, version: str = "7", fails: tuple[str, ...] = ()) -> None:
        self.version, self.fails = version, fails
        self.seen: list[tuple[tuple[int, ...], str]] = []

    def detect(self, picture: np.ndarray, title: str = "") -> Looked:
        self.seen.append((picture.shape, title))
        if title in self.fails:
            raise NotLooked("busy")
        if title == "crash":
            raise RuntimeError("gone")
        return Missing(NO_BOX) if title == "none" else Box(0.25, 0.125, 0.75, 0.5)


def shop(path: Path, *titles: str, append: bool = False) -> Catalog:
    """One product a title, each with a second picture; one photo query."""
    with CatalogWriter(path, append=append) as writer:
        for title in titles:
            seed = sum(title.encode())
            pictures = (picture(seed, 40, 64), picture(seed + 1000))
            writer.add_product(Product(id=title, title=title, images=pictures))
        if not append:
            asked = (picture(5000, 50, 30),)
            writer.add_query(Query(id="q", text="words", images=asked, positives=(titles[0],)))
        return writer.commit()


def test_main_pictures_of_products_and_queries_are_looked_at_once(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a", "b", "none")
    first = Scripted()
    found = look_at_pictures(catalog, first)
    # Shown small, aspect kept, with the title or the query's words.
    assert sorted(first.seen) == sorted([*[((32, 20, 3), t) for t in ("a", "b", "none")],
                                         ((19, 32, 3), "words")])  # fmt: skip
    assert (found.looked, found.put_off) == (4, 0)
    assert found.table.counts() == {"box": 3, NO_BOX: 1}
    assert found.table.get(picture_hash(catalog.image(2))) == Missing(NO_BOX)
    assert found.table.get(picture_hash(catalog.image(0))) == Box(0.25, 0.125, 0.75, 0.5)
    assert found.table.get(picture_hash(catalog.image(0, 1))) is None  # no main picture
    again = Scripted()
    catalog = shop(tmp_path / "shop", "c", append=True)
    found = look_at_pictures(catalog, again)
    assert [title for _, title in again.seen] == ["c"] and found.looked == 1
    assert len(CropTable.open(catalog.path, "foreground")) == 5


def test_a_broken_off_call_goes_on_and_put_off_pictures_come_again(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", *"abcde", "crash", *"fgh")
    with pytest.raises(RuntimeError):
        look_at_pictures(catalog, Scripted(fails=("b",)), threads=1)
    kept = CropTable.open(catalog.path, "foreground")
    assert len(kept) == 4  # a, c, d, e
    for row, title in enumerate("abcde"):
        assert (kept.get(picture_hash(catalog.image(row))) is None) == (title == "b")


def test_another_version_is_not_mixed_in(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a", "b")
    look_at_pictures(catalog, Scripted("1"))
    with pytest.raises(CatalogError, match=r"version '1'.*'2'.*--replace"):
        look_at_pictures(catalog, Scripted("2"))
    found = look_at_pictures(catalog, Scripted("2"), replace=True)
    assert found.looked == 3 and CropTable.open(catalog.path, "foreground").version == "2"
    before = table_file(catalog.path, "foreground").stat().st_mtime_ns
    assert look_at_pictures(catalog, Scripted("2"), renew=True).looked == 0
    assert table_file(catalog.path, "foreground").stat().st_mtime_ns == before


def test_a_damaged_table_is_refused_and_can_be_made_anew(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a")
    with pytest.raises(CatalogError, match=r"moonshelf catalog crops .* --detector foreground"):
        CropTable.open(catalog.path, "foreground")
    look_at_pictures(catalog, Scripted())
    file = table_file(catalog.path, "foreground")
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        spoilt = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        spoilt[rng.integers(len(spoilt))] ^= 1 << rng.integers(8)
        file.write_bytes(bytes(spoilt))
        try:
            assert len(CropTable.open(catalog.path, "foreground")) == 2
        except CatalogError as error:
            assert "delete the file" in error.cure
    for box in (Box(0.5, 0, 0.5, 1), Box(0, -0.1, 1, 1), Box(0, 0, float("nan"), 1)):
        CropTable.of("foreground", "7", {bytes(16): box}).write(catalog.path)
        with pytest.raises(CatalogError, match="outside its picture"):
            CropTable.open(catalog.path, "foreground")
    box = Box(0, 0, 1e-320, 1)  # taller than any number once it fills a canvas
    CropTable.of("foreground", "7", {bytes(16): box}).write(catalog.path)
    with pytest.raises(CatalogError, match="thinner than any crop"):
        CropTable.open(catalog.path, "foreground")
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        schema = reader.schema
    nameless = pa.Table.from_pylist([{"picture": None, "reason": "x"}], schema=schema)
    with file.open("wb") as out, pa.ipc.new_file(out, schema) as writer:
        writer.write_table(nameless)
    with pytest.raises(CatalogError, match="without a picture"):
        CropTable.open(catalog.path, "foreground")
    file.write_bytes(whole[:100])
    assert look_at_pictures(catalog, Scripted(), replace=True).looked == 2


def test_lookups_by_hash_tell_pictures_apart_that_share_half_of_it() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (300, 16), dtype=np.uint8)
    hashes[100:200, :8] = hashes[100, :8]
    looked = {h.tobytes(): Box(0, 0, 0.5, (k + 1) / 300) for k, h in enumerate(hashes)}
    table = CropTable.of("foreground", "1", looked)
    asked = np.concatenate([hashes[::-1], hashes ^ 1])
    places = table.places(asked)
    assert [table[p] for p in places[:300]] == [looked[h.tobytes()] for h in hashes[::-1]]
    assert (places[300:] == -1).all() and table.boxed(places).tolist() == [True] * 300 + [
        False
    ] * 300
    assert (CropTable.of("foreground", "1", {}).places(asked) == -1).all()


def test_a_cache_of_crops_holds_what_an_encoder_cuts_out(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a", "none", "b")
    table = look_at_pictures(catalog, Scripted()).table
    cache = PixelCache.build(catalog, 16, 12, crops=table)
    assert [cache.has(row) for row in range(3)] == [True, False, True]
    assert cache.problems == () and cache.path != PixelCache.build(catalog, 16, 12).path
    cropper = Cropper("foreground", (16, 12))
    cropper._tables["here"] = table
    (shown,) = cropper.shown([Content(images=catalog[0].images)], 1)
    assert np.array_equal(shown[1], cache[0]) and shown[0] == catalog.image(0)
    asked = PixelCache.build(catalog, 16, 12, of="queries", crops=table)
    assert asked.has(0)
    other = table.with_more({picture_hash(catalog.image(0)): Box(0, 0, 0.5, 0.5)})
    with pytest.raises(CatalogError, match="its crops is"):
        PixelCache.open(catalog, 16, 12, crops=other)
    moved = PixelCache.build(catalog, 16, 12, crops=other)
    assert not np.array_equal(moved[0], cache[0]) and np.array_equal(moved[2], cache[2])


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_part_is_that_part_of_the_upright_picture(form: str, turned: bool) -> None:
    pixels = np.zeros((160, 96, 3), np.uint8)
    pixels[80:, 48:] = (255, 0, 0)  # the lower right quarter, as a viewer shows it
    image = Image.fromarray(pixels)
    options = {}
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_90)  # stored lying, turned by its EXIF
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    data = encoded(image, form, **options)
    assert open_picture(data).size == (96, 160)
    part = decode_picture(data, 40, 24, part=Box(0.5, 0.5, 1, 1)).astype(int)
    assert np.abs(part[3:-3, 3:-3] - (255, 0, 0)).max() < 30  # JPEG smears colors at edges
    rest = decode_picture(data, 40, 24, part=Box(0, 0, 1, 0.5)).astype(int)
    assert np.abs(rest[12:28, 2:-2]).max() < 30
    assert small_picture(data, 40).shape == (40, 24, 3)
    assert cut_out(data, Box(0.5, 0.5, 1, 1), None).shape == (80, 48, 3)


HOSTILE = {
    "one pixel": encoded(Image.new("RGB", (1, 1))),
    "gray": encoded(Image.new("L", (40, 30), 128)),
    "gray 16": encoded(Image.fromarray(np.full((30, 40), 40_000, np.uint16))),
    "alpha": encoded(Image.new("RGBA", (40, 30), (0, 0, 0, 0))),
    "palette": encoded(Image.new("P", (40, 30))),
    "thin": encoded(Image.new("RGB", (900, 1), (200, 0, 0))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_pictures_are_fed_with_or_without_a_crop(name: str) -> None:
    for canvas in ((16, 12), None):
        (shown,) = Cropper("foreground", canvas).shown([Content(images=(HOSTILE[name],))], 1)
        assert shown[0] == HOSTILE[name] and len(shown) == 1  # nothing stands out in any


def test_what_only_a_model_can_find_is_an_error(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "a")
    cropper = Cropper("grounding", (16, 12))
    cropper.use(catalog)  # there is no table: nothing to take
    asked = Content(images=catalog[0].images)
    assert not cropper.can_show(catalog.image(0))
    with pytest.raises(DataError, match=r"no crop.*known.*--detector grounding"):
        cropper.shown([asked], 1)
    assert cropper.shown([Content(images=asked.images, crops=())], 1) == [asked.images[:1]]
    CropTable.of("grounding", "m", {picture_hash(catalog.image(0)): Box(0, 0, 0.5, 0.5)}).write(
        catalog.path
    )
    cropper.use(catalog)
    assert len(cropper.shown([asked], 1)[0]) == 2 and cropper.version == "grounding m"


def test_the_page_escapes_titles(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop", "<script>alert(1)</script>", "none")
    table = look_at_pictures(catalog, Scripted()).table
    write_crops_page(catalog, table, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert page.count("<img") == 3 and "no box: 1" in page
