"""Findings of a graph: the figures of ``evaluate``, and what the folder itself holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from moonshelf.errors import StoreError
from moonshelf.graph.evaluate.folder import evaluate_graph
from moonshelf.graph.report import reach
from moonshelf.graph.report.findings import Findings
from moonshelf.graph.report.gather import gather
from moonshelf.graph.state import State
from moonshelf.progress import Progress
from tests.unit.graph.report.shop import SHOP, document, made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "graph"
    made(out)
    return out


@pytest.fixture(scope="module")
def found(folder: Path) -> Findings:
    return gather(folder)


def test_figures_are_those_of_evaluate(folder: Path, found: Findings) -> None:
    other = evaluate_graph(folder)
    assert found.sizes == other.sizes
    assert found.reach.total("units") == other.text.units
    assert found.reach.total("segments") == other.text.segments
    assert (found.facts, found.grounded) == (other.soundness.facts, other.soundness.grounded)
    assert other.text.units.reached < other.text.units.mentions, "something is missed"


def test_every_document_is_somewhere(found: Findings) -> None:
    ledger = found.summary.ledger
    assert (ledger.documents, ledger.graph, ledger.quarantined) == (len(SHOP), 7, 1)
    assert sum(one.documents for one in found.reach.classes) == found.reach.read == len(SHOP)
    # Of the seven documents in the graph two are about one product.
    assert sum(found.classes.values()) == 6
    assert found.uses["Product"].documents == len(SHOP) - 1, "what is quarantined says nothing"


def test_properties_by_use_with_values_and_words(found: Findings) -> None:
    by_name = {use.definition.name: use for use in found.properties}
    assert [use.documents for use in found.properties] == sorted(
        (use.documents for use in found.properties), reverse=True
    )
    power = by_name["power"]
    assert power.documents == found.uses["Product"].properties["power"] == 7
    assert dict(power.values) == {"20": 2, "30": 2, "2000": 1, "50": 1}
    assert power.statements == sum(times for _, times in power.values)
    assert 0 < len(power.examples) <= 3
    assert set(power.examples) <= {"20 W", "30 W", "2 kW", "50 W", "70 W"}
    assert by_name["color"].examples and by_name["color"].possible == len(SHOP) - 1


def test_what_was_turned_down_is_told_with_its_reason(found: Findings) -> None:
    steps = {one.step: one for one in found.troubles.turned}
    assert steps["span"].examples[0].document == "wrong"
    assert dict(found.troubles.conflicts) == {"power": 1}
    assert found.troubles.quarantine[0].document == "broken"
    assert found.troubles.overruled == 1
    document_id, name, reason = found.troubles.overruled_examples[0]
    assert (document_id, name) == ("review", "power") and "surer" in reason


def test_words_that_reach_no_fact_come_with_a_place(found: Findings) -> None:
    weight = next(one for one in found.reach.numbers if one.words == "# kg")
    assert (weight.times, weight.example) == (2, "5 kg")
    assert weight.document in {"fan-1", "lamp"}
    assert all(one.times <= found.reach.phrases_read for one in found.reach.phrases)


def test_documents_shown_hold_their_words(found: Findings) -> None:
    assert {one.document.id for one in found.shown} >= {"fan-1", "wrong", "nothing"}
    review = next(one for one in found.shown if one.document.id == "review")
    assert list(review.overruled.values()) == [found.troubles.overruled_examples[0][2]]


def test_same_products_and_variants(found: Findings) -> None:
    group = found.links.groups[0]
    assert {name for name, _ in group.members} == {"fan-1", "fan-2"} and group.size == 2
    assert found.links.kinds[0].pairs >= 1
    assert any("power" in name for kind in found.links.kinds for name in kind.differences)


def test_large_graphs_are_read_in_part_and_told_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "MOST_READ", 3)
    monkeypatch.setattr(reach, "MOST_FOR_PHRASES", 2)
    some = gather(folder).reach
    assert some.documents == len(SHOP) and 0 < some.read < len(SHOP)
    assert some.phrases_read < len(SHOP)


def test_progress_is_told(folder: Path) -> None:
    seen: dict[str, list[int]] = {}

    class Stage:
        def __init__(self, label: str) -> None:
            self.done = seen.setdefault(label, [])

        def __enter__(self) -> Progress:
            return lambda done, total=None, **facts: self.done.append(done)

        def __exit__(self, *_: object) -> None: ...

    gather(folder, Stage)  # type: ignore[arg-type]
    assert seen["reading facts"] == list(range(1, len(SHOP) + 1))
    assert seen["asking the store"]


def test_what_is_no_finished_graph_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no graph"):
        gather(tmp_path)
    made(tmp_path / "g", [document("a", "Fan 20 W")])
    manifest = tmp_path / "g" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"complete"', '"building"'))
    with pytest.raises(StoreError, match="not complete"):
        gather(tmp_path / "g")


def test_reading_changes_nothing(folder: Path) -> None:
    with State.open(folder, create=False) as state:
        before = (state.counts(), state.to_put(), state.to_check())
    gather(folder)
    with State.open(folder, create=False) as state:
        assert (state.counts(), state.to_put(), state.to_check()) == before
