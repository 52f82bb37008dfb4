"""What is a feature, a kind of a thing, a name: by where and by whom words are said."""

from __future__ import annotations

import pytest

from moonshelf.graph.builtin.extract import Reader
from moonshelf.graph.builtin.induce import induce
from moonshelf.graph.ontology import Ontology
from moonshelf.graph.records import Document

MAKERS = ("Alveo", "Caldera", "Elmwick", "Ferro", "Grantham", "Hollis")
COLORS = ("White", "Black", "Green", "Ivory")


def shop(*patterns: str, rounds: int = 4) -> list[Document]:
    """Every pattern with every maker, the numbers all different."""
    texts = [
        pattern.format(maker=maker, watts=100 * (k + 7 * turn) + 100, color=COLORS[turn % 4])
        for pattern in patterns
        for turn in range(rounds)
        for k, maker in enumerate(MAKERS)
    ]
    return [Document(id=f"d{k}", fields=(("title", text),)) for k, text in enumerate(texts)]


def reader_of(documents: list[Document]) -> Reader:
    known = induce(documents)
    classes = (*Ontology().classes, *known.classes)
    return Reader(known, Ontology(classes=classes, properties=known.properties))


def said(reader: Reader, title: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for fact in reader.extract(Document(id="d", fields=(("title", title),))).facts:
        found.setdefault(fact.property, []).append(fact.value)
    return found


PLAIN = "{maker} {watts} W Desk Lamp ({color}, Dimmer Mode)"
FILTERED = tuple(
    f"{{maker}} {{watts}} W Desk Lamp ({{color}}, {kind} Filter)"
    for kind in ("Haze", "Mist", "Pollen", "Dust")
)


def test_what_begins_titles_is_a_shop_and_no_feature() -> None:
    sold = [f"Bright Home Appliances Brass {600 + k} W Desk Lamp (White)" for k in range(6)]
    told = [f"{m} 40 W Desk Lamp (White, Bright Glow Display)" for m in MAKERS]
    documents = [*shop(PLAIN), *shop(*sold, rounds=1)[::6], *shop(*told, rounds=1)[::6]]
    labels = {p.label for p in induce(documents).properties if p.kind == "feature"}
    assert "bright glow display" in labels
    assert not any("home" in label for label in labels)


def test_a_kind_too_rare_to_be_known_is_no_feature() -> None:
    rare = [f"{maker} 40 W Desk Lamp (White, Low Odor Filter)" for maker in MAKERS[:3]]
    reader = reader_of([*shop(*FILTERED, rounds=2), *shop(*rare, rounds=1)[::6]])
    features = {p.label for p in reader.ontology.properties if p.kind == "feature"}
    assert not any(label.endswith("filter") for label in features)
    assert said(reader, "Ferro 60 W Desk Lamp (White, Low Odor Filter)")["filter"] == ["low odor"]


@pytest.mark.parametrize(
    ("segment", "kinds"),
    [
        ("3 Step Stage with PX2.5 Filter", ["px2.5"]),
        ("Stage and Smoke Filter", ["smoke"]),
        ("Haze Filter", ["haze"]),
        ("with Filter", []),
        ("goes on with White Filter", []),
        ("with the one that you always wanted Filter", []),
    ],
)
def test_a_kind_stands_between_a_with_and_its_head(segment: str, kinds: list[str]) -> None:
    found = said(reader_of(shop(*FILTERED, rounds=2)), f"Ferro 60 W Desk Lamp (Black, {segment})")
    assert found.get("filter", []) == kinds


def test_a_name_that_one_maker_tells_alone_is_a_series() -> None:
    lines = [f"Hollis {900 + k} W Desk Lamp ({COLORS[k % 4]}, Estrella Nova)" for k in range(5)]
    documents = [*shop(PLAIN), *(Document(id=t, fields=(("title", t),)) for t in lines)]
    assert said(reader_of(documents), "Hollis 60 W Desk Lamp (White, Estrella Nova)")["series"] == [
        "estrella nova"
    ]


@pytest.mark.parametrize(
    ("title", "series"),
    [
        ("Hollis 60 W Desk Lamp (White, New Estrella Nova)", "estrella nova"),
        ("Hollis 60 W Estrella 5200FX HP Desk Lamp", "estrella 5200fx"),  # a number ends it
        ("Hollis 60 W Estrella 3S Desk Lamp", "estrella"),
        ("Hollis 60 W Estrella Desk Lamp", "estrella"),
        ("Hollis 60 W Estrella Lamp", "estrella"),  # what it is
        ("Hollis 60 W Estrella Glare Guard Desk Lamp", "estrella"),  # what it has
    ],
)
def test_a_series_ends_before_what_else_is_said(title: str, series: str) -> None:
    lines = [f"Hollis {900 + k} W Desk Lamp ({COLORS[k % 4]}, New Estrella)" for k in range(5)]
    told = [f"{{maker}} {{watts}} W Desk Lamp ({{color}}, {what})" for what in ("Glare Guard",)]
    documents = [*shop(PLAIN, *told), *(Document(id=t, fields=(("title", t),)) for t in lines)]
    found = said(reader_of(documents), title)
    assert found["series"] == [series]
    assert "model_number" not in found or series.split()[-1] not in found["model_number"]


def cared(headed: int, alone: int) -> list[Document]:
    """Shirts; some say their care under a heading, the others leave the heading out."""
    washes = ("Machine Wash Cold", "Hand Wash Cold", "Gentle Wash Cold")
    found = []
    for k in range(headed + alone):
        care = washes[k % 3]
        lines = ["Two Chest Pockets", "Wash care" if k < headed else "", care]
        text = "\n".join([f"A shirt for day {k}, and for every other one", *filter(None, lines)])
        title = f"{MAKERS[k % 6]} {COLORS[k % 4]} Woven Shirt"
        found.append(Document(id=f"c{k}", fields=(("title", title), ("description", text))))
    return found


def test_values_of_a_key_are_no_features_and_no_kinds() -> None:
    """ "cold" is no kind of thing of which there is a machine wash one."""
    names = {p.name for p in induce(cared(headed=40, alone=20)).properties}
    assert "wash_care" in names and "two_chest_pockets" in names
    assert not [name for name in names if "cold" in name]
    names = {p.name for p in induce(cared(headed=0, alone=60)).properties}
    assert [name for name in names if "cold" in name], "without a heading nothing else is known"


def test_names_of_keys_and_materials_are_no_features() -> None:
    named = shop(
        *(f"{{maker}} {{watts}} W Desk Lamp ({{color}}, {n})" for n in ("Length", "Fabric"))
    )
    assert not [p.name for p in induce(named).properties if p.kind == "feature"]
    made = [f"{{maker}} {{watts}} W Desk Lamp ({{color}}, {m} Leather)"
            for m in ("Bonded", "Aniline", "Nubuck", "Split")]  # fmt: skip
    assert "leather" not in {p.name for p in induce(shop(*made)).properties}


@pytest.mark.parametrize(
    ("title", "brand"),
    [
        ("ZEPHYRA Tall Desk Lamp with Shade", "zephyra"),
        ("ZEPHYRA 60 W Desk Lamp", "zephyra"),
        ("ZEPHYRA TALL DESK LAMP WITH SHADE", None),  # all of it is loud
        ("ABCD Tall Desk Lamp", None),  # an abbreviation
        ("WIRELESS Tall Desk Lamp", None),  # a function
        ("ZEPH10 Tall Desk Lamp", None),  # a code
        ("WHITE Tall Desk Lamp", None),
        ("Zephyra Tall Desk Lamp", None),
        ("60 W", None),
    ],
)
def test_a_maker_who_is_not_known_may_write_itself_in_capitals(
    title: str, brand: str | None
) -> None:
    found = said(reader_of(shop(PLAIN)), title)
    assert found.get("brand", [None]) == [brand]
