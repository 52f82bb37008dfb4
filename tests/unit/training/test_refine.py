"""Stage refine: its loss against the dense one with a list for a queue, and whom it spares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from moonshelf.catalog.pixels import PixelCache
from moonshelf.catalog.product import Product, View
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.config import load_config
from moonshelf.encoder import build_encoder
from moonshelf.errors import DataError, UsageError
from moonshelf.objectives.circle import circle_dense
from moonshelf.objectives.contrastive import KeepOut, info_nce_dense
from moonshelf.training.contents import ContentSource
from moonshelf.training.hard import HardItems
from moonshelf.training.recipe import Recipe
from moonshelf.training.refine_settings import RefineConfig
from moonshelf.training.run import train
from moonshelf.training.settings import PairConfig, TermConfig
from moonshelf.training.stages.refine import RefineStage
from tests.invariants.resume_job import RECIPE
from tests.small_encoder import FAST
from tests.small_shop import picture, write_small_shop

CPU = torch.device("cpu")
TEXT, PIC, MM = View.TEXT, View.IMAGE, View.BOTH
TI = {"x": TermConfig(query=TEXT, item=PIC)}
MANY = {
    "ti": TermConfig(query=TEXT, item=PIC, together={"whole": PairConfig(query=PIC, item=MM)}),
    "same": TermConfig(source="variant", query=PIC, item=MM),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_small_shop(tmp_path_factory.mktemp("shop") / "catalog", 64, categories=True)


def stage_of(shop: Catalog, *, processes: int = 1, **given: Any) -> RefineStage:
    config = RefineConfig(**{"steps": 9, "batch": 12, "terms": TI, **given})
    source = ContentSource(shop, PixelCache.build(shop, 32, 32))
    encoder = build_encoder(FAST, source.texts(np.arange(len(shop))), seed=3)
    return RefineStage("refine", config, encoder, source, seed=5, device=CPU, processes=processes)


def embedded(stage: RefineStage, step: int) -> tuple[Any, list[torch.Tensor]]:
    work = stage.work(step)
    return work, [torch.cat([stage.embed(make()) for make in side]) for side in work.sides]


@pytest.mark.parametrize("loss", ["circle", "info_nce"])
@pytest.mark.parametrize("given", [{}, {"hard_negatives": 0}, {"queue": 0}, {"mini_batch": 5}])
def test_the_loss_is_the_dense_one_with_a_list_for_a_queue(
    shop: Catalog, loss: str, given: dict[str, Any]
) -> None:
    stage = stage_of(shop, loss=loss, queue=given.get("queue", 30), **_without(given, "queue"))
    past: list[tuple[torch.Tensor, int]] = []
    torch.manual_seed(0)
    for step in range(4):
        work, vectors = embedded(stage, step)
        hard = vectors[2] if len(vectors) > 2 else vectors[0][:0]
        old = past[-30:] if stage.queue is not None else []
        extra = torch.cat([hard, *(vector[None] for vector, _ in old)])
        rows = [work.rows[2].tolist() if len(vectors) > 2 else [], [row for _, row in old]]
        ids = torch.tensor([*rows[0], *np.ravel(rows[1]).astype(int)], dtype=torch.int64)
        own = torch.from_numpy(work.rows[1])
        groups = torch.from_numpy(stage.groups)
        # Titles are all different here, so product and SPU say all there is to say.
        keep_out = KeepOut(
            item_ids=own,
            groups=groups[own],
            extra_item_ids=ids,
            extra_groups=groups[ids],
            margin=None,
        )
        options = {"keep_out": keep_out, "extra_items": extra, "symmetric": True}
        if loss == "circle":
            slow = circle_dense(vectors[0], vectors[1], **options).loss
        else:
            slow = info_nce_dense(vectors[0], vectors[1], stage.temperature(), **options).loss
        fast, report = stage.loss(work, *vectors)
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-6)
        theirs = torch.autograd.grad(slow, vectors, retain_graph=True)
        for our, their in zip(torch.autograd.grad(fast, vectors), theirs, strict=True):
            # float32: exponents of up to 64 x 1 carry 1e-5, and sums of them cancel.
            near = 1e-4 * float(their.abs().max())
            torch.testing.assert_close(our, their, rtol=1e-4, atol=near)
        assert report["further"] == len(extra) and ("temperature" in report) == (loss != "circle")
        every = torch.cat([vectors[1], hard]).detach()
        past += list(zip(every, [*work.rows[1].tolist(), *rows[0]], strict=True))
        with torch.no_grad():  # the encoder moves on; what is queued stays as it was
            for weight in stage.encoder.parameters():
                weight.add_(0.01 * torch.randn_like(weight))


def _without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in given.items() if k != name}


@pytest.mark.parametrize("terms", [TI, MANY], ids=["one loss", "several"])
def test_a_loss_computed_twice_is_the_same_and_enters_once(
    shop: Catalog, terms: dict[str, TermConfig]
) -> None:
    stage = stage_of(shop, terms=terms, queue=40)
    assert stage.queue is not None
    for step in range(5):
        work, vectors = embedded(stage, step)
        first = stage.loss(work, *vectors)[0]
        state = {k: v.clone() for k, v in stage.queue.state_dict().items()}
        assert torch.equal(first, stage.loss(work, *vectors)[0])
        assert all(torch.equal(v, state[k]) for k, v in stage.queue.state_dict().items())


def test_negatives_of_earlier_steps_show_what_the_items_of_the_loss_show(shop: Catalog) -> None:
    """Steps of both terms take turns: pictures among pictures, whole products among whole ones."""
    stage = stage_of(shop, terms=MANY, queue=1000, hard_negatives=1)
    assert stage.queue is not None
    seen = {"ti": 0, "same": 0}
    for step in range(8):
        work, vectors = embedded(stage, step)
        old, _ = stage.queue.take(step)
        code = list(View).index(MANY[work.label].item)
        same = int((old.labels[:, -1] == code).sum())
        report = stage.loss(work, *vectors)[1]
        assert report["further"] == same + len(work.about.hard)
        seen[work.label] += same
    assert min(seen.values()) > 0
    # Two sides of "ti" are items of some loss, and each enters once.
    rows, views = stage.queue.take(99)[0].labels[:, [0, -1]].T.tolist()
    assert {list(View)[view] for view in views} == {PIC, MM}
    assert len(rows) > 8 * 12


def test_hard_negatives_are_of_the_category_and_of_another_product(shop: Catalog) -> None:
    stage = stage_of(shop, hard_negatives=2, queue=0)
    category = shop.column("category").to_pylist()
    for step in range(5):
        work = stage.work(step)
        assert np.array_equal(work.rows[2], stage.work(step).rows[2])
        items, hard = work.rows[1], work.rows[2].reshape(2, -1)
        assert len(work.about.hard) == 2 * len(items)
        for item, some in zip(items, hard.T, strict=True):
            assert some[0] != some[1]
            for other in some:
                assert category[other] == category[item] and other != item
                assert stage.groups[other] != stage.groups[item]
                assert other in shop.split_rows("train")
    assert not np.array_equal(stage.work(0).rows[2], stage.work(1).rows[2])


def test_rows_that_only_processes_need_change_nothing(tmp_path: Path) -> None:
    """Two pairs have a hard negative, four processes share the step: two rows are copies."""
    rng = np.random.default_rng(0)
    with CatalogWriter(tmp_path / "shop") as writer:
        for row in range(8):
            looks = (picture("red", "bar", "large", rng),)
            path = ("wear",) if row < 2 else ("wear", str(row))
            group = "g" if row < 1 else ""
            writer.add_product(Product(f"p{row}", f"no {row}", looks, category=path, group=group))
        catalog = writer.commit()
    losses = []
    for processes in (1, 4):
        stage = stage_of(catalog, processes=processes, batch=8)
        work, vectors = embedded(stage, 0)
        assert len(work.about.hard) == 2 and len(vectors[2]) == max(2, processes)
        loss, report = stage.loss(work, *vectors)
        assert report["hard_share"] == 2 / 8
        losses.append((loss, torch.autograd.grad(loss, vectors)[2][:2]))
        assert stage.queue is not None and len(stage.queue.take(1)[0]) == 10
    for one, four in zip(*losses, strict=True):
        torch.testing.assert_close(one, four, rtol=1e-5, atol=1e-6)


def test_queries_of_drawn_values_have_their_batch_alone(shop: Catalog) -> None:
    term = TermConfig(
        query=TEXT,
        item=PIC,
        query_attributes=1.0,
        together={"title": PairConfig(query=TEXT, item=PIC, query_attributes=0.0)},
    )
    stage = stage_of(shop, terms={"x": term}, queue=100)
    for step in range(2):
        work, vectors = embedded(stage, step)
        assert work.about.alone == [True, False] and not len(work.about.hard)
        report = stage.loss(work, *vectors)[1]
        assert report["further"] == 0 and report["queue"] == step * 12


def test_words_that_three_brands_answer_get_no_hard_negative(shop: Catalog) -> None:
    """No product here has a brand: its SPU stands in. Row 8 was asked for three, row 16 for two."""
    stage = stage_of(shop, batch=48)
    asked = np.array([[8, 0], [8, 20], [8, 30], [16, 0], [16, 20], [16, 21]])
    source = stage.source
    stage.hard = HardItems("refine", 1, stage.steps, source, asked, 5)
    queries, count = stage.work(0).rows[0].tolist(), len(stage.work(0).about.hard)
    assert {8, 16} <= {*queries} and count == len(queries) - 1
    stage.hard = HardItems("refine", 1, stage.steps, source, asked[3:], 5)
    assert len(stage.work(0).about.hard) == len(queries)
    # Pictures are no words: who photographs a product means it.
    terms = {"x": TermConfig(query=PIC, item=MM)}
    stage = stage_of(shop, batch=48, terms=terms)
    stage.hard = HardItems("refine", 1, stage.steps, stage.source, asked, 5)
    assert len(stage.work(0).about.hard) == len(stage.work(0).rows[0])


@pytest.mark.parametrize("query, item", [(TEXT, PIC), (PIC, TEXT), (TEXT, MM)])
def test_one_title_of_many_products_is_no_negative_in_any_step(
    tmp_path: Path, query: View, item: View
) -> None:
    """Of the batch, of earlier steps, or hard: where a side is text alone all answer all."""
    rng = np.random.default_rng(0)
    with CatalogWriter(tmp_path / "shop") as writer:
        for row in range(12):
            looks = (picture("red", "bar", "large", rng),)
            writer.add_product(Product(f"p{row}", "one title", looks, category=("wear",)))
        catalog = writer.commit()
    stage = stage_of(catalog, terms={"x": TermConfig(query=query, item=item)}, batch=4)
    for step in range(3):
        work, vectors = embedded(stage, step)
        loss, report = stage.loss(work, *vectors)
        assert report["further"] == min(16, 8 * step) + 4 and report["masked_share"] == 1
        assert float(loss.detach()) == 0


@pytest.mark.parametrize("mini_batch", [None, 5])
def test_a_mixed_step_brings_hard_negatives_of_every_term(
    shop: Catalog, mini_batch: int | None
) -> None:
    terms = {
        "ti": TermConfig(query=TEXT, item=PIC),
        "same": TermConfig(source="variant", query=PIC, item=MM),
    }
    stage = stage_of(shop, terms=terms, mixing="mixed", queue=60, mini_batch=mini_batch)
    category = shop.column("category").to_pylist()
    for step in range(3):
        work, vectors = embedded(stage, step)
        views, hard = work.about.views[0], work.about.hard
        assert len({*views.tolist()}) == 2 and hard[:, -1].tolist() == views.tolist()
        for item, other in zip(work.rows[1].tolist(), work.rows[2].tolist(), strict=True):
            assert category[item] == category[other] and stage.groups[item] != stage.groups[other]
        loss, report = stage.loss(work, *vectors)
        assert bool(loss.isfinite()) and report["further"] == 12 + min(60, 24 * step)
        # Seen as the items of their own term are: the vectors say so.
        for code, view in ((c, list(View)[c]) for c in {*views.tolist()}):
            mine = (hard[:, -1] == code).numpy()
            plain = stage.encoder(stage.encoder.collate(stage.source(work.rows[2][mine], view)))
            torch.testing.assert_close(vectors[2][torch.from_numpy(mine)], plain)


def test_prefixes_are_trained_by_the_circle_too(shop: Catalog) -> None:
    stage = stage_of(shop, matryoshka=(4,), queue=20)
    for step in range(2):
        work, vectors = embedded(stage, step)
        loss, report = stage.loss(work, *vectors)
    assert {"contrast@4", "contrast@8"} <= report.keys() and bool(loss.isfinite())


def test_a_catalogue_without_categories_says_so(tmp_path: Path) -> None:
    bare = write_small_shop(tmp_path / "shop", 16)
    with pytest.raises(DataError, match="no train product has a category") as caught:
        stage_of(bare)
    assert "hard_negatives=0" in str(caught.value.cure)
    assert stage_of(bare, hard_negatives=0).hard is None


REFINE = {
    "kind": "refine",
    "steps": 12,
    "batch": 16,
    "log_every": 1,
    "save_every": 5,
    "loss": "info_nce",
    "queue": 50,
    "terms": {"title-picture": {"query": "t", "item": "i"}},
}


def learned(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    clocks = ("seconds", "core_seconds", "samples_per_s", "samples_per_core_s", "waiting")
    return [{k: v for k, v in line.items() if k not in (*clocks, "memory_mib")} for line in lines]


def test_a_resumed_run_takes_the_steps_of_a_whole_one_and_another_starts_from_it(
    shop: Catalog, tmp_path: Path
) -> None:
    recipe = load_config(Recipe, {**RECIPE, "stages": {"refine": REFINE}})
    whole = train(recipe, shop, tmp_path / "whole")
    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    shutil.rmtree(max((cut / "state").iterdir()))
    shutil.rmtree(cut / "encoder")
    manifest = json.loads((cut / "manifest.json").read_text())
    (cut / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}))
    train(recipe, shop, cut, resume=True)
    assert learned(cut) == learned(whole)
    ends = [load_file(path / "encoder" / "model.safetensors") for path in (cut, whole)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[1])
    states = [max((path / "state").iterdir()) / "tensors.safetensors" for path in (cut, whole)]
    queues = [load_file(state) for state in states]
    assert "model/queue.vectors" in queues[0]
    assert all(torch.equal(queues[0][name], queues[1][name]) for name in queues[1])

    # A run that starts there begins with that encoder and an empty queue.
    onward = recipe.model_copy(update={"start": str(whole)})
    still = {**REFINE, "steps": 1, "optimizer": {"lr": 1e-12, "adamw_lr": 1e-12, "weight_decay": 0}}
    onward = load_config(Recipe, {**onward.model_dump(mode="json"), "stages": {"refine": still}})
    then = load_file(train(onward, shop, tmp_path / "then") / "encoder" / "model.safetensors")
    for name, weight in ends[1].items():
        torch.testing.assert_close(then[name], weight, rtol=1e-4, atol=1e-6)
    assert learned(tmp_path / "then")[0]["queue"] == 0
    wrong = load_config(Recipe, {**onward.model_dump(mode="json"), "data": {"text": ["category"]}})
    with pytest.raises(UsageError, match="it was shown title"):
        train(wrong, shop, tmp_path / "wrong")
    encoder = {**RECIPE["encoder"], "dim": 8}
    wrong = load_config(Recipe, {**onward.model_dump(mode="json"), "encoder": encoder})
    with pytest.raises(UsageError, match="dim: 16 -> 8"):
        train(wrong, shop, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
