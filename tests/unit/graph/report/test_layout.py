"""The tree of classes as rows: nothing is lost, however many classes there are."""

from __future__ import annotations

import random

from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.report.findings import ClassUse, PropertyUse
from moonshelf.graph.report.layout import DEEPEST, MOST_INHERITED, Row, rows
from moonshelf.graph.report.picture import picture


def grown(count: int, seed: int, deep: bool = False) -> tuple[Ontology, dict[str, int]]:
    chance = random.Random(seed)
    kinds = [ClassDef(name=ROOT, parent=None)]
    for n in range(count):
        above = kinds[-1] if deep else chance.choice(kinds)
        kinds.append(ClassDef(name=f"K{n}", parent=above.name))
    own = {kind.name: chance.choice((0, 0, 1, 7, 300)) for kind in kinds}
    return Ontology(classes=tuple(kinds)), own


def drawn(known: Ontology, own: dict[str, int], most: int) -> list[Row]:
    uses = {kind.name: ClassUse(documents=1) for kind in known.classes}
    return rows(known, own, (), uses, most)


def test_every_class_is_drawn_or_counted_with_its_products() -> None:
    for seed in range(8):
        known, own = grown(60, seed)
        found = drawn(known, own, 20)
        kinds = [row for row in found if not row.hidden]
        assert len(kinds) == 20
        assert sum(row.hidden for row in found) + len(kinds) == len(known.classes)
        hidden = sum(row.products for row in found if row.hidden)
        assert sum(row.own for row in kinds) + hidden == sum(own.values())
        assert found[0].products == sum(own.values())
        assert min(row.products for row in kinds) >= max(
            (row.products for row in found if row.hidden and row.hidden == 1), default=0
        )


def test_a_row_hangs_on_an_earlier_one_a_step_to_the_left() -> None:
    known, own = grown(40, 1)
    found = drawn(known, own, 40)
    assert found[0].parent == -1
    for place, row in enumerate(found[1:], start=1):
        assert row.parent < place
        assert row.depth == min(found[row.parent].depth + 1, DEEPEST)


def test_a_long_chain_stays_within_the_page() -> None:
    known, own = grown(150, 2, deep=True)
    found = drawn(known, own, 30)
    assert sum(row.hidden for row in found) == 151 - 30
    assert max(row.depth for row in found) == DEEPEST
    assert len(picture(found)) < 100_000


def test_a_class_shows_its_own_properties_and_what_it_states_of_those_above() -> None:
    def use(name: str, domain: str = ROOT) -> PropertyUse:
        owned = PropertyDef(name=name, domain=domain)
        return PropertyUse(definition=owned, documents=5, possible=10)

    known = Ontology(
        classes=(ClassDef(name=ROOT, parent=None), ClassDef(name="Fan")),
        properties=tuple(PropertyDef(name=f"p{n}") for n in range(12)),
    )
    stated = {"blades": 4, **{f"p{n}": n for n in range(12)}}
    uses = {
        ROOT: ClassUse(documents=100, properties=stated),
        "Fan": ClassUse(documents=12, properties=stated),
    }
    properties = (use("blades", "Fan"), *(use(f"p{n}") for n in range(12)))
    top, fan = rows(known, {"Fan": 12}, properties, uses)
    assert len(top.properties) == 12, "a property of a class below is not its own"
    assert top.inherited == (), "and does not come from above"
    assert [(one.definition.name, share) for one, share in fan.properties] == [("blades", 4 / 12)]
    assert [one.definition.name for one, _ in fan.inherited] == [
        f"p{n}" for n in range(11, 11 - MOST_INHERITED, -1)
    ], "the most stated first, and what nobody states not at all"
