"""The documents that are shown: the same ones, whatever the order in which they come."""

from __future__ import annotations

import random

from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Fact, Refusal, Span, TextEvidence
from moonshelf.graph.report.choose import WANTED, Chooser, lot


def outcome(name: str, facts: int, refusals: int = 0, status: str = "") -> Outcome:
    evidence = TextEvidence(span=Span(field="title", start=0, end=3), raw="red")
    fact = Fact(document=name, property="color", value="red", evidence=evidence, confidence=0.9)
    refusal = Refusal(document=name, step="guard", reason="said of another", candidate="{}")
    return Outcome(
        document=name,
        status=status or ("done" if facts else "empty"),  # type: ignore[arg-type]
        digest="d",
        slice="s",
        fingerprint="f",
        version=0,
        facts=(fact,) * facts,
        refusals=(refusal,) * refusals,
    )


SHOP = [outcome(f"d{n}", n % 7, int(n % 11 == 0)) for n in range(200)]


def chosen(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    chooser = Chooser()
    for one in outcomes:
        chooser.add(one)
    return list(chooser.chosen())


def test_the_order_of_work_changes_nothing() -> None:
    shuffled = list(SHOP)
    random.Random(3).shuffle(shuffled)
    assert chosen(shuffled) == chosen(SHOP)


def test_each_reason_is_true_and_no_document_comes_twice() -> None:
    found = chosen(SHOP)
    known = {one.document: one for one in SHOP}
    names = [name for name, _ in found]
    assert len(set(names)) == len(names) <= sum(most for _, most in WANTED)
    by_reason = {why: [name for name, w in found if w == why] for why, _ in WANTED}
    assert {len(known[name].facts) for name in by_reason["most facts"]} == {6}
    assert all(known[name].refusals for name in by_reason["turned down"])
    assert all(known[name].status == "empty" for name in by_reason["without facts"])
    done = sorted((one.document for one in SHOP if one.facts), key=lot, reverse=True)
    drawn = set(by_reason["drawn by hash"])
    assert drawn <= set(done[: dict(WANTED)["drawn by hash"]]) and drawn


def test_among_equals_the_hash_decides_and_the_first_reason_stands() -> None:
    tied = [outcome(f"d{n}", 9, refusals=1) for n in range(50)]
    ranked = sorted((one.document for one in tied), key=lot, reverse=True)
    found = chosen(tied)
    assert found[:3] == [(name, "most facts") for name in ranked[:3]]
    assert found[3:] == [
        *((name, "turned down") for name in ranked[3:6]),
        *((name, "drawn by hash") for name in ranked[6:8]),
    ]


def test_a_quarantined_document_has_nothing_to_show() -> None:
    assert chosen([outcome("x", 0, status="quarantined")]) == []


def test_what_another_document_overrules_counts_as_turned_down() -> None:
    chooser = Chooser()
    for n in range(50):
        chooser.add(outcome(f"d{n}", 9))
    chooser.add(outcome("giving way", 1), overruled=1)
    assert ("giving way", "turned down") in chooser.chosen()
