"""Fact scores: names are aligned on dev, values compared in canonical form, counts are right."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import numpy as np
import pytest

from moonshelf.errors import DataError
from moonshelf.graph.evaluate.align import align, assign, greedy
from moonshelf.graph.evaluate.claims import Claim, claims, gold_claims, number_key, word_key
from moonshelf.graph.evaluate.facts import fact_scores, matches
from moonshelf.graph.evaluate.gold import gold_ontology, labelled, read_gold
from moonshelf.graph.records import Document, Extraction
from tests.unit.graph.evaluate import shop

MAKERS = ("Acme", "Borea", "Cirrus", "Delta", "Eolo", "Frio")
TON = Decimal("3516.852842066666666666666666666667")


def listing(k: int) -> Document:
    metal = "Copper" if k % 2 else "Alloy"
    title = (
        f"{MAKERS[k % 6]} {k + 1} Ton {k % 5 + 1} Star Inverter Split AC {metal} R-32 number {k}"
    )
    return shop.document(f"d{k}", title)


def gold_of(doc: Document, split: str):
    words = doc.field("title").split()
    return shop.gold_text(
        doc,
        split,
        brand=(words[0], words[0].lower()),
        capacity=(f"{words[1]} Ton", Decimal(words[1])),
        stars=(f"{words[3]} Star", int(words[3])),
        inverter=("Inverter", True),
        type=("Split AC", "split air conditioner"),
        condenser=(words[8], words[8].lower()),
        refrigerant=("R-32", "r32"),
    )


def found_in(doc: Document) -> Extraction:
    words = doc.field("title").split()
    facts = [
        shop.fact(doc, "maker", words[0], words[0].lower()),
        shop.fact(doc, "power", f"{words[1]} Ton", Decimal(words[1]) * TON, "Ton"),
        shop.fact(doc, "rating", f"{words[3]} Star", int(words[3])),
        shop.fact(doc, "variable_speed", "Inverter", True),
        shop.fact(doc, "gas", "R-32", "r-32"),
        shop.fact(doc, "slogan", "number", "number"),
    ]
    if words[8] == "Copper":
        facts.append(shop.fact(doc, "copper_coil", "Copper", True))
    return shop.extraction(doc, *facts, kind="SplitUnit")


DOCS = [listing(k) for k in range(20)]
GOLD = shop.gold_set(*(gold_of(d, "dev" if k < 10 else "test") for k, d in enumerate(DOCS)))


def test_names_are_aligned_by_what_the_properties_hold() -> None:
    found = {d.id: found_in(d) for d in DOCS}
    scores = fact_scores(found, DOCS, shop.ONTOLOGY, GOLD, draws=50)
    pairs = {(p.induced, p.gold, p.value) for p in scores.alignment.pairs}
    whole = {("maker", "brand"), ("power", "capacity"), ("rating", "stars"), ("gas", "refrigerant")}
    whole |= {("variable_speed", "inverter"), ("(class)", "type"), ("copper_coil", "condenser")}
    assert whole - {("copper_coil", "condenser")} <= {p[:2] for p in pairs}
    assert (scores.dev, scores.test) == (10, 10)


def test_counts_listed_and_strict() -> None:
    found = {d.id: found_in(d) for d in DOCS}
    scores = fact_scores(found, DOCS, shop.ONTOLOGY, GOLD, draws=50)
    # of 7 facts a text: 6 by property or class; the metal is a feature for the copper half alone
    assert scores.listed.score.wanted == 70
    assert scores.strict.score.found == scores.listed.score.found + 10  # the slogans
    assert scores.strict.score.matched == scores.listed.score.matched
    assert scores.strict.score.precision < scores.listed.score.precision
    assert scores.properties["capacity"].f1 == 1
    assert scores.properties["refrigerant"].f1 == 1
    assert scores.properties["type"].f1 == 1


def test_left_over_features_are_read_as_values() -> None:
    pairs = []
    for doc in DOCS[:10]:
        taken = shop.extraction(doc, *found_in(doc).facts, kind="SplitUnit")
        mine = claims(taken, shop.ONTOLOGY)
        metal = [c for c in mine if c.property == "copper_coil"]
        # another property has the condenser already
        words = doc.field("title").split()
        start = doc.field("title").index(words[8])
        place = ("title", start, start + len(words[8]))
        whole = Claim("metal", frozenset({words[8].lower()}), place)
        text = labelled([doc], GOLD, "dev")[0]
        pairs.append(([*metal, whole], gold_claims(text, GOLD.properties)))
    with_features, without = align(pairs), align(pairs, features=False)
    assert [(p.induced, p.gold, p.value) for p in without.pairs] == [("metal", "condenser", None)]
    assert ("copper_coil", "condenser", "copper") in {
        (p.induced, p.gold, p.value) for p in with_features.pairs
    }
    (read,) = with_features.read([Claim("copper_coil", frozenset({"True"}), None, True)])
    assert (read.property, read.keys) == ("condenser", frozenset({"copper"}))
    assert with_features.read([Claim("copper_coil", frozenset({"False"}), None, True)]) == []


def test_the_test_half_does_not_move_the_alignment() -> None:
    found = {d.id: found_in(d) for d in DOCS}
    spoiled = {**found, **{d.id: shop.extraction(d) for d in DOCS[10:]}}
    whole = fact_scores(found, DOCS, shop.ONTOLOGY, GOLD, draws=10)
    part = fact_scores(spoiled, DOCS, shop.ONTOLOGY, GOLD, draws=10)
    assert whole.alignment == part.alignment
    assert part.listed.score.matched == 0
    assert part.listed.score.recall == 0


def test_a_wrong_value_is_wrong_twice_and_its_place_still_right() -> None:
    found = {d.id: found_in(d) for d in DOCS}
    right = fact_scores(found, DOCS, shop.ONTOLOGY, GOLD, draws=10)
    doc = DOCS[15]
    words = doc.field("title").split()
    wrong = shop.fact(doc, "rating", f"{words[3]} Star", int(words[3]) + 1)
    facts = [wrong if f.property == "rating" else f for f in found[doc.id].facts]
    found[doc.id] = shop.extraction(doc, *facts, kind="SplitUnit")
    scores = fact_scores(found, DOCS, shop.ONTOLOGY, GOLD, draws=10)
    assert scores.listed.score.matched == right.listed.score.matched - 1
    assert scores.listed.score.found == right.listed.score.found
    assert scores.places == right.places
    assert scores.properties["stars"].matched == 9


def test_a_given_schema_needs_no_alignment() -> None:
    own = gold_ontology(GOLD)
    renames = {"maker": "brand", "rating": "stars", "variable_speed": "inverter"}
    found = {}
    for doc in DOCS:
        facts = [f for f in found_in(doc).facts if f.property in renames]
        facts = [f.model_copy(update={"property": renames[f.property]}) for f in facts]
        found[doc.id] = shop.extraction(doc, *facts)
    scores = fact_scores(found, DOCS, own, GOLD, given=True, draws=10)
    assert scores.alignment.method == "names"
    assert scores.listed.score.matched == scores.listed.score.found == 30


@pytest.mark.parametrize("seed", range(20))
def test_matching_equals_counting_by_hand(seed: int) -> None:
    rng = random.Random(seed)
    mine = [(rng.choice("ab"), str(rng.randint(0, 3))) for _ in range(6)]
    theirs = sorted({(rng.choice("ab"), str(rng.randint(0, 3))) for _ in range(6)})
    counts = matches(
        [Claim(name, frozenset({key}), None) for name, key in mine],
        [Claim(name, frozenset({key}), None) for name, key in theirs],
    )
    for name in counts:
        left = {key for n, key in mine if n == name}
        right = {key for n, key in theirs if n == name}
        assert counts[name] == (len(left & right), len(left), len(right))


@pytest.mark.parametrize("seed", range(10))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 9, (4, 5)).astype(float)
    chosen, method = assign(table)
    best = max(
        sum(table[i, j] for i, j in enumerate(columns))
        for columns in itertools.permutations(range(5), 4)
    )
    assert sum(table[i, j] for i, j in chosen) == best
    assert method == "assignment"
    loose = greedy(table)
    assert len({i for i, _ in loose}) == len({j for _, j in loose}) == 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("R-32", "r32", True),
        ("Anti Viral", "anti-viral", True),
        ("pm 2.5", "PM2.5", True),
        ("pm 2.5", "pm 25", False),
        ("2023", "2023.0", True),
        ("white", "off-white", False),
    ],
)
def test_words_are_compared_without_marks(one: str, other: str, same: bool) -> None:
    assert (word_key(one) == word_key(other)) is same


def test_a_claim_with_two_wordings_matches_once() -> None:
    kind = Claim("type", frozenset({"splitac", "splitunit"}), None)
    wanted = [Claim("type", frozenset({key}), None) for key in ("splitac", "splitunit")]
    assert matches([kind], wanted)["type"] == (1, 1, 2)


def test_numbers_are_compared_in_one_unit() -> None:
    doc = DOCS[1]  # 2 Ton
    owned = shop.ONTOLOGY.property_of("power").model_copy(update={"unit": "kilowatt"})
    in_kilowatts = shop.ONTOLOGY.model_copy(update={"properties": (owned,)})
    stated = shop.fact(doc, "power", "2 Ton", 2 * TON / 1000, "Ton")
    (mine,) = claims(shop.extraction(doc, stated), in_kilowatts)
    labels = gold_claims(labelled([doc], GOLD, "dev")[0], GOLD.properties)
    assert mine.equals(next(one for one in labels if one.property == "capacity"))
    assert not any(mine.equals(one) for one in labels if one.property != "capacity")
    assert number_key(Decimal("1.50")) == number_key(Decimal("1.5")) != number_key(Decimal("1.51"))


def test_no_listing_of_the_gold_set_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 10 texts"):
        fact_scores({}, [shop.document("x", "another thing")], shop.ONTOLOGY, GOLD)


def test_the_shipped_gold_set_is_read() -> None:
    gold = read_gold()
    assert len(gold.texts) == 100
    assert gold.properties["cooling_capacity"].dimension == "power"
    assert {p.name for p in gold_ontology(gold).properties} == set(gold.properties)


def test_a_feature_may_stand_for_the_no_of_another_only_where_asked() -> None:
    here = ("title", 0, 5)

    def claim(name: str, value: str) -> Claim:
        return Claim(name, frozenset({value}), here, boolean=True)

    yes = [([claim("inverter", "True")], [claim("variable", "True")])] * 4
    no = [([claim("fixed_speed", "True")], [claim("variable", "False")])] * 3
    plain = align([*yes, *no])
    assert plain.read([claim("fixed_speed", "True")]) == []
    assert plain.unread([claim("fixed_speed", "True")]) == 1
    asked = align([*yes, *no], opposites=True)
    (read,) = asked.read([claim("fixed_speed", "True")])
    assert (read.property, read.keys) == ("variable", {"False"})
    assert asked.unread([claim("fixed_speed", "True")]) == 0
    # What is not read is counted: the "no" of a feature that stands for a value.
    denied = claim("fixed_speed", "False")
    assert asked.read([denied]) == [] and asked.unread([denied]) == 1


def test_the_half_that_is_scored_is_named() -> None:
    docs = [listing(k) for k in range(12)]
    texts = [gold_of(doc, "dev" if k < 8 else "test") for k, doc in enumerate(docs)]
    found = {doc.id: found_in(doc) for doc in docs[:8]}  # nothing was found on test
    gold = shop.gold_set(*texts)
    test = fact_scores(found, docs, shop.ONTOLOGY, gold)
    dev = fact_scores(found, docs, shop.ONTOLOGY, gold, split="dev")
    assert (test.split, test.listed.score.found) == ("test", 0)
    assert dev.split == "dev" and dev.listed.score.precision > 0.9
    assert "8 labelled dev texts" in dev.protocol and "4 labelled test texts" in test.protocol
