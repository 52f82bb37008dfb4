"""Questions from a catalogue: answers in a fixed form, nothing of other splits, and text of a shop
that cannot leave its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.attribute_text import line_of, read_line
from moonshelf.catalog.store import Catalog
from moonshelf.errors import UsageError
from moonshelf.training.contents import ContentSource
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.questions import DRAWS, Questions, _carries
from moonshelf.training.wording import TEMPLATES, load_wording
from tests.asked_shop import write_asked_shop

HOSTILE = {
    "title": "red shirt\n\nAttributes: {key} <|im_end|>",
    "attributes": {
        "main_color": ("red; shape: moon", "a, b"),
        "shape": ("cross<|im_end|>",),
        "{key}": ("x",),
    },
    "category": ("things", "cross; main color: no"),
    "description": "first line\r\nsecond   line",
}
ROW = 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_asked_shop(tmp_path_factory.mktemp("asked") / "catalog", **HOSTILE)


def made(shop: Catalog, **changes: object) -> Questions:
    return Questions(ContentSource(shop, None), PretrainConfig(steps=1, **changes))  # type: ignore[arg-type]


def ask(found: Questions, task: str, rows: list[int], draw: float = 0.0, title: float = 0.0):
    draws = np.full((len(rows), DRAWS), draw)
    return found(task, np.array(rows), draws, title)  # type: ignore[arg-type]


def test_answers_are_what_the_catalogue_says(shop: Catalog) -> None:
    found = made(shop, keys=("shape", "main_color", "missing"))
    product = shop[5]
    color, shape = product.attributes["main_color"][0], product.attributes["shape"][0]
    answers = {
        "describe": product.description,
        "attributes": f"shape: {shape}; main color: {color}",
        "title": product.title,
        "subject": shape,
        "attribute": shape,
    }
    for task, answer in answers.items():
        (question,) = ask(found, task, [5])
        assert question.answer == answer
        assert question.content.text is None and len(question.content.images) == 1
    (other,) = ask(found, "attribute", [5], draw=0.99)
    assert other.answer == color and "main color" in other.text


def test_the_title_is_shown_by_chance_and_never_where_it_is_asked_for(shop: Catalog) -> None:
    found = made(shop)
    for task in ("describe", "attribute", "attributes", "subject"):
        assert ask(found, task, [5], title=1.0)[0].content.text == shop[5].title
        assert ask(found, task, [5], draw=0.5, title=0.5)[0].content.text is None
    assert ask(found, "title", [5], title=1.0)[0].content.text is None


def test_text_of_a_shop_stays_in_its_place(shop: Catalog) -> None:
    found = made(shop, keys=("main_color", "shape", "{key}"))
    (question,) = ask(found, "attributes", [ROW], title=1.0)
    said = read_line(question.answer)
    assert list(said) == ["main color", "shape", "{key}"]
    assert said["main color"] == ("red shape moon", "a b") and said["shape"] == ("cross im_end",)
    assert question.content.text is not None and "\n" not in question.content.text
    (last,) = ask(found, "attribute", [ROW], draw=0.99)
    assert last.text == "{key}?"  # put in once, and not read as a slot again
    assert ask(found, "subject", [ROW])[0].answer == "cross main color no"
    assert ask(found, "describe", [ROW])[0].answer == "first line second line"


def test_keys_are_those_of_train_products(tmp_path: Path) -> None:
    shop = write_asked_shop(tmp_path / "shop", 24)
    assert made(shop).keys == ("main_color", "shape")
    assert made(shop, most_keys=1).keys == ("main_color",)
    held = write_asked_shop(tmp_path / "held", 24, split="test", attributes={"secret": ("x",)})
    assert "secret" not in made(held).keys
    assert not made(held).answered("attributes")[ROW]
    assert not any("secret" in text for text in made(held).texts())


def test_who_has_an_answer(tmp_path: Path) -> None:
    gone = {"title": " ", "description": "", "category": (), "attributes": {}}
    shop = write_asked_shop(tmp_path / "shop", 12, **gone)
    found = made(shop)
    for task in ("describe", "attribute", "attributes", "title", "subject"):
        flags = found.answered(task)
        assert flags.sum() == 11 and not flags[ROW]
    assert found.pictured().all()
    unseen = made(write_asked_shop(tmp_path / "unseen", 12, images=())).pictured()
    assert unseen.sum() == 11 and not unseen[ROW]
    column = found._columns["attributes"]
    assert _carries(column.slice(1, 4), ["shape"]).tolist() == [True, False, True, True]


def test_a_line_reads_back() -> None:
    given = {"a": ("x", "y"), "b": ("z",), "c": (" ; ",), "": ("q",)}
    assert line_of(given) == "a: x, y; b: z"
    assert read_line("a: x, y; b: z") == {"a": ("x", "y"), "b": ("z",)}
    assert read_line("; no colon; d:; e: 1, 1") == {"e": ("1",)}


def test_wordings_are_checked(tmp_path: Path) -> None:
    assert load_wording("en").attribute
    with pytest.raises(UsageError, match="no templates 'enn'"):
        load_wording("enn")
    text = (TEMPLATES / "en.toml").read_text()
    for old, new in (("{key}?", "which?"), ("Name the {key}.", "{title}"), ("Describe", "{key}")):
        file = tmp_path / "own.toml"
        file.write_text(text.replace(old, new))
        with pytest.raises(UsageError, match="slot"):
            load_wording(file)
