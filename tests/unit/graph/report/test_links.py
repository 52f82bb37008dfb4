"""Groups, kinds of variants, and what documents about one product dispute."""

from __future__ import annotations

from moonshelf.graph.outcome import Outcome
from moonshelf.graph.report.links import MOST_GROUPS, MOST_MEMBERS, difference_name, links_of
from moonshelf.graph.resolve import Link, Relation, Resolution
from tests.unit.graph.evaluate import shop


def link(
    left: str, right: str, score: float = 0.9, relation: Relation = "sameAs", *differences: str
) -> Link:
    return Link(
        left=left,
        right=right,
        relation=relation,
        score=score,
        parts=(),
        differences=differences,
    )


def outcome(name: str, **said: str) -> Outcome:
    text = shop.document(name, " ".join(said.values()) or "nothing")
    facts = [shop.fact(text, key, value, value) for key, value in said.items()]
    return shop.outcome(shop.extraction(text, *facts), "done")


def test_links_in_a_chain_are_one_group_with_its_weakest_link() -> None:
    links = (link("a", "b", 0.95), link("b", "c", 0.80), link("x", "y", 0.99))
    found = links_of(Resolution(links=links), shop.ONTOLOGY, str.upper, lambda _: None)
    assert found.group_count == 2 and found.same == 3
    first, second = found.groups
    assert first.members == (("a", "A"), ("b", "B"), ("c", "C")) and first.score == 0.80
    assert second.size == 2


def test_what_the_same_product_is_said_to_be_twice_is_a_disagreement() -> None:
    known = {
        "a": outcome("a", gas="r32", slogan="cool"),
        "b": outcome("b", gas="r410a", slogan="cool"),
    }
    found = links_of(
        Resolution(links=(link("a", "b"),)), shop.ONTOLOGY, str, lambda name: known[name]
    )
    (one,) = found.disagreements
    assert (one.property, one.values) == ("gas", (("a", "r32"), ("b", "r410a")))


def test_variants_by_what_they_differ_in_with_the_surest_pair() -> None:
    links = (
        link("a", "b", 0.7, "isVariantOf", "color"),
        link("a", "c", 0.9, "isVariantOf", "color"),
        link("a", "d", 0.8, "isVariantOf", "power"),
    )
    found = links_of(Resolution(links=links), shop.ONTOLOGY, str, lambda _: None)
    assert [(one.differences, one.pairs) for one in found.kinds] == [
        (("color",), 2),
        (("power",), 1),
    ]
    assert found.kinds[0].right == ("c", "c") and found.group_count == 0


def test_lists_are_bounded_and_tell_how_long_they_were() -> None:
    wide = [link("m0", f"m{n}") for n in range(1, 30)]
    many = [link(f"x{n:03}", f"y{n:03}") for n in range(50)]
    found = links_of(Resolution(links=(*wide, *many)), shop.ONTOLOGY, str, lambda _: None)
    assert (found.group_count, len(found.groups)) == (51, MOST_GROUPS)
    assert (found.groups[0].size, len(found.groups[0].members)) == (30, MOST_MEMBERS)


def test_differences_read_like_words() -> None:
    assert difference_name("[mass/power]") == "mass/power in the title"
    assert difference_name("cooling_capacity") == "cooling capacity"
