"""The ladder caches, resumes and counts right; the peer is trained by the other library."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _cells, _peer_trainer, clip_peer, ladder
from benchmarks._tables import COLUMNS, HARD, figures, leads, markdown, summarize
from moonshelf.catalog.product import Content, View
from moonshelf.errors import MoonshelfError, UsageError
from moonshelf.evaluation import load_suite
from moonshelf.training.schedule import Spent
from tests.small_shop import write_small_shop

FOLDER = Path(ladder.__file__).parent


def task(name: str, direction: str, method: str, **metrics: float) -> dict:
    found = {"task": name, "direction": direction, "slice": "all", "method": method}
    return found | {"metrics": {key: {"value": value} for key, value in metrics.items()}}


def embedder(name: str, value: float, method: str = "zero-shot") -> dict:
    found = {"HitRate@1": value, "HitRate@10": 1.0}
    hard = [task(key, "i", method, accuracy=value + k / 10) for k, key in enumerate(HARD)]
    return {
        "embedder": name,
        "tasks": [task("gallery title -> picture", "t->i", "cosine", **found), *hard],
    }


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The ladder's processes, not started: each writes what the real one would."""
    made: list[tuple[str, ...]] = []

    def call(self: _cells.Cells, module: str, *words: object) -> None:
        said = [str(word) for word in words]
        made.append((module, *said))
        if said[:2] == ["catalog", "import"]:
            write_small_shop(Path(said[-1]), 16)
        elif "--controls" in said:
            _evaluated(Path(said[-1]), embedder("tfidf", 0.1), embedder("color", 0.2))
        elif said[0] == "train":
            run = Path(said[said.index("--out") + 1])
            (run / "encoder").mkdir(parents=True)
            (run / "encoder" / "encoder.json").write_text("{}")
            spent = {"steps": 7, "seconds": 2.0, "loss": 1.0}
            (run / "metrics.json").write_text(json.dumps({"stages": {"align": spent}}))
        elif said[0] == "evaluate":
            seed = int(Path(said[1]).name.split("-")[2])
            folder = Path(said[1]) / "evaluation" / f"myntra-{said[-1]}"
            _evaluated(folder, embedder("a folder", 0.5 + seed / 10))
        elif module == "benchmarks.clip_peer":
            run = Path(said[said.index("--out") + 1])
            folder = run / "evaluation" / f"myntra-{said[said.index('--split') + 1]}"
            _evaluated(folder, embedder("clip-peer", 0.3))
            (run / "peer.json").write_text(json.dumps({"rate": 0.0005}))

    monkeypatch.setattr(_cells.Cells, "_call", call)
    return made


def _evaluated(folder: Path, *embedders: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({"embedders": list(embedders)}))


def words(tmp_path: Path, *more: str) -> list[str]:
    (tmp_path / "data" / "myntra").mkdir(parents=True, exist_ok=True)
    folders = [f"--{name}={tmp_path / name}" for name in ("data", "work", "results")]
    return [*folders, "--sets", "myntra", "--budget-core-seconds", "60", *more]


def test_every_cell_runs_once_and_the_table_has_mean_and_spread(tmp_path, calls, capsys) -> None:
    assert ladder.main(words(tmp_path, "--arms", "fast", "controls", "--seeds", "0", "1")) == 0
    assert [c[1] for c in calls] == [
        "catalog", "train", "evaluate", "train", "evaluate", "evaluate",
    ]  # fmt: skip
    assert "stages.align.core_seconds=60.0" in calls[1] and "seed=0" in calls[1]
    assert "seed=1" in calls[3] and "stages.align.validate_every=0" in calls[3]
    assert {p.name for p in (tmp_path / "results" / "myntra-test").iterdir()} == {
        "fast-60cs-0.json", "fast-60cs-1.json", "controls.json",
    }  # fmt: skip
    rows = json.loads((tmp_path / "results" / "myntra-test-60cs.json").read_text())["rows"]
    own = rows["fast"]["t→i R@1"]
    assert own["values"] == [50.0, 60.0] and own["mean"] == pytest.approx(55.0)
    assert own["std"] == pytest.approx(50**0.5) and (own["min"], own["max"]) == (50.0, 60.0)
    assert rows["fast"]["attributes i"]["values"][0] == pytest.approx(65.0)
    assert rows["color"]["t→i R@1"]["values"] == [20.0]
    table = (tmp_path / "results" / "myntra-test-60cs.md").read_text()
    assert "| fast | 55.0 ± 7.1 | 100.0 ± 0.0 | 70.0 ± 7.1 |" in table
    calls.clear()
    assert ladder.main(words(tmp_path, "--arms", "fast", "controls", "--seeds", "0", "1")) == 0
    assert not calls and "55.0 ± 7.1" in capsys.readouterr().out


def test_another_recipe_or_catalogue_makes_a_cell_anew(tmp_path, calls, monkeypatch) -> None:
    arguments = words(tmp_path, "--arms", "fast", "--seeds", "0")
    assert ladder.main(arguments) == 0
    calls.clear()
    monkeypatch.setattr(_cells, "digest_of", lambda arm, overrides: "another")
    assert ladder.main(arguments) == 0
    assert [c[1] for c in calls] == ["train", "evaluate"]
    calls.clear()
    (generation,) = (tmp_path / "work" / "catalogs").glob("myntra")
    generation.rename(tmp_path / "old")
    write_small_shop(generation, 24)
    assert ladder.main(arguments) == 0
    assert [c[1] for c in calls] == ["train", "evaluate"]


def test_an_interrupted_training_is_resumed_and_a_trained_run_only_evaluated(
    tmp_path, calls, monkeypatch
) -> None:
    arguments = words(tmp_path, "--arms", "fast", "--seeds", "0", "1")
    fake = _cells.Cells._call

    def interrupted(self: _cells.Cells, module: str, *said: object) -> None:
        if said[0] == "train" and "seed=1" in said:
            Path(str(said[said.index("--out") + 1])).mkdir(parents=True)
            raise KeyboardInterrupt
        fake(self, module, *said)

    monkeypatch.setattr(_cells.Cells, "_call", interrupted)
    assert ladder.main(arguments) == 130
    assert (tmp_path / "results" / "myntra-test" / "fast-60cs-0.json").is_file()
    monkeypatch.setattr(_cells.Cells, "_call", fake)
    calls.clear()
    assert ladder.main(arguments) == 0
    assert [c[1] for c in calls] == ["train", "evaluate"] and "--resume" in calls[0]
    calls.clear()
    assert ladder.main([*arguments, "--split", "val"]) == 0
    assert [c[1] for c in calls] == ["evaluate", "evaluate"]


def test_a_failed_cell_does_not_stop_the_others(tmp_path, calls, monkeypatch, capsys) -> None:
    fake = _cells.Cells._call

    def failing(self: _cells.Cells, module: str, *said: object) -> None:
        if "seed=0" in said:
            raise MoonshelfError("exit code 1", where="moonshelf train fast")
        fake(self, module, *said)

    monkeypatch.setattr(_cells.Cells, "_call", failing)
    assert ladder.main(words(tmp_path, "--arms", "fast", "--seeds", "0", "1")) == 1
    shown = capsys.readouterr()
    assert "failed: myntra fast-60cs-0" in shown.err and "| fast | 60.0 |" in shown.out


def test_a_process_that_fails_is_an_error(tmp_path) -> None:
    one = _cells.Cells(tmp_path, tmp_path, tmp_path, split="test", threads=1)
    with pytest.raises(MoonshelfError, match="exit code 2"):
        one._moonshelf("no-such-verb")


def test_later_seeds_of_the_peer_take_the_rate_the_first_one_chose(tmp_path, calls) -> None:
    assert ladder.main(words(tmp_path, "--arms", "clip-peer", "--seeds", "3", "4")) == 0
    first, second = (c for c in calls if c[0] == "benchmarks.clip_peer")
    assert "--rates" not in first and second[second.index("--rates") + 1] == "0.0005"
    assert first[first.index("--core-seconds") + 1] == "60.0"


def test_wrong_data_folder_is_wrong_use(tmp_path, calls, capsys) -> None:
    arguments = words(tmp_path)
    (tmp_path / "data" / "myntra").rmdir()
    assert ladder.main(arguments) == 2
    assert "--data DIR" in capsys.readouterr().err and not calls


@pytest.mark.parametrize("data", COLUMNS)
def test_columns_name_tasks_that_their_suite_measures(data: str) -> None:
    tasks: dict[str, Any] = {task.name: task for task in load_suite(data).tasks}
    for column in COLUMNS[data]:
        for name in column.tasks:
            found = tasks[name]
            if column.metric == "accuracy":
                assert View(column.direction) in found.views
            else:
                assert column.direction == f"{found.query.value}->{found.item.value}"
                metric, _, k = column.metric.partition("@")
                assert metric in found.metrics and int(k) in found.k


def test_leads_leave_supervised_rows_out_and_say_where_seeds_overlap() -> None:
    def cell(arm: str, value: float, method: str = "zero-shot") -> dict:
        return {"figures": {arm: figures(embedder(arm, value, method), "myntra")}}

    rows = [cell("a", 0.5), cell("a", 0.7), cell("b", 0.6), cell("c", 0.1, "supervised centroid")]
    summary = summarize(rows, "myntra")
    told = leads(summary, "a", "myntra")
    assert told[0].startswith("- t→i R@1: +0.0 to the best other row (b); seeds overlap")
    assert all("(c)" not in line for line in told)
    assert "25.0†" in markdown(summary, "myntra", "x", "a")
    summary = summarize([cell("a", 0.7), cell("b", 0.6)], "myntra")
    assert leads(summary, "a", "myntra")[0].endswith("every seed above every seed")


def test_the_digest_of_the_peer_covers_every_file_of_its_program() -> None:
    used = {"clip_peer"}
    for name in _cells.PEER_FILES:
        used |= set(re.findall(r"from benchmarks\.(\w+) import", (FOLDER / name).read_text()))
    assert {f"{name}.py" for name in used} == set(_cells.PEER_FILES)


def test_a_torn_checkpoint_is_removed_and_the_newest_whole_one_taken(tmp_path: Path) -> None:
    assert _peer_trainer.last_checkpoint(tmp_path / "none") is None
    for step, whole in ((9, True), (10, True), (11, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / "spent.json").write_text("{}")
    assert _peer_trainer.last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint-9", "checkpoint-10"}


def test_the_clock_goes_on_from_what_was_spent_and_waits_for_the_first_step() -> None:
    clock = _peer_trainer.Clock({"core_seconds": 100.0}, Spent(7, 80.0, 55.0))
    assert clock.factor(7) == pytest.approx((1 - 0.55) / 0.9)  # start-up costs nothing
    clock.start()
    sum(range(10**6))
    assert not clock.tick(8)
    assert clock.spent.steps == 8 and 55 < clock.spent.core_seconds < 60
    assert _peer_trainer.Clock({"core_seconds": 50.0}, clock.spent).tick(8)
    assert clock.due(0) and not clock.due(60)


def test_an_unfinished_run_of_the_peer_is_not_gone_on_with_by_other_settings(tmp_path) -> None:
    clip_peer.claim(tmp_path, {"seed": 0})
    clip_peer.claim(tmp_path, {"seed": 0})
    with pytest.raises(UsageError, match="other settings"):
        clip_peer.claim(tmp_path, {"seed": 1})


def test_an_interrupted_search_of_rates_tries_none_twice(tmp_path, monkeypatch) -> None:
    tries: list[tuple[str, dict[str, float]]] = []

    def train(rate: float, budget: dict[str, float], name: str) -> tuple[float, dict]:
        tries.append((name, budget))
        if len(tries) == 2:
            raise KeyboardInterrupt
        return rate, {}

    peer: Any = object.__new__(clip_peer.Peer)
    peer.out, peer.train, peer.score = tmp_path, train, {1e-4: 3.0, 1e-3: 5.0, 1e-2: 1.0}.get
    search = ((1e-4, 1e-3, 1e-2), {"core_seconds": 40.0}, 0.25)
    with pytest.raises(KeyboardInterrupt):
        peer.best_rate(*search)
    assert peer.best_rate(*search) == (1e-3, {"0.0001": 3.0, "0.001": 5.0, "0.01": 1.0})
    assert [name for name, _ in tries] == ["rate-0.0001", "rate-0.001", "rate-0.001", "rate-0.01"]
    assert tries[0][1] == {"core_seconds": 10.0}


@pytest.fixture
def library() -> None:
    for name in ("sentence_transformers", "datasets", "accelerate"):
        pytest.importorskip(name, reason="sentence-transformers[train] is not installed")


def test_the_peer_tokenizer_ends_a_text_once(library: None, tmp_path: Path) -> None:
    from benchmarks._clip import clip_tokenizer

    tokenizer = clip_tokenizer(["red shoes", "blue dress"] * 20, 700)
    # An unseen last byte must not become the end token, where the model reads its vector.
    ids = tokenizer("Red shoes, ☃ ü!")["input_ids"]
    assert ids.count(tokenizer.eos_token_id) == 1 and ids[-1] == tokenizer.eos_token_id
    assert ids[0] == tokenizer.bos_token_id and len(tokenizer) <= 700


@pytest.mark.slow
def test_the_peer_trains_on_a_budget_and_is_evaluated(library: None, tmp_path: Path) -> None:
    shop = write_small_shop(tmp_path / "shop", 96)
    arguments = ["--catalog", str(shop.path), "--out", str(tmp_path / "run"), "--suite", "any"]
    arguments += ["--core-seconds", "2", "--batch", "16", "--threads", "1"]
    assert clip_peer.main([*arguments, "--rates", "5e-4"]) == 0
    spent = json.loads((tmp_path / "run" / "metrics.json").read_text())["stages"]["align"]
    assert spent["steps"] >= 1 and 2 <= spent["core_seconds"] < 30
    assert not (tmp_path / "run" / "checkpoints").exists()
    facts = json.loads((tmp_path / "run" / "peer.json").read_text())
    assert facts["rate"] == 5e-4 and facts["catalog"] == shop.fingerprint
    result = json.loads((tmp_path / "run" / "evaluation" / "any-test" / "metrics.json").read_text())
    assert [e["embedder"] for e in result["embedders"]] == ["clip-peer"]
    assert result["embedders"][0]["tasks"]
    embed = clip_peer.load_peer(tmp_path / "run").embed
    one = shop[0]
    t, i, mm = embed(
        [Content(one.title), Content(None, one.images), Content(one.title, one.images)]
    )
    np.testing.assert_allclose(mm, (t + i) / np.linalg.norm(t + i), atol=1e-5)
    (tmp_path / "run" / "metrics.json").unlink()  # a finished run is not trained again
    assert clip_peer.main([*arguments, "--split", "val"]) == 0
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.slow
def test_an_interrupted_training_of_the_peer_ends_like_an_uninterrupted_one(
    library: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    shop = write_small_shop(tmp_path / "shop", 96)
    chosen: dict[str, Any] = {"seed": 0, "batch": 16, "patch": 16, "precision": "fp32"}
    peer = clip_peer.Peer(shop, tmp_path, **chosen)
    settings = _peer_trainer.Settings(1e-3, seed=0, batch=16, bf16=False, save_seconds=0)
    assert len(peer.pairs["title"]) < 15 * 16  # cut in the second epoch
    budget = {"steps": 18}

    def trained(folder: Path) -> tuple[torch.Tensor, dict[str, float]]:
        model = peer.untrained()
        spent = _peer_trainer.fit(model, peer.pairs, budget, settings, folder)
        return torch.cat([p.detach().flatten() for p in model.parameters()]), spent

    whole, spent = trained(tmp_path / "whole")
    assert spent["steps"] == 18
    write, calls = _peer_trainer.write_json_atomically, []

    def killed(path: Path, value: Any) -> None:
        calls.append(path)
        if len(calls) == 16:  # checkpoint 16 stays torn
            raise KeyboardInterrupt
        write(path, value)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_peer_trainer, "write_json_atomically", killed)
        trained(tmp_path / "cut")
    before = json.loads((tmp_path / "cut" / "checkpoint-15" / "spent.json").read_text())
    resumed, spent = trained(tmp_path / "cut")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=1e-6)
    assert spent["steps"] == 18 and spent["core_seconds"] > before["core_seconds"] > 0


@pytest.mark.slow
def test_the_probe_of_bf16_changes_neither_weights_nor_random_state(
    library: None, tmp_path: Path
) -> None:
    import torch

    shop = write_small_shop(tmp_path / "shop", 32)
    chosen: dict[str, Any] = {"seed": 0, "batch": 8, "patch": 16, "precision": "fp32"}
    peer = clip_peer.Peer(shop, tmp_path, **chosen)
    model, state = peer.untrained(), torch.random.get_rng_state()
    before = [p.detach().clone() for p in model.parameters()]
    sides = [side[:8] for side in peer.pairs.values()]
    assert _peer_trainer.faster_in_bf16(model, sides) in (True, False)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())
