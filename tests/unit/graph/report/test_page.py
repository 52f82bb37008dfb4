"""The page: well-formed, closed to the world, bounded, and true to the words of the texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document, Fact, PictureEvidence, Refusal, Span, TextEvidence
from moonshelf.graph.report.findings import ClassUse, Findings, Missed, PropertyUse, Shown
from moonshelf.graph.report.gather import gather
from moonshelf.graph.report.page import to_html, write_report
from moonshelf.graph.report.sections.evidence import MOST_FACTS
from moonshelf.graph.report.sections.marking import MOST_TEXT
from moonshelf.graph.report.texts import visible
from moonshelf.graph.spending import Spent
from tests.unit.graph.report.html_check import Page
from tests.unit.graph.report.shop import document, made

EVIL = "</bdi></style><script>alert(1)</script><img src=x onerror=alert(2)>\"' &lt;\u202e\x00"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    out = tmp_path_factory.mktemp("page") / "graph"
    made(out)
    return gather(out)


def with_document(found: Findings, shown: Document, *facts: Fact, **more: object) -> Findings:
    """The same findings with one document to show."""
    outcome = Outcome(
        document=shown.id,
        status="done",
        product_class="Fan",
        digest="d",
        slice="s",
        fingerprint="f",
        version=1,
        facts=facts,
        **more,  # type: ignore[arg-type]
    )
    one = Shown(why="most facts", document=shown, outcome=outcome)
    return found.model_copy(update={"shown": (one,)})


def fact(shown: Document, raw: str, name: str = "color", value: object = "red") -> Fact:
    field, text = next((f, t) for f, t in shown.fields if raw in t)
    start = text.index(raw)
    evidence = TextEvidence(span=Span(field=field, start=start, end=start + len(raw)), raw=raw)
    return Fact(
        document=shown.id,
        property=name,
        value=value,  # type: ignore[arg-type]
        evidence=evidence,
        confidence=0.9,
    )


def test_the_page_is_whole_and_asks_for_nothing(found: Findings) -> None:
    page = to_html(found)
    told = Page(page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'; style-src")
    assert "script" not in policy[1] and "http" not in policy[1]
    assert "url(" not in page and "@import" not in page and "<script" not in page
    for words in ("7,459", "282 of 291", "another data set", "1 quarantined", "0 lost"):
        assert words in told.text, words
    assert "no JSON" in told.text and "a surer fact says" in told.text


def test_marks_are_the_words_of_the_facts(found: Findings) -> None:
    told = Page(to_html(found))
    words = {raw for kind, raw in told.marks if kind != "k-no"}
    wanted = {
        fact.evidence.raw
        for one in found.shown
        for fact in one.outcome.facts
        if isinstance(fact.evidence, TextEvidence)
    }
    assert words == wanted
    refused = {raw for kind, raw in told.marks if kind == "k-no"}
    assert refused == {"2 kW"}, "what was turned down is marked where it names words of the text"


def test_words_in_two_facts_are_marked_for_both(found: Findings) -> None:
    one = document("x", "DUAL Inverter split")
    page = to_html(with_document(found, one, fact(one, "DUAL Inverter"), fact(one, "Inverter")))
    told = Page(page)
    assert [(kind.split()[1:], raw) for kind, raw in told.marks] == [
        (["m1"], "DUAL "),
        (["m1", "m2", "over"], "Inverter"),
    ]
    assert {"d0m1", "d0m2", "d0f1", "d0f2"} <= set(told.ids)


def test_product_text_is_text_wherever_it_stands(found: Findings) -> None:
    """In every place that a stranger's words reach; the reader complains of any tag of theirs."""
    evil = Document(id=EVIL.strip("\x00"), fields=((EVIL, f"{EVIL} red"), ("title", EVIL)))
    refusal = Refusal(document=evil.id, step="json", reason=EVIL, candidate=EVIL)
    facts = (fact(evil, "red", "color", EVIL), fact(evil, "red", EVIL, EVIL))
    owned = PropertyDef(name="color", label=EVIL, synonyms=(EVIL,), guidance=EVIL)
    kind = ClassDef(name="Fan", label=EVIL, synonyms=(EVIL,))
    use = PropertyUse(
        definition=owned,
        documents=3,
        possible=4,
        statements=9,
        values=((EVIL, 2),),
        examples=(EVIL,),
    )
    known = Ontology(classes=(ClassDef(name="Product", parent=None), kind), properties=(owned,))
    missed = (Missed(words=EVIL, times=2, example=EVIL, document=EVIL),)
    group = found.links.groups[0].model_copy(update={"members": ((EVIL, EVIL),)})
    step = found.troubles.turned[0].model_copy(update={"examples": (refusal,)})
    quarantine = found.troubles.quarantine[0].model_copy(
        update={"what": EVIL, "reply": EVIL, "errors": (EVIL,), "document": EVIL}
    )
    changed = with_document(found, evil, *facts, refusals=(refusal,)).model_copy(
        update={
            "about": found.about.model_copy(update={"name": EVIL, "backend": EVIL}),
            "ontology": known,
            "classes": {"Product": 1, "Fan": 2},
            "uses": {
                name: ClassUse(documents=2, properties={"color": 1}) for name in ("Product", "Fan")
            },
            "properties": (use,),
            "reach": found.reach.model_copy(update={"numbers": missed, "phrases": missed}),
            "links": found.links.model_copy(update={"groups": (group,)}),
            "troubles": found.troubles.model_copy(
                update={"turned": (step,), "quarantine": (quarantine,)}
            ),
        }
    )
    page = to_html(changed)
    told = Page(page)
    assert told.text.count(visible(EVIL)) >= 12
    assert "\x00" not in page and "\u202e" not in page


def test_a_text_of_a_megabyte_is_cut_and_told_so(found: Findings) -> None:
    title = "red " + "<b>x</b> " * 120_000
    plain = len(to_html(with_document(found, document("x", "red"))))
    one = document("x", title, f"{'y ' * 3_000}blue")
    page = to_html(with_document(found, one, fact(one, "red"), fact(one, "blue")))
    assert len(page) < plain + 8 * MOST_TEXT
    told = Page(page)
    assert f"{len(title) - MOST_TEXT:,} characters more" in told.text
    assert "1 mark among them" in told.text
    assert [raw for _, raw in told.marks] == ["red"], "what is cut off is no mark"
    assert "blue" in told.text, "but its fact is told with its words"


def test_a_thousand_facts_are_bounded(found: Findings) -> None:
    one = document("x", " ".join(f"w{n:04}" for n in range(1_000)))
    facts = [fact(one, f"w{n:04}") for n in range(1_000)]
    told = Page(to_html(with_document(found, one, *facts)))
    assert f"{MOST_FACTS} of 1,000 facts are shown" in told.text
    assert len(told.marks) <= MOST_FACTS


def test_facts_of_pictures_are_told_as_such(found: Findings) -> None:
    one = document("x", "Fan")
    seen = PictureEvidence(picture="ab" * 32, encoder="tiny-1", score=0.71)
    made_of = Fact(document="x", property="color", value="red", evidence=seen, confidence=0.7)
    told = Page(to_html(with_document(found, one, made_of)))
    assert "seen in picture abababababab by tiny-1, score 0.71" in told.text
    assert not told.marks


def test_a_refused_candidate_is_marked_but_never_over_a_fact(found: Findings) -> None:
    one = document("x", "red and blue")
    refused = [
        Refusal(
            document="x", step="guard", reason="denied", candidate=fact(one, raw).model_dump_json()
        )
        for raw in ("blue", "red")
    ]
    page = with_document(found, one, fact(one, "red"), refusals=tuple(refused))
    marks = Page(to_html(page)).marks
    assert [(kind, raw) for kind, raw in marks] == [("k-word m1", "red"), ("k-no", "blue")]


def test_a_graph_without_anything_is_a_page(tmp_path: Path) -> None:
    made(tmp_path / "g", [document("a", "nothing at all")])
    found = write_report(tmp_path / "g")
    told = Page((tmp_path / "g" / "report.html").read_text(encoding="utf-8"))
    assert "1 document became 0 facts about 0 products" in told.text
    assert found.slowest is not None


def test_the_same_graph_gives_the_same_page(found: Findings, tmp_path: Path) -> None:
    made(tmp_path / "a")
    made(tmp_path / "b")
    pages = []
    for name in "ab":
        one = gather(tmp_path / name)
        still = one.model_copy(
            update={
                "questions": (),
                "about": one.about.model_copy(update={"finished": 0.0}),
                "summary": one.summary.model_copy(
                    update={"seconds": {}, "peak_memory": 0, "in_all": Spent()}
                ),
            }
        )
        pages.append(to_html(still))
    assert pages[0] == pages[1]
