"""Stage ``pretrain``: tasks and shares, a loss that does not depend on how a batch is cut,
resuming, and that something is learned from pictures."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from moonshelf.catalog.product import Product
from moonshelf.catalog.store import Catalog
from moonshelf.catalog.writer import CatalogWriter
from moonshelf.config import load_config, with_overrides
from moonshelf.encoder import build_encoder, load_encoder
from moonshelf.encoder.language import END, LanguageModel
from moonshelf.errors import DataError, UsageError
from moonshelf.evaluation.answers import Examination
from moonshelf.training.contents import ContentSource
from moonshelf.training.gradcache import cached_backward
from moonshelf.training.pretrain_settings import PretrainConfig
from moonshelf.training.questions import Questions
from moonshelf.training.recipe import Recipe
from moonshelf.training.run import train
from moonshelf.training.stages.pretrain import PretrainStage
from tests.asked_shop import write_asked_shop
from tests.forked import end_of, fork
from tests.invariants.resume_job import job
from tests.invariants.test_resume import learned
from tests.unit.encoder.conftest import wake

ENCODER = {
    "kind": "vlm",
    "dim": 32,
    "pictures": {"height": 32, "width": 32},
    "tiny": {
        "vocabulary": 340,
        "width": 48,
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "feed_forward": 96,
        "patch": 8,
        "vision_width": 32,
        "vision_depth": 0,
        "stem": {"width": 8, "blocks": [1, 1, 1], "levels": 1},
    },
}


def recipe(*words: str, **stage: Any) -> Recipe:
    given = {"kind": "pretrain", "steps": 4, "batch": 12, "log_every": 1} | stage
    compute = {"precision": "fp32", "threads": 1, "device": "cpu"}
    found = {"seed": 1, "encoder": ENCODER, "compute": compute, "stages": {"pretrain": given}}
    return load_config(Recipe, with_overrides(found, words))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return write_asked_shop(tmp_path_factory.mktemp("asked") / "catalog")


def stage(shop: Catalog, processes: int = 1, **changes: Any) -> PretrainStage:
    settings = recipe(**changes)
    config = settings.stages["pretrain"]
    assert isinstance(config, PretrainConfig)
    source = ContentSource(shop, None)
    texts = Questions(source, config).texts()
    encoder = build_encoder(settings.encoder, texts, seed=0, control=[END])
    wake(encoder)
    return PretrainStage(
        "pretrain",
        config,
        encoder,
        source,
        seed=5,
        device=torch.device("cpu"),
        processes=processes,
    )


def gradients(one: PretrainStage) -> tuple[float, dict[str, torch.Tensor]]:
    work = one.work(3)
    batches = [collate() for collate in work.sides[0]]
    again = batches if len(batches) > 1 else []
    report, _ = cached_backward(
        one.embed, iter([*batches, *again]), work.counts, lambda *v: one.loss(work, *v)
    )
    answers = torch.cat([one.embed(batch) for batch in batches]).detach()
    scalar, _ = one.loss(work, answers)
    loss = float(answers[:, 0].sum() / answers[:, 1].sum())
    assert float(scalar) == pytest.approx(loss, rel=1e-6)
    assert len(set(answers[:, 1].tolist())) > 1  # a mean over rows would be another figure
    for task in dict.fromkeys(work.about):
        own = torch.tensor([name == task for name in work.about])
        expected = answers[own, 0].sum() / answers[own, 1].sum()
        assert float(report[f"loss/{task}"]) == pytest.approx(float(expected), rel=1e-4)
    return loss, {n: p.grad for n, p in one.encoder.named_parameters() if p.grad is not None}


def test_the_gradient_does_not_depend_on_mini_batches(shop: Catalog) -> None:
    whole_loss, whole = gradients(stage(shop))
    loss, found = gradients(stage(shop, mini_batch=5))
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert found.keys() == whole.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-3, atol=1e-5, msg=name)


def test_a_step_holds_every_task_by_share_and_train_products_alone(shop: Catalog) -> None:
    one = stage(shop, batch=40, tasks={"describe": 2, "title": 1, "subject": 1})
    train_rows = set(shop.split_rows("train").tolist())
    for step in (0, 7):
        work = one.work(step)
        assert [work.about.count(t) for t in ("describe", "title", "subject")] == [20, 10, 10]
        assert set(work.rows[0].tolist()) <= train_rows
    again = stage(shop, batch=40, tasks={"describe": 2, "title": 1, "subject": 1}).work(7)
    ours, theirs = one.work(7).sides[0][0](), again.sides[0][0]()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_tasks_without_answers_are_left_out_and_told(tmp_path: Path) -> None:
    full = write_asked_shop(tmp_path / "full", 12)
    with CatalogWriter(tmp_path / "titles") as writer:
        for row in range(12):
            writer.add_product(Product(f"p{row}", "a thing", full[row].images, description="  "))
        writer.commit()
    one = stage(Catalog.open(tmp_path / "titles"))
    assert [term.name for term in one.plan.terms] == ["title"]
    assert set(one.without_pairs) == {"describe", "attribute", "attributes", "subject"}
    assert one.without_pairs["subject"] == "has no train products with category and picture"
    with pytest.raises(DataError, match="both a picture and an answer"):
        stage(Catalog.open(tmp_path / "titles"), tasks={"subject": 1})


def test_an_encoder_without_a_language_model_is_refused_with_the_recipe() -> None:
    with pytest.raises(UsageError, match="cannot answer"):
        load_config(Recipe, recipe().model_dump(mode="json") | {"encoder": {"kind": "fast"}})


def test_a_run_tells_losses_tokens_and_what_it_decided(shop: Catalog, tmp_path: Path) -> None:
    shown: list[dict[str, object]] = []
    run = train(
        recipe(validate_every=4, validation_items=10),
        shop,
        tmp_path / "run",
        progress=lambda done, total=None, **facts: shown.append(facts),
    )
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    tasks = {"describe", "attribute", "attributes", "title", "subject"}
    assert {f"loss/{task}" for task in tasks} <= lines[0].keys() and lines[0]["tokens_per_s"] > 0
    assert {f"answer_loss/{task}" for task in (*tasks, "all")} <= lines[-1].keys()
    assert any(str(facts.get("tokens", "")).endswith("/s") for facts in shown)
    decided = json.loads((run / "manifest.json").read_text())["stages"]["pretrain"]
    assert decided["shares"].keys() == tasks
    assert END in load_encoder(run).tokenizer


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(shop: Catalog, tmp_path: Path) -> None:
    told = recipe(steps=24, save_every=5, mini_batch=7)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert end_of(fork(job, told, shop.path, whole, False)) == 0
    assert end_of(fork(job, told, shop.path, killed, False, (12, 24))) == -signal.SIGKILL
    assert json.loads((killed / "manifest.json").read_text())["status"] == "running"
    assert end_of(fork(job, told, shop.path, killed, True)) == 0
    ours, theirs = (learned(out) for out in (killed, whole))
    assert ours == theirs and len(ours) == 24
    mine, other = (load_file(o / "encoder" / "model.safetensors") for o in (killed, whole))
    assert all(torch.equal(mine[name], other[name]) for name in other)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(shop: Catalog, tmp_path: Path) -> None:
    losses = []
    for size in (1, 2):
        run = train(recipe(f"compute.processes={size}"), shop, tmp_path / f"run{size}")
        lines = (run / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.slow
def test_answers_are_learned_from_pictures(tmp_path: Path) -> None:
    """Beyond what is known without looking, and beyond what another picture would do."""
    shop = write_asked_shop(tmp_path / "shop", 360)
    tasks = {"attribute": 1.0, "attributes": 1.0}
    settings = recipe(steps=70, batch=32, tasks=tasks, show_title=0.0, log_every=20)
    run = train(settings, shop, tmp_path / "run")
    config = settings.stages["pretrain"]
    assert isinstance(config, PretrainConfig)
    questions = Questions(ContentSource(shop, None), config)
    exam = Examination(questions, ("attribute", "attributes"), split="test", items=60, seed=0)
    found = exam("run", LanguageModel(load_encoder(run))).scores
    for measure in ("attributes: F1", "attributes: exact", "attribute: exact"):
        scores = {arm: score.value for arm, score in found[measure].items()}
        assert scores["picture"] > 0.8, (measure, scores)
        assert scores["no model"] < 0.5 and scores["another picture"] < 0.5, (measure, scores)
