"""``moonshelf graph show`` opens every fact of every document at its words."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from moonshelf.cli.main import main
from moonshelf.errors import DataError
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import Unread, from_documents
from moonshelf.graph.report.one import marked_text, one_page, read_one
from moonshelf.graph.report.sections.evidence import MOST_FACTS
from moonshelf.graph.report.sections.marking import MOST_TEXT
from tests.unit.graph.report.shop import SHOP, document, made
from tests.unit.graph.toy_backend import ToyBackend

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("show") / "g"
    made(out)
    return out


class Page(HTMLParser):
    """Texts of marks, by the number that ends them, and where links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.hrefs: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.hrefs += [found["href"] or ""] if "href" in found else []
        assert tag != "script"

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", [one.id for one in SHOP])
def test_every_fact_of_every_document_opens_at_its_words(
    graph: Path, name: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "one.html"
    assert main(["graph", "show", str(graph), name, "--html", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    texts = dict(found["document"]["fields"])
    for fact in found["facts"]:
        span = fact["evidence"]["span"]
        assert texts[span["field"]][span["start"] : span["end"]] == fact["evidence"]["raw"]
    page = Page(path.read_text(encoding="utf-8"))
    numbers = range(1, len(found["facts"]) + 1)
    assert {f"d0m{k}" for k in numbers} | {f"d0f{k}" for k in numbers} <= page.ids
    assert all(href[1:] in page.ids for href in page.hrefs), "no link leads nowhere"


def test_marks_refusals_conflicts_and_links_for_a_person(graph: Path, capsys: Captured) -> None:
    assert main(["graph", "show", str(graph), "fan-1"]) == 0
    told = capsys.readouterr().out
    assert "Fan \u27e620 W\u27e7#1 \u27e6red\u27e7#2 \u27e6AB100\u27e7#3" in told
    assert "turned down (conflict): power" in told
    assert "about the same product: review" in told
    assert re.search(r"fan-1 sameAs fan-2, score 0?\.?\d", told)
    assert re.search(r"fan-1 isVariantOf fan-3, .*: ", told)
    assert main(["graph", "show", str(graph), "review"]) == 0
    assert "fan-1" in capsys.readouterr().out, "its fact gave way to the listing's"
    assert main(["graph", "show", str(graph), "broken"]) == 0
    assert "quarantined at step extract: no JSON" in capsys.readouterr().out


def test_nothing_of_a_long_document_is_left_out(tmp_path: Path) -> None:
    text = " ".join(f"AB{k}" for k in range(100, 100 + 3 * MOST_FACTS)) + " x" * MOST_TEXT + " blue"
    build(
        from_documents([document("long", text), document("b", "Lamp 5 W")]),
        ToyBackend(),
        tmp_path / "g",
        BuildSettings(workers=1),
    )
    found = read_one(tmp_path / "g", "long")
    page = Page(one_page(found))
    assert f"d0m{len(found.facts())}" in page.ids and "blue" in page.text
    assert "are shown" not in page.text and "characters more" not in page.text


def test_a_row_that_is_no_document_and_an_id_that_is_none(tmp_path: Path, capsys: Captured) -> None:
    rows = [*SHOP[:2], Unread("items.csv row 3", DataError("no <b>id</b>"))]
    build(from_documents(rows), ToyBackend(), tmp_path / "g", BuildSettings(workers=1))
    graph = str(tmp_path / "g")
    assert main(["graph", "show", graph, "items.csv row 3"]) == 0
    assert "no <b>id</b>" in capsys.readouterr().out
    page = one_page(read_one(tmp_path / "g", "items.csv row 3"))
    assert "<b>id" not in page and "no &lt;b&gt;id" in page
    assert main(["graph", "show", graph, "FAN"]) == 1
    assert "did you mean fan-1, fan-2?" in capsys.readouterr().err
    assert main(["graph", "show", graph, "fan-1", "--html", str(tmp_path)]) == 2


def test_overlapping_words_keep_all_their_numbers(graph: Path) -> None:
    found = read_one(graph, "fan-1")
    place, power = found.facts()[0]
    span = power.evidence.span.model_copy(update={"end": power.evidence.span.end + 4})  # type: ignore[union-attr]
    wide = power.model_copy(update={"evidence": power.evidence.model_copy(update={"span": span})})
    told = marked_text("Fan 20 W red AB100", "title", [(place, power), (place, wide)])
    assert told == "Fan \u27e620 W\u27e7#1\u27e6 red\u27e7#2 AB100"
