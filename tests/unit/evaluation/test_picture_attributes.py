"""Pictures as attributes: answers only where validation products say that it is sure enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonshelf.catalog.product import Product, View
from moonshelf.catalog.reference_attributes import ImageSupport
from moonshelf.cli.encoder_attributes import picture_keys
from moonshelf.errors import DataError, UsageError
from moonshelf.evaluation.metrics import TIE
from moonshelf.evaluation.picture_attributes import (
    LEAST_ANSWERS,
    Measured,
    PictureKey,
    choose_margin,
    confidences,
    read_pictures,
)
from moonshelf.evaluation.suite import AttributeTask, load_suite
from tests.unit.evaluation.shop import MemoryCatalog, Table

COLORS = ("blue", "green", "red")


@pytest.mark.parametrize("precision", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("count", [0, LEAST_ANSWERS - 1, 40, 120])
@pytest.mark.parametrize("seed", range(25))
def test_the_margin_is_the_least_that_keeps_the_precision(
    precision: float, count: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    margins = random.choice([0.0, 0.1, 0.2, 0.2001, 0.5, 0.9], count)
    right = random.random(count) < 0.45 + 0.55 * margins
    allowed = []
    for margin in sorted(set(margins.tolist())):
        kept = margins >= margin
        good = kept.sum() >= LEAST_ANSWERS and right[kept].mean() >= precision
        if margin > TIE and good:
            allowed.append(margin)
    assert choose_margin(margins, right, precision) == (min(allowed) if allowed else None)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=1, max_size=60))
def test_confidence_never_falls_with_the_margin_and_is_never_certain(
    drawn: list[tuple[float, bool]],
) -> None:
    margins = np.array([margin for margin, _ in drawn])
    right = np.array([hit for _, hit in drawn], bool)
    asked = np.sort(np.append(margins, 2.0))
    found = confidences(margins, right, asked)
    assert (np.diff(found) >= 0).all() and (found > 0).all() and (found < 1).all()
    assert found[0] == pytest.approx((right.sum() + 1) / (len(right) + 2))


def shop(
    per_split: int = 120, wrong_train: bool = False, seed: int = 0
) -> tuple[MemoryCatalog, Table]:
    """Pictures near their color's text; a third of them are ambiguous, and half of those wrong."""
    random = np.random.default_rng(seed)
    axes = dict(zip(COLORS, np.eye(3), strict=True))
    known: dict[str | bytes, np.ndarray] = {f"a {c} thing": v for c, v in axes.items()}
    products = []
    for split in ("train", "val", "test"):
        for k in range(per_split):
            color = COLORS[k % 3]
            data = f"{split} {k}".encode()
            clear = random.random() < 2 / 3
            vector = axes[color] * (1.0 if clear else 0.5)
            if not clear:
                vector = vector + axes[COLORS[(k + 1) % 3]] * (
                    0.49 if random.random() < 0.5 else 0.51
                )
            known[data] = vector
            label = COLORS[(k + 2) % 3] if wrong_train and split == "train" else color
            products.append(
                Product(
                    id=f"{split}{k}",
                    title=f"thing {k}",
                    images=(data,),
                    category=("goods", "thing"),
                    attributes={"base_color": (label,)},
                    split=split,
                )
            )
    return MemoryCatalog(products), Table(known)


KEY = PictureKey(
    AttributeTask(kind="attribute", name="c", key="base_color", templates=("a {value} thing",)),
    "color",
)


def test_it_answers_where_it_is_sure_and_says_how_sure() -> None:
    catalog, table = shop()
    found, shelf = read_pictures(table, catalog, [KEY], version="v1", precision=0.9)
    (report,) = found.reports
    assert report.val.precision is not None and report.val.precision >= 0.9
    assert report.test.precision is not None and report.test.precision >= 0.85
    assert 0.6 < (report.val.coverage or 0) < 0.9, "the ambiguous ones are left out"
    records = list(found.records(shelf))
    assert len(records) == report.written == found.keys()[0].products
    for record in records:
        (value,) = record.attributes["color"]
        (support,) = value.support
        assert isinstance(support, ImageSupport)
        assert support.encoder == "v1" and 0.8 < support.confidence < 1
        row = shelf.ids.index(record.product)
        assert support.picture == catalog.image_hashes(row)[0]


def test_only_pictures_are_looked_at_and_training_products_choose_nothing() -> None:
    catalog, table = shop()
    first, _ = read_pictures(table, catalog, [KEY], version="v1")
    assert all(c.text is None or c.text.startswith("a ") for c in table.asked), "no title is read"
    other, table = shop(wrong_train=True)
    second, _ = read_pictures(table, other, [KEY], version="v1")
    assert second.reports == first.reports, "their labels are wrong, and it does not matter"


def test_it_abstains_where_nothing_reaches_the_precision() -> None:
    catalog, table = shop(per_split=LEAST_ANSWERS - 1)
    task = KEY.task.model_copy(update={"min_class": 1})
    found, shelf = read_pictures(table, catalog, [PictureKey(task, "color")], version="v1")
    assert found.reports[0].threshold is None and found.reports[0].written == 0
    assert (found.keys(), list(found.records(shelf))) == ((), [])
    assert found.reports[0].val.precision is None
    assert found.reports[0].val == Measured(LEAST_ANSWERS - 1, 0, 0)


def test_a_key_is_asked_only_where_the_category_has_it() -> None:
    catalog, table = shop()
    shoes = []
    for split in ("train", "val"):
        for k in range(40):
            data = f"shoe {split} {k}".encode()
            table.known[data] = np.eye(3)[k % 3]
            # One training shoe in twenty has a color: nobody could say how good the guesses are.
            own = {"base_color": ("red",)} if split == "val" or k % 20 == 0 else {}
            shoes.append(
                Product(
                    id=f"shoe{split}{k}",
                    images=(data,),
                    category=("goods", "shoe"),
                    attributes=own,
                    split=split,
                )
            )
    mixed = MemoryCatalog([*catalog.products, *shoes])
    found, shelf = read_pictures(table, mixed, [KEY], version="v1")
    assert found.reports[0].categories == 1
    assert not any(r.product.startswith("shoe") for r in found.records(shelf))


def test_mistakes_are_named() -> None:
    catalog, table = shop(per_split=3)
    for precision in (0, 1, -1, float("nan")):
        with pytest.raises(UsageError, match="precision is"):
            read_pictures(table, catalog, [KEY], version="v1", precision=precision)
    with pytest.raises(UsageError, match="no key"):
        read_pictures(table, catalog, [], version="v1")
    missing = PictureKey(AttributeTask(kind="attribute", name="x", key="base_colr"), "x")
    with pytest.raises(DataError, match="base_color"):
        read_pictures(table, catalog, [missing], version="v1")
    table.views = frozenset({View.IMAGE})
    with pytest.raises(UsageError, match="no view t"):
        read_pictures(table, catalog, [KEY], version="v1")


def test_keys_are_the_suites_or_named_ones_with_their_wording() -> None:
    suite = load_suite("myntra")
    every = picture_keys([], suite)
    assert "Neck" in [one.name for one in every]
    named, plain = picture_keys(["Neck=neck type", "base_colour"], suite)
    assert (named.name, named.task.templates) == ("neck type", ("{value}", "{value} {category}"))
    assert (plain.name, plain.task.key, plain.task.templates) == ("base_colour",) * 2 + (
        ("{value}",),
    )
    for words, message in (
        (["=x"], "is not ATTRIBUTE"),
        (["Neck="], "is not ATTRIBUTE"),
        (["Neck", "Fit=NECK"], "two keys"),
    ):
        with pytest.raises(UsageError, match=message):
            picture_keys(words, suite)
