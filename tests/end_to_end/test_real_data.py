"""A minute of training on real products beats everything that learns nothing."""

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

[[tasks]]
kind = "retrieval"
name = "product -> variants"
about = "The words alone answer this: every control has a row."
query = "mm"
item = "mm"
positives = "group"
k = [1]
metrics = ["HitRate"]
"""


def test_a_minute_on_myntra_finds_pictures_by_title(shared_data: Path, tmp_path: Path) -> None:
    shop, run = tmp_path / "shop", tmp_path / "run"
    imported = answer("catalog", "import", shared_data / "myntra", "--to", shop, limit=120)
    assert imported["products"] > 44_000 and imported["skipped"] == 0
    budget = ("stages.align.core_seconds=60", "compute.threads=1", "stages.align.validate_every=0")
    answer("train", "tiny", "--catalog", shop, "--out", run, *budget, limit=400)
    (tmp_path / "gallery.toml").write_text(SUITE, encoding="utf-8")
    words = ("--catalog", shop, "--suite", tmp_path / "gallery.toml", "--split", "val")
    found = answer("evaluate", run, *words, "--controls", limit=240)
    (tmp_path / "x.json").write_text(__import__("json").dumps(found))
