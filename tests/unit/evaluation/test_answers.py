"""Figures of written answers: chrF against its formula written out, scores against counting by
hand, controls that look at nothing, and the verb."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from moonshelf.catalog.store import Catalog
from moonshelf.cli.main import main
from moonshelf.config import load_config
from moonshelf.encoder.language import Question
from moonshelf.errors import DataError
from moonshelf.evaluation import answers as module
from moonshelf.evaluation.answers import Examination, _exact, _overlap, fold, read
from moonshelf.evaluation.chrf import chrf, chrf_counts
from moonshelf.training.contents import ContentSource
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.questions import Questions
from moonshelf.training.recipe import Recipe
from moonshelf.training.run import train
from tests.asked_shop import write_asked_shop
from tests.unit.training.test_pretrain import ENCODER


def plain_chrf(pairs: list[tuple[str, str]]) -> float:
    """The corpus score as it is defined, for texts of six characters or more: of each length,
    matched runs over runs written and over true runs; means over lengths; F with beta 2."""
    precision, recall = [], []
    for n in range(1, 7):
        shared = given = wanted = 0
        for written, true in pairs:
            w, t = written.replace(" ", ""), true.replace(" ", "")
            a = Counter(w[k : k + n] for k in range(len(w) - n + 1))
            b = Counter(t[k : k + n] for k in range(len(t) - n + 1))
            shared += sum(min(count, b[run]) for run, count in a.items())
            given, wanted = given + sum(a.values()), wanted + sum(b.values())
        precision.append(shared / given)
        recall.append(shared / wanted)
    p, r = sum(precision) / 6, sum(recall) / 6
    return 100 * 5 * p * r / (4 * p + r)


def test_chrf_is_its_formula() -> None:
    pairs = [
        ("the cat sat on the mat", "the cat is on the mat"),
        ("red shirt with stripes", "striped red shirt"),
        ("something else", "nothing alike here"),
    ]
    got = chrf(chrf_counts(*zip(*pairs, strict=True)).sum(axis=0))
    assert float(got) == pytest.approx(plain_chrf(pairs), rel=1e-12)
    assert float(chrf(chrf_counts(["red shirt"], ["red shirt"])[0])) == pytest.approx(100)
    # By hand: one of two letters, no pair of letters: precision and recall 1/4 on average.
    assert float(chrf(chrf_counts(["ab"], ["ac"])[0])) == pytest.approx(25)
    # "abc" for "ab": letters 2/3 and 2/2, pairs 1/2 and 1/1; no true run of three.
    precision, recall = (2 / 3 + 1 / 2) / 2, 1.0
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    assert float(chrf(chrf_counts(["abc"], ["ab"])[0])) == pytest.approx(expected)
    for nothing in (([""], ["red"]), (["red"], [""]), (["xyz"], ["red"])):
        assert float(chrf(chrf_counts(*nothing)[0])) == 0


def test_attributes_are_scored_as_counted_by_hand() -> None:
    true = read("Color: red, blue; Shape: bar")
    assert true == {"color": frozenset({"red", "blue"}), "shape": frozenset({"bar"})}
    said = read("color: BLUE, red; shape: cross; size: large; broken")
    assert _exact(said, true) == (1, 2)
    assert _overlap(said, true) == (2 * 2, 4 + 3)
    assert _exact(read(""), true) == (0, 2) and _overlap(read(""), true) == (0, 3)
    assert fold(" Ｒed\n  Shirt") == "red shirt"


class Reader:
    """Stands in for a language model: knows by heart what belongs to each picture."""

    def __init__(self, lines: dict[int, str]) -> None:
        self.lines = lines

    def write(self, asked: list[Question], *, bf16: bool = False) -> list[str]:
        return [self.lines[hash(q.content.images[0])] for q in asked]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_asked_shop(tmp_path_factory.mktemp("asked") / "catalog")


def test_controls_know_no_picture(shop: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that reads every picture right is right on its own picture and on no other."""
    config = PretrainConfig(steps=1)
    questions = Questions(ContentSource(shop, None), config)
    exam = Examination(questions, ("attributes",), split="test", items=100, seed=0)
    rows = exam.rows["attributes"]
    assert set(rows.tolist()) == set(shop.split_rows("test").tolist())
    lines = questions.answers("attributes", rows)
    pictures = {hash(shop[int(row)].images[0]): line for row, line in zip(rows, lines, strict=True)}
    monkeypatch.setattr(module, "answer_sums", lambda _, asked, bf16: np.ones((len(asked), 2)))
    found = exam("reader", Reader(pictures))  # type: ignore[arg-type]
    scores = {arm: s.value for arm, s in found.scores["attributes: F1"].items()}
    assert scores["picture"] == scores["picture and title"] == 1
    half = len(rows) // 2
    others = [*lines[half:], *lines[:half]]
    counts = np.array([_overlap(read(a), read(b)) for a, b in zip(others, lines, strict=True)]).sum(
        axis=0
    )
    assert scores["another picture"] == pytest.approx(counts[0] / counts[1])
    train = [shop[int(row)].attributes for row in shop.split_rows("train")]
    usual = {
        key: Counter(own[key][0] for own in train).most_common(1)[0][0]
        for key in ("main_color", "shape")
    }
    for key, value in usual.items():
        share = np.mean([shop[int(row)].attributes[key][0] == value for row in rows])
        name = key.replace("_", " ")
        assert found.keys[name]["no model"].value == pytest.approx(share)
        assert found.keys[name]["picture"].value == 1
    score = found.scores["attributes: exact"]["no model"]
    assert score.low < score.value < score.high and score.products == len(rows)


def test_the_verb_asks_a_run(
    shop: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain = {"kind": "pretrain", "steps": 2, "batch": 10}
    terms = {"x": {"query": "t", "item": "i"}}
    recipe = {"encoder": ENCODER, "compute": {"precision": "fp32"}}
    align = {"steps": 1, "batch": 4, "terms": terms}
    both = load_config(Recipe, recipe | {"stages": {"pretrain": pretrain, "align": align}})
    run = train(both, shop, tmp_path / "run")
    words = ["ask", str(run), "--catalog", str(shop.path), "--split", "val", "--items", "6"]
    assert main(words) == 0
    table = capsys.readouterr().out
    for told in ("attributes: F1", "title: chrF", "subject: exact", "describe: loss", "main color"):
        assert told in table
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["asked_keys"] == ["main_color", "shape"]
    assert 0 <= told["scores"]["attributes: F1"]["picture"]["value"] <= 1
    assert set(told["scores"]["title: chrF"]) == {"picture", "another picture", "no model"}
    assert (run / "evaluation" / "questions-val" / "table.md").read_text().strip() in table

    alone = load_config(Recipe, recipe | {"stages": {"align": align}})
    other = train(alone, shop, tmp_path / "other")
    assert main(["ask", str(other), "--catalog", str(shop.path)]) == 2
    assert "no stage of kind pretrain" in capsys.readouterr().err


def test_a_split_without_answers_is_told(tmp_path: Path) -> None:
    shop = write_asked_shop(tmp_path / "shop", 2)  # val and test alone
    questions = Questions(ContentSource(shop, None), PretrainConfig(steps=1, keys=("shape",)))
    with pytest.raises(DataError, match="train split"):
        Examination(questions, ("subject",), split="train", items=5, seed=0)
