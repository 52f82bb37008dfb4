"""Pairs as cards: everything of the catalogue is escaped, and a bad picture is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from moonshelf.catalog.pair_building import build_pairs
from moonshelf.report.page import write_report
from moonshelf.report.pair_examples import pair_section
from tests.log_shop import HOSTILE, write_log_shop


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    pairs = build_pairs(write_log_shop(tmp_path / "catalog", 1)).pairs
    similarity = np.where(np.arange(len(pairs)) % 2, 0.25, np.nan)
    pairs = pairs.with_similarity(similarity)
    titles = "".join(pairs.catalog[int(row)].title for row in pairs.item)
    assert HOSTILE[0] in titles
    section = pair_section("a <b> reason", "x & y", pairs, range(len(pairs)))
    path = write_report(tmp_path / "page.html", "<t>", "<l>", [section])
    page = path.read_text(encoding="utf-8")
    assert page.count("<figure>") == len(pairs)
    assert "<script" not in page.lower() and "&lt;script&gt;" in page
    assert "a &lt;b&gt; reason" in page
    tags = set(re.findall(r"<([a-zA-Z0-9]+)", page))
    assert tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "nav", "a", "b"),
        *("section", "ol", "li", "figure", "div", "img", "figcaption", "span", "small"),
    }
    sources = re.findall(r'src="([^"]*)', page)
    assert sources and all(url.startswith("data:image/jpeg;base64,") for url in sources)
    assert page.count("cosine 0.250") == (similarity == 0.25).sum()


def test_no_pairs_no_cards(tmp_path: Path) -> None:
    pairs = build_pairs(write_log_shop(tmp_path / "catalog", 1)).pairs
    assert "<figure>" not in pair_section("none", "", pairs, []).to_html()
