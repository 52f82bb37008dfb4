"""What the arms of the ablation of the graph change, and that they change nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    _graph_arms,
    _graph_gatekeeper,
    _graph_orders,
    _graph_taggers,
    graph_ablation,
)
from benchmarks._graph_arms import Part, difference, mean, pooled, shares
from benchmarks._graph_gatekeeper import Merging, Restating, without
from benchmarks._graph_orders import as_given
from benchmarks._graph_slices import annotated, prompts, whole_of
from benchmarks._graph_spans import Trusting
from moonshelf.errors import StoreError
from moonshelf.graph.builtin.backend import BuiltinBackend
from moonshelf.graph.builtin.knowledge import Knowledge
from moonshelf.graph.edits import Merge, Proposal, Usage
from moonshelf.graph.evaluate.facts import Count
from moonshelf.graph.evaluate.gold import GoldSet
from moonshelf.graph.evaluate.scores import scored
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Document, Extraction, Fact, Span, TextEvidence
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from moonshelf.graph.schema.sample import batches
from moonshelf.graph.validate import Validator
from tests.unit.labelled_shop import GOLD, gold_of

ONTOLOGY = Ontology(
    classes=(*Ontology().classes, ClassDef(name="Fan"), ClassDef(name="Lamp")),
    properties=(
        PropertyDef(name="color", synonyms=("shade",)),
        PropertyDef(name="finish"),
        PropertyDef(name="sweep", domain="Fan"),
        PropertyDef(name="socket", domain="Lamp"),
    ),
)


# ---- comparison in pairs


def f1(counts: Sequence[Count]) -> float:
    matched, found, wanted = np.sum(counts, axis=0)
    return 2 * matched / (found + wanted) if found + wanted else 0.0


def test_the_difference_is_of_the_same_draws() -> None:
    rng = random.Random(1)
    plain = [(rng.randint(1, 4), 5, 6) for _ in range(30)]
    worse = [(max(0, a - rng.randint(0, 1)), b + 1, c) for a, b, c in plain]
    found = difference(worse, plain)
    assert found["value"] == pytest.approx(f1(worse) - f1(plain), abs=1e-6)
    # The reference: documents one by one, by the draws that intervals use.
    draws = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=_graph_arms.DRAWS)
    gaps = []
    for weights in draws:
        picked = [k for k, times in enumerate(weights) for _ in range(times)]
        gaps.append(f1([worse[k] for k in picked]) - f1([plain[k] for k in picked]))
    low, high = np.percentile(gaps, [2.5, 97.5])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-6)
    alone = scored(worse).f1
    assert high - low < alone.high - alone.low, "what is hard for both cancels out"


def test_no_change_is_no_difference() -> None:
    counts = [(1, 2, 3), (0, 0, 1), (4, 4, 4)]
    assert set(difference(counts, counts).values()) == {0.0}
    assert difference(pooled([counts, counts]), counts)["value"] == 0
    row = shares(counts)
    assert "F1 - plain" not in row and row["recall"]["value"] == pytest.approx(5 / 8)


def test_pooling_keeps_documents_apart() -> None:
    assert pooled([[(1, 2, 3), (0, 0, 0)], [(1, 1, 1), (0, 5, 0)]]) == [(2, 3, 4), (0, 5, 0)]
    found = mean([1, 1, 4])
    assert found["value"] == 2 and found["low"] <= 2 <= found["high"]


# ---- gatekeeper


def merge_of(folder: Path, rules_off: Sequence[str], clashes: int = 0) -> bool:
    used = [
        Usage(name=a, documents=9, values=((value, 9),), clashes=((b, clashes),))
        for a, b, value in (("color", "finish", "red"), ("finish", "color", "matt"))
    ]
    gatekeeper = Gatekeeper(History.open(folder, ONTOLOGY))
    wish = Merge(names=("color", "finish"), into="color", reason="the same")
    with without(rules_off):
        (decision,) = gatekeeper.submit([wish], {one.name: one for one in used}, "agent")
    return decision.accepted


def test_each_arm_leaves_out_its_rules_alone(tmp_path: Path) -> None:
    assert not merge_of(tmp_path / "a", ())
    assert merge_of(tmp_path / "b", ("check_evidence",))
    assert not merge_of(tmp_path / "c", ("check_evidence",), clashes=2), "integrity is asked"
    assert merge_of(tmp_path / "d", ("check_evidence", "check_integrity"), clashes=2)
    assert not merge_of(tmp_path / "e", ()), "the rules are back"


def test_careless_agents_ask_for_what_a_careful_one_does_not() -> None:
    again = Restating(Knowledge()).propose([], ONTOLOGY)
    assert [p.name for p in again.properties] == ["shade"]
    assert Restating(Knowledge()).propose([], Ontology()) == Proposal()
    usage = {p.name: Usage(name=p.name, documents=3) for p in ONTOLOGY.properties}
    usage |= {c.name: Usage(name=c.name, documents=3) for c in ONTOLOGY.classes}
    asked = [e for e in Merging(Knowledge(), 0).refine(ONTOLOGY, usage) if isinstance(e, Merge)]
    names = [name for edit in asked for name in edit.names]
    assert len(asked) == 2 and len(set(names)) == 4, "no property twice"
    assert not BuiltinBackend(Knowledge()).refine(ONTOLOGY, usage)


# ---- slices


def test_the_whole_schema_is_everybodys() -> None:
    whole = whole_of(ONTOLOGY)
    assert [p.name for p in ONTOLOGY.slice("Fan")] == ["color", "finish", "sweep"]
    assert [p.name for p in whole.slice("Fan")] == ["color", "finish", "socket", "sweep"]
    assert whole.properties == ONTOLOGY.properties and whole.classes == ONTOLOGY.classes


def test_prompts_are_longer_by_what_a_slice_leaves_out() -> None:
    text = Document(id="d", fields=(("title", "Acme fan"),))
    sliced, whole = (prompts([text], o, {"d": "Fan"}) for o in (ONTOLOGY, whole_of(ONTOLOGY)))
    assert sliced["properties a document"]["value"] == 3
    assert whole["properties a document"]["value"] == 4
    # One question on the kind, one on all properties.
    assert sliced["calls"]["value"] == whole["calls"]["value"] == 2
    column = "characters of questions"
    assert whole[column]["value"] - sliced[column]["value"] == len("- socket: string\n")


def test_attributes_of_one_category_are_its_own() -> None:
    rows = [
        {"id": "a", "category": "Home And Garden", "attributes": {"Brand": [], "Heat": []}},
        {"id": "b", "category": "Jewelry", "attributes": {"Brand": ["X"]}},
    ]
    ontology, classes = annotated(rows)
    assert classes == {"a": "HomeAndGarden", "b": "Jewelry"}
    assert {p.name: p.domain for p in ontology.properties} == {
        "brand": "Product",
        "heat": "HomeAndGarden",
    }


# ---- order


def test_the_order_given_is_the_order_read() -> None:
    texts = [Document(id=f"d{k}", fields=(("title", f"fan {k % 3} " * k),)) for k in range(1, 13)]
    found = list(as_given(iter(texts), 5, pool=3))
    assert [one.id for batch in found for one in batch] == [one.id for one in texts]
    assert [len(batch) for batch in found] == [5, 5, 2]
    assert list(batches(texts, 5)) != found, "the plain pipeline reads otherwise"


# ---- the span check


def test_trust_leaves_out_the_text_and_nothing_else() -> None:
    document = Document(id="d", fields=(("title", "Acme fan"),))
    evidence = TextEvidence(span=Span(field="title", start=0, end=3), raw="red")
    facts = [
        Fact(document="d", property=name, value=value, evidence=evidence, confidence=0.9)
        for name, value in (("color", "red"), ("color", True), ("socket", "E27"))
    ]
    found = Extraction(document="d", product_class="Fan", facts=tuple(facts))
    kept, refused = Trusting(ONTOLOGY).check(found, document)
    assert [one.property for one in kept] == ["color"]
    assert [one.step for one in refused] == ["vocabulary", "vocabulary"]
    assert Validator(ONTOLOGY).check(found, document)[0] == []


# ---- whole parts


@pytest.fixture
def shop_of_listings(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """40 listings in place of the air conditioners, 30 of them labelled."""
    pairs = [gold_of(k) for k in range(40)]
    texts = [
        text.model_copy(update={"split": "dev" if k < 20 else "test"})
        for k, (_, text) in enumerate(pairs[:30])
    ]
    gold = GoldSet(properties=GOLD, texts=tuple(texts))
    documents = [document for document, _ in pairs]
    for module in (_graph_gatekeeper, _graph_orders):
        monkeypatch.setattr(module, "listings", lambda data: documents)
    for module in (_graph_arms, _graph_orders):
        monkeypatch.setattr(module, "read_gold", lambda: gold)
    monkeypatch.setattr(_graph_gatekeeper, "SEEDS", 1)
    monkeypatch.setattr(_graph_orders, "ORDERS", 2)
    return documents


@pytest.mark.usefixtures("shop_of_listings")
def test_the_gatekeeper_stands_between_agents_and_schema(tmp_path: Path) -> None:
    part = _graph_gatekeeper.gatekeeper(tmp_path)
    assert "20 dev texts" in part.protocol
    plain = part.arms["builtin: plain"]
    assert plain["F1"]["value"] > 0.5 and plain["F1 - plain"]["value"] == 0
    for agent in ("restating", "merging"):
        assert {**part.arms[f"{agent}: plain"], **plain} == part.arms[f"{agent}: plain"]
    careless = part.arms["restating: no evidence"]
    column = "pairs alike in name per 100, proposed"
    assert careless["added"] > plain["added"] and careless[column] > plain[column]
    assert part.arms["merging: no evidence"].keys() == plain.keys()


@pytest.mark.usefixtures("shop_of_listings")
def test_refinement_makes_up_for_a_poor_order(tmp_path: Path) -> None:
    arms = _graph_orders.order(tmp_path).arms
    assert set(arms) == {
        f"{way}, {stage}"
        for way in ("most new n-grams", "random", "as in the source")
        for stage in ("proposals alone", "refined")
    }
    best = arms["most new n-grams, refined"]
    assert best["share"] == 1 and best["F1 - plain"]["value"] == 0
    for row in arms.values():
        assert 0 < row["share at 30"] <= 1 and row["F1 least"] <= row["F1 most"]
        assert row["read"] <= 40
    for way in ("random", "as in the source"):
        assert arms[f"{way}, proposals alone"]["share"] <= arms[f"{way}, refined"]["share"]


# ---- results


def listed(f1: float) -> dict[str, Any]:
    share = {"low": f1, "high": f1}
    return {
        "score": {"precision": f1, "recall": f1, "f1": f1},
        **dict.fromkeys(("precision", "recall", "f1"), share),
    }


def test_the_tagger_is_read_from_what_was_measured(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not measured"):
        _graph_taggers.tagger(tmp_path, tmp_path)
    half = {"dev": {"listed": listed(0.5)}, "test": {"listed": listed(0.9)}, "facts": 7}
    own = {"ablation": {"rules": half, "rules_and_tagger": half}}
    (tmp_path / "air_conditioners.json").write_text(json.dumps(own))
    for name in ("ae110k", "wdc_pave"):
        table = {"in_backend": {"rules": listed(0.1), "rules_and_tagger": listed(0.4)}}
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    arms = _graph_taggers.tagger(tmp_path, tmp_path).arms
    assert arms["air conditioners: own hits"]["F1"]["value"] == 0.5, "the dev half"
    assert arms["WDC-PAVE: labels"]["F1"] == {"value": 0.4, "low": 0.4, "high": 0.4}


def test_parts_are_kept_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(protocol: str) -> Part:
        gap = {"value": -0.5, "low": -1, "high": 0.25}
        return Part(protocol, {"plain": {"read": 1234}, "a double": {"F1 - plain": gap}})

    made = {name: lambda data, name=name: part(f"how {name}") for name in graph_ablation.PARTS}
    monkeypatch.setattr(graph_ablation, "PARTS", made)
    words = ["--data", str(tmp_path), "--results", str(tmp_path), "--only"]
    assert graph_ablation.main([*words, "order"]) == 0
    assert graph_ablation.main([*words, "gatekeeper", "model"]) == 0
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert set(found["parts"]) == {"order", "gatekeeper", "model"}
    page = (tmp_path / "ablation.md").read_text()
    assert page.index("how gatekeeper.") < page.index("how order.") < page.index("how model.")
    rows = "| plain | 1,234 |  |\n| a double |  | -0.500 [-1.000, +0.250] |"
    assert page.count(rows) == 3, "in their order, also of parts that were read back"
    assert "SIMULATED" in page and str(tmp_path) not in page
    (tmp_path / "ablation.json").write_text("[]")
    with pytest.raises(StoreError, match="cannot be read"):
        graph_ablation.main([*words, "order"])
