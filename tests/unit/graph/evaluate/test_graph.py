"""Sizes, coverage, soundness, redundancy, stability: each figure is one that a test can count."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from moonshelf.errors import StoreError
from moonshelf.graph.build import BuildSettings, build
from moonshelf.graph.documents import from_documents
from moonshelf.graph.edits import Usage
from moonshelf.graph.evaluate.coverage import plain_mentions, text_coverage
from moonshelf.graph.evaluate.folder import evaluate_graph, evaluate_records
from moonshelf.graph.evaluate.redundancy import elements, jaccard, redundancy
from moonshelf.graph.evaluate.sizes import PAPER, sizes
from moonshelf.graph.evaluate.soundness import is_grounded, soundness
from moonshelf.graph.evaluate.stability import stability
from moonshelf.graph.manifest import MANIFEST
from moonshelf.graph.ontology import ClassDef, Ontology, PropertyDef
from moonshelf.graph.spending import peak_memory
from tests.unit.graph.evaluate import shop
from tests.unit.graph.toy_backend import ToyBackend

ONE = shop.document("one", "Acme 20 W fan, quiet, blue")
TWO = shop.document("two", "Borea 35 W fan, quiet, fits 24 inch stands")
FOUND = [
    shop.extraction(ONE, shop.fact(ONE, "maker", "Acme", "acme"),
                    shop.fact(ONE, "power", "20 W", Decimal(20), "W"), kind="SplitUnit"),
    shop.extraction(TWO, shop.fact(TWO, "maker", "Borea", "borea"),
                    shop.fact(TWO, "slogan", "quiet", "quiet")),
]  # fmt: skip


def test_sizes_are_the_papers_table() -> None:
    found = sizes(FOUND, shop.ONTOLOGY, 3)
    assert (found.classes, found.properties) == (2, 7)
    assert (found.data_properties, found.object_properties) == (6, 1)
    assert found.triples == (1 + 2) + (1 + 2)
    assert (found.processed, found.total) == (2, 3)
    assert found.schema_instantiation == pytest.approx(3 / 7, abs=1e-6)
    assert found.instantiation_at[2] == pytest.approx(1 / 7, abs=1e-6)
    assert found.instantiation_at[3] == 0
    assert found.instantiation_by_class["SplitUnit"] == pytest.approx(2 / 7, abs=1e-6)
    assert PAPER["properties"] == PAPER["data_properties"] + PAPER["object_properties"]
    assert PAPER["schema_instantiation"] == pytest.approx(67 / 69, abs=5e-4)


def test_a_value_said_twice_is_one_triple() -> None:
    twice = shop.extraction(ONE, *FOUND[0].facts, *FOUND[0].facts)
    assert sizes([twice], shop.ONTOLOGY, 1).triples == 3


def test_coverage_counts_mentions_that_a_fact_stands_on() -> None:
    found = {one.document: one for one in FOUND}
    covered = text_coverage([ONE, TWO], found)
    # 20 W is a fact, 35 W is not, 24 inch belongs to the stand
    assert (covered.units.mentions, covered.units.reached, covered.guarded) == (2, 1, 1)
    assert covered.plain_units.mentions == 3
    assert covered.missed == ("two: 35 W",)
    # segments: [Acme 20 W fan] [quiet] [blue] | [Borea 35 W fan] [quiet] [fits 24 inch stands]
    assert (covered.segments.mentions, covered.segments.reached) == (6, 3)
    assert (covered.features.mentions, covered.features.reached) == (3, 1)
    assert "missed" not in covered.model_dump()
    assert text_coverage([ONE, TWO], {}).units.reached == 0


def test_a_model_code_is_no_amount() -> None:
    """35 W is in the words of a fact that says nothing of how much: it counts with any fact."""
    coded = shop.extraction(TWO, shop.fact(TWO, "slogan", "35 W fan", "35 w fan"))
    covered = text_coverage([TWO], {"two": coded})
    assert (covered.units.mentions, covered.units.reached) == (1, 0)
    assert covered.units_by_any_fact.reached == 1
    assert covered.plain_units.reached == 0
    assert covered.missed == ("two: 35 W",)


def test_a_number_that_is_said_again_is_reached_with_the_first() -> None:
    said = shop.document("said", "Acme 20 W fan, 20.0W motor, 20 kW stove, 30 W lamp")
    found = shop.extraction(said, shop.fact(said, "power", "20 W", Decimal(20), "W"))
    covered = text_coverage([said], {"said": found})
    assert (covered.units.mentions, covered.units.reached) == (4, 2)
    assert (covered.units_by_own_words.mentions, covered.units_by_own_words.reached) == (4, 1)
    assert covered.missed == ("said: 20 kW", "said: 30 W")
    other = shop.document("other", "20 W")
    assert text_coverage([said, other], {"said": found}).units.reached == 2, "of one document"


def test_the_plain_pattern_wants_a_whole_unit() -> None:
    found = [m[0] for m in plain_mentions().finditer("5 W, 5 Whatever, 1.5 Ton, A5 W, 12kg 3-inch")]
    assert found == ["5 W", "1.5 Ton", "12kg", "3-inch"]


def test_soundness_counts_by_set_difference() -> None:
    wrong = (
        FOUND[1]
        .facts[0]
        .model_copy(
            update={"evidence": FOUND[1].facts[0].evidence.model_copy(update={"raw": "Boreas"})}
        )
    )
    bad = shop.extraction(TWO, wrong, FOUND[1].facts[1])
    ghost = shop.outcome(shop.extraction(shop.document("ghost", "x")), "quarantined")
    outcomes = [shop.outcome(FOUND[0]), shop.outcome(bad), ghost]
    found = soundness([ONE, TWO], outcomes, given=["one", "two", "three"], violations=0)
    assert (found.facts, found.grounded, found.grounding) == (4, 3, 0.75)
    assert (found.lost, found.invented) == (("three",), ("ghost",))
    assert found.quarantine_rate == pytest.approx(1 / 3, abs=1e-6)
    assert not is_grounded(wrong, {"title": TWO.field("title")})
    assert not is_grounded(FOUND[0].facts[0], {})


def usage(name: str, *values: tuple[str, int]) -> Usage:
    return Usage(name=name, documents=sum(n for _, n in values), values=values)


def test_near_duplicates_need_name_and_values() -> None:
    ontology = Ontology(
        properties=(
            PropertyDef(name="color"), PropertyDef(name="colour"),
            PropertyDef(name="finish"), PropertyDef(name="wifi", datatype="boolean"),
            PropertyDef(name="wi_fi", datatype="boolean"),
        )
    )  # fmt: skip
    told = [("red", 5), ("blue", 5)]
    uses = {n: usage(n, *told) for n in ("color", "colour", "finish")}
    uses |= {n: usage(n, ("true", 9)) for n in ("wifi", "wi_fi")}
    found = redundancy(ontology, uses)
    assert found.pairs == (("color", "colour"), ("wi_fi", "wifi"))
    assert found.duplicates == 40
    assert found.alike_values == 60  # all three pairs of the texts
    other = {**uses, "colour": usage("colour", ("iron", 9))}
    assert redundancy(ontology, other).pairs == (("wi_fi", "wifi"),)
    rare = {**uses, "wifi": usage("wifi", ("true", 2))}
    assert ("wi_fi", "wifi") not in redundancy(ontology, rare).pairs


def test_jaccard_is_the_mean_over_pairs() -> None:
    def schema(*names: str) -> Ontology:
        return Ontology(properties=tuple(PropertyDef(name=n) for n in names))

    assert jaccard([schema("a", "b")]) == 1
    assert jaccard([schema("a", "b"), schema("b", "c")]) == pytest.approx(1 / 3, abs=1e-6)
    three = [schema("a"), schema("a"), schema("b")]
    assert jaccard(three) == pytest.approx(1 / 3, abs=1e-6)
    number = Ontology(properties=(PropertyDef(name="a", datatype="integer"),))
    assert jaccard([schema("a"), number]) == 0
    assert ("class", "Fan") in elements(
        Ontology(classes=(*Ontology().classes, ClassDef(name="Fan")))
    )


SHOP = [shop.document(f"d{k}", f"Fan {k + 1} W red number {k}") for k in range(8)]


def test_stability_learns_in_several_orders() -> None:
    turns: list[int] = []

    def progress(done: int, total: int | None = None, **facts: object) -> None:
        turns.append(done)

    found = stability(SHOP, ToyBackend, orders=3, progress=progress)
    assert (found.orders, found.jaccard) == (3, 1.0)
    assert found.properties == (2, 2, 2)
    assert turns == [0, 1, 2]

    class Moody(ToyBackend):
        def propose(self, batch, ontology):
            first = PropertyDef(name=f"first_{batch[0].id}")
            found = super().propose(batch, ontology)
            if not any(p.name.startswith("first") for p in ontology.properties):
                return found.model_copy(update={"properties": (*found.properties, first)})
            return found

        def refine(self, ontology, usage):
            return []

    assert stability(SHOP, Moody, orders=4).jaccard < 1


def test_a_finished_folder_is_evaluated(tmp_path: Path) -> None:
    shop_ = [*SHOP, shop.document("empty", "nothing at all")]
    gold = shop.gold_set(
        *(shop.gold_text(d, "dev" if k < 4 else "test", brand=("red", "red"))
          for k, d in enumerate(SHOP))
    )  # fmt: skip
    backend = ToyBackend(explode={"d3": ValueError("no")})
    build(from_documents(shop_), backend, tmp_path / "g", BuildSettings(workers=1))
    found = evaluate_graph(tmp_path / "g", gold)
    assert (found.sizes.processed, found.sizes.total) == (7, 9)
    assert found.sizes.schema_instantiation == 1
    assert found.soundness.lost == found.soundness.invented == ()
    assert (found.soundness.quarantined, found.soundness.empty) == (1, 1)
    assert (found.soundness.grounding, found.soundness.violations) == (1.0, 0)
    assert found.text.units.mentions == 8 and found.text.units.reached == 7
    assert found.facts is not None
    assert [(p.induced, p.gold) for p in found.facts.alignment.pairs] == [("color", "brand")]
    assert found.facts.listed.score.f1 == 1
    assert found.facts.strict.score.found == 8  # the power of each
    assert set(found.spent.seconds) >= {"read", "extract"}


def test_a_folder_that_is_no_finished_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no graph"):
        evaluate_graph(tmp_path)
    build(from_documents(SHOP), ToyBackend(), tmp_path / "g", BuildSettings(workers=1))
    path = tmp_path / "g" / MANIFEST
    path.write_text(path.read_text().replace('"complete"', '"building"'))
    with pytest.raises(StoreError, match="not complete"):
        evaluate_graph(tmp_path / "g")


def test_records_alone_are_enough() -> None:
    found = evaluate_records([ONE, TWO], [shop.outcome(one) for one in FOUND], shop.ONTOLOGY)
    assert found.facts is None and found.soundness.violations is None
    assert found.sizes.triples == 6


def test_peak_memory_is_in_bytes() -> None:
    assert 10 << 20 < peak_memory() < 1 << 40
