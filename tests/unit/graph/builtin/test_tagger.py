"""The tagger learns what is labelled, gives the same model every time, and loads only its own."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from moonshelf.errors import CheckpointError, DataError
from moonshelf.graph.builtin.tagger import Labelled, Tagger, TaggerSettings
from moonshelf.graph.builtin.tagger_files import MANIFEST, open_tagger, save
from moonshelf.graph.builtin.tagger_lexicon import Lexicon
from moonshelf.graph.builtin.tagger_tokens import shape, tokens, word_features
from moonshelf.graph.records import Document

MAKERS = ("Acme", "Borea", "Cirrus", "Delta Five", "Eolo", "Frio", "Gelo", "Halny")
COLORS = ("red", "blue", "green", "grey")
SETTINGS = TaggerSettings(iterations=40)


def listing(k: int, maker: str | None = None, category: str = "fans") -> Labelled:
    maker = maker or MAKERS[k % len(MAKERS)]
    color, code = COLORS[k % 3], f"{'XYZ'[k % 3]}{100 + 7 * k}"
    text = f"{maker} desk fan {code} in {color}, {20 + k} W"
    return Labelled(
        document=Document(id=f"d{k}", fields=(("title", text),), category=category),
        values={"brand": (maker,), "model": (code,), "color": (color,), "size": ()},
    )


EXAMPLES = [listing(k) for k in range(30)]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.train(EXAMPLES, SETTINGS)


def test_what_is_labelled_is_found_in_other_texts(tagger: Tagger) -> None:
    new = listing(41, maker="Zephyr").document
    found = {one.property: one for one in tagger.tag(new)}
    assert {name: one.raw for name, one in found.items()} == {
        "brand": "Zephyr", "model": "Z387", "color": "green"
    }  # fmt: skip
    for one in found.values():
        span = one.span
        assert new.field(span.field)[span.start : span.end] == one.raw
        assert 0 < one.confidence <= 1


def test_a_threshold_leaves_out_what_is_not_sure(tagger: Tagger) -> None:
    new = listing(41, maker="Zephyr").document
    many, few = tagger.tag(new, 0.0001), tagger.tag(new, 0.9)
    assert len(many) > len(few)
    assert all(one.confidence >= 0.9 for one in few)


def test_a_category_is_a_model_of_its_own() -> None:
    lamps = [listing(k, category="lamps") for k in range(12)]
    lamps = [one.model_copy(update={"values": {"maker": one.values["brand"]}}) for one in lamps]
    both = Tagger.train([*EXAMPLES, *lamps], SETTINGS)
    assert {t.property for t in both.tag(listing(3, category="lamps").document)} == {"maker"}
    assert "brand" in {t.property for t in both.tag(listing(3).document)}
    assert both.tag(listing(3, category="boats").document) == []
    one = Tagger.train([*EXAMPLES, *lamps], SETTINGS.model_copy(update={"by_category": False}))
    assert list(one.models) == [""]
    assert one.tag(listing(3, category="boats").document)
    # a property is never given to a category that had none of it
    assert {t.property for t in one.tag(listing(3, category="lamps").document)} <= {"maker"}


def test_no_label_in_any_text_is_an_error() -> None:
    wrong = EXAMPLES[0].model_copy(update={"values": {"brand": ("elsewhere",)}})
    with pytest.raises(DataError, match="no label stands"):
        Tagger.train([wrong], SETTINGS)


@pytest.mark.parametrize("text", ["", "   ", "\ud800 \x00", "ﷺ" * 50, "1,500/Box", "漢字 R-32"])
def test_any_text_can_be_tagged(tagger: Tagger, text: str) -> None:
    fields = (("title", text), ("description", text))
    found = tagger.tag(Document(id="x", fields=fields, category="fans"), 0.0)
    assert all(text[one.span.start : one.span.end] == one.raw for one in found)


def test_tokens_cover_every_mark_and_part_words_where_their_case_changes() -> None:
    text = "BlackALTERNATE 10Colors 1,000/Box TP3854-20 Größe"
    found = tokens(text)
    assert [text[t.start : t.end] for t in found] == [
        "Black", "ALTERNATE", "10", "Colors", "1,000", "/", "Box", "TP", "3854", "-", "20", "Größe"
    ]  # fmt: skip
    assert "".join(text.split()) == "".join(text[t.start : t.end] for t in found)
    assert shape("YA-2400aBcdef") == "AA-000aAaaa"


def test_a_quantity_marks_its_tokens() -> None:
    text = "fan 1.5 kg new"
    found = tokens(text)
    rows = word_features(text, "title", found, Counter())
    assert "q+0=B#kilogram" in rows[1] and "q+0=I#kilogram" in rows[2]
    assert "q+1=B#kilogram" in rows[0] and not any(f.startswith("q+0") for f in rows[3])


def test_the_lexicon_does_not_tell_a_document_its_own_labels() -> None:
    first = ([("acme", "fan")], {"brand": {("acme",)}})
    second = ([("acme", "lamp")], {"brand": {("acme",)}})
    third = ([("borea", "fan")], {"brand": {("borea",)}})
    fourth = ([("borea", "sea")], {})  # the words stand here too, and nobody labelled them
    lexicon = Lexicon.of([first, second, third, fourth])
    assert "lex=Bbrand" in lexicon.marks(("acme", "x"))[0]
    assert "lex=Bbrand" in lexicon.marks(("acme", "fan"), first[1])[0]  # the second says so
    assert lexicon.marks(("borea", "fan"), third[1])[0] == set()  # only itself says so
    assert "lex=Bbrand" in lexicon.marks(("borea", "fan"))[0]
    again = Lexicon.read(json.loads(json.dumps(lexicon.plain())))
    assert again.marks(("acme", "borea")) == lexicon.marks(("acme", "borea"))


def test_a_saved_tagger_is_the_same(tagger: Tagger, tmp_path: Path) -> None:
    save(tagger, tmp_path / "t")
    new = listing(41, maker="Zephyr").document
    assert open_tagger(tmp_path / "t").tag(new) == tagger.tag(new)
    assert copy.deepcopy(tagger).tag(new) == tagger.tag(new)


@pytest.mark.parametrize("name", ["000.crfsuite", "lexicons.json", MANIFEST])
def test_a_changed_or_missing_file_is_refused(tagger: Tagger, tmp_path: Path, name: str) -> None:
    save(tagger, tmp_path / "t")
    path = tmp_path / "t" / name
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    with pytest.raises(CheckpointError, match=r"not the one|cannot be used"):
        open_tagger(tmp_path / "t")
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        open_tagger(tmp_path / "t")


def test_no_file_outside_the_folder_is_read(tagger: Tagger, tmp_path: Path) -> None:
    save(tagger, tmp_path / "t")
    outside = tmp_path / "outside"
    outside.write_bytes(tagger.models["fans"])
    path = tmp_path / "t" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["models"][0]["file"] = "../outside"
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="no file of this folder"):
        open_tagger(tmp_path / "t")


_TRAIN = """
import hashlib
from tests.unit.graph.builtin.test_tagger import EXAMPLES, SETTINGS, listing
from moonshelf.graph.builtin.tagger import Tagger
tagger = Tagger.train(EXAMPLES, SETTINGS)
print(hashlib.sha256(tagger.models["fans"]).hexdigest())
print([one.model_dump() for one in tagger.tag(listing(41, maker="Zephyr").document)])
"""


@pytest.mark.slow
def test_the_hash_seed_does_not_matter(tagger: Tagger) -> None:
    said = set()
    for seed in ("0", "1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[4])}
        run = subprocess.run(
            [sys.executable, "-c", _TRAIN], env=env, capture_output=True, text=True, check=True
        )
        said.add(run.stdout)
    assert len(said) == 1
    assert hashlib.sha256(tagger.models["fans"]).hexdigest() in said.pop()
