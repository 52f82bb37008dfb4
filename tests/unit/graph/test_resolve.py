"""Entity resolution on listings written for it: the same, variants, and neither."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from moonshelf.errors import UsageError
from moonshelf.graph.builtin.quantities import quantities
from moonshelf.graph.builtin.quantity import Quantity
from moonshelf.graph.gtin import bare_gtins, gtin
from moonshelf.graph.identity import (
    LONGEST_TITLE,
    Describer,
    Profile,
    title_codes,
)
from moonshelf.graph.ontology import ROOT, ClassDef, Ontology, PropertyDef
from moonshelf.graph.records import Amount, Document, Fact, Span, TextEvidence
from moonshelf.graph.resolve import LARGEST_BLOCK, WINDOW, Link, resolve

ONTOLOGY = Ontology(
    classes=(
        ClassDef(name=ROOT, parent=None),
        ClassDef(name="AirConditioner"),
        ClassDef(name="SplitAirConditioner", parent="AirConditioner"),
        ClassDef(name="Cover"),
    ),
    properties=(
        PropertyDef(name="brand", kind="object"),
        PropertyDef(name="model_number"),
        PropertyDef(name="ean"),
        PropertyDef(name="body_color", synonyms=("colour",)),
        PropertyDef(name="capacity", datatype="decimal", dimension="power", unit="watt"),
        PropertyDef(name="stars", datatype="integer"),
    ),
)
DESCRIBER = Describer(ONTOLOGY)
OWNER, LLOYD = "SplitAirConditioner", {"brand": "lloyd"}


def fact(name: str, value: object) -> Fact:
    evidence = TextEvidence(span=Span(field="title", start=0, end=1), raw="x")
    if isinstance(value, Decimal):
        value = Amount(amount=value)
    return Fact(document="d", property=name, value=value, evidence=evidence, confidence=1)  # type: ignore[arg-type]


def profile(name: str, title: str, owner: str = "SplitAirConditioner", **facts: object) -> Profile:
    document = Document(id=name, fields=(("title", title),))
    found = [fact(key, value) for key, value in facts.items()]
    return DESCRIBER.profile(name, owner, [document], found)


def relations(*profiles: Profile) -> dict[tuple[str, str], str]:
    return {(link.left, link.right): link.relation for link in resolve(profiles).links}


A = profile("a", "Lloyd 1.5 Ton 3 Star Split AC (Copper, GLS18I3FWAGC, White)", brand="lloyd")


def test_two_listings_of_one_model_are_the_same() -> None:
    b = profile("b", "LLOYD Split Air Conditioner 1.5 ton GLS18I3FWAGC (white)", brand="lloyd")
    (link,) = resolve([b, A]).links
    assert (link.left, link.right, link.relation) == ("a", "b", "sameAs")
    parts = dict(link.parts)
    assert parts["code"] == parts["brand"] == 1
    assert "gtin" not in parts, "what is unknown has no part"
    assert 0.75 <= link.score < 1


@pytest.mark.parametrize(
    ("title", "facts", "difference"),
    [
        ("Lloyd 2 Ton 3 Star Split AC (Copper, GLS18I3FWAGC, White)", {}, "[mass/power]"),
        ("Lloyd 1.5 Ton 5 Star Split AC (Copper, GLS18I3FWAGC, White)", {}, "[star]"),
        ("Lloyd 1.5 Ton 3 Star Split AC (Copper, GLS18I3FWBGC, White)", {}, "model"),
        ("Lloyd Split AC GLS18I3FWAGC", {"body_color": "black"}, "color"),
        ("Lloyd Split AC GLS18I3FWAGC", {"capacity": Decimal(7000)}, "capacity"),
    ],
)
def test_what_differs_makes_a_variant(
    title: str, facts: dict[str, object], difference: str
) -> None:
    first = profile(
        "a",
        "Lloyd 1.5 Ton 3 Star Split AC (Copper, GLS18I3FWAGC, White)",
        brand="lloyd",
        body_color="white",
        capacity=Decimal("5275.28"),
    )
    other = profile("b", title, brand="lloyd", **facts)
    (link,) = resolve([first, other]).links
    assert (link.relation, link.differences) == ("isVariantOf", (difference,))


@pytest.mark.parametrize(
    ("title", "owner", "facts"),
    [
        ("Lloyd 1.5 Ton 3 Star Split AC (Copper, White)", OWNER, LLOYD),
        ("Voltas Split AC GLS18I3FWAGC", OWNER, {"brand": "voltas"}),
        ("Lloyd 1.5 Ton Split AC XWT90210B", OWNER, LLOYD),
        ("Cover for Lloyd GLS18I3FWAGC", "Cover", LLOYD),
        ("Cover for Lloyd GLS18I3FWAGC", "Product", {}),
        ("Lloyd 1.5 Ton Split AC GLS18I3FW...", OWNER, LLOYD),
    ],
    ids=["no-identifier", "brand", "other-code", "class", "compatibility", "cut-short"],
)  # fmt: skip
def test_neither(title: str, owner: str, facts: dict[str, object]) -> None:
    assert relations(A, profile("b", title, owner, **facts)) == {}


def test_a_gtin_identifies_across_wordings_and_its_check_digit_counts() -> None:
    a = profile("a", "Klima 12 weiß", ean="4006381333931")
    b = profile("b", "Air conditioner", ean="04006381333931")
    assert relations(a, b) == {("a", "b"): "sameAs"}
    wrong = profile("b", "Air conditioner", ean="4006381333932")
    assert relations(a, wrong) == {}


def test_the_very_same_text_is_the_same_product_unless_codes_say_otherwise() -> None:
    assert relations(profile("a", "Fan  red"), profile("b", "fan red")) == {("a", "b"): "sameAs"}
    cut = "Fan red with a remote..."
    assert relations(profile("a", cut), profile("b", cut)) == {}, "the rest may differ"


def test_variants_are_not_joined_by_way_of_a_third() -> None:
    """The listing without a color fits both; it may join one of them, never both."""
    plain = profile("a", "Voltas AC 183VCZT3X", brand="voltas")
    red = profile("b", "Voltas AC 183VCZT3X red", brand="voltas", body_color="red")
    blue = profile("c", "Voltas AC 183VCZT3X blue", brand="voltas", body_color="blue")
    found = resolve([red, blue, plain])
    kinds = {(link.left, link.right): link.relation for link in found.links}
    assert kinds[("b", "c")] == "isVariantOf"
    assert list(kinds.values()).count("sameAs") == 1
    assert found.held_back == 1


def test_variants_of_one_model_are_not_joined_by_a_third_with_both_codes() -> None:
    shared = {"brand": "lloyd"}
    a = profile("a", "Lloyd Split AC GLS18I3FWAAC", **shared)
    b = profile("b", "Lloyd Split AC GLS18I3FWAAC GLS18I3FWBBC", **shared)
    c = profile("c", "Lloyd Split AC GLS18I3FWBBC", **shared)
    found = resolve([a, b, c])
    kinds = {(link.left, link.right): link.relation for link in found.links}
    assert kinds[("a", "c")] == "isVariantOf"
    assert list(kinds.values()).count("sameAs") == 1 and found.held_back == 1


def test_a_product_is_not_compared_with_itself() -> None:
    """Two codes of one family share a block, and so does each of them with itself."""
    both = profile("a", "Lloyd Split AC GLS18I3FWAAC GLS18I3FWBBC", brand="lloyd")
    found = resolve([both])
    assert (found.links, found.compared) == ((), 0)


def test_the_order_of_the_input_does_not_matter() -> None:
    rng = random.Random(3)
    brands = ("lloyd", "voltas", "daikin")
    shop = [
        profile(
            f"p{k}",
            f"{rng.choice(brands)} {rng.choice(('1', '1.5', '2'))} Ton Split AC "
            f"GLS{rng.randrange(10, 14)}I{rng.choice('XYZ')}WAGC",
            brand=rng.choice(brands),
            body_color=rng.choice(("white", "red")),
        )
        for k in range(60)
    ]
    wanted = resolve(shop)
    assert len(wanted.links) > 20
    for _ in range(3):
        rng.shuffle(shop)
        assert resolve(shop) == wanted


def test_blocks_are_bounded_so_that_the_work_grows_with_the_shop() -> None:
    def shop(size: int) -> list[Profile]:
        return [profile(f"p{k:05}", "Lloyd Split AC white", brand="lloyd") for k in range(size)]

    found = resolve(shop(200))
    assert found.bounded >= 1
    assert found.compared <= 200 * WINDOW * 4
    assert resolve(shop(LARGEST_BLOCK)).bounded == 0


def test_a_word_that_many_products_share_is_no_model_code() -> None:
    shop = [profile(f"p{k:03}", "Acme Screen AB1234X", brand="acme") for k in range(40)]
    shop = [replace(one, text=one.id) for one in shop]
    assert resolve(shop).links == ()
    few = resolve(shop[:10]).links
    assert len(few) == 45 and {link.relation for link in few} == {"sameAs"}


def test_products_without_any_text_are_not_the_same() -> None:
    assert relations(profile("a", ""), profile("b", "")) == {}


def test_codes_and_numbers_are_read_by_their_shape() -> None:
    def codes(title: str) -> list[str]:
        return list(title_codes(title, quantities(title)))

    title = "Haier 1.5 Ton AC (6-in-1, 18000BTU, HSU17V-TMS3BE, 2023 Model)"
    assert codes(title) == ["hsu17vtms3be"]
    assert codes("Voltas Split (4503222)") == ["4503222"]
    assert codes("Remote compatible with LG DUAL12345") == []
    assert codes("Daikin FTKP50TV16U and GLS18I3F...") == ["ftkp50tv16u"]
    assert gtin("4006381333931") == "04006381333931"
    assert gtin("96385074") == "00000096385074"
    assert gtin("0000000000000") == gtin("12345") == gtin("١٢٣٤٥٦٧٨") == ""
    assert list(bare_gtins("EAN 4006381333931, tel 4006381333932")) == ["04006381333931"]


def test_what_stands_far_before_a_code_says_nothing_of_it() -> None:
    def codes(title: str) -> list[str]:
        return list(title_codes(title, quantities(title)))

    assert codes("fits " + " " * 150 + "DUAL12345") == []
    assert codes("fits " + " " * 250 + "DUAL12345") == ["dual12345"]
    # Quantities may lie in any order and into each other.
    spans = [Quantity(8, 10, Decimal(1), unit="volt"), Quantity(0, 30, Decimal(2), unit="watt")]
    assert list(title_codes("abc 123 AB12345 AB67890 xyz 9 QR45678", spans)) == ["qr45678"]


@pytest.mark.parametrize("title", ["AB{k:04}X 5 W ", ".", "for ", "x", "A{k} "])
def test_a_megabyte_of_title_takes_no_longer_than_a_page(title: str) -> None:
    size = 2**20 // len(title.format(k=1000))
    text = "".join(title.format(k=1000 + k % 9000) for k in range(size))
    started = time.process_time()
    one, other = profile("a", text, brand="lloyd"), profile("b", f"{text}!", brand="lloyd")
    resolve([one, other])
    assert len(one.title) <= LONGEST_TITLE and len(one.codes) <= LONGEST_TITLE
    assert time.process_time() - started < 5


def test_a_listings_title_names_it_wherever_it_stands() -> None:
    """The first field may be another one; a review's headline names another thing."""
    fields = (("category", "Home > AC"), ("title", "Lloyd GLS18I3FWAGC"))
    listing = Document(id="a", fields=fields)
    review = Document(id="r", fields=(("title", "Bought ABC12345"),), kind="review", product="a")
    found = DESCRIBER.profile("a", OWNER, [review, listing], [])
    assert (found.title, found.codes) == ("lloyd gls18i3fwagc", {"gls18i3fwagc"})


@pytest.mark.parametrize("seed", range(4))
def test_a_family_does_not_depend_on_the_hash_seed(seed: int) -> None:
    """Values of one length are taken out in one order: the one may leave the other no place."""
    code = (
        "from moonshelf.graph.identity import _bare\n"
        "print(_bare('red hot fan', {'red hot', 'hot fan'}, set()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "red\n"


def test_links_are_records_and_two_products_cannot_share_an_id() -> None:
    b = profile("b", "LLOYD Split Air Conditioner 1.5 ton GLS18I3FWAGC (white)", brand="lloyd")
    (link,) = resolve([A, b]).links
    assert Link.model_validate_json(link.model_dump_json()) == link
    with pytest.raises(UsageError, match="one id"):
        resolve([A, A])
    assert resolve([]).links == ()


def test_a_shared_code_beside_others_of_each_is_no_identity() -> None:
    """What a part fits, or the series of two models, is said of both and names neither."""
    parts = [
        profile("a", "Acme board AB101951 DL580 server", brand="acme"),
        profile("b", "Acme fan CD370718 DL580 server", brand="acme"),
        profile("c", "Acme board AB101951 server", brand="acme"),
    ]
    found = {(link.left, link.right): link.relation for link in resolve(parts).links}
    assert found.get(("a", "b")) != "sameAs"
    assert found[("a", "c")] == "sameAs"  # one states more codes than the other, and no other


@pytest.mark.parametrize(
    "title",
    ["clips 6/Pack", "labels 5000/Box", "sink 12x24", "toner by ink4less.com", "6-Piece set"],
)
def test_packs_sizes_and_shops_are_no_model_codes(title: str) -> None:
    assert list(title_codes(title, quantities(title))) == []
