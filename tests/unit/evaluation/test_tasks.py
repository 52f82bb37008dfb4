"""Who asks, who is in the pool, what is right; and what must never leak."""

from __future__ import annotations

import numpy as np
import pytest

from moonshelf.catalog.marks import Marked
from moonshelf.catalog.product import Product, Query, View
from moonshelf.errors import DataError, MoonshelfError, UsageError
from moonshelf.evaluation import evaluate
from moonshelf.evaluation.controls import RandomEmbedder
from moonshelf.evaluation.labels import label_vectors
from moonshelf.evaluation.protocol import VectorCache
from moonshelf.evaluation.retrieval import NoQueries, ask
from moonshelf.evaluation.shelf import Shelf
from moonshelf.evaluation.suite import AttributeTask, ClassificationTask, RetrievalTask, Suite
from tests.unit.evaluation.shop import MemoryCatalog, Table, drawn


def product(number: int, title: str, group: str = "", picture: str = "", **more) -> Product:
    images = (picture.encode(),) if picture else ()
    return Product(f"p{number}", title, images, group=group, split="test", **more)


def task(**more) -> RetrievalTask:
    return RetrievalTask.model_validate({"kind": "retrieval", "name": "x", **more})


def suite(*tasks: dict, **more) -> Suite:
    return Suite.model_validate({"name": "s", "bootstrap": 100, "tasks": tasks, **more})


def pairs_of(question) -> set[tuple[int, int]]:
    q, i = question.positives
    return {
        (int(question.query_rows[a]), int(question.item_rows[b])) for a, b in zip(q, i, strict=True)
    }


def removed_of(question) -> set[tuple[int, int]]:
    q, i = question.removed
    return {
        (int(question.query_rows[a]), int(question.item_rows[b])) for a, b in zip(q, i, strict=True)
    }


GROUPS = [
    product(0, "shirt", "a", "A"),
    product(1, "shirt", "a", "B"),
    product(2, "shirt", "a", "A"),  # the same picture as 0
    product(3, "hat", "b", "C"),
    product(4, "cap", "", "A"),  # the same picture, no group
    product(5, "shirt", "a"),  # no picture
]


def test_group_removes_the_query_and_identical_pictures_from_the_pool() -> None:
    question = ask(
        task(query="i", item="mm", positives="group"), Shelf(MemoryCatalog(GROUPS)), "test", 0
    )
    assert question.item_rows.tolist() == [0, 1, 2, 3, 4]  # 5 has no picture; the pool is full
    assert pairs_of(question) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    assert removed_of(question) == {(0, 0), (0, 2), (0, 4), (1, 1), (2, 0), (2, 2), (2, 4)}
    assert any("1 of 6 products of the split lack" in note for note in question.notes)


def test_group_from_a_title_keeps_identical_pictures() -> None:
    question = ask(
        task(query="t", item="mm", positives="group"), Shelf(MemoryCatalog(GROUPS)), "test", 0
    )
    assert pairs_of(question) == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}
    assert removed_of(question) == {(0, 0), (1, 1), (2, 2)}


def test_title_positives_ask_each_title_once_and_accept_all_that_bear_it() -> None:
    shelf = Shelf(MemoryCatalog([*GROUPS[:4], product(6, " SHIRT ", "z", "Z")]))
    from_text = ask(task(query="t", item="i", positives="title"), shelf, "test", 0)
    assert len(from_text.query_rows) == 2
    assert {i for q, i in pairs_of(from_text) if q == 0} == {0, 1, 2, 4}
    from_picture = ask(task(query="i", item="t", positives="title"), shelf, "test", 0)
    assert len(from_picture.item_rows) == 2 and len(from_picture.query_rows) == 5


def test_the_gallery_holds_titles_that_occur_once_and_does_not_depend_on_import_order() -> None:
    products = [product(k, f"title {k}", picture=f"{k}") for k in range(50)]
    products += [product(90, "twice", picture="x"), product(91, "Twice", picture="y")]
    one = task(query="t", item="i", positives="self", unique_titles=True, gallery=20)
    first = Shelf(MemoryCatalog(products))
    turned = Shelf(MemoryCatalog(products[::-1]))
    a, b = ask(one, first, "test", 0), ask(one, turned, "test", 0)
    ids = [first.ids[row] for row in a.item_rows]
    assert ids == [turned.ids[row] for row in b.item_rows]
    assert len(set(ids)) == 20 and not {"p90", "p91"} & set(ids)
    back = ask(one.model_copy(update={"query": View.IMAGE, "item": View.TEXT}), first, "test", 0)
    assert back.item_rows.tolist() == a.item_rows.tolist()
    other = ask(one, first, "test", 1)
    assert other.item_rows.tolist() != a.item_rows.tolist()


def test_planted_vectors_give_the_planted_figures() -> None:
    catalog = MemoryCatalog([product(k, f"t{k}", picture=f"i{k}") for k in range(30)])
    axes = np.eye(30)
    known = {f"t{k}": axes[k] for k in range(30)}
    known |= {f"i{k}".encode(): axes[k if k < 24 else (k + 1) % 30] for k in range(30)}
    one = {"kind": "retrieval", "name": "x", "query": "t", "item": "i", "positives": "self"}
    table = Table(known)
    result = evaluate(table, catalog, suite({**one, "metrics": ["HitRate"], "k": [1]})).tasks[0]
    # 24 agree; picture 29 ties with picture 0 for title 0, which mid-rank does not count as found
    assert result.metrics["HitRate@1"].value == pytest.approx(23 / 30)
    assert result.metrics["HitRate@1"].chance == pytest.approx(1 / 30)
    assert result.metrics["HitRate@1"].low < 23 / 30 < result.metrics["HitRate@1"].high


def test_each_content_is_embedded_once_for_all_tasks() -> None:
    one = {"kind": "retrieval", "query": "t", "item": "i"}
    label = {"kind": "attribute", "key": "color", "min_class": 1}
    random = RandomEmbedder()
    asked = []

    class Counting:
        name, views = "counting", random.views

        def embed(self, contents):
            kept = list(contents)
            asked.extend(kept)
            return random.embed(kept)

    evaluate(
        Counting(),
        drawn(groups=20),
        suite(
            {**one, "name": "a", "positives": "title"},
            {**one, "name": "b", "positives": "self", "unique_titles": True},
            {**label, "name": "c", "views": ["t", "i"]},
        ),
    )
    assert len(asked) == len(set(asked)) == 40 + 40 + 3


def test_labels_see_title_and_pictures_only() -> None:
    """The label's own field, the description and the category never reach the embedder."""
    catalog = drawn(groups=20)
    seen = []
    random = RandomEmbedder()

    class Watching:
        name, views = "watching", random.views

        def embed(self, contents):
            kept = list(contents)
            seen.extend(kept)
            return random.embed(kept)

    label = {"kind": "attribute", "key": "color", "name": "c", "min_class": 1}
    evaluate(Watching(), catalog, suite(label))
    titles = {p.title for p in catalog.products} | {"red", "green", "blue"} | {None}
    assert {content.text for content in seen} <= titles


def test_zero_shot_reports_products_whose_title_does_not_say_the_value_apart() -> None:
    catalog = drawn(groups=60)
    known = {"red": [1, 0, 0], "green": [0, 1, 0], "blue": [0, 0, 1]}
    for p in catalog.products:  # right where the title says it, red elsewhere
        word = p.title.split()[0]
        known[p.title] = known.get(word, known["red"])
    label = {"kind": "attribute", "key": "color", "name": "c", "views": ["t"]}
    results = evaluate(Table(known), catalog, suite(label))
    spoken = [p for p in catalog.products if p.attributes["color"][0] in p.title]
    hidden = [p for p in catalog.products if p.attributes["color"][0] not in p.title]
    red = sum(p.attributes["color"] == ("red",) for p in hidden)
    assert results.value("c", "accuracy") == pytest.approx((len(spoken) + red) / 120)
    unsaid = results.task("c", slice="value not in title")
    assert unsaid.queries == len(hidden) == 60
    assert unsaid.metrics["accuracy"].value == pytest.approx(red / 60)
    assert unsaid.method == "zero-shot"


def test_templates_are_averaged_as_unit_vectors() -> None:
    table = Table({"red": [2, 0], "a red thing": [0, 2], "red thing": [0, 5]})
    shelf = Shelf(drawn())
    one = AttributeTask(
        kind="attribute", name="c", key="color", templates=("{value}", "a {value} {category}")
    )
    vectors = label_vectors(one, VectorCache(table, shelf), ["red"], "thing")
    np.testing.assert_allclose(vectors, [[2**-0.5, 2**-0.5]], atol=1e-6)


def test_label_words_are_marked_as_what_they_are_and_kept_apart_from_titles() -> None:
    table = Table({"red": [1, 0], "dark red": [1, 1], "a red cap (c)": [0, 1], "cap": [1, 0]})
    vectors = VectorCache(table, Shelf(drawn()))
    templates, texts = ("{value}", "a {value} {category} ({key})"), {"deep": " dark  red "}
    one = AttributeTask(kind="attribute", name="c", key="c", templates=templates, texts=texts)
    label_vectors(one.model_copy(update={"templates": ("{value}",)}), vectors, ["deep"], "")
    label_vectors(one, vectors, ["red"], "cap")
    label_vectors(ClassificationTask(kind="classification", name="k"), vectors, ["cap"], "")
    vectors.texts([Marked("red")])
    told = [(c.text, [(c.text[a:b], mark.value) for a, b, mark in c.marks]) for c in table.asked]
    assert told == [
        ("dark red", [("dark", "attribute"), ("red", "attribute")]),
        ("red", [("red", "attribute")]),
        ("a red cap (c)", [("red", "attribute"), ("cap", "category")]),
        ("cap", [("cap", "category")]),
        ("red", []),
    ]


def test_rare_and_excluded_values_leave_the_task_and_are_counted() -> None:
    colors = ["red"] * 10 + ["blue"] * 10 + ["lime"] * 2 + ["unknown"] * 10
    catalog = MemoryCatalog(
        [product(k, f"t{k}", attributes={"color": (c,)}) for k, c in enumerate(colors)]
    )
    label = {"kind": "attribute", "key": "color", "name": "c", "views": ["t"], "min_class": 5}
    result = evaluate(RandomEmbedder(), catalog, suite({**label, "exclude": ["unknown"]})).tasks[0]
    assert (result.queries, result.pool) == (20, 2)
    assert any("2 products of 1 values" in note for note in result.notes)
    assert result.facts["largest class"] == 0.5


def test_an_unknown_attribute_is_named_with_the_nearest() -> None:
    label = {"kind": "attribute", "key": "colour", "name": "c"}
    with pytest.raises(DataError, match=r"colour.*did you mean 'color'"):
        evaluate(RandomEmbedder(), drawn(), suite(label))


def test_without_text_view_centroids_of_the_train_split_are_used_and_said() -> None:
    train, test = drawn(groups=40, split="train"), drawn(groups=40, seed=1)
    moved = [
        Product(f"z{p.id}", p.title, (b"z" + p.images[0],), attributes=p.attributes, split="test")
        for p in test.products
    ]
    catalog = MemoryCatalog([*train.products, *moved])
    axis = {"red": [1, 0, 0], "green": [0, 1, 0], "blue": [0, 0, 1]}
    table = Table({p.images[0]: axis[p.attributes["color"][0]] for p in catalog.products})
    table.views = frozenset({View.IMAGE})
    label = {"kind": "attribute", "key": "color", "name": "c", "min_class": 1}
    results = evaluate(table, catalog, suite(label))
    result = results.task("c", "i")
    assert result.method == "supervised centroid"
    assert "training products" in result.protocol
    assert result.metrics["accuracy"].value == 1.0
    assert {(s.task, s.direction) for s in results.skipped} == {("c", "t"), ("c", "mm")}


def test_photo_search_finds_planted_products_in_the_whole_catalogue() -> None:
    catalog = drawn(groups=40, queries=20)
    random = RandomEmbedder()
    known = {}
    for p in catalog.products:
        from moonshelf.catalog.product import Content

        known[p.images[0]] = random.embed([Content(images=p.images)])[0]
    for k in range(20):
        known[f"photo {k}".encode()] = known[f"picture {2 * k}".encode()]
    one = {"kind": "photo_search", "name": "photo", "item": "i", "k": [1, 2, 10]}
    result = evaluate(Table(known), catalog, suite(one)).tasks[0]
    assert result.pool == 80 and result.queries == 20
    value = {name: m.value for name, m in result.metrics.items()}
    assert value["HitRate@1"] == value["TruncRecall@1"] == value["Precision@1"] == 1.0
    assert value["SetRecall@1"] == 0.5 and value["MRR"] == 1.0


def test_grades_give_gains_and_the_threshold_of_what_counts_as_found() -> None:
    catalog = MemoryCatalog(
        [product(k, f"t{k}") for k in range(6)],
        [
            Query("q0", "ask", positives=("p0", "p1", "p2"), grades=(0.0, 2.0, 1.0), split="test"),
            Query("q1", "weak", positives=("p3",), grades=(0.5,), split="test"),
        ],
    )
    known = {f"t{k}": np.eye(6)[k] for k in range(6)}
    known |= {"ask": [0.9, 0.4, 0.2, 0, 0, 0], "weak": [1, 0, 0, 0, 0, 0]}
    one = {
        "kind": "text_search", "name": "q", "item": "t", "k": [2], "relevant_from": 1.0,
        "metrics": ["HitRate", "SetRecall", "NDCG", "MRR"],
    }  # fmt: skip
    result = evaluate(Table(known), catalog, suite(one)).tasks[0]
    assert result.queries == 1 and any("1 of 2 queries" in note for note in result.notes)
    value = {name: m.value for name, m in result.metrics.items()}
    # order: p0 (worth 0), p1 (3), p2 (1)
    best = 3 + 1 / np.log2(3)
    assert value["NDCG judged"] == pytest.approx((3 / np.log2(3) + 1 / 2) / best)
    assert value["NDCG@2"] == pytest.approx(3 / np.log2(3) / best)
    assert value["SetRecall@2"] == 0.5 and value["MRR"] == 0.5


def test_a_query_that_names_a_missing_product_is_an_error() -> None:
    catalog = MemoryCatalog(
        [product(0, "a")], [Query("q", "ask", positives=("gone",), split="test")]
    )
    with pytest.raises(DataError, match="gone"):
        evaluate(
            RandomEmbedder(), catalog, suite({"kind": "text_search", "name": "q", "item": "t"})
        )


def test_a_task_without_queries_is_an_error_or_a_listed_skip() -> None:
    catalog = MemoryCatalog([product(k, f"t{k}", picture=f"{k}") for k in range(5)])
    one = {"kind": "retrieval", "name": "x", "query": "i", "item": "mm", "positives": "group"}
    with pytest.raises(NoQueries, match="no group"):
        evaluate(RandomEmbedder(), catalog, suite(one))
    results = evaluate(RandomEmbedder(), catalog, suite({**one, "when_empty": "skip"}))
    assert not results.tasks and "no group" in results.skipped[0].reason
    with pytest.raises(UsageError, match="split"):
        evaluate(RandomEmbedder(), catalog, suite(one), split="dev")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (lambda n: np.full((n, 4), np.nan, np.float32), "not finite"),
        (lambda n: np.ones((n, 4), np.float32), "unit length"),
        (lambda n: np.full((n + 1, 4), 0.5, np.float32), "shape"),
    ],
)
def test_bad_vectors_are_refused(vectors, message: str) -> None:
    class Bad:
        name, views = "bad", frozenset(View)

        def embed(self, contents):
            return vectors(len(list(contents)))

    one = {"kind": "retrieval", "name": "x", "query": "t", "item": "i", "positives": "title"}
    with pytest.raises(MoonshelfError, match=message):
        evaluate(Bad(), drawn(), suite(one))


def test_k_beyond_half_of_the_pool_is_left_out_and_noted() -> None:
    catalog = MemoryCatalog([product(k, f"t{k}", picture=f"{k}") for k in range(12)])
    one = {
        "kind": "retrieval", "name": "x", "query": "t", "item": "i", "positives": "self",
        "k": [1, 10],
    }  # fmt: skip
    result = evaluate(RandomEmbedder(), catalog, suite(one)).tasks[0]
    assert "HitRate@1" in result.metrics and "HitRate@10" not in result.metrics
    assert any("K = 10 left out" in note for note in result.notes)


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Nike Blue T-shirt", True),
        ("nike TSHIRTS", True),
        ("Shoes for casual days", False),
        ("Nike shirt", False),
    ],
)
def test_a_plural_or_a_hyphen_does_not_hide_a_value_said_in_the_title(
    title: str, said: bool
) -> None:
    catalog = MemoryCatalog(
        [product(k, title, attributes={"type": ("Tshirts",)}) for k in range(2)]
        + [product(2 + k, "plain thing", attributes={"type": ("Hats",)}) for k in range(2)]
    )
    label = {"kind": "attribute", "key": "type", "name": "c", "views": ["t"], "min_class": 2}
    results = evaluate(RandomEmbedder(), catalog, suite(label))
    assert results.task("c", slice="value not in title").queries == (2 if said else 4)
