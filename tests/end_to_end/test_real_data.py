"""Eighty steps on real products, import to evaluation, beat what learns nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.command import answer

pytestmark = pytest.mark.real_data

SUITE = """\
name = "gallery"
about = "Gallery protocol: 2,000 products whose title occurs once; chance of R@10 is 0.5 %."
fields = ["title"]
bootstrap = 200

[[tasks]]
kind = "retrieval"
name = "title -> picture"
query = "t"
item = "i"
positives = "self"
unique_titles = true
gallery = 2000
k = [1, 10]
metrics = ["HitRate"]
"""


def test_eighty_steps_on_myntra_find_pictures_by_title(shared_data: Path, tmp_path: Path) -> None:
    shop, run = tmp_path / "shop", tmp_path / "run"
    imported = answer("catalog", "import", shared_data / "myntra", "--to", shop, limit=120)
    assert imported["products"] > 44_000 and imported["skipped"] == 0
    # Steps, not seconds: a busy machine must not decide whether this passes.
    budget = ("stages.align.steps=80", "compute.threads=1", "stages.align.validate_every=0")
    answer("train", "tiny", "--catalog", shop, "--out", run, *budget, limit=600)
    (tmp_path / "gallery.toml").write_text(SUITE, encoding="utf-8")
    words = ("--catalog", shop, "--suite", tmp_path / "gallery.toml", "--split", "val")
    found = answer("evaluate", run, *words, "--controls", limit=240)
    recall = {
        one["embedder"]: task["metrics"]["HitRate@10"]
        for one in found["embedders"]
        for task in one["tasks"]
    }
    ours = recall.pop("run")
    assert ours["chance"] == pytest.approx(0.005)
    assert ours["value"] > 0.30
    # Controls of words or of pictures alone cannot answer; they are listed with the reason.
    assert "random" in recall and all(ours["low"] > other["high"] for other in recall.values())
    silent = [one for one in found["embedders"] if not one["tasks"]]
    assert all("no view" in one["skipped"][0]["reason"] for one in silent)
    assert {"tfidf", "color", "pixels"} <= {one["embedder"] for one in silent}
    print("title -> picture R@10:", ours)
