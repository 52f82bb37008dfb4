"""Tables: rows are embedders, chance stands in each, nothing is hidden and nothing unescaped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moonshelf.catalog.product import View
from moonshelf.errors import UsageError
from moonshelf.evaluation import evaluate
from moonshelf.evaluation.controls import PictureEmbedder, RandomEmbedder, color_histogram
from moonshelf.evaluation.report import differences, tables, to_html, to_json, to_markdown
from moonshelf.evaluation.suite import Suite
from tests.unit.evaluation.shop import MemoryCatalog, drawn

SUITE = Suite.model_validate(
    {
        "name": "s",
        "bootstrap": 100,
        "tasks": [
            {
                "kind": "retrieval",
                "name": "a|b <i>",
                "query": "t",
                "item": "i",
                "positives": "title",
            },
            {"kind": "attribute", "name": "color", "key": "color", "min_class": 1},
        ],
    }
)


class Halved(RandomEmbedder):
    """A picture-only random control with a hostile name."""

    views = frozenset({View.IMAGE})
    zero_shot = False


@pytest.fixture(scope="module")
def results():
    train, test = drawn(20, split="train"), drawn(20, seed=1)
    products = [*test.products]
    for p in train.products:
        products.append(type(p)(f"x{p.id}", p.title, p.images, attributes=p.attributes))
    catalog = MemoryCatalog(products)
    made = [RandomEmbedder(), RandomEmbedder(seed=1, name="other"), Halved(name="<script>|x")]
    return [evaluate(one, catalog, SUITE) for one in made]


def test_every_table_has_a_row_for_each_embedder_and_chance(results) -> None:
    made = tables(results)
    assert made[0].title == "a|b <i> (t->i)"
    assert len(made) == 1 + 3 * 2 * 2  # views x slices x (accuracy, macro-F1)
    for table in made:
        names = [row[0] for row in table.rows]
        assert names[0] == "chance" and names[-3:] == ["random", "other", "<script>|x"]
        assert all(len(row) == len(table.columns) for row in table.rows)
    retrieval = made[0]
    assert set(retrieval.rows[-1][1:]) == {"\u2013"}  # no text view: no figure, not a zero
    labels = next(t for t in made if t.title == "Labels from i: accuracy")
    assert "\u2020" in labels.rows[-1][1] and "\u2020" not in labels.rows[-2][1]
    assert labels.lines[0].startswith("\u2020 supervised centroid")
    assert labels.rows[1][0] == "largest class"


def test_text_is_escaped_in_markdown_and_html(results) -> None:
    page, text = to_html(results), to_markdown(results)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<script>" not in text and r"\<script\>\|x" in text
    assert "Not measured" in text and "has no view t" in text


def test_json_holds_all_that_is_needed_to_repeat(results) -> None:
    value = json.loads(json.dumps(to_json(results), allow_nan=False))
    first = value["embedders"][0]
    assert {"suite", "split", "seed", "catalog", "confidence", "bootstrap", "ties"} <= first.keys()
    for task in first["tasks"]:
        assert task["protocol"] and task["queries"] > 0 and task["pool"] > 1
        for measure in task["metrics"].values():
            assert measure["low"] <= measure["value"] <= measure["high"]
            assert 0 <= measure["chance"] <= 1


def test_differences_are_of_the_first_to_the_others_and_zero_to_itself(results) -> None:
    gaps = differences([results[0], results[1]])
    value = {(g["task"], g["metric"], g["slice"], g["direction"]): g for g in gaps}
    gap = value["color", "accuracy", "all", "i"]
    want = results[0].value("color", "accuracy", "i") - results[1].value("color", "accuracy", "i")
    assert gap["difference"] == pytest.approx(want)
    assert gap["low"] <= want <= gap["high"]
    same = differences([results[0], results[0]])
    assert same and all(g["difference"] == g["low"] == g["high"] == 0 for g in same)


def test_results_of_different_evaluations_do_not_share_a_table(results) -> None:
    other = evaluate(RandomEmbedder(), drawn(20), SUITE, seed=5)
    with pytest.raises(UsageError, match="one table"):
        tables([results[0], other])


def test_the_color_histogram_tells_colors_apart_and_has_unit_rows() -> None:
    pictures = np.zeros((3, 8, 8, 3), np.uint8)
    pictures[0, ..., 0], pictures[1, ..., 0], pictures[2, ..., 2] = 200, 205, 200
    rows = color_histogram(pictures)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows[0] @ rows[1] == pytest.approx(1) and rows[0] @ rows[2] == pytest.approx(0)


def test_picture_controls_take_arrays_bytes_and_nothing() -> None:
    import io

    from PIL import Image

    from moonshelf.catalog.product import Content

    file = io.BytesIO()
    Image.new("RGB", (48, 64), (255, 0, 0)).save(file, "PNG")
    array = np.zeros((128, 96, 3), np.uint8)
    array[..., 0] = 255
    color = PictureEmbedder(color_histogram, (64, 48), "color")
    rows = color.embed([Content(images=(file.getvalue(),)), Content(images=(array,))])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    assert color.embed([]).shape == (0, rows.shape[1])
