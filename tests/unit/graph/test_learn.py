"""Proposals until nothing new comes, a trial, one refinement; usage counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.errors import UsageError
from moonshelf.graph.edits import Edit, Proposal, Usage
from moonshelf.graph.extraction import BatchStopped, Extractor, trial_outcomes
from moonshelf.graph.learn import LearnSettings, learn
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology
from moonshelf.graph.outcome import Outcome
from moonshelf.graph.records import Document
from moonshelf.graph.schema.gatekeeper import Gatekeeper
from moonshelf.graph.schema.history import History
from moonshelf.graph.schema.sample import Stopping
from moonshelf.graph.usage import VALUES_KEPT, usage_of
from tests.unit.graph.toy_backend import COLOR, MODEL, POWER, ToyBackend, reply_error

KINDS = ("Fan", "Lamp", "Kettle", "Toaster", "Iron")
SHOP = [
    Document(id=f"d{k:03}", fields=(("title", f"{KINDS[k % 5]} {k % 9 + 1}0 W red"),))
    for k in range(200)
]
ONTOLOGY = Ontology(
    classes=(
        ClassDef(name=ROOT, parent=None),
        ClassDef(name="Device"),
        ClassDef(name="Fan", parent="Device"),
        ClassDef(name="Lamp", parent="Device"),
    ),
    properties=(POWER, COLOR.model_copy(update={"many": True}), MODEL),
)


def keeper(tmp_path: Path) -> Gatekeeper:
    return Gatekeeper(History.open(tmp_path / "ontology"))


def test_reading_ends_when_batches_add_nothing_and_unused_elements_go(tmp_path: Path) -> None:
    gatekeeper = keeper(tmp_path)
    found = learn(lambda: SHOP, ToyBackend(), gatekeeper)
    assert found.sampled == 5 * found.batches < 60
    assert "added less than 5%" in found.stopped
    ontology = gatekeeper.ontology
    assert {c.name for c in ontology.classes} == {ROOT, *KINDS}
    assert {p.name for p in ontology.properties} == {"power", "color"}
    assert (found.version, found.tried, found.seen) == (ontology.version, 200, 2)
    assert found.accepted == len(KINDS) + 4 + 2 and found.refused == 0


def test_a_cap_and_a_pool_bound_the_reading(tmp_path: Path) -> None:
    settings = LearnSettings(batch=2, stopping=Stopping(most=3), trial=0)
    found = learn(lambda: SHOP, ToyBackend(), keeper(tmp_path), settings)
    assert (found.batches, found.sampled, found.tried) == (3, 6, 6)
    assert "cap of 3" in found.stopped
    few = LearnSettings(pool=7, stopping=Stopping(at_least=50))
    found = learn(lambda: SHOP, ToyBackend(), keeper(tmp_path / "few"), few)
    assert found.sampled <= 7 and "all documents" in found.stopped


class Silent(ToyBackend):
    """Answers only every second time, and never about the whole ontology."""

    def __init__(self, answers: bool = True) -> None:
        super().__init__()
        self.answers, self.asked = answers, 0

    def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
        self.asked += 1
        if not self.answers or self.asked % 2:
            raise reply_error()
        return super().propose(batch, ontology)

    def refine(self, ontology: Ontology, usage: object) -> list[Edit]:
        raise reply_error()

    def costs(self) -> dict[str, float]:
        return {"calls": self.asked}


def test_batches_without_an_answer_are_counted_and_left_out(tmp_path: Path) -> None:
    backend, gatekeeper = Silent(), keeper(tmp_path)
    found = learn(lambda: SHOP, backend, gatekeeper)
    assert found.failed == found.batches and found.sampled == 5 * found.batches
    assert "no JSON" in found.unrefined
    assert "unused" in {p.name for p in gatekeeper.ontology.properties}, "proposals stand"
    assert found.tried == found.sampled, "a backend with costs tries nothing more"


@pytest.mark.parametrize(("documents", "asked"), [(200, 3), (10, 2), (3, 1)])
def test_no_answer_at_all_is_an_error(tmp_path: Path, documents: int, asked: int) -> None:
    backend = Silent(answers=False)
    with pytest.raises(BatchStopped, match="no schema can be learned: no JSON"):
        learn(lambda: SHOP[:documents], backend, keeper(tmp_path))
    assert backend.asked == asked
    assert learn(list, backend, keeper(tmp_path)).sampled == 0


def test_no_more_samples_are_read_than_asked_for(tmp_path: Path) -> None:
    read: list[str] = []

    class Watching(ToyBackend):
        def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
            read.extend(one.id for one in batch)
            return super().propose(batch, ontology)

    found = learn(lambda: SHOP, Watching(), keeper(tmp_path), LearnSettings(samples=7, trial=0))
    assert found.sampled == len(read) == len(set(read)) == 7
    assert found.stopped == "7 documents are read"


def test_what_a_graph_holds_counts_like_the_trial(tmp_path: Path) -> None:
    coded = titled("c", "Fan 20 W AB100")
    (held,) = trial_outcomes([coded], Extractor(ToyBackend(), ONTOLOGY))
    gatekeeper = keeper(tmp_path)
    learn(lambda: SHOP, ToyBackend(), gatekeeper, held=lambda: [held])
    assert {p.name for p in gatekeeper.ontology.properties} == {"power", "color", "model"}
    # What the trial read of a document is what is known of it.
    gatekeeper = keeper(tmp_path / "again")
    old = held.model_copy(update={"document": SHOP[0].id})
    learn(lambda: SHOP, ToyBackend(), gatekeeper, held=lambda: [old])
    assert "model" not in {p.name for p in gatekeeper.ontology.properties}


def test_a_wrong_call_is_raised_as_it_is(tmp_path: Path) -> None:
    class Wrong(ToyBackend):
        def propose(self, batch: Sequence[Document], ontology: Ontology) -> Proposal:
            raise UsageError("no such model")

    with pytest.raises(UsageError, match="no such model"):
        learn(lambda: SHOP, Wrong(), keeper(tmp_path))


def titled(name: str, title: str) -> Document:
    return Document(id=name, fields=(("title", title),))


def test_usage_is_counted_by_document() -> None:
    shop = [
        titled("a", "Fan 20 W red blue"),
        titled("b", "Fan 20 W red"),
        titled("c", "Lamp 20 W or 30 W"),
        titled("d", "Fan XX-100 red"),
        titled("e", "nothing"),
        titled("f", "Fan 9 W"),
    ]
    backend = ToyBackend(explode={"f": reply_error()})
    outcomes = list(trial_outcomes(shop, Extractor(backend, ONTOLOGY)))
    assert [one.status for one in outcomes] == ["done"] * 4 + ["empty", "quarantined"]
    found = usage_of(outcomes, ONTOLOGY)
    assert set(found) == {ROOT, "Device", "Fan", "Lamp", "power", "color", "model"}
    # A class is used by the documents of its subclasses.
    assert [found[n].documents for n in (ROOT, "Device", "Fan", "Lamp")] == [5, 4, 3, 1]
    power = found["power"]
    assert (power.documents, power.values) == (3, (("20", 3),))
    assert power.several == 1, "the value that gave way shows that there may be two"
    color = found["color"]
    assert (color.documents, color.several) == (3, 1)
    assert color.values == (("red", 3), ("blue", 1))
    # color and model are of one form, and one document holds both, with other values.
    assert (color.clashes, found["model"].clashes) == ((("model", 1),), (("color", 1),))
    assert power.clashes == ()


def test_usage_counts_former_names_and_tells_of_values_that_it_leaves_out() -> None:
    shop = [titled(f"d{k}", f"Fan {k} W") for k in range(1, VALUES_KEPT + 4)]
    outcomes = list(trial_outcomes(shop, Extractor(ToyBackend(), ONTOLOGY)))
    renamed = ONTOLOGY.model_copy(
        update={
            "properties": (POWER.model_copy(update={"name": "wattage"}),),
            "aliases": (("power", "wattage"),),
        }
    )
    found = usage_of(outcomes, renamed)["wattage"]
    assert (found.documents, len(found.values), found.more) == (len(shop), VALUES_KEPT, 3)
    assert usage_of(outcomes[:9], ONTOLOGY)["power"].more == 0


def test_equal_values_are_one_whatever_their_digits() -> None:
    def said(amount: str) -> Outcome:
        (found,) = trial_outcomes([titled(amount, "Fan 20 W")], Extractor(ToyBackend(), ONTOLOGY))
        (fact,) = found.facts
        value = fact.value.model_copy(update={"amount": Decimal(amount)})  # type: ignore[union-attr]
        return found.model_copy(update={"facts": (fact.model_copy(update={"value": value}),)})

    found = usage_of([said("20"), said("20.00"), said("2E+1")], ONTOLOGY)
    assert found["power"].values == (("20", 3),)
    assert isinstance(found["power"], Usage)
