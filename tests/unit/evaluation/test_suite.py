"""Suites are data, and a mistake in one is an error that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.errors import UsageError
from moonshelf.evaluation.suite import RetrievalTask, load_suite, suite_names

TASK = 'name = "s"\n[[tasks]]\nkind = "retrieval"\nname = "x"\nquery = "t"\nitem = "i"\n'


def load(tmp_path: Path, text: str):
    file = tmp_path / "s.toml"
    file.write_text(text)
    return load_suite(file)


@pytest.mark.parametrize("name", ["any", "grocery", "hm", "homedepot", "myntra", "shop"])
def test_suites_of_the_package_are_valid_and_read_the_title_only(name: str) -> None:
    assert name in suite_names()
    suite = load_suite(name)
    assert suite.name == name
    assert suite.fields == ("title",)


def test_the_gallery_protocol_of_myntra_is_the_stated_one() -> None:
    tasks = [t for t in load_suite("myntra").tasks if t.name.startswith("gallery")]
    assert {(t.query.value, t.item.value) for t in tasks if isinstance(t, RetrievalTask)} == {
        ("t", "i"),
        ("i", "t"),
    }
    for task in tasks:
        assert isinstance(task, RetrievalTask)
        assert (task.gallery, task.unique_titles, task.positives) == (2000, True, "self")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TASK + 'positives = "title"\ngalery = 5\n', "galery"),
        (TASK.replace("retrieval", "retrival") + 'positives = "title"\n', "kind|tag|retrival"),
        (TASK.replace('"i"', '"mm"') + 'positives = "title"\n', "share a modality"),
        (TASK + 'positives = "group"\ngallery = 5\n', "full pool"),
        (TASK + 'positives = "title"\nk = [0]\n', "k"),
        (TASK + 'positives = "title"\nmetrics = ["Recall"]\n', "metrics"),
        ('name = "s"\ntasks = []\n', "tasks"),
        (
            'name = "s"\n[[tasks]]\nkind = "attribute"\nname = "a"\nkey = "c"\n'
            'templates = ["a {thing}"]\n',
            "template",
        ),
        (
            'name = "s"\n[[tasks]]\nkind = "attribute"\nname = "a"\nkey = "c"\n'
            'templates = ["always the same"]\n',
            "does not use",
        ),
        (
            TASK + 'positives = "title"\n' + TASK[len('name = "s"\n') :] + 'positives = "self"\n',
            "x",
        ),
    ],
)
def test_a_mistake_in_a_suite_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(tmp_path, text)


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="myntra"):
        load_suite("mintra")
